"""What a person reads while a run goes on and at its end.

Each photo's people are printed as soon as it is done, in columns whose widths are known before the
first one, so that a batch of hundreds of photos is never silent. A terminal gets rows that fit into
it; the next program of a pipe gets one line a person with the whole name of the photo in each.
"""

from __future__ import annotations

import math
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from rich.cells import cell_len, chop_cells

from kinflow.cli.flags import with_flags
from kinflow.cli.output import complain, say
from kinflow.export.quality import TrackQuality, quality_of
from kinflow.files.names import one_line
from kinflow.pipeline.events import Outcome
from kinflow.results import (
    RESULT_SENTENCES,
    CameraMotion,
    Person,
    Reconstruction,
    ResultCode,
    Track,
)

_COLUMNS = (
    ("person", 6),
    ("result", max(map(len, RESULT_SENTENCES))),
    ("distance", 8),
    ("height", 6),
    ("fit error", 9),
    ("seconds", 7),
)
_LEFT = ("result",)
_QUALITY = (
    ("person", 6),
    ("seen", 5),
    ("gaps", 4),
    ("longest", 7),
    ("sliding", 9),
    ("jitter", 6),
    ("below floor", 14),
)
_QUALITY_SENTENCE = (
    "sliding: mean speed of feet that are down; jitter: in 10 m/s3, by third differences; below "
    "floor: mean / worst depth of the lowest point (docs/video.md)."
)
_OPTIONS_OF_NOTES = {
    "its turns can be estimated": "moving_camera",
    "the field of view is another one than is assumed": "fov",
    "give another one if you know better": "fov",
}
"""Words of notes, and the options that they speak of."""
_CAMERA_SENTENCES: dict[CameraMotion, str] = {
    "unknown": "whether the camera moves is not known.",
    "still": "the camera was not seen to move.",
    "moves": "the camera moves, and sliding and jitter have its motion in them.",
    "turns": "the camera's turns were estimated, and sliding and jitter are told without them.",
}
_GAP = "  "
_NARROWEST = 10


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
            room = width - max(_width(_COLUMNS), _width(_QUALITY))
            longest = max(min(longest, room), _NARROWEST)
        self._name_size = longest
        self._out, self._count = out, len(photos)
        self._codes: set[ResultCode] = set()
        self._good: list[Path] = []
        self._noted: set[str] = set()
        self._already = self._bad = 0
        self._any_quality = False

    def add(self, outcome: Outcome) -> None:
        """Print what became of one photo."""
        name = one_line(outcome.photo.name)
        # before the row: whoever acts on that has what is to be known about it
        for note in outcome.notes:
            # what is said of a file of keypoints is the same for all of its photos
            if note not in self._noted:
                complain(one_line(with_flags(note, _OPTIONS_OF_NOTES)))
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
        if self._any_quality:
            say(_QUALITY_SENTENCE, "dim")
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
        known = quality_of(result)
        for row, (track, quality) in enumerate(zip(result.tracks, known, strict=True)):
            self._codes.add(_usual_code(track))
            first = row == 0
            shown = name if first or self._repeat_name else ""
            self._print((shown, *_track_cells(track, quality), f"{seconds:.2f}" if first else ""))
        count, people = len(result.frames), len(result.tracks)
        seen = sum(len(track.bodies) for track in result.tracks)
        say(
            f"{name}: {count} frames, {people} {'person' if people == 1 else 'people'}, "
            f"{seen} bodies, {count / max(seconds, 1e-9):.1f} frames/s; each row is the middle of "
            "what is found over the frames.",
            "dim",
        )
        if known:
            self._qualities(name, known, result.camera_motion)

    def _qualities(
        self, name: str, known: Sequence[TrackQuality], camera_motion: CameraMotion
    ) -> None:
        """What the motion of each person of a clip is worth."""
        self._any_quality = True
        self._print(("motion", *(title for title, _ in _QUALITY)), "bold", _QUALITY)
        for row, quality in enumerate(known):
            shown = name if row == 0 or self._repeat_name else ""
            self._print((shown, *_quality_cells(quality)), columns=_QUALITY)
        for quality in known:
            if quality.lower_level_cm:
                say(
                    f"{name}: person {quality.person} is up to {quality.lower_level_cm:.0f} cm "
                    "below the floor that everybody shares: on a lower level, or what is up is "
                    "wrong; depths are below that level there.",
                    "dim",
                )
        say(f"{name}: {_CAMERA_SENTENCES[camera_motion]}", "dim")

    def _counts(self) -> str:
        there = f", {self._already} of them already there" if self._already else ""
        bad = f"; {self._bad} could not be used" if self._bad else ""
        return f"{len(self._good)} of {self._count} files done{there}{bad}."

    def _print(
        self,
        cells: Sequence[str],
        style: str = "",
        columns: Sequence[tuple[str, int]] = _COLUMNS,
    ) -> None:
        name, *rest = cells
        lines = [name] if self._repeat_name else chop_cells(name, self._name_size) or [""]
        aligned = [
            text.ljust(size) if title in _LEFT else text.rjust(size)
            for text, (title, size) in zip(rest, columns, strict=True)
        ]
        padding = " " * (self._name_size - cell_len(lines[0]))
        say(_GAP.join([lines[0] + padding, *aligned]).rstrip(), style)
        for line in lines[1:]:
            say(line)


def _width(columns: Sequence[tuple[str, int]]) -> int:
    return sum(len(_GAP) + size for _, size in columns)


def _usual_code(track: Track) -> ResultCode:
    codes: list[ResultCode] = [body.code for body in track.bodies]
    return Counter(codes).most_common(1)[0][0]


def _track_cells(track: Track, quality: TrackQuality) -> tuple[str, ...]:
    """What holds for a person over a clip: medians."""
    distance_m = median(float(body.t_cam_root_m[2]) for body in track.bodies)
    return (
        str(track.identity),
        _usual_code(track),
        f"{distance_m:.1f} m",
        f"{track.bodies[0].measures().height_m:.2f} m",
        f"{quality.keypoint_error_px:.1f} px",
    )


def _quality_cells(quality: TrackQuality) -> tuple[str, ...]:
    """What is not known is a dash."""
    return (
        str(quality.person),
        f"{100 * quality.seen_share:.0f} %",
        str(quality.gaps),
        f"{quality.longest_gap_s:.2f} s" if quality.gaps else "-",
        _known(quality.foot_sliding_cm_s, "{:.1f} cm/s"),
        _known(quality.jitter_10m_s3, "{:.1f}"),
        f"{quality.below_floor_cm:.1f} / {quality.below_floor_worst_cm:.1f} cm",
    )


def _known(value: float, form: str) -> str:
    return "-" if math.isnan(value) else form.format(value)


def _person_cells(person: Person) -> tuple[str, ...]:
    return (
        str(person.person),
        person.code,
        f"{float(person.t_cam_root_m[2]):.1f} m",
        f"{person.measures().height_m:.2f} m",
        f"{person.limb_error_px():.1f} px",
    )
