"""Bodies of people in frames that lack them, between others that show them.

Within a window missing frames are unknowns of the fit (`sequence.py`). A gap that reaches past the
end of a window is known to be one when the person is back, and its frames are settled then. What is
left is the way from the frames before to the one after: poses and turns by the dynamics of people,
or even ones where these know nothing, and an even path, for how quickly somebody went in the last
frames of a window is not known well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.kinematics import full_pose
from kinflow.fitting.track_dynamics import UNEVEN, upright
from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from kinflow.priors.base import PosePrior
from kinflow.priors.dynamics import Dynamics, LatentMotion
from kinflow.results import Gravity, Person, stored


@dataclass(frozen=True)
class Gap:
    """Frames in a row that lack one person, and those around them."""

    rows: range
    """The frames that lack the person."""
    before: tuple[Person, ...]
    """In the frame before, and in that before it if that has them, too."""
    after: Person
    """In the frame after."""
    times_s: Float[Tensor, " frames"]
    """Of the frames before, those that lack the person, and the one after."""
    R_first_cam: Float[Tensor, "frames 3 3"]
    """From the camera of each of these to that of the shot's first frame."""
    up_first: Float[Tensor, " 3"] | None
    """What is up for the latter; None where that is not known."""


@dataclass(frozen=True)
class Way:
    """One person in some frames, each in its own camera's frame."""

    pose: Float[Tensor, "frames 22 3 3"]
    z: Float[Tensor, "frames latent"]
    t_cam_root_m: Float[Tensor, "frames 3"]


@dataclass(frozen=True)
class GapBridge:
    """Ways through gaps as people mostly move.

    Args:
        dynamics: of the latents of the prior.
        prior: of the bodies' poses.
    """

    dynamics: Dynamics
    prior: PosePrior

    def way(self, gap: Gap) -> Way | None:
        """From the two frames before to the one after, at an even speed; None where these are not
        there, or are apart as the dynamics do not know."""
        step_s = torch.diff(gap.times_s)
        dt_s = step_s.mean()
        known = [*gap.before, gap.after]
        if len(known) != 3 or gap.up_first is None:
            return None
        if not bool(self.dynamics.covers(dt_s)) or bool(step_s.max() > (1 + UNEVEN) * dt_s):
            return None
        R_world_cam = upright(gap.up_first) @ gap.R_first_cam
        turns = R_world_cam[[0, 1, -1]]
        motion = LatentMotion(
            torch.stack([body.z for body in known]),
            turns @ torch.stack([body.R_cam_root for body in known]),
            _turned(turns, torch.stack([body.t_cam_root_m for body in known])),
        )
        with torch.no_grad():
            past, goal = motion.frames(0, 2), motion.frames(2, 3)
            way = self.dynamics.inbetween(past, goal, len(gap.rows), float(dt_s))
            pose = self.prior.decode(way.z)
        R_cam_root = R_world_cam[2:-1].mT @ way.R_root
        return Way(full_pose(R_cam_root, pose), way.z, evenly(gap).t_cam_root_m)


def evenly(gap: Gap) -> Way:
    """Turning and moving evenly from the frame before to the one after."""
    first, last, inner = gap.before[-1], gap.after, slice(len(gap.before), -1)
    begin_s = gap.times_s[len(gap.before) - 1]
    a = ((gap.times_s[inner] - begin_s) / (gap.times_s[-1] - begin_s)).float()[:, None]
    R_first, R_last = gap.R_first_cam[len(gap.before) - 1], gap.R_first_cam[-1]
    pose_a, pose_b = first.pose.clone(), last.pose.clone()
    pose_a[0], pose_b[0] = R_first @ pose_a[0], R_last @ pose_b[0]
    pose = rotvec_to_matrix(a[..., None] * matrix_to_rotvec(pose_b @ pose_a.mT)) @ pose_a
    back = gap.R_first_cam[inner].mT
    pose[:, 0] = back @ pose[:, 0]
    t_a, t_b = R_first @ first.t_cam_root_m, R_last @ last.t_cam_root_m
    return Way(pose, first.z + a * (last.z - first.z), _turned(back, t_a + a * (t_b - t_a)))


def with_gaps_filled(
    frames: Sequence[Sequence[Person]],
    times_s: Sequence[float],
    shots: Sequence[int],
    R_first_cam: Sequence[Float[Tensor, "3 3"] | None] | None = None,
    up: Sequence[Gravity | None] | None = None,
    bridge: GapBridge | None = None,
) -> list[list[Person]]:
    """The same people, there also in frames of a shot between others that show them.

    Their code there is `not_seen`.

    Args:
        frames: the people of each frame.
        times_s: of the frames, increasing.
        shots: number of the shot that each frame is of.
        R_first_cam: how the camera is turned in each frame, from its frame to that in the first
            one of the shot; None where it stands still.
        up: what is up in each frame; None where that is not known.
        bridge: how people mostly move; None to let them move evenly.
    """
    turns = [None] * len(frames) if R_first_cam is None else R_first_cam
    R = [torch.eye(3) if turn is None else turn.float() for turn in turns]
    filled = [list(people) for people in frames]
    for gap in _gaps(frames, times_s, shots, R, up):
        way = None if bridge is None else bridge.way(gap)
        bodies = _missed(gap, evenly(gap) if way is None else way)
        for row, body in zip(gap.rows, bodies, strict=True):
            filled[row].append(body)
    return [sorted(people, key=lambda person: person.person) for people in filled]


def _gaps(
    frames: Sequence[Sequence[Person]],
    times_s: Sequence[float],
    shots: Sequence[int],
    R_first_cam: Sequence[Float[Tensor, "3 3"]],
    up: Sequence[Gravity | None] | None,
) -> Iterator[Gap]:
    last: dict[int, dict[int, Person]] = {}
    for row, people in enumerate(frames):
        for person in people:
            seen = last.get(person.person, {})
            end = max(seen, default=row)
            if end < row - 1 and shots[end] == shots[row]:
                before = [r for r in (end - 1, end) if r in seen and shots[r] == shots[row]]
                around = slice(before[0], row + 1)
                gravity = None if up is None else up[end]
                yield Gap(
                    range(end + 1, row),
                    tuple(seen[r] for r in before),
                    person,
                    torch.tensor(times_s[around], dtype=torch.float64),
                    torch.stack(list(R_first_cam[around])),
                    None if gravity is None else R_first_cam[end] @ torch.tensor(gravity.up_cam),
                )
            last[person.person] = {r: body for r, body in seen.items() if r == end} | {row: person}


def _missed(gap: Gap, way: Way) -> Iterator[Person]:
    """Bodies of somebody whom nobody saw."""
    first, last = gap.before[-1], gap.after
    shaped = first.skeleton.with_shape(first.shape)
    joints_m = shaped.with_pose(way.pose, way.t_cam_root_m).joints_m
    for i in range(len(gap.rows)):
        body = replace(
            first,
            R_cam_root=way.pose[i, 0],
            t_cam_root_m=way.t_cam_root_m[i],
            pose=way.pose[i],
            z=way.z[i],
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
        yield stored(body)


def _turned(
    R: Float[Tensor, "frames 3 3"], points_m: Float[Tensor, "frames 3"]
) -> Float[Tensor, "frames 3"]:
    return (R @ points_m[..., None])[..., 0]
