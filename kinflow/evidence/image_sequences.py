"""Numbered images as a clip: a folder of them, or a pattern such as `frames/%05d.png`.

    clip = ImageSequence.open(Path("frames/%05d.png"), fps=25)
    for frame in clip.frames(ClipRange(start_s=2)):
        frame.index, frame.time_s, frame.rgb

Numbers tell the time: a picture that lacks leaves a gap, and nothing moves up. Files are read by
the same decoders as photos, one at a time.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from kinflow.checks import is_number
from kinflow.errors import InputError
from kinflow.evidence.clip_range import EVERY_FRAME, MAX_FPS, ClipRange, RangeWalk
from kinflow.evidence.exif import camera_tags
from kinflow.evidence.image import check_size, read_photo
from kinflow.evidence.image_files import IMAGE_SUFFIXES, opened
from kinflow.evidence.video_files import MAX_PIXELS, Clip, ClipFrame, ClipInfo, no_frame
from kinflow.files.names import printable
from kinflow.files.reading import readable

DEFAULT_FPS = 30.0
_NUMBER = re.compile(r"%(?:0([1-9]))?d")
_DIGITS = re.compile(r"(\d+)")
_TURNED = (5, 6, 7, 8)
_NAMED = 3
"""Numbers that are named before the others are counted."""


def is_pattern(path: Path) -> bool:
    """Whether a path stands for numbered files: `%d` or `%05d` in its name, and no such file."""
    return bool(_NUMBER.search(path.name)) and not os.path.lexists(path)


def is_sequence(path: Path) -> bool:
    """Whether a path is a folder or a pattern."""
    return is_pattern(path) or os.path.isdir(path)


def name_of(path: Path) -> str:
    """What to call a sequence: the name of its folder, or what its pattern begins with."""
    if not is_pattern(path):
        return path.name or path.absolute().name
    before = _NUMBER.split(path.name)[0].rstrip(" _-.")
    return before or path.absolute().parent.name


def pictures_of(path: Path) -> list[Path]:
    """The images of a sequence, in the order of their numbers.

    Raises:
        InputError: there are none, or the folder cannot be read.
    """
    if not is_pattern(path):
        found = [p for p in _listed(path) if p.suffix.lower() in IMAGE_SUFFIXES]
        if not found:
            raise InputError(f"The folder '{printable(path)}' holds no images.")
        return sorted(found, key=_natural)
    pieces = _NUMBER.split(path.name)
    if len(pieces) > 3:
        raise InputError(f"'{printable(path)}' has several numbers; a sequence has one.")
    before, width, after = pieces
    digits = rf"\d{{{width or 1},}}"
    wanted = re.compile(re.escape(before) + digits + re.escape(after))
    found = [p for p in _listed(path.parent) if wanted.fullmatch(p.name)]
    if not found:
        raise InputError(f"The pattern '{printable(path)}' matches no file.")
    return sorted(found, key=_natural)


@dataclass
class ImageSequence:
    """Images that are gone through like a clip (`kinflow.evidence.video_files.Clip`).

    Not frozen: what there is to say about it is only known once it was read.
    """

    path: Path
    """The folder or the pattern."""
    info: ClipInfo
    pictures: tuple[tuple[int, Path], ...]
    """Index of each image, and its file."""
    notes: list[str] = field(default_factory=list)
    """Sentences about what was odd in it, each once; they grow while images are read."""

    @staticmethod
    def open(path: Path | str, fps: float = DEFAULT_FPS) -> ImageSequence:
        """Look at the names and headers of all images.

        Args:
            path: a folder of images, or a pattern.
            fps: images a second.

        Raises:
            InputError: there are fewer than two images that can be read, they differ in size, or
                the rate cannot be.
        """
        path = Path(path)
        if not is_number(fps) or not 0 < fps <= MAX_FPS:
            raise InputError(f"The rate of images has to be above 0 and at most {MAX_FPS:g}.")
        notes: list[str] = []
        files = _readable(pictures_of(path), notes)
        if len(files) < 2:
            raise InputError(
                f"'{printable(path)}' holds fewer than two images that can be read; a sequence has "
                "more. " + " ".join(notes)
            )
        size = _common_size(files)
        indices = _indices([file for file, _ in files], notes)
        info = ClipInfo(size, float(fps), (indices[-1] + 1) / fps)
        pictures = tuple(zip(indices, (file for file, _ in files), strict=True))
        return ImageSequence(path, info, pictures, notes)

    def frames(self, wanted: ClipRange = EVERY_FRAME) -> Iterator[ClipFrame]:
        """The frames of a range, read one by one; an image that is damaged is left out.

        Raises:
            InputError: no frame lies in the range, or an image changed its size meanwhile.
        """
        walk, any_yet = RangeWalk(wanted, self.info.fps), False
        for index, file in self.pictures:
            time_s = index / self.info.fps
            if walk.is_past(time_s):
                break
            if not walk.takes(time_s):
                continue
            try:
                photo = read_photo(file)
            except InputError as error:
                self._note(f"lacks a picture: {error}")
                continue
            if photo.size != self.info.size:
                raise _other_size(file, photo.size, self.info.size)
            for note in photo.notes:
                self._note(note)
            any_yet = True
            yield ClipFrame(index, time_s, photo.rgb)
        if not any_yet:
            raise no_frame(self.path, wanted, self.pictures[-1][0] / self.info.fps)

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


FrameSource: TypeAlias = Clip | ImageSequence
"""What frames come from, one by one."""


def open_frames(path: Path, sequence_fps: float = DEFAULT_FPS) -> FrameSource:
    """A clip, or the images of a folder or pattern.

    Args:
        path: what to open.
        sequence_fps: images a second, where it is these.

    Raises:
        InputError: it is neither, or cannot be decoded.
    """
    return ImageSequence.open(path, sequence_fps) if is_sequence(path) else Clip.open(path)


def _listed(folder: Path) -> list[Path]:
    """Files of a folder, without those that are hidden."""
    with readable(folder):
        return [p for p in folder.iterdir() if not p.name.startswith(".") and p.is_file()]


def _natural(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    """Sorts `2.png` before `10.png`."""
    pieces = _DIGITS.split(path.name.casefold())
    # odd pieces are numbers; text and numbers never meet in a comparison
    key = [(i % 2, int(piece) if i % 2 else 0, piece) for i, piece in enumerate(pieces)]
    return key, path.name


def _readable(files: Sequence[Path], notes: list[str]) -> list[tuple[Path, tuple[int, int]]]:
    """Files whose headers can be read, and their upright sizes; `notes` say which cannot."""
    good: list[tuple[Path, tuple[int, int]]] = []
    for file in files:
        try:
            with opened(file) as image:
                check_size(image.size, str(file))
                width, height = image.size
                turned = camera_tags(image).orientation in _TURNED
        except InputError as error:
            notes.append(f"lacks a picture: {error}")
        else:
            good.append((file, (height, width) if turned else (width, height)))
    return good


def _common_size(files: Sequence[tuple[Path, tuple[int, int]]]) -> tuple[int, int]:
    first_file, size = files[0]
    for file, other in files[1:]:
        if other != size:
            raise _other_size(file, other, size, first_file)
    if math.prod(size) > MAX_PIXELS:
        raise InputError(
            f"'{printable(first_file)}' has {math.prod(size) / 1e6:.0f} million pixels, more than "
            f"the {MAX_PIXELS // 1_000_000} million of a clip; make the images smaller."
        )
    return size


def _other_size(
    file: Path, found: tuple[int, int], size: tuple[int, int], first: Path | None = None
) -> InputError:
    like = "the images before it" if first is None else f"'{printable(first.name)}'"
    return InputError(
        f"'{printable(file)}' is {found[0]} x {found[1]} pixels, but {like} {size[0]} x {size[1]}; "
        "images of a sequence have one size."
    )


def _indices(files: Sequence[Path], notes: list[str]) -> list[int]:
    """The frame of each image, by the numbers in their names; without these, one after the other.

    Numbers may go in steps of more than one, and may lack. Where more lack than are there they are
    no numbers of frames, but times or other counts.
    """
    numbers = _numbers(files)
    if numbers is None:
        return list(range(len(files)))
    step = math.gcd(*(number - numbers[0] for number in numbers))
    indices = [(number - numbers[0]) // step for number in numbers]
    lacking = indices[-1] + 1 - len(indices)
    if lacking > len(indices):
        notes.append("numbers its pictures with jumps; they are taken one after the other.")
        return list(range(len(files)))
    if step > 1:
        notes.append(f"numbers its pictures in steps of {step}; each is one frame.")
    if lacking:
        there = set(indices)
        gone = [numbers[0] + step * i for i in range(indices[-1]) if i not in there]
        named = ", ".join(map(str, gone[:_NAMED])) + (", ..." if lacking > _NAMED else "")
        notes.append(
            f"lacks {lacking} of {indices[-1] + 1} numbers ({named}); time goes on over them."
        )
    return indices


def _numbers(files: Sequence[Path]) -> list[int] | None:
    """The last number in each name, increasing, if nothing else differs between names."""
    pieces = [_DIGITS.split(file.stem) for file in files]
    if any(len(one) < 3 for one in pieces):
        return None
    around = {(*one[:-2], one[-1], f.suffix) for one, f in zip(pieces, files, strict=True)}
    numbers = [int(one[-2]) for one in pieces]
    increase = all(a < b for a, b in zip(numbers, numbers[1:], strict=False))
    return numbers if len(around) == 1 and increase else None
