"""Who is compared with whom.

Known numbers of persons are taken at their word. Otherwise the people of each frame are assigned
one to one, so that the sum of overlaps is the highest: those of boxes, similarities of keypoints,
or nearness in 3D, which no system can know (`oracle`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from kinflow.datasets.person_rows import PersonRows
from kinflow.errors import InputError
from kinflow.evaluation.protocols.protocol import Protocol
from kinflow.evaluation.protocols.root_joints import joints_of
from kinflow.evidence.assignment import assign
from kinflow.metrics.keypoints import TruePeople, oks

Overlap = Float[np.ndarray, "true predicted"]
_FAR_M = 1e3
_NEEDED = {"id": "person", "box": "box_px", "oks": "keypoints_px", "oracle": "joints_m"}


@dataclass(frozen=True)
class Pairs:
    """Rows that belong together."""

    truth: Int[np.ndarray, " pairs"]
    predicted: Int[np.ndarray, " pairs"]
    extra: int
    """Predictions in frames of the truth that nobody belongs to."""


def match(truth: PersonRows, predictions: PersonRows, protocol: Protocol) -> Pairs:
    """Pairs of true and predicted rows, in the order of true rows.

    Predictions that are not valid are left aside; true rows that are not valid are matched as well,
    so that nobody else gets their predictions, and are for the caller to leave out.

    Raises:
        InputError: a file lacks what people are matched by.
    """
    needed = _NEEDED[protocol.matching]
    for rows in (truth, predictions):
        if needed not in rows:
            raise InputError(
                f"'{rows.name}' has no {needed}, and the protocol '{protocol.name}' matches people "
                f"by {protocol.matching}."
            )
    usable = np.flatnonzero(predictions.flags("valid", True))
    if protocol.matching == "id":
        return _by_number(truth, predictions, usable)
    return _by_overlap(truth, predictions, usable, protocol)


def frames_of(rows: PersonRows, index: np.ndarray) -> dict[tuple[str, int], list[int]]:
    """Rows of each frame of each sequence, of those asked for."""
    found: dict[tuple[str, int], list[int]] = {}
    sequences, numbers = rows["sequence"].tolist(), rows["frame"].tolist()
    for row in index.tolist():
        found.setdefault((sequences[row], numbers[row]), []).append(row)
    return found


def box_overlap(
    truth: Float[np.ndarray, "true 4"], predicted: Float[np.ndarray, "predicted 4"]
) -> Overlap:
    """Intersection over union of boxes (x, y, width, height)."""
    low = np.maximum(truth[:, None, :2], predicted[None, :, :2])
    high = np.minimum(
        truth[:, None, :2] + truth[:, None, 2:], predicted[None, :, :2] + predicted[None, :, 2:]
    )
    both = (high - low).clip(min=0).prod(-1)
    either = truth[:, 2:].prod(-1)[:, None] + predicted[:, 2:].prod(-1)[None] - both
    return np.where(either > 0, both / np.where(either > 0, either, 1), 0.0)


def true_people(truth: PersonRows, rows: list[int], points: list[int]) -> TruePeople:
    """Labelled people as the average precision of keypoints wants them."""
    keypoints = truth["keypoints_px"][rows][:, points].astype(np.float64)
    boxes = truth["box_px"][rows].astype(np.float64) if "box_px" in truth else _bounds(keypoints)
    area = truth["area_px2"][rows] if "area_px2" in truth else boxes[:, 2:].prod(-1)
    crowd = truth.flags("crowd", False)[rows]
    return TruePeople(keypoints, boxes, np.asarray(area, np.float64), crowd)


def keypoint_places(rows: PersonRows, protocol: Protocol) -> list[int]:
    """Where the protocol's keypoints stand in a file.

    Raises:
        InputError: it lacks one.
    """
    names = rows["keypoint_names"].tolist()
    if missing := [name for name in protocol.keypoints if name not in names]:
        raise InputError(f"'{rows.name}' lacks keypoints: {', '.join(missing)}.")
    return [names.index(name) for name in protocol.keypoints]


def _by_number(truth: PersonRows, predictions: PersonRows, usable: np.ndarray) -> Pairs:
    place: dict[tuple[str, int, int], int] = {}
    for row in usable.tolist():
        place[_key(predictions, row)] = row
    pairs = [(row, place[key]) for row in range(len(truth)) if (key := _key(truth, row)) in place]
    frames = set(frames_of(truth, np.arange(len(truth))))
    seen = sum(key[:2] in frames for key in place)
    return _pairs(pairs, seen - len(pairs))


def _key(rows: PersonRows, row: int) -> tuple[str, int, int]:
    return (
        str(rows["sequence"][row]),
        int(rows["frame"][row]),
        int(rows["person"][row]),
    )


def _by_overlap(
    truth: PersonRows, predictions: PersonRows, usable: np.ndarray, protocol: Protocol
) -> Pairs:
    overlap = _overlap_of(truth, predictions, protocol)
    found = frames_of(predictions, usable)
    pairs: list[tuple[int, int]] = []
    extra = 0
    for key, people in frames_of(truth, np.arange(len(truth))).items():
        candidates = found.get(key, [])
        if not candidates:
            continue
        cost = 1 - overlap(people, candidates)
        limit = 1 - protocol.match_at_least if protocol.matching != "oracle" else _FAR_M
        # nobody is matched with whom there is no overlap at all
        cost = np.where((cost < 1) | (protocol.matching == "oracle"), cost, np.inf)
        chosen = assign(cost, limit)
        pairs += [(people[row], candidates[column]) for row, column in chosen]
        extra += len(candidates) - len(chosen)
    return _pairs(sorted(pairs), extra)


def _overlap_of(
    truth: PersonRows, predictions: PersonRows, protocol: Protocol
) -> Callable[[list[int], list[int]], Overlap]:
    if protocol.matching == "box":
        return lambda people, candidates: box_overlap(
            truth["box_px"][people].astype(np.float64),
            predictions["box_px"][candidates].astype(np.float64),
        )
    if protocol.matching == "oks":
        mine, theirs = (keypoint_places(rows, protocol) for rows in (truth, predictions))

        def similarity(people: list[int], candidates: list[int]) -> Overlap:
            points = predictions["keypoints_px"][candidates][:, theirs].astype(np.float64)
            return oks(points, true_people(truth, people, mine), protocol.keypoint_sigmas).T

        return similarity

    def nearness(people: list[int], candidates: list[int]) -> Overlap:
        true = joints_of(truth, people, protocol)[:, :1]
        own = joints_of(predictions, candidates, protocol)[None, :, 0]
        away = torch.linalg.vector_norm(own - true, dim=-1).nanmean(-1)
        return 1 - torch.nan_to_num(away, nan=_FAR_M - 1).numpy()

    return nearness


def _bounds(keypoints: Float[np.ndarray, "people points 3"]) -> Float[np.ndarray, "people 4"]:
    """Boxes about labelled keypoints."""
    labelled = keypoints[..., 2:] > 0
    low = np.where(labelled, keypoints[..., :2], np.inf).min(1)
    high = np.where(labelled, keypoints[..., :2], -np.inf).max(1)
    return np.nan_to_num(np.concatenate([low, high - low], 1), posinf=0.0, neginf=0.0)


def _pairs(pairs: list[tuple[int, int]], extra: int) -> Pairs:
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return Pairs(table[:, 0], table[:, 1], extra)
