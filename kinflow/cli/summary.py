"""What a person reads while a run goes on and at its end.

Each photo's people are printed as soon as it is done, in columns whose widths are known before the
first one, so that a batch of hundreds of photos is never silent. A terminal gets rows that fit into
it; the next program of a pipe gets one line a person with the whole name of the photo in each.
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from rich.cells import cell_len, chop_cells

from kinflow.cli.flags import with_flags
from kinflow.cli.output import complain, say
from kinflow.files.names import one_line
from kinflow.pipeline.events import Outcome
from kinflow.results import RESULT_SENTENCES, Person, Reconstruction, ResultCode, Track

_COLUMNS = (
    ("person", 6),
    ("result", max(map(len, RESULT_SENTENCES))),
    ("distance", 8),
    ("height", 6),
    ("fit error", 9),
    ("seconds", 7),
)
_LEFT = ("result",)
_GAP = "  "
_NARROWEST = 10
_LOOKED_AT = 9
"""Bodies of a track whose error is looked at."""


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0: all fine; 2: some photo could not be used; 1: something failed that should not."""
    if any(outcome.unexpected for outcome in outcomes):
        return 1
    return 2 if any(outcome.problem for outcome in outcomes) else 0


class Report:
    """Prints what becomes of photos: results to standard output, the rest to standard error.

    Args:
        photos: all photos of the run.
        out: the folder of their results.
        width: columns of the terminal; None for a pipe or a file. By default whichever standard
            output is.
    """

    def __init__(self, photos: Sequence[Path], out: Path, width: int | None = -1) -> None:
        if width == -1:
            width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        longest = max([cell_len(one_line(photo.name)) for photo in photos] + [len("photo")])
        self._repeat_name = width is None
        if width is not None:
            room = width - sum(len(_GAP) + size for _, size in _COLUMNS)
            longest = max(min(longest, room), _NARROWEST)
        self._name_size = longest
        self._out, self._count = out, len(photos)
        self._codes: set[ResultCode] = set()
        self._good: list[Path] = []
        self._noted: set[str] = set()
        self._already = self._bad = 0

    def add(self, outcome: Outcome) -> None:
        """Print what became of one photo."""
        name = one_line(outcome.photo.name)
        # before the row: whoever acts on that has what is to be known about it
        for note in outcome.notes:
            # what is said of a file of keypoints is the same for all of its photos
            if note not in self._noted:
                complain(one_line(note))
            self._noted.add(note)
        if outcome.result is not None or outcome.already:
            if not self._good:
                self._print(("photo", *(title for title, _ in _COLUMNS)), "bold")
            self._good.append(outcome.folder)
        if outcome.already:
            self._already += 1
            self._print((name, "-", "already there", "-", "-", "-", f"{outcome.seconds:.2f}"))
        elif outcome.result is not None and len(outcome.result.frames) > 1:
            self._tracks(name, outcome.result, outcome.seconds)
        elif outcome.result is not None:
            self._people(name, outcome.result.people, outcome.seconds)
        if outcome.problem:
            self._bad += 1
            complain(one_line(with_flags(outcome.problem, outcome.options)), "red")

    def close(self) -> None:
        """Print what the result codes mean, how many photos there were and where results are."""
        for code, sentence in RESULT_SENTENCES.items():
            if code in self._codes and code != "ok":
                say(f"{code}: {sentence}", "dim")
        if self._count > 1 and (self._good or self._bad):
            say(self._counts())
        if self._good:
            folder = self._good[0] if len(self._good) == 1 else self._out
            say(f"Results: {one_line(str(folder))}")

    def _people(self, name: str, people: Sequence[Person], seconds: float) -> None:
        for row, person in enumerate(people):
            self._codes.add(person.code)
            first = row == 0
            shown = name if first or self._repeat_name else ""
            self._print((shown, *_person_cells(person), f"{seconds:.2f}" if first else ""))

    def _tracks(self, name: str, result: Reconstruction, seconds: float) -> None:
        for row, track in enumerate(result.tracks):
            self._codes.add(_usual_code(track))
            first = row == 0
            shown = name if first or self._repeat_name else ""
            self._print((shown, *_track_cells(track), f"{seconds:.2f}" if first else ""))
        count, people = len(result.frames), len(result.tracks)
        seen = sum(len(track.bodies) for track in result.tracks)
        say(
            f"{name}: {count} frames, {people} {'person' if people == 1 else 'people'}, "
            f"{seen} bodies, {count / max(seconds, 1e-9):.1f} frames/s; each row is the middle of "
            "what is found over the frames.",
            "dim",
        )

    def _counts(self) -> str:
        there = f", {self._already} of them already there" if self._already else ""
        bad = f"; {self._bad} could not be used" if self._bad else ""
        return f"{len(self._good)} of {self._count} files done{there}{bad}."

    def _print(self, cells: Sequence[str], style: str = "") -> None:
        name, *rest = cells
        lines = [name] if self._repeat_name else chop_cells(name, self._name_size) or [""]
        aligned = [
            text.ljust(size) if title in _LEFT else text.rjust(size)
            for text, (title, size) in zip(rest, _COLUMNS, strict=True)
        ]
        padding = " " * (self._name_size - cell_len(lines[0]))
        say(_GAP.join([lines[0] + padding, *aligned]).rstrip(), style)
        for line in lines[1:]:
            say(line)


def _usual_code(track: Track) -> ResultCode:
    codes: list[ResultCode] = [body.code for body in track.bodies]
    return Counter(codes).most_common(1)[0][0]


def _track_cells(track: Track) -> tuple[str, ...]:
    """What holds for a person over a clip: medians, the error of a few frames."""
    step = -(-len(track.bodies) // _LOOKED_AT)
    distance_m = median(float(body.t_cam_root_m[2]) for body in track.bodies)
    error_px = median(body.limb_error_px() for body in track.bodies[::step])
    return (
        str(track.identity),
        _usual_code(track),
        f"{distance_m:.1f} m",
        f"{track.bodies[0].measures().height_m:.2f} m",
        f"{error_px:.1f} px",
    )


def _person_cells(person: Person) -> tuple[str, ...]:
    return (
        str(person.person),
        person.code,
        f"{float(person.t_cam_root_m[2]):.1f} m",
        f"{person.measures().height_m:.2f} m",
        f"{person.limb_error_px():.1f} px",
    )
