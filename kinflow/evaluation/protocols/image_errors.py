"""Errors in pictures: average precision of keypoints, and overlap of parts and outlines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from kinflow.body.parts import PART_INDEX
from kinflow.datasets.person_rows import UNKNOWN_PIXEL, PersonRows
from kinflow.errors import InputError
from kinflow.evaluation.protocols.matching import (
    Pairs,
    frames_of,
    keypoint_places,
    true_people,
)
from kinflow.evaluation.protocols.measured import HIGH, LOW
from kinflow.evaluation.protocols.protocol import Figure, Protocol
from kinflow.metrics.keypoints import FoundPeople, Judged, average_precision, judge
from kinflow.metrics.regions import part_iou, silhouette_iou

PRECISION_FIGURES: tuple[Figure, ...] = ("OKS AP %", "OKS AP50 %", "OKS AP75 %", "OKS AR %")
OVERLAP_FIGURES: tuple[Figure, ...] = ("part IoU %", "silhouette IoU %")
_SAME_PX = 0.01
ROUNDS = 100
"""Of drawing sequences anew; average precision is slower than means."""
_AT: dict[str, float] = {"OKS AP50 %": 0.5, "OKS AP75 %": 0.75}


@dataclass(frozen=True)
class Overlaps:
    """Overlaps of pairs in per cent; NaN where a pair has none."""

    figures: Mapping[str, Float[np.ndarray, " pairs"]]
    parts: Float[np.ndarray, "pairs parts"] | None
    """Of each part of the protocol."""


@dataclass(frozen=True)
class Judgement:
    """What became of the detections of each picture."""

    pictures: tuple[Judged, ...]
    sequences: tuple[str, ...]
    thresholds: tuple[float, ...]

    def figures(self) -> dict[str, float]:
        """In per cent; NaN where there is nobody to be found."""
        return self._figures(list(self.pictures))

    def intervals(self, seed: int = 0) -> dict[str, tuple[float, float]]:
        """95 % intervals from drawing whole sequences anew; NaN where there is only one."""
        names = sorted(set(self.sequences))
        if len(names) < 2:
            return {name: (float("nan"), float("nan")) for name in self.figures()}
        of: dict[str, list[Judged]] = {name: [] for name in names}
        for name, picture in zip(self.sequences, self.pictures, strict=True):
            of[name].append(picture)
        generator = np.random.default_rng(seed)
        rounds = []
        for _ in range(ROUNDS):
            drawn = generator.integers(len(names), size=len(names))
            rounds.append(self._figures([p for i in drawn for p in of[names[i]]]))
        low_high = {
            name: np.nanquantile([round_[name] for round_ in rounds], [LOW, HIGH])
            for name in rounds[0]
        }
        return {name: (float(low), float(high)) for name, (low, high) in low_high.items()}

    def _figures(self, pictures: list[Judged]) -> dict[str, float]:
        found = average_precision(pictures)
        figures: dict[str, float] = {
            "OKS AP %": 100 * float(found.precision.mean()),
            "OKS AR %": 100 * float(found.recall.mean()),
        }
        for name, threshold in _AT.items():
            for place, at in enumerate(self.thresholds):
                if abs(at - threshold) < 1e-9:
                    figures[name] = 100 * float(found.precision[place])
        return figures


def judge_pictures(
    truth: PersonRows,
    predictions: PersonRows,
    counted: Bool[np.ndarray, " rows"],
    protocol: Protocol,
) -> Judgement:
    """Judge detections in all pictures that the truth has rows of.

    A picture that shows nobody is in it by a row without labelled keypoints and of an empty box.

    Raises:
        InputError: predictions have no scores.
    """
    if "score" not in predictions:
        raise InputError(f"'{predictions.name}' has no score, by which detections are ranked.")
    mine, theirs = (keypoint_places(rows, protocol) for rows in (truth, predictions))
    found = frames_of(predictions, np.flatnonzero(predictions.flags("valid", True)))
    pictures, sequences = [], []
    for key, rows in frames_of(truth, np.flatnonzero(counted)).items():
        people = true_people(truth, rows, mine)
        detections = _detections(predictions, found.get(key, []), theirs)
        pictures.append(
            judge(
                detections,
                people,
                sigmas=protocol.keypoint_sigmas,
                thresholds=protocol.oks_thresholds,
                at_most=protocol.max_detections,
                area_px2=protocol.area_px2,
            )
        )
        sequences.append(key[0])
    return Judgement(tuple(pictures), tuple(sequences), protocol.oks_thresholds)


def _detections(predictions: PersonRows, rows: list[int], points: list[int]) -> FoundPeople:
    keypoints = predictions["keypoints_px"][rows][:, points].astype(np.float64)
    # as pycocotools takes the area of detections: that of a box about all their keypoints
    size = keypoints[..., :2].max(1) - keypoints[..., :2].min(1) if rows else np.zeros((0, 2))
    return FoundPeople(keypoints, predictions["score"][rows].astype(np.float64), size.prod(-1))


def overlaps(
    truth: PersonRows, predictions: PersonRows, pairs: Pairs, protocol: Protocol
) -> Overlaps:
    """Overlaps of people as far as both files have maps of them.

    Raises:
        InputError: maps differ in size, or the protocol names an unknown part.
    """
    figures: dict[str, np.ndarray] = {}
    parts: np.ndarray | None = None
    names = [_outline_of(file) for file in (truth, predictions)]
    if set(protocol.figures).isdisjoint(OVERLAP_FIGURES) or None in names:
        return Overlaps(figures, parts)
    true, own = truth[str(names[0])], predictions[str(names[1])]
    if true.shape[1:] != own.shape[1:]:
        raise InputError(
            f"'{predictions.name}' has maps of {own.shape[1:]} pixels, the truth of "
            f"{true.shape[1:]}."
        )
    _check_windows(truth, predictions, pairs)
    rows = list(zip(pairs.truth.tolist(), pairs.predicted.tolist(), strict=True))
    if "part IoU %" in protocol.figures and "parts" in truth and "parts" in predictions:
        parts = _part_overlaps(truth, predictions, rows, protocol)
        seen = ~np.isnan(parts)
        sums = np.where(seen, parts, 0).sum(1)
        figures["part IoU %"] = np.where(seen.any(1), sums / np.maximum(seen.sum(1), 1), np.nan)
    if "silhouette IoU %" in protocol.figures:
        values = [_outline_overlap(true[t], own[p]) for t, p in rows]
        figures["silhouette IoU %"] = 100 * np.array(values, np.float64)
    return Overlaps(figures, parts)


def _outline_of(rows: PersonRows) -> str | None:
    """What says where somebody is: the outline, or any part."""
    return next((name for name in ("silhouette", "parts") if name in rows), None)


def _check_windows(truth: PersonRows, predictions: PersonRows, pairs: Pairs) -> None:
    """Maps that are laid over each other have to cover the same."""
    if "window_px" not in truth:
        return  # both are of the picture, whose size their grids say
    if "window_px" not in predictions:
        raise InputError(f"'{predictions.name}' has no window_px, and the truth has.")
    off = np.abs(truth["window_px"][pairs.truth] - predictions["window_px"][pairs.predicted])
    wrong = off.max(1) > _SAME_PX if len(off) else np.zeros(0, bool)
    if wrong.any():
        raise InputError(
            f"'{predictions.name}' has another window_px than the truth for "
            f"{truth.where(int(pairs.truth[int(wrong.argmax())]))}."
        )


def _part_overlaps(
    truth: PersonRows, predictions: PersonRows, rows: list[tuple[int, int]], protocol: Protocol
) -> Float[np.ndarray, "pairs parts"]:
    if unknown := [name for name in protocol.part_names if name not in PART_INDEX]:
        raise InputError(f"There is no part '{unknown[0]}'.")
    numbers = [PART_INDEX[name] for name in protocol.part_names]
    values = [
        part_iou(predictions["parts"][p], truth["parts"][t], numbers, UNKNOWN_PIXEL)
        for t, p in rows
    ]
    return 100 * np.array(values, np.float64).reshape(len(rows), len(numbers))


def _outline_overlap(truth: np.ndarray, predicted: np.ndarray) -> float:
    shows = (predicted > 0) & (predicted != UNKNOWN_PIXEL)
    return silhouette_iou(shows, truth > 0, truth != UNKNOWN_PIXEL)
