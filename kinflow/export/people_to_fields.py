"""From a `Reconstruction` to the arrays that `people.npz` and `people.json` hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from kinflow.body.keypoints import FOOT_KEYPOINTS
from kinflow.body.parts import PART_NAMES
from kinflow.body.shape import PHENOTYPES
from kinflow.errors import InputError
from kinflow.export.people_checks import check_fields
from kinflow.export.people_schema import (
    BODY_FIELDS,
    CONSTANTS,
    FIELDS,
    HYPOTHESIS_TENSORS,
    MEASURES,
    PERSON_TENSORS,
    QUALITY,
    Field,
    Fields,
)
from kinflow.export.quality import TrackQuality, quality_of
from kinflow.files.names import printable
from kinflow.results import Frame, Person, Reconstruction

_CAMERA = ("focal_px", "principal_px", "image_size")


def to_fields(
    reconstruction: Reconstruction, quality: Sequence[TrackQuality] | None = None
) -> Fields:
    """All arrays of the format.

    Args:
        reconstruction: what is written.
        quality: of its tracks, where that is known already.

    Raises:
        ValueError: a person holds values that are not finite.
    """
    frames, people = reconstruction.frames, reconstruction.people
    alternatives = [(row, h) for row, p in enumerate(people) for h in p.hypotheses]
    values: dict[str, object] = {
        **CONSTANTS,
        "source": printable(reconstruction.source),
        **_of_body(people),
        # of the first frame, for readers who know of one camera only
        **{name: getattr(frames[0].camera, name) for name in _CAMERA},
        **_of_frames(frames),
        "camera_motion": reconstruction.camera_motion,
        **_of_tracks(quality_of(reconstruction) if quality is None else quality),
        **_of_people(people),
        "hypothesis_of": [row for row, _ in alternatives],
        "hypothesis_energy": [h.energy for _, h in alternatives],
    }
    for name in HYPOTHESIS_TENSORS:
        values[f"hypothesis_{name}"] = _stacked([getattr(h, name) for _, h in alternatives])
    latent = len(people[0].z) if people else 0
    sizes = {"people": len(people), "hypotheses": len(alternatives), "latent": latent}
    sizes["shape"] = len(people[0].shape) if people else len(PHENOTYPES)
    fields = {
        name: _array(values[name], FIELDS[name], sizes)
        for name in FIELDS
        if name in values or name not in BODY_FIELDS
    }
    try:
        check_fields(fields)
    except InputError as error:
        raise ValueError(f"the reconstruction cannot be written: {error}") from error
    return fields


def _of_body(people: Sequence[Person]) -> dict[str, object]:
    """What shapes are about; people of one result are of one kind of body."""
    users = people[0].users_body if people else None
    if users is None:
        return {"shape_names": PHENOTYPES}
    return {
        "shape_names": users.body.shape_space.names,
        "body_file": printable(users.path.absolute()),
        "body_sha256": users.checksum,
    }


def _of_frames(frames: Sequence[Frame]) -> dict[str, object]:
    return {
        "frame_index": [frame.index for frame in frames],
        "frame_time_s": [frame.time_s for frame in frames],
        **{f"frame_{name}": [getattr(f.camera, name) for f in frames] for name in _CAMERA},
        "frame_up_cam": [f.gravity.up_cam if f.gravity else (math.nan,) * 3 for f in frames],
        "frame_up_std_deg": [f.gravity.std_deg if f.gravity else math.nan for f in frames],
        "frame_floor_height_m": [f.floor.height_m if f.floor else math.nan for f in frames],
        "frame_R_first_cam": [f.turn.rows if f.turn else ((math.nan,) * 3,) * 3 for f in frames],
        "frame_floor_std_m": [f.floor.std_m if f.floor else math.nan for f in frames],
    }


def _of_tracks(quality: Sequence[TrackQuality]) -> dict[str, object]:
    """What the motion of people is worth; photos have none."""
    return {f"track_{name}": [getattr(track, name) for track in quality] for name in QUALITY}


def _of_people(people: Sequence[Person]) -> dict[str, object]:
    no_contact = torch.full((len(FOOT_KEYPOINTS),), torch.nan)
    terms = list(dict.fromkeys(name for p in people for name in p.energy))
    measures = [p.measures() for p in people]
    unknown = torch.full((len(PART_NAMES) - 1,), torch.nan)
    values: dict[str, object] = {
        "energy_names": terms,
        "energy": [[p.energy.get(name, 0.0) for name in terms] for p in people],
        "part_iou": _stacked([unknown if p.part_iou is None else p.part_iou for p in people]),
        "foot_contact": _stacked(
            [no_contact if p.foot_contact is None else p.foot_contact for p in people]
        ),
        "shape_std": _stacked(
            [
                torch.full_like(p.shape, torch.nan) if p.shape_std is None else p.shape_std
                for p in people
            ]
        ),
    }
    for name in ("person", "frame", "time_s", "score", "code", "start_source"):
        values[name] = [getattr(p, name) for p in people]
    for name in ("silhouette_iou", "height_std_m"):
        values[name] = [getattr(p, name) for p in people]
    for name in MEASURES:
        values[name] = [getattr(m, name) for m in measures]
    for name in PERSON_TENSORS:
        values[name] = _stacked([getattr(p, name) for p in people])
    return values


def _stacked(tensors: Sequence[Tensor]) -> np.ndarray | list[float]:
    return torch.stack([t.float() for t in tensors]).detach().cpu().numpy() if tensors else []


def _array(value: object, field: Field, sizes: Mapping[str, int]) -> np.ndarray:
    """The value in the field's precision; an empty one gets the axes that it would have."""
    array = np.asarray(value, field.dtype)
    if array.size == 0:
        shape = [a if isinstance(a, int) else sizes.get(a, 0) for a in field.axes]
        array = array.reshape(shape)
    return array
