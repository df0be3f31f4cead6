"""What the bodies of a clip's frames have in common: one shape a person, one way up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.skeleton import NUM_JOINTS
from kinflow.fitting.sample_kinds import CHILD_BELOW_AGE
from kinflow.priors.shape import AGE
from kinflow.results import Gravity, Person, stored

_BATCH = 512


def with_one_shape(
    frames: Sequence[Sequence[Person]], late_children: Collection[int] = ()
) -> list[list[Person]]:
    """The same people, each with one shape in all frames.

    The shape is the median over the frames whose bodies can be relied on, or over all where there
    are none. A body that is larger by some factor is further away by the same, so that its image
    stays what it was.

    Args:
        frames: the people of each.
        late_children: who turned out to be children after some frames; these have no say.
    """
    tracks: dict[int, list[Person]] = {}
    for people in frames:
        for person in people:
            tracks.setdefault(person.person, []).append(person)
    replaced = {
        identity: iter(_of_one_shape(bodies, identity in late_children))
        for identity, bodies in tracks.items()
    }
    return [[next(replaced[person.person]) for person in people] for people in frames]


def gravity_of_shot(
    known: Sequence[Gravity | None], R_first_cam: Sequence[Float[Tensor, "3 3"] | None]
) -> list[Gravity | None]:
    """What is up in each frame of a shot, so that all of them have the same world.

    Args:
        known: what each frame's window told.
        R_first_cam: how the camera is turned in each frame; None where it stands still.
    """
    in_first = [
        gravity if gravity is None or R is None else gravity.turned(R)
        for gravity, R in zip(known, R_first_cam, strict=True)
    ]
    up = one_gravity(in_first)
    return [up if up is None or R is None else up.turned(R.mT) for R in R_first_cam]


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


def _of_one_shape(bodies: Sequence[Person], late_child: bool) -> list[Person]:
    asked = [body for body in bodies if _is_child(body)] if late_child else bodies
    asked = asked or bodies
    reliable = [body for body in asked if body.code == "ok"] or asked
    shape = torch.stack([body.shape for body in reliable]).median(dim=0).values
    model = bodies[0].skeleton
    shaped = model.with_shape(shape)
    before = model.with_shape(torch.stack([body.shape for body in bodies]))
    larger = _length_m(shaped.joint_offsets_m()) / _length_m(before.joint_offsets_m())
    t_cam_root_m = larger[:, None] * torch.stack([body.t_cam_root_m for body in bodies])
    joints_m = torch.empty(len(bodies), NUM_JOINTS, 3, dtype=torch.float32)
    for first in range(0, len(bodies), _BATCH):  # all at once takes much memory
        some = slice(first, first + _BATCH)
        pose = torch.stack([body.pose for body in bodies[some]])
        joints_m[some] = shaped.with_pose(pose, t_cam_root_m[some]).joints_m
    return [
        stored(
            replace(body, shape=shape, t_cam_root_m=t_cam_root_m[row], joints_cam_m=joints_m[row])
        )
        for row, body in enumerate(bodies)
    ]


def _is_child(body: Person) -> bool:
    return float(body.shape[AGE]) < CHILD_BELOW_AGE


def _length_m(offsets_m: Float[Tensor, "*batch 22 3"]) -> Float[Tensor, "*batch"]:
    """How long all bones of a body are together."""
    return torch.linalg.vector_norm(offsets_m, dim=-1).sum(-1)
