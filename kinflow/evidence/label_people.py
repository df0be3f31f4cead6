"""Whose labels are whose: labels of a photo become the labels of each person.

Of a map of everybody, a cell belongs to the person whose skeleton is nearest; a map of one person
belongs to whoever's keypoints it covers. Silhouettes with soft edges stay soft. Nothing is known of
a person outside the image, and where somebody else is seen, who may hide anything.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int32
from torch import Tensor

from kinflow.body.parts import BACKGROUND, UNKNOWN
from kinflow.evidence.label_maps import PhotoLabels, PixelSets
from kinflow.evidence.mattes import Matte
from kinflow.evidence.people import person_size
from kinflow.evidence.silhouette import grid_around, skeleton_distance_px
from kinflow.evidence.types import ImageEvidence, PartLabels, PersonEvidence, PersonMask
from kinflow.geometry.image_grid import ImageGrid

MIN_CONFIDENCE = 0.5
"""Keypoints that tell whose labels are whose."""
MIN_COVERAGE = 0.5
"""Labels that cover less than this share of them are another person's."""
BOX_GROWTH = 0.05
"""Share of the box's longer side by which a person may reach beyond it."""
REACH = 0.12
"""Share of the person's size around the skeleton that is the person's even beyond the box."""
EDGE_CELLS = 7
"""Side of the square of cells from which the softness of a silhouette's edge is judged."""


def attach_parts(evidence: ImageEvidence, labels: PhotoLabels) -> ImageEvidence:
    """The same people with part labels (and silhouettes, if that is what they are) of the user's.

    Everybody gets labels; those of a person whom no map shows are unknown throughout.

    Args:
        evidence: people of the photo.
        labels: its maps, of the image's size.
    """
    share = _maps_of_people if labels.one_person_each else _shares_of_everybody
    grids = [grid_around(person.box_px.cpu().numpy()) for person in evidence.people]
    people = []
    for person, grid, (allowed, which) in zip(
        evidence.people, grids, share(evidence, labels.maps, grids), strict=True
    ):
        if not labels.silhouettes:
            people.append(replace(person, parts=_labels(allowed, grid)))
            continue
        shown = _shows(allowed).astype(np.float32)
        if labels.mattes and which is not None:
            shown = _sampled(labels.mattes[which], grid, outside=0).astype(np.float32) / 255
        people.append(_with_silhouette(person, grid, allowed, shown))
    return replace(evidence, people=tuple(people))


_Share = tuple[Int32[np.ndarray, "rows columns"], int | None]
"""Labels of one person, and the number of the map that they come from."""


def _shares_of_everybody(
    evidence: ImageEvidence, maps: tuple[PixelSets, ...], grids: list[ImageGrid]
) -> list[_Share]:
    """Labels of each person from the one map of all of them."""
    shares: list[_Share] = []
    for row, grid in enumerate(grids):
        allowed = _sampled(maps[0], grid)
        others = _shows(allowed) & _somebody_elses(evidence.people, row, grid)
        shares.append((_hidden(allowed, others), 0))
    return shares


def _somebody_elses(
    people: tuple[PersonEvidence, ...], row: int, grid: ImageGrid
) -> Bool[np.ndarray, "rows columns"]:
    """Cells nearer to another skeleton, or too far from this person to be theirs."""
    distance = [_relative_distance(person, grid) for person in people]
    others = distance[:row] + distance[row + 1 :]
    nearer = np.min(others, axis=0) < distance[row] if others else np.zeros(grid.shape, bool)
    box = people[row].box_px.cpu().numpy()
    margin = BOX_GROWTH * float((box[2:] - box[:2]).max())
    x, y = grid.axes_px()
    in_x = (x >= box[0] - margin) & (x <= box[2] + margin)
    in_y = (y >= box[1] - margin) & (y <= box[3] + margin)
    near = (in_y[:, None] & in_x) | (distance[row] < REACH)
    return nearer | ~near


def _relative_distance(
    person: PersonEvidence, grid: ImageGrid
) -> Float[np.ndarray, "rows columns"]:
    """Distance to the person's skeleton in sizes of the person."""
    keypoints = person.keypoints_px.cpu().double().numpy()
    distance_px = skeleton_distance_px(keypoints[:, :2], keypoints[:, 2], grid)
    if distance_px is None:
        return np.full(grid.shape, np.inf)
    return distance_px / person_size(person.box_px.cpu().numpy())


def _maps_of_people(
    evidence: ImageEvidence, maps: tuple[PixelSets, ...], grids: list[ImageGrid]
) -> list[_Share]:
    """Labels of each person from maps of one person each."""
    owned = _owned_maps(evidence.people, maps)
    shares: list[_Share] = []
    for row, grid in enumerate(grids):
        sampled = [_sampled(pixels, grid) for pixels in maps]
        mine = owned.get(row)
        if mine is None:
            shares.append((np.full(grid.shape, UNKNOWN, np.int32), None))
            continue
        others = [_shows(allowed) for i, allowed in enumerate(sampled) if i != mine]
        elsewhere = np.any(others, axis=0) if others else np.zeros(grid.shape, bool)
        shares.append((_hidden(sampled[mine], elsewhere & ~_shows(sampled[mine])), mine))
    return shares


def _owned_maps(people: tuple[PersonEvidence, ...], maps: tuple[PixelSets, ...]) -> dict[int, int]:
    """The map of each person that has one: best covered first, each map given once."""
    coverage = np.array([[_coverage(person, pixels) for pixels in maps] for person in people])
    owned: dict[int, int] = {}
    while coverage.size and coverage.max() >= MIN_COVERAGE:
        row, column = (int(i) for i in np.unravel_index(coverage.argmax(), coverage.shape))
        owned[row] = column
        coverage[row], coverage[:, column] = -1, -1
    return owned


def _coverage(person: PersonEvidence, pixels: PixelSets) -> float:
    """Share of the person's confident keypoints that lie where a map shows somebody."""
    height, width = pixels.shape
    points = _confident_px(person.keypoints_px).astype(int)
    points = points[((points >= 0) & (points < (width, height))).all(-1)]
    return float(_shows(pixels[points[:, 1], points[:, 0]]).mean()) if len(points) else 0.0


def _confident_px(keypoints_px: Tensor) -> Float[np.ndarray, "seen 2"]:
    keypoints = keypoints_px.cpu().double().numpy()
    return keypoints[keypoints[:, 2] > MIN_CONFIDENCE, :2]


def _sampled(
    pixels: PixelSets | Matte, grid: ImageGrid, outside: int = UNKNOWN
) -> Int32[np.ndarray, "rows columns"]:
    """The value at the centre of each cell, and what there is outside the image."""
    height, width = pixels.shape
    x, y = (np.floor(centres).astype(int) for centres in grid.axes_px())
    sampled = np.full(grid.shape, outside, np.int32)
    in_x, in_y = (x >= 0) & (x < width), (y >= 0) & (y < height)
    sampled[np.ix_(in_y, in_x)] = pixels[np.ix_(y[in_y], x[in_x])]
    return sampled


def _shows(allowed: np.ndarray) -> Bool[np.ndarray, "..."]:
    """Whether sets leave no doubt that somebody is seen."""
    return (allowed & BACKGROUND) == 0


def _hidden(allowed: np.ndarray, where: np.ndarray) -> Int32[np.ndarray, "rows columns"]:
    return np.where(where, UNKNOWN, allowed).astype(np.int32)


def _labels(allowed: Int32[np.ndarray, "rows columns"], grid: ImageGrid) -> PartLabels:
    """Labels that are certain wherever anything is known."""
    known = torch.from_numpy((allowed != UNKNOWN).astype(np.float32))
    return PartLabels(torch.from_numpy(allowed), known, grid)


def _with_silhouette(
    person: PersonEvidence,
    grid: ImageGrid,
    allowed: Int32[np.ndarray, "rows columns"],
    shown: Float32[np.ndarray, "rows columns"],
) -> PersonEvidence:
    """The person with their silhouette, `shown` of each cell being theirs, as mask and as labels.

    An edge within a pixel is as certain as can be, though the pixel is half the person's; one that
    fades over many is not. So confidence is how far the cells around are from half, on average.
    """
    certainty = cv2.blur(np.abs(2 * shown - 1), (EDGE_CELLS, EDGE_CELLS))
    labels = _labels(allowed, grid)
    labels = replace(labels, confidence=labels.confidence * torch.from_numpy(certainty))
    probability = torch.from_numpy(np.where(allowed == UNKNOWN, np.float32(0), shown))
    mask = PersonMask(probability, grid)
    return replace(person, parts=labels, mask=mask)
