"""What the bodies of a clip's frames have in common: one shape a person, no gaps, one way up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.skeleton import NUM_JOINTS
from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from kinflow.results import Gravity, Person, stored

_BATCH = 512


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


def with_gaps_filled(
    frames: Sequence[Sequence[Person]],
    times_s: Sequence[float],
    shots: Sequence[int],
    R_first_cam: Sequence[Float[Tensor, "3 3"] | None] | None = None,
) -> list[list[Person]]:
    """The same people, there also in frames of a shot between others that show them.

    They turn and move evenly from the last frame that has them to the next; their code there is
    `not_seen`.

    Args:
        frames: the people of each frame.
        times_s: of the frames, increasing.
        shots: number of the shot that each frame is of.
        R_first_cam: how the camera is turned in each frame, from its frame to that in the first
            one of the shot; None where it stands still.
    """
    turns = [None] * len(frames) if R_first_cam is None else R_first_cam
    filled = [list(people) for people in frames]
    last: dict[int, tuple[int, Person]] = {}
    for row, people in enumerate(frames):
        for person in people:
            before = last.get(person.person)
            if before is not None and shots[before[0]] == shots[row] and row - before[0] > 1:
                rows = range(before[0] + 1, row)
                span_s = times_s[row] - times_s[before[0]]
                shares = [(times_s[r] - times_s[before[0]]) / span_s for r in rows]
                way = turns[before[0] : row + 1]
                for r, body in zip(rows, _between(before[1], person, shares, way), strict=True):
                    filled[r].append(body)
            last[person.person] = row, person
    return [sorted(people, key=lambda person: person.person) for people in filled]


def _between(
    first: Person,
    last: Person,
    shares: Sequence[float],
    R_first_cam: Sequence[Float[Tensor, "3 3"] | None],
) -> list[Person]:
    """Bodies of one person on the way from one to another, by shares of the way.

    Args:
        first, last: the ends.
        shares: of the frames between.
        R_first_cam: how the camera is turned, in the frames of the ends as well.
    """
    a = torch.tensor(shares, dtype=torch.float32)
    known = [torch.eye(3) if R is None else R.float() for R in R_first_cam]
    R = torch.stack(known)
    (pose_a, t_a), (pose_b, t_b) = _turned(first, R[0]), _turned(last, R[-1])
    turn = matrix_to_rotvec(pose_b @ pose_a.mT)
    pose = rotvec_to_matrix(a[:, None, None] * turn) @ pose_a
    pose[:, 0] = R[1:-1].mT @ pose[:, 0]
    t = (R[1:-1].mT @ (t_a + a[:, None] * (t_b - t_a))[..., None])[..., 0]
    z = first.z + a[:, None] * (last.z - first.z)
    joints_m = first.skeleton.with_shape(first.shape).with_pose(pose, t).joints_m
    return [
        stored(
            replace(
                first,
                R_cam_root=pose[i, 0],
                t_cam_root_m=t[i],
                pose=pose[i],
                z=z[i],
                joints_cam_m=joints_m[i],
                joint_std_m=torch.maximum(first.joint_std_m, last.joint_std_m),
                t_cam_root_std_m=torch.maximum(first.t_cam_root_std_m, last.t_cam_root_std_m),
                keypoints_px=torch.zeros_like(first.keypoints_px),
                score=0.0,
                code="not_seen",
                energy={},
                hypotheses=(),
                foot_contact=None,
                part_iou=None,
                silhouette_iou=float("nan"),
                start_source="motion",
            )
        )
        for i in range(len(shares))
    ]


def _turned(
    person: Person, R: Float[Tensor, "3 3"]
) -> tuple[Float[Tensor, "22 3 3"], Float[Tensor, "3"]]:
    """Pose and position of a person as another camera at the same place has them."""
    pose = person.pose.clone()
    pose[0] = R @ pose[0]
    return pose, R @ person.t_cam_root_m


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


def _of_one_shape(bodies: Sequence[Person]) -> list[Person]:
    reliable = [body for body in bodies if body.code == "ok"] or bodies
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


def _length_m(offsets_m: Float[Tensor, "*batch 22 3"]) -> Float[Tensor, "*batch"]:
    """How long all bones of a body are together."""
    return torch.linalg.vector_norm(offsets_m, dim=-1).sum(-1)
