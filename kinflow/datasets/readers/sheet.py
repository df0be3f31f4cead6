"""`kinflow data show`: a contact sheet of samples drawn at random.

Exchanged sides, wrong axes and wrong cameras are seen at a glance, and no count of labels shows
them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from kinflow.datasets.readers.cell import LEFT, MIDDLE, RIGHT, draw_cell
from kinflow.datasets.readers.reader import Reader, chosen_units
from kinflow.datasets.sample import Sample
from kinflow.errors import InputError

_LOOKED_AT = 20_000
"""Samples of a unit, from its first on, that some are drawn from."""
_HEADER_PX = 30


def drawn_samples(
    reader: Reader, root: Path, split: str | None, count: int, seed: int
) -> list[Sample]:
    """Samples drawn at random: from as many units as there are, and of each from its first 20,000.

    Crowds, and samples whose pictures are not there, are passed over.

    Raises:
        InputError: a unit cannot be read, or no picture is there.
    """
    rng = random.Random(seed)
    units = chosen_units(reader, root, split)
    some = sorted(rng.sample(units, min(count, len(units))), key=lambda unit: unit.key)
    drawn: list[Sample] = []
    for i, unit in enumerate(some):
        wanted = (count - len(drawn)) // (len(some) - i)
        stream = islice(reader.read(root, unit), _LOOKED_AT)
        drawn += _reservoir((s for s in stream if _can_be_shown(s)), wanted, rng)
    if not drawn:
        raise InputError(f"No picture that the labels in '{root}' name is there to be shown.")
    return drawn


def _reservoir(stream: Iterable[Sample], count: int, rng: random.Random) -> list[Sample]:
    """So many of a stream, each as likely as any other (Vitter's algorithm R), in its order."""
    kept: list[tuple[int, Sample]] = []
    for number, sample in enumerate(stream):
        if len(kept) < count:
            kept.append((number, sample))
        elif (slot := rng.randrange(number + 1)) < count:
            kept[slot] = (number, sample)
    return [sample for _, sample in sorted(kept, key=lambda pair: pair[0])]


def _can_be_shown(sample: Sample) -> bool:
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
