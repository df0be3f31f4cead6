"""Average precision of keypoints as COCO defines it (Lin et al. 2014; pycocotools' `cocoeval`).

Object keypoint similarity is the mean over labelled keypoints of exp(-d² / (2 a (2 sigma)²)), d
being a keypoint's distance, a the person's area and sigma how much annotators disagree on it.
Detections of a picture, best score first, each take the free person with the highest similarity
above a threshold; those left over are false. People without keypoints, crowds and people outside a
range of area are ignored: a detection on one counts neither way, and a crowd may take any number of
them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from kinflow.errors import InputError

# as pycocotools has them, in its order of the 17 keypoints
COCO_SIGMAS: tuple[float, ...] = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107,
    0.087, 0.087, 0.089, 0.089,
)  # fmt: skip
"""In the order of `kinflow.body.keypoints.COCO17`."""
OKS_THRESHOLDS: tuple[float, ...] = tuple(k / 100 for k in range(50, 100, 5))
RECALLS: tuple[float, ...] = tuple(k / 100 for k in range(101))
MAX_DETECTIONS = 20
"""Of a picture, the best ones."""
ANY_AREA_PX2 = (0.0, 1e10)
_TINY = float(np.spacing(1))
_ALMOST_ONE = 1 - 1e-10


@dataclass(frozen=True)
class TruePeople:
    """The labelled people of a picture."""

    keypoints_px: Float[np.ndarray, "people points 3"]
    """x, y and visibility; 0 where a keypoint was not labelled."""
    box_px: Float[np.ndarray, "people 4"]
    """x, y, width, height."""
    area_px2: Float[np.ndarray, " people"]
    crowd: Bool[np.ndarray, " people"]


@dataclass(frozen=True)
class FoundPeople:
    """The detections of a picture, in any order."""

    keypoints_px: Float[np.ndarray, "found points 3"]
    score: Float[np.ndarray, " found"]
    area_px2: Float[np.ndarray, " found"]


@dataclass(frozen=True)
class Judged:
    """What became of a picture's detections, best first, at each threshold."""

    score: Float[np.ndarray, " found"]
    is_true: Bool[np.ndarray, "thresholds found"]
    ignored: Bool[np.ndarray, "thresholds found"]
    people: int
    """How many there are to be found."""


@dataclass(frozen=True)
class Precision:
    """Average precision and recall at each threshold; NaN where there is nobody to be found."""

    precision: Float[np.ndarray, " thresholds"]
    recall: Float[np.ndarray, " thresholds"]


def oks(
    found: Float[np.ndarray, "found points 3"],
    truth: TruePeople,
    sigmas: tuple[float, ...] = COCO_SIGMAS,
) -> Float[np.ndarray, "found people"]:
    """Object keypoint similarity of each detection with each person.

    Where a person has no labelled keypoint, the distance is that from the person's box with as
    much added on each side, so that detections on somebody without labels can be told from false
    ones.

    Raises:
        InputError: there are not as many sigmas as keypoints.
    """
    points = truth.keypoints_px.shape[1]
    if len(sigmas) != points or found.shape[1] != points:
        raise InputError(
            f"There are {len(sigmas)} sigmas for {points} true and {found.shape[1]} found points."
        )
    variance = (2 * np.asarray(sigmas)) ** 2
    similarity = np.zeros((len(found), len(truth.keypoints_px)))
    for column, person in enumerate(truth.keypoints_px):
        labelled = person[:, 2] > 0
        if labelled.any():
            off = found[..., :2] - person[:, :2]
        else:
            x, y, width, height = truth.box_px[column]
            low = np.array([x - width, y - height])
            high = np.array([x + 2 * width, y + 2 * height])
            off = (low - found[..., :2]).clip(min=0) + (found[..., :2] - high).clip(min=0)
            labelled = np.ones(points, bool)
        exponent = (off**2).sum(-1) / variance / (truth.area_px2[column] + _TINY) / 2
        similarity[:, column] = np.exp(-exponent[:, labelled]).sum(1) / labelled.sum()
    return similarity


def judge(
    found: FoundPeople,
    truth: TruePeople,
    *,
    sigmas: tuple[float, ...] = COCO_SIGMAS,
    thresholds: tuple[float, ...] = OKS_THRESHOLDS,
    at_most: int = MAX_DETECTIONS,
    area_px2: tuple[float, float] = ANY_AREA_PX2,
) -> Judged:
    """Which detections of a picture are true.

    Args:
        found: its detections.
        truth: its people.
        sigmas: of the keypoints.
        thresholds: of similarity.
        at_most: detections that count, the best ones.
        area_px2: people of other sizes are ignored, and unmatched detections of other sizes too.
    """
    order = np.argsort(-found.score, kind="stable")[:at_most]
    low, high = area_px2
    ignore = truth.crowd | ~(truth.keypoints_px[..., 2] > 0).any(1)
    ignore = ignore | (truth.area_px2 < low) | (truth.area_px2 > high)
    # those to be found come first
    people = np.argsort(ignore, kind="stable")
    similarity = oks(found.keypoints_px[order], truth, sigmas)[:, people]
    rules = (ignore[people], truth.crowd[people])
    matched = np.array([_matched(similarity, *rules, limit) for limit in thresholds], np.int64)
    matched = matched.reshape(len(thresholds), len(order))
    on_ignored = np.append(ignore[people], False)[matched]
    other_size = (found.area_px2[order] < low) | (found.area_px2[order] > high)
    ignored = on_ignored | ((matched < 0) & other_size)
    is_true = (matched >= 0) & ~on_ignored
    return Judged(found.score[order], is_true, ignored, int((~ignore).sum()))


def _matched(
    similarity: Float[np.ndarray, "found people"],
    ignore: Bool[np.ndarray, " people"],
    crowd: Bool[np.ndarray, " people"],
    limit: float,
) -> list[int]:
    """The person that each detection takes, -1 for none; people to be found come first."""
    taken = np.zeros(len(ignore), bool)
    chosen: list[int] = []
    for row in similarity:
        best, at_least = -1, min(limit, _ALMOST_ONE)
        for person, value in enumerate(row):
            if taken[person] and not crowd[person]:
                continue
            if best >= 0 and not ignore[best] and ignore[person]:
                break  # nobody who is ignored takes a detection from somebody to be found
            if value >= at_least:
                best, at_least = person, float(value)
        chosen.append(best)
        if best >= 0:
            taken[best] = True
    return chosen


def average_precision(pictures: list[Judged], recalls: tuple[float, ...] = RECALLS) -> Precision:
    """Precision, made monotonous and averaged over recalls, and the highest recall.

    Raises:
        InputError: there is no picture.
    """
    if not pictures:
        raise InputError("Average precision needs at least one picture.")
    people = sum(picture.people for picture in pictures)
    thresholds = len(pictures[0].is_true)
    if people == 0:
        nothing = np.full(thresholds, np.nan)
        return Precision(nothing, nothing)
    score = np.concatenate([picture.score for picture in pictures])
    order = np.argsort(-score, kind="stable")
    is_true = np.concatenate([picture.is_true for picture in pictures], 1)[:, order]
    ignored = np.concatenate([picture.ignored for picture in pictures], 1)[:, order]
    true = np.cumsum(is_true & ~ignored, 1)
    false = np.cumsum(~is_true & ~ignored, 1)
    recall = true / people
    precision = true / (true + false + _TINY)
    # the best precision at this recall or any higher one
    envelope = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    averages = [_at_recalls(*row, recalls) for row in zip(recall, envelope, strict=True)]
    last = recall[:, -1] if recall.shape[1] else np.zeros(thresholds)
    return Precision(np.array(averages), np.asarray(last, np.float64))


def _at_recalls(
    recall: Float[np.ndarray, " found"],
    precision: Float[np.ndarray, " found"],
    wanted: tuple[float, ...],
) -> float:
    places = np.searchsorted(recall, wanted, side="left")
    return float(np.append(precision, 0.0)[places].mean())
