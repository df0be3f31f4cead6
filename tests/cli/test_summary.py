"""What a person reads at the end of a run."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from kinflow.cli.summary import Report, exit_code
from kinflow.pipeline.events import Outcome
from kinflow.results import Reconstruction


@pytest.fixture
def outcome(astronaut_result) -> Outcome:
    first = replace(astronaut_result.people[0], code="few_keypoints")
    second = replace(first, person=1, code="ok")
    result = Reconstruction.of_frame(astronaut_result.camera, (first, second))
    name = "holiday [bold]by the sea[red] with a name that does not end.jpg"
    return Outcome(Path("photos") / name, Path("out/holiday"), 1.234, result)


BAD = Outcome(Path("bad.jpg"), Path("out/bad"), 0.1, problem="bad.jpg is [empty] (zero bytes).")


def printed(outcomes: list[Outcome], width: int | None) -> None:
    report = Report([outcome.photo for outcome in outcomes], Path("out"), width)
    for outcome in outcomes:
        report.add(outcome)
    report.close()


def test_the_table_fits_into_80_columns(outcome, capsys):
    printed([outcome], width=80)
    lines = capsys.readouterr().out.splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith("few_keypoints: "))
    assert max(map(len, lines[:end])) <= 80
    header, first, *rest_of_name, second = lines[:end]
    assert " ".join(header.split()) == "photo person result distance height fit error seconds"
    assert "  0  few_keypoints  " in first
    assert first.endswith(" px     1.23")
    assert second.split()[:2] == ["1", "ok"]
    room = header.index("person") - 2
    assert first[:room] + "".join(rest_of_name) == outcome.photo.name


def test_columns_stay_where_they_are(outcome, capsys):
    short = replace(outcome, photo=Path("a.jpg"), seconds=12.5)
    wide = replace(outcome, photo=Path("写真の写真.jpg"))
    printed([short, wide, replace(short, result=None, already=True)], width=100)
    header, *rows = capsys.readouterr().out.splitlines()[:6]
    end = header.index("seconds") + len("seconds")
    for row in (rows[0], rows[2], rows[4]):
        assert cell_len(row) == end
    assert "already there" in rows[4]


def test_a_pipe_gets_one_whole_line_a_person(outcome, capsys):
    printed([outcome, BAD], width=None)
    captured = capsys.readouterr()
    assert captured.out.count(outcome.photo.name) == len(outcome.result.people)
    assert "few_keypoints: Too few keypoints" in captured.out
    assert f"Results: {outcome.folder}" in captured.out
    assert "1 of 2 files done; 1 could not be used." in captured.out
    assert captured.err.strip() == BAD.problem


def test_lines_come_when_a_photo_is_done(outcome, capsys):
    report = Report([outcome.photo, BAD.photo], Path("out"))
    report.add(replace(outcome, notes=("k.json: read as COCO, 17 points",)))
    captured = capsys.readouterr()
    assert outcome.photo.name in captured.out
    assert captured.err == "k.json: read as COCO, 17 points\n"
    report.add(replace(outcome, notes=("k.json: read as COCO, 17 points", "photo.jpg: odd")))
    assert capsys.readouterr().err == "photo.jpg: odd\n"
    report.add(BAD)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert BAD.problem in captured.err


def test_nothing_good_prints_no_table(capsys):
    printed([BAD], width=None)
    assert capsys.readouterr().out == ""


def test_names_do_nothing_to_a_terminal(outcome, capsys):
    printed([replace(outcome, photo=Path("a\x1b[2Jb\nc\udcff.jpg"))], width=None)
    assert "a\\x1b[2Jb\\nc\\udcff.jpg" in capsys.readouterr().out
    printed([replace(outcome, photo=Path("a\u202egpj.exe"))], width=None)
    assert "a\\u202egpj.exe" in capsys.readouterr().out


def test_exit_codes(outcome):
    defect = replace(BAD, unexpected=True)
    assert exit_code([outcome]) == 0
    assert exit_code([outcome, BAD]) == 2
    assert exit_code([BAD, defect, outcome]) == 1
