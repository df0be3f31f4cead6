"""Clips of people who move before one camera, with the truth of every frame.

The camera stays at its place, and may turn there.

    clip = before_camera([moving(motion, shape, range(0, 90))], ClipConfig(), rng)
    for picture in ClipPainter.load(rng).paint(clip): ...

People walk on a floor at y = 0 of a world with y up, as `kinflow.synth.world` has it; recorded
motion brings the path of its root along, scaled to the legs of whoever walks it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.model import PosedBody
from kinflow.checks import nested, number, numbers_of, positive
from kinflow.datasets.retarget import RetargetedMotion
from kinflow.errors import InputError
from kinflow.geometry.pinhole import Camera
from kinflow.synth.camera_turns import CameraTurning, turned
from kinflow.synth.postures import turn

_UPRIGHT = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
_NEAREST_M = 0.8
_FLOOR_QUANTILE = 0.05
"""Recorded feet dip below their floor for a few frames."""
_LARGEST_DISTANCE_M = 40.0


@dataclass(frozen=True)
class ClipConfig:
    """How a clip is filmed.

    Attributes:
        image_size: (width, height) in pixels.
        fov_deg: range of the field of view over the longer side.
        pitch_deg: range of the camera's pitch, positive where it looks down.
        roll_std_deg: spread of its roll.
        margin: share of the image's shorter side that stays free around all people.
        closer: factor on the distance at which everybody is in view all the time; below 1 people
            walk out of the image.
        turning: how the camera turns; None for one on a tripod.
    """

    image_size: tuple[int, int] = (640, 480)
    fov_deg: tuple[float, float] = (45.0, 70.0)
    pitch_deg: tuple[float, float] = (-3.0, 18.0)
    roll_std_deg: float = 1.5
    margin: float = 0.06
    closer: float = 1.0
    turning: CameraTurning | None = None

    def __post_init__(self) -> None:
        numbers_of(self, "image_size", count=2, at_least=16, at_most=8192, kind=int)
        numbers_of(self, "fov_deg", count=2, at_least=1, at_most=170, ascending=True)
        numbers_of(self, "pitch_deg", count=2, at_least=-60, at_most=60, ascending=True)
        number(self, "roll_std_deg", at_least=0)
        number(self, "margin", at_least=0, below=0.5)
        positive(self, "closer")
        if self.turning is not None:
            nested(self, turning=CameraTurning)


@dataclass(frozen=True)
class MovingPerson:
    """One person through a clip, in the world's frame: y up, the floor at y = 0."""

    shape: Float[Tensor, " 6"]
    """Phenotypes."""
    pose: Float[Tensor, "frames 22 3 3"]
    """Local rotations; entry 0 turns the root in the world."""
    root_m: Float[Tensor, "frames 3"]
    """Position of the pelvis."""

    def __len__(self) -> int:
        return len(self.pose)

    def turned(self, yaw_rad: float, shift_m: Float[Tensor, " 3"]) -> MovingPerson:
        """The same motion about the vertical through the world's origin, then moved."""
        R = turn("y", yaw_rad)
        pose = self.pose.clone()
        pose[:, 0] = R @ pose[:, 0]
        return MovingPerson(self.shape, pose, self.root_m @ R.mT + shift_m)

    def posed(self, body: BodyModel) -> PosedBody:
        """The person in all frames, in the world's frame."""
        return body.with_shape(self.shape).with_pose(self.pose, self.root_m)


@dataclass(frozen=True)
class Clip:
    """People before a camera: in its first frame x_cam = R_cam_world x_world + t_cam_world_m."""

    camera: Camera
    R_cam_world: Float[Tensor, "3 3"]
    t_cam_world_m: Float[Tensor, " 3"]
    people: tuple[MovingPerson, ...]
    rate_hz: float
    R_cam_first: Float[Tensor, "frames 3 3"] | None = None
    """From the camera's frame at the first frame to that at each; None for one that stands."""

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.people[0])

    def in_first(self, person: int) -> MovingPerson:
        """One person in the frame of the first frame's camera, which stands still."""
        who, R = self.people[person], self.R_cam_world
        pose = who.pose.clone()
        pose[:, 0] = R @ pose[:, 0]
        return MovingPerson(who.shape, pose, who.root_m @ R.mT + self.t_cam_world_m)

    def seen(self, person: int) -> MovingPerson:
        """One person in each frame's camera, where the pose's entry 0 is R_cam_root."""
        who = self.in_first(person)
        if self.R_cam_first is None:
            return who
        pose = who.pose.clone()
        pose[:, 0] = self.R_cam_first @ pose[:, 0]
        return MovingPerson(who.shape, pose, (self.R_cam_first @ who.root_m[..., None])[..., 0])


def moving(
    motion: RetargetedMotion, shape: Float[Tensor, " 6"], frames: range, body: BodyModel
) -> MovingPerson:
    """Recorded motion on a body, over the world's origin in the first frame.

    The path of the root is scaled by how high the pelvis of this body hangs above its soles, so
    that steps keep their length in terms of the legs, and lowered onto the floor.

    Args:
        motion: the recording.
        shape: phenotypes of who moves.
        frames: rows of the recording.
        body: any body with vertices; a coarse one will do.

    Raises:
        InputError: there are no such frames.
    """
    if not len(frames) or frames.start < 0 or frames[-1] >= len(motion.rotations):
        raise InputError(f"The recording has no frames {frames.start} to {frames.stop}.")
    rows = list(frames)
    pose = torch.from_numpy(motion.rotations[rows]).float()
    path = torch.from_numpy(motion.root_positions_m[rows]).float()
    still = body.with_shape(shape).with_pose(pose, torch.zeros(len(rows), 3))
    hangs_m = -still.vertices_m()[..., 1].amin(-1)
    recorded_m = path[:, 1].clamp_min(0.2)
    root = path * float((hangs_m / recorded_m).median())
    root[:, 1] -= torch.quantile(root[:, 1] - hangs_m, _FLOOR_QUANTILE)
    root[:, (0, 2)] -= root[0, (0, 2)].clone()
    return MovingPerson(shape, pose, root)


def before_camera(
    people: Sequence[MovingPerson],
    config: ClipConfig,
    rng: np.random.Generator,
    body: BodyModel,
    rate_hz: float = 30.0,
) -> Clip:
    """People before a camera that has everybody in view, seen from anywhere around.

    Args:
        people: equally long motions.
        config: how they are filmed.
        rng: source of randomness.
        body: any body with vertices; a coarse one will do.
        rate_hz: frames a second.

    Raises:
        InputError: there is nobody, or motions differ in length.
        RuntimeError: they spread too far for any camera.
    """
    if len({len(person) for person in people}) != 1:
        raise InputError("A clip needs people, all of whom move for the same number of frames.")
    camera = Camera.from_fov(config.image_size, float(rng.uniform(*config.fov_deg)))
    pitch, roll = float(rng.uniform(*config.pitch_deg)), float(rng.normal(0, config.roll_std_deg))
    heading = turn("y", float(rng.uniform(0, 2 * math.pi)))
    R = turn("z", math.radians(roll)) @ _UPRIGHT @ turn("x", math.radians(pitch)) @ heading
    points = torch.cat([p.posed(body).vertices_m().flatten(0, 1) for p in people]) @ R.mT
    t = _in_view(points, camera, config)
    if config.turning is None:
        return Clip(camera, R, t, tuple(people), rate_hz)
    roots_m = torch.stack([person.root_m for person in people]).mean(0)
    down = -R[:, 1]
    R_turned = turned(roots_m @ R.mT + t, down, rate_hz, config.turning, rng)
    first = R_turned[0]
    return Clip(camera, first @ R, first @ t, tuple(people), rate_hz, R_turned @ first.mT)


def _in_view(
    points: Float[Tensor, "points 3"], camera: Camera, config: ClipConfig
) -> Float[Tensor, " 3"]:
    """Translation from the nearest at which all points are inside of the image's margins."""
    low, high = points.amin(0), points.amax(0)
    centre = (low + high) / 2
    size = torch.tensor(camera.image_size, dtype=torch.float32)
    margin = config.margin * float(size.min())
    distance_m = _NEAREST_M + float(high[2] - low[2]) / 2
    while distance_m < _LARGEST_DISTANCE_M:
        t = torch.tensor([0.0, 0.0, distance_m]) - centre
        for _ in range(3):  # perspective moves the middle
            px = camera.project(points + t)
            off = (px.amin(0) + px.amax(0)) / 2 - size / 2
            t[:2] -= off * distance_m / camera.focal_px
        px = camera.project(points + t)
        if bool(((px >= margin) & (px <= size - margin)).all()):
            nearest = float((points[:, 2]).min())
            return t * torch.tensor([1.0, 1.0, 0.0]) + torch.tensor(
                [0.0, 0.0, max(float(t[2]) * config.closer, _NEAREST_M - nearest)]
            )
        distance_m *= 1.06
    raise RuntimeError("these people spread too far to be filmed by one camera")
