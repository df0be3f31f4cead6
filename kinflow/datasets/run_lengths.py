"""Run lengths of masks as COCO writes them: lists of numbers, or text of five bits a letter.

The text is that of COCO's API (`rleFrString` of its `maskApi.c`): each number comes in groups of
five bits, lowest first, as letters from `0` on; bit 5 of a letter says that more follow. From the
fourth number on, what is written is the difference to the number two before it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

from kinflow.errors import InputError

_MAX_LETTERS = 4 << 20
_MAX_GROUPS = 6


def runs_of_text(text: str) -> Int64[np.ndarray, " runs"]:
    """The run lengths of compressed text.

    Raises:
        InputError: it is no such text.
    """
    try:
        letters = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError as error:
        raise InputError("run lengths hold letters that no mask has") from error
    if not len(letters):
        return letters
    if letters.min() < 0 or letters.max() > 63 or len(letters) > _MAX_LETTERS:
        raise InputError("run lengths hold letters that no mask has")
    more = letters & 0x20 != 0
    if more[-1]:
        raise InputError("run lengths are cut off")
    last = np.flatnonzero(~more)
    first = np.concatenate(([0], last[:-1] + 1))
    groups = last - first + 1
    if groups.max() > _MAX_GROUPS:
        raise InputError("run lengths hold a number that no mask has")
    place = np.arange(len(letters)) - np.repeat(first, groups)
    numbers = np.add.reduceat((letters & 0x1F) << 5 * place, first)
    # bit 4 of the last group is the sign
    numbers -= np.where(letters[last] & 0x10, np.int64(1) << 5 * groups, 0)
    for start in (1, 2):
        numbers[start::2] = np.cumsum(numbers[start::2])
    return numbers


def mask_of_runs(runs: Int64[np.ndarray, " runs"], width: int, height: int) -> np.ndarray:
    """The mask (height, width) of run lengths, column by column, off first.

    Raises:
        InputError: they do not add up to the mask's size.
    """
    check_runs(runs, width, height)
    on: Bool[np.ndarray, " runs"] = np.arange(len(runs)) % 2 == 1
    return np.repeat(on, runs).reshape(width, height).T


def runs_of_mask(mask: Bool[np.ndarray, "height width"]) -> Int64[np.ndarray, " runs"]:
    """The run lengths of a mask; undoes `mask_of_runs`."""
    flat = np.concatenate(([False], mask.T.ravel()))
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate(([0], edges, [mask.size]))).astype(np.int64)


def check_runs(runs: Int64[np.ndarray, " runs"], width: int, height: int) -> None:
    """Run lengths are not negative and add up to the mask's size; InputError otherwise."""
    # each is at most the whole, so that the sum cannot overflow
    within = len(runs) > 0 and runs.min() >= 0 and runs.max() <= width * height
    if not within or int(runs.sum()) != width * height:
        raise InputError("Run lengths of a mask do not add up to its picture.")
