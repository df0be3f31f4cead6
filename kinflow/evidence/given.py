"""Evidence that a program hands in, checked before anything is fitted to it.

What comes out is single precision without gradients, and safe to compute with: a keypoint that is
not known may have had any position, NaN included, and is zero now.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import torch

from kinflow.body.parts import UNKNOWN
from kinflow.checks import is_number
from kinflow.errors import InputError
from kinflow.evidence.region import Region
from kinflow.evidence.types import (
    ADULT_YEARS,
    NUM_FEATURES,
    NUM_JOINT_FEATURES,
    NUM_MAP_FEATURES,
    CloseLook,
    FaceAge,
    ImageEvidence,
    PartLabels,
    PersonEvidence,
    PersonMask,
    Surroundings,
)
from kinflow.geometry.image_grid import ImageGrid
from kinflow.tensors import finite_tensor, given_tensor, tensor_within

KEYPOINTS = 33
MAX_PX = 1e6
_ACTIVATIONS = {
    "features": (NUM_FEATURES,),
    "joint_features": (KEYPOINTS, NUM_JOINT_FEATURES),
    "map_features": (NUM_MAP_FEATURES,),
}
"""Positions farther away than this are not of an image."""
MIN_CELL_PX = 1e-3
MAX_HINT_M = 100.0


def checked_evidence(evidence: Any, image_size: tuple[int, int]) -> ImageEvidence:
    """The same evidence, ready to be fitted.

    Args:
        evidence: what was handed in.
        image_size: (width, height) of the photo that it has to be about.

    Raises:
        InputError: it is about an image of another size, or something in it cannot be meant.
    """
    if not isinstance(evidence, ImageEvidence):
        raise InputError(
            f"evidence has to be an ImageEvidence, not a {type(evidence).__name__}; "
            "kinflow.evidence has it."
        )
    size, people = evidence.image_size, evidence.people
    if not isinstance(size, tuple | list) or tuple(size) != tuple(image_size):
        raise InputError(
            f"The evidence is about an image of {_size(size)} pixels, but the photo has "
            f"{_size(image_size)}; scale the keypoints."
        )
    if not isinstance(people, tuple | list):
        raise InputError(f"people has to be a tuple, not a {type(people).__name__}.")
    checked = tuple(_person(person, f"people[{i}]") for i, person in enumerate(people))
    lines = evidence.lines_px
    if lines is not None:
        lines = tensor_within(
            given_tensor(lines, "lines_px", (-1, 4)), "lines_px", (-1, 4), low=-MAX_PX, high=MAX_PX
        )
    return ImageEvidence(image_size, checked, lines)


def _person(person: Any, name: str) -> PersonEvidence:
    if not isinstance(person, PersonEvidence):
        raise InputError(f"{name} has to be a PersonEvidence, not a {type(person).__name__}.")
    keypoints = given_tensor(person.keypoints_px, f"{name}.keypoints_px", (KEYPOINTS, 3))
    confidence = tensor_within(
        keypoints[:, 2], f"{name}.keypoints_px[:, 2], the confidence,", (KEYPOINTS,), 0, 1
    )
    # what is not known may be anything
    known = confidence > 0
    keypoints = torch.where(known[:, None], keypoints, torch.zeros_like(keypoints))
    keypoints = tensor_within(
        keypoints, f"{name}.keypoints_px", (KEYPOINTS, 3), low=-MAX_PX, high=MAX_PX
    )
    std = given_tensor(person.keypoint_std_px, f"{name}.keypoint_std_px", (KEYPOINTS,))
    std = finite_tensor(
        torch.where(known, std, torch.ones_like(std)), f"{name}.keypoint_std_px", (KEYPOINTS,)
    )
    if not bool((std > 0).all()):
        raise InputError(f"{name}.keypoint_std_px has to be above 0 where a keypoint is known.")
    world = person.world_m
    if world is not None:
        shape = (KEYPOINTS, 3)
        world = tensor_within(world, f"{name}.world_m", shape, -MAX_HINT_M, MAX_HINT_M)
    box = tensor_within(person.box_px, f"{name}.box_px", (4,), -MAX_PX, MAX_PX)
    if not bool((box[2:] > box[:2]).all()):
        raise InputError(f"{name}.box_px has to be (x0, y0, x1, y1) with x0 < x1 and y0 < y1.")
    return replace(
        person,
        keypoints_px=keypoints,
        keypoint_std_px=std,
        world_m=world,
        box_px=box,
        score=_number(person.score, f"{name}.score", 0, 1),
        mask=None if person.mask is None else _mask(person.mask, f"{name}.mask"),
        parts=None if person.parts is None else _parts(person.parts, f"{name}.parts"),
        look=None if person.look is None else _look(person.look, f"{name}.look"),
        look_in_mirror=None
        if person.look_in_mirror is None
        else _look(person.look_in_mirror, f"{name}.look_in_mirror"),
        surroundings=None
        if person.surroundings is None
        else _surroundings(person.surroundings, f"{name}.surroundings"),
        face_age=None
        if person.face_age is None
        else _face_age(person.face_age, f"{name}.face_age"),
    )


def _look(look: Any, name: str) -> CloseLook:
    if not isinstance(look, CloseLook) or not isinstance(look.region, Region):
        raise InputError(f"{name} has to be a CloseLook or None, not a {type(look).__name__}.")
    region = look.region
    for value in (*region.center_px, region.roll):
        _number(value, f"{name}.region", -MAX_PX, MAX_PX)
    _number(region.size_px, f"{name}.region.size_px", MIN_CELL_PX, MAX_PX)
    shape = (KEYPOINTS, 3)
    return CloseLook(
        region,
        tensor_within(look.landmarks, f"{name}.landmarks", shape, -MAX_PX, MAX_PX),
        tensor_within(look.world_m, f"{name}.world_m", shape, -MAX_HINT_M, MAX_HINT_M),
        *(
            tensor_within(getattr(look, field), f"{name}.{field}", shape, -MAX_PX, MAX_PX)
            for field, shape in _ACTIVATIONS.items()
        ),
    )


def _surroundings(things: Any, name: str) -> Surroundings:
    if not isinstance(things, Surroundings):
        raise InputError(f"{name} has to be Surroundings or None, not a {type(things).__name__}.")
    values = {field.name: getattr(things, field.name) for field in fields(Surroundings)}
    return Surroundings(**{k: _number(v, f"{name}.{k}", 0, 1) for k, v in values.items()})


def _face_age(face: Any, name: str) -> FaceAge:
    if not isinstance(face, FaceAge):
        raise InputError(f"{name} has to be a FaceAge or None, not a {type(face).__name__}.")
    child = _number(face.child, f"{name}.child", 0, 1)
    return FaceAge(child, _number(face.years, f"{name}.years", 0, ADULT_YEARS))


def _mask(mask: Any, name: str) -> PersonMask:
    if not isinstance(mask, PersonMask):
        raise InputError(f"{name} has to be a PersonMask or None, not a {type(mask).__name__}.")
    probability = tensor_within(mask.probability, f"{name}.probability", (None, None), 0, 1)
    return PersonMask(probability, _grid(mask.grid, f"{name}.grid", probability))


def _parts(parts: Any, name: str) -> PartLabels:
    if not isinstance(parts, PartLabels):
        raise InputError(f"{name} has to be PartLabels or None, not a {type(parts).__name__}.")
    allowed = parts.allowed
    if not isinstance(allowed, torch.Tensor) or allowed.is_floating_point() or allowed.ndim != 2:
        raise InputError(f"{name}.allowed has to be a tensor (rows, columns) of whole numbers.")
    if not allowed.numel() or int(allowed.min()) < 1 or int(allowed.max()) > UNKNOWN:
        raise InputError(f"{name}.allowed has to hold sets of labels as bits, from 1 to {UNKNOWN}.")
    shape = tuple(allowed.shape)
    confidence = tensor_within(parts.confidence, f"{name}.confidence", shape, 0, 1)
    return PartLabels(allowed.int(), confidence, _grid(parts.grid, f"{name}.grid", confidence))


def _grid(grid: Any, name: str, values: torch.Tensor) -> ImageGrid:
    """Which has numbers in its fields; here they have to be of an image, and fit the values."""
    if not isinstance(grid, ImageGrid):
        raise InputError(
            f"{name} has to be an ImageGrid, not a {type(grid).__name__}; kinflow.geometry has it."
        )
    for value in grid.origin_px:
        _number(value, f"{name}.origin_px", -MAX_PX, MAX_PX)
    _number(grid.cell_px, f"{name}.cell_px", MIN_CELL_PX, MAX_PX)
    rows, columns = values.shape
    if grid.size != (columns, rows):
        raise InputError(
            f"{name}.size has to be that of the values, ({columns}, {rows}) columns and rows, "
            f"not {grid.size}."
        )
    return grid


def _number(value: Any, name: str, low: float | int, high: float | int) -> float:
    if not (is_number(value) and low <= value <= high):
        raise InputError(f"{name} has to be a number from {low:g} to {high:g}, not {value!r}.")
    return float(value)


def _size(size: Any) -> str:
    return " x ".join(str(side) for side in size) if isinstance(size, tuple | list) else repr(size)
