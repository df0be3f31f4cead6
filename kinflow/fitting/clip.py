"""Fits the people of a clip: each frame as a photo, all frames of a window in one batch.

Frames share the camera, and each person has one shape: the median over the frames, with which the
bodies are put back where they were seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.model import BodyModel
from kinflow.evidence.types import ImageEvidence
from kinflow.fitting.focal import shared_log_focal
from kinflow.fitting.photo import PhotoFitter
from kinflow.geometry.pinhole import Camera
from kinflow.results import Gravity, Person


@dataclass(frozen=True)
class ClipFit:
    """What is found in some frames of a clip."""

    people: tuple[tuple[Person, ...], ...]
    """Those of each frame; `Person.person` is their identity."""
    gravity: tuple[Gravity | None, ...]
    """What is up in each frame; None in those without people."""


def fit_clip(
    fitter: PhotoFitter,
    evidence: Sequence[ImageEvidence],
    identities: Sequence[Sequence[int]],
    camera: Camera,
) -> ClipFit:
    """The people of consecutive frames.

    Args:
        fitter: of single photos.
        evidence: what was seen in each frame.
        identities: who the people of each frame's evidence are, in their order.
        camera: of all frames.
    """
    rows = [row for row, frame in enumerate(evidence) if frame.people]
    people: list[tuple[Person, ...]] = [()] * len(evidence)
    gravity: list[Gravity | None] = [None] * len(evidence)
    if rows:
        fits = fitter.fit_photos([evidence[row] for row in rows], [camera] * len(rows))
        for row, fit in zip(rows, fits, strict=True):
            gravity[row] = fit.gravity
            people[row] = tuple(
                _on_its_own(replace(person, person=identity, hypotheses=()))
                for person, identity in zip(fit.people, identities[row], strict=True)
            )
    return ClipFit(tuple(people), tuple(gravity))


def with_one_focal(
    fitter: PhotoFitter, evidence: Sequence[ImageEvidence], camera: Camera
) -> Camera:
    """The camera with the focal length that explains the people of several frames best."""
    people = tuple(person for frame in evidence for person in frame.people)
    if not people:
        return camera
    together = ImageEvidence(camera.image_size, people)
    log_focal = shared_log_focal(fitter.focal_fitter, fitter.targets(together, camera))
    return replace(camera, focal_px=camera.focal_px * float(np.exp(log_focal)))


def with_one_shape(frames: Sequence[Sequence[Person]]) -> list[list[Person]]:
    """The same people, each with one shape in all frames.

    The shape is the median over the frames whose bodies can be relied on, or over all where there
    are none. A body that is larger by some factor is further away by the same, so that its image
    stays what it was.
    """
    tracks: dict[int, list[Person]] = {}
    for people in frames:
        for person in people:
            tracks.setdefault(person.person, []).append(person)
    replaced = {identity: iter(_of_one_shape(bodies)) for identity, bodies in tracks.items()}
    return [[next(replaced[person.person]) for person in people] for people in frames]


def one_gravity(known: Sequence[Gravity | None]) -> Gravity | None:
    """What is up in frames that a camera took from one place: the mean, None where nobody knows."""
    there = [gravity for gravity in known if gravity is not None]
    if not there:
        return None
    mean = np.mean([gravity.up_cam for gravity in there], axis=0)
    length = float(np.linalg.norm(mean))
    if length < 0.1:  # they say the opposite of each other
        return there[0]
    x, y, z = (float(value) for value in mean / length)
    # neighbouring frames err alike, so that many of them know hardly more than one
    return Gravity((x, y, z), float(np.median([gravity.std_deg for gravity in there])))


def _on_its_own(person: Person) -> Person:
    """The same body in memory of its own: views would keep all that was computed of a window."""
    tensors = {
        name: value.clone() for name, value in vars(person).items() if isinstance(value, Tensor)
    }
    return replace(person, **tensors)


def _of_one_shape(bodies: Sequence[Person]) -> list[Person]:
    reliable = [body for body in bodies if body.code == "ok"] or bodies
    shape = torch.stack([body.shape for body in reliable]).median(dim=0).values
    model = BodyModel.load("joints")
    shaped = model.with_shape(shape)
    before = model.with_shape(torch.stack([body.shape for body in bodies]))
    larger = _length_m(shaped.joint_offsets_m()) / _length_m(before.joint_offsets_m())
    t_cam_root_m = larger[:, None] * torch.stack([body.t_cam_root_m for body in bodies])
    pose = torch.stack([body.pose for body in bodies])
    joints_m = shaped.with_pose(pose, t_cam_root_m).joints_m
    return [
        replace(
            body,
            shape=shape,
            t_cam_root_m=t_cam_root_m[row].clone(),
            joints_cam_m=joints_m[row].clone(),
        )
        for row, body in enumerate(bodies)
    ]


def _length_m(offsets_m: Float[Tensor, "*batch 22 3"]) -> Float[Tensor, "*batch"]:
    """How long all bones of a body are together."""
    return torch.linalg.vector_norm(offsets_m, dim=-1).sum(-1)
