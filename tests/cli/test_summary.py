"""What a person reads at the end of a run."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from kinflow.cli.summary import Outcome, exit_code, people_table, report


@pytest.fixture
def outcome(astronaut_result) -> Outcome:
    first = replace(astronaut_result.people[0], code="few_keypoints")
    second = replace(first, person=1, code="ok")
    result = replace(astronaut_result, people=(first, second))
    name = "holiday [bold]by the sea[red] with a name that does not end.jpg"
    return Outcome(Path("photos") / name, Path("out/holiday"), 1.234, result)


BAD = Outcome(Path("bad.jpg"), Path("out/bad"), 0.1, problem="bad.jpg is [empty] (zero bytes).")


def test_the_table_fits_into_80_columns(outcome):
    console = Console(width=80, record=True, force_terminal=False)
    assert outcome.result is not None
    console.print(people_table([(outcome, outcome.result)]))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    header, first, *rest_of_name, second = lines
    assert " ".join(header.split()) == "photo person result distance height fit error seconds"
    assert "  0  few_keypoints  " in first
    assert first.endswith(" px     1.23")
    assert second.split()[:2] == ["1", "ok"]
    name = " ".join([first.split("  ")[0], *(line.strip() for line in rest_of_name)])
    assert name == outcome.photo.name


def test_a_pipe_gets_whole_names_and_problems_go_to_stderr(outcome, capsys):
    report([outcome, BAD], Path("out"))
    captured = capsys.readouterr()
    assert outcome.photo.name in captured.out
    assert "few_keypoints: Too few keypoints" in captured.out
    assert f"Results: {outcome.folder}" in captured.out
    assert captured.err.strip() == BAD.problem


def test_nothing_good_prints_no_table(capsys):
    report([BAD], Path("out"))
    assert capsys.readouterr().out == ""


def test_exit_codes(outcome):
    defect = replace(BAD, unexpected=True)
    assert exit_code([outcome]) == 0
    assert exit_code([outcome, BAD]) == 2
    assert exit_code([BAD, defect, outcome]) == 1
