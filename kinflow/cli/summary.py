"""What a person reads at the end of a run: a table of people, then what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kinflow.reconstruction import RESULT_SENTENCES, Person, Reconstruction

PIPED_WIDTH = 240
"""Columns when the output is not a terminal: names are not cut short for the next program."""


@dataclass(frozen=True)
class Outcome:
    """What became of one photo: a reconstruction and its folder, or a sentence why not."""

    photo: Path
    folder: Path
    seconds: float
    result: Reconstruction | None = None
    problem: str = ""
    unexpected: bool = False
    """Whether the problem lies in kinflow rather than in the photo."""
    notes: tuple[str, ...] = ()
    """What the user should know about how their input was read."""


def exit_code(outcomes: list[Outcome]) -> int:
    """0: all fine; 2: some photo could not be used; 1: something failed that should not."""
    if any(outcome.unexpected for outcome in outcomes):
        return 1
    return 2 if any(outcome.problem for outcome in outcomes) else 0


def report(outcomes: list[Outcome], out: Path) -> None:
    """Print a row a person to standard output, a sentence a bad photo to standard error."""
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH, highlight=False)
    good = [(outcome, outcome.result) for outcome in outcomes if outcome.result is not None]
    if good:
        console.print(people_table(good))
        codes = {person.code for _, result in good for person in result.people}
        for code, sentence in RESULT_SENTENCES.items():
            if code in codes and code != "ok":
                console.print(f"[dim]{code}: {sentence}[/dim]")
        folder = good[0][0].folder if len(good) == 1 else out
        console.print(f"Results: {escape(str(folder))}", soft_wrap=True)
    for note in dict.fromkeys(note for outcome in outcomes for note in outcome.notes):
        errors.print(escape(note), soft_wrap=True)
    for outcome in outcomes:
        if outcome.problem:
            errors.print(f"[red]{escape(outcome.problem)}[/red]", soft_wrap=True)


def people_table(good: list[tuple[Outcome, Reconstruction]]) -> Table:
    """One row a person; what belongs to the photo is in its first row only."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    # only this column may wrap: rich narrows it before it touches the others
    table.add_column("photo", overflow="fold")
    table.add_column("person", justify="right", no_wrap=True)
    table.add_column("result", no_wrap=True)
    for column in ("distance", "height", "fit error", "seconds"):
        table.add_column(column, justify="right", no_wrap=True)
    for outcome, result in good:
        for row, person in enumerate(result.people):
            name, seconds = (outcome.photo.name, f"{outcome.seconds:.2f}") if not row else ("", "")
            table.add_row(escape(name), *_person_cells(person), seconds)
    return table


def _person_cells(person: Person) -> tuple[str, ...]:
    return (
        str(person.person),
        person.code,
        f"{float(person.t_cam_root_m[2]):.1f} m",
        f"{person.measures().height_m:.2f} m",
        f"{person.limb_error_px():.1f} px",
    )
