"""`kinflow data show`: a contact sheet of samples drawn at random.

Exchanged sides, wrong axes and wrong cameras are seen at a glance, and no count of labels shows
them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from kinflow.datasets.readers.cell import LEFT, MIDDLE, RIGHT, draw_cell
from kinflow.datasets.readers.reader import Reader, Unit, chosen_units, forgiving
from kinflow.datasets.readers.records import LeftOut
from kinflow.datasets.sample import Sample
from kinflow.errors import InputError

_LOOKED_AT = 20_000
"""Samples of a unit, from its first on, that some are drawn from."""
_HEADER_PX = 30


def drawn_samples(
    reader: Reader, root: Path, split: str | None, count: int, seed: int
) -> tuple[list[Sample], list[str]]:
    """Samples drawn at random, and sentences about label files and records that cannot be read.

    They come from as many units as there are, and of each from its first 20,000 samples. Crowds are
    passed over, and samples whose pictures are not there unless that is so of all.

    Raises:
        InputError: no label file can be read, or there is nobody in them.
    """
    units = chosen_units(reader, root, split)
    some = random.Random(seed).sample(units, min(count, len(units)))
    some.sort(key=lambda unit: unit.key)
    for wanted in (_has_its_picture, lambda sample: not sample.crowd):
        drawn, problems = _drawn(reader, root, some, count, random.Random(seed), wanted)
        if drawn:
            return drawn, problems
    raise InputError(problems[0] if problems else f"'{root}' has labels of nobody to be shown.")


def _drawn(
    reader: Reader,
    root: Path,
    units: list[Unit],
    count: int,
    rng: random.Random,
    wanted: Callable[[Sample], bool],
) -> tuple[list[Sample], list[str]]:
    drawn: list[Sample] = []
    problems: list[str] = []
    for i, unit in enumerate(units):
        share = (count - len(drawn)) // (len(units) - i)
        left_out = LeftOut(unit.key)
        stream = islice(forgiving(reader, root, unit, left_out), _LOOKED_AT)
        drawn += _reservoir((sample for sample in stream if wanted(sample)), share, rng)
        problems += left_out.sentences()
    return drawn, problems


def _reservoir(stream: Iterable[Sample], count: int, rng: random.Random) -> list[Sample]:
    """So many of a stream, each as likely as any other (Vitter's algorithm R), in its order."""
    kept: list[tuple[int, Sample]] = []
    for number, sample in enumerate(stream):
        if len(kept) < count:
            kept.append((number, sample))
        elif (slot := rng.randrange(number + 1)) < count:
            kept[slot] = (number, sample)
    return [sample for _, sample in sorted(kept, key=lambda pair: pair[0])]


def _has_its_picture(sample: Sample) -> bool:
    return not sample.crowd and (sample.picture is None or sample.picture.path.is_file())


def contact_sheet(
    samples: list[Sample], title: str
) -> tuple[UInt8[np.ndarray, "height width 3"], list[str]]:
    """The sheet, and a line about each sample."""
    drawn = [draw_cell(sample) for sample in samples]
    cells, lines = [cell for cell, _ in drawn], [line for _, line in drawn]
    columns = min(6, math.ceil(math.sqrt(len(cells))))
    cells += [np.full_like(cells[0], 25)] * (-len(cells) % columns)
    rows = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    return np.vstack([_header(rows[0].shape[1], title), *rows]), lines


def _header(width: int, title: str) -> UInt8[np.ndarray, "height width 3"]:
    header = np.full((_HEADER_PX, width, 3), 25, np.uint8)
    x = 8
    for text, color in ((title, MIDDLE), ("left", LEFT), ("right", RIGHT)):
        cv2.putText(header, text, (x, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1, cv2.LINE_AA)
        (length, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
        x += length + 14
    return header
