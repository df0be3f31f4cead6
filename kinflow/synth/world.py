"""Worlds: people on one floor under one gravity, before one camera, with the truth of everybody.

    source = WorldSource(WorldConfig(count=(1, 4), postures=(0.6, 0.2, 0.2)))
    world = source.world(7)          # a seed is a world, always the same one
    rgb = WorldPainter.load().paint(world, np.random.default_rng(7))

Where `kinflow.synth.scene` has one person and simulated detectors, a world is a picture to run real
detectors on: people stand, sit and lie on a floor, behind furniture, behind each other and beyond
the image's edge; what hides what is settled by depth. The world frame is y up with the floor at
y = 0; a camera that looks up steeply is below that floor, as before a stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.model import PosedBody
from kinflow.checks import nested, not_negative, numbers_of, one_of, pairs_of_sides, share, whole
from kinflow.errors import InputError
from kinflow.geometry.pinhole import Camera
from kinflow.synth.people import PeopleConfig
from kinflow.synth.postures import POSTURES, Posture

Hiding = Literal["nothing", "furniture", "person", "edge"]
"""What covers the legs of the first person."""

_MIN_SIDE_PX, _MAX_SIDE_PX = 16, 8192


@dataclass(frozen=True)
class WorldConfig:
    """What worlds look like.

    Attributes:
        people: whose poses; shapes are drawn from the fields below.
        count: least and largest number of people, besides one who hides another.
        postures: shares of people who stand, sit and lie.
        alike_share: how often everybody does the same as the first.
        hiding: what covers the legs of the first person.
        in_full: whether the first person, or each of `count`, has to be in the image as a whole
            with nothing before them.
        child_share: share of children.
        child_ages: range of their phenotype `age`; 0.11 is two years, 0.54 fourteen.
        shape_spread: multiple of the spread of adults.
        image_sizes: (width, height) of the images, one of which is drawn.
        fov_deg: range of the field of view over the longer side.
        pitch_deg: range of the camera's pitch, positive where it looks down.
        roll_std_deg: spread of its roll.
        size_range: extent of the first person relative to the shorter image side.
        depth_range: distance of others relative to the first person's.
        furniture: at most this many boxes stand behind people.
        seed: worlds of another seed are other worlds.
    """

    people: PeopleConfig = PeopleConfig(prior_share=0.0)
    count: tuple[int, int] = (1, 1)
    postures: tuple[float, float, float] = (0.7, 0.3, 0.0)
    alike_share: float = 0.0
    hiding: Hiding = "nothing"
    in_full: bool = False
    child_share: float = 0.08
    child_ages: tuple[float, float] = (0.2, 0.54)
    shape_spread: float = 1.25
    image_sizes: tuple[tuple[int, int], ...] = ((640, 640), (720, 540), (540, 720))
    fov_deg: tuple[float, float] = (35.0, 80.0)
    pitch_deg: tuple[float, float] = (-8.0, 22.0)
    roll_std_deg: float = 2.5
    size_range: tuple[float, float] = (0.5, 0.9)
    depth_range: tuple[float, float] = (0.75, 1.8)
    furniture: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        nested(self, people=PeopleConfig)
        numbers_of(self, "count", count=2, at_least=1, at_most=50, kind=int, ascending=True)
        numbers_of(self, "postures", count=3, at_least=0, at_most=1)
        if sum(self.postures) <= 0:
            raise InputError("postures has to give a share to at least one posture.")
        one_of(self, "hiding", get_args(Hiding))
        share(self, "alike_share", "child_share")
        numbers_of(self, "child_ages", count=2, at_least=0, at_most=1, ascending=True)
        pairs_of_sides(self, "image_sizes", at_least=_MIN_SIDE_PX, at_most=_MAX_SIDE_PX)
        numbers_of(self, "fov_deg", count=2, at_least=1, at_most=170, ascending=True)
        numbers_of(self, "pitch_deg", count=2, at_least=-60, at_most=60, ascending=True)
        not_negative(self, "roll_std_deg", "shape_spread")
        numbers_of(
            self, "size_range", "depth_range", count=2, at_least=0.01, at_most=100, ascending=True
        )
        whole(self, "furniture", at_most=50)
        whole(self, "seed")


@dataclass(frozen=True)
class Box:
    """A piece of furniture: an upright box, turned about the vertical. World frame."""

    centre_m: tuple[float, float, float]
    size_m: tuple[float, float, float]
    """Width, height and depth."""
    yaw_rad: float

    def corners_m(self) -> Float[Tensor, "8 3"]:
        """Corner i has the far side of axis k where bit k of i is set."""
        signs = torch.tensor([[(i >> k & 1) - 0.5 for k in range(3)] for i in range(8)])
        x, y, z = (signs * torch.tensor(self.size_m)).unbind(1)
        angle = torch.tensor(self.yaw_rad)
        turned = torch.stack(
            [x * angle.cos() + z * angle.sin(), y, z * angle.cos() - x * angle.sin()], 1
        )
        return turned + torch.tensor(self.centre_m)


@dataclass(frozen=True)
class WorldPerson:
    """The truth of one person, in the camera's frame. Keypoints are BlazePose's 33."""

    posture: Posture
    child: bool
    shape: Float[Tensor, " 6"]
    """Phenotypes."""
    pose: Float[Tensor, "22 3 3"]
    """Local rotations; entry 0 turns the root into the camera's frame."""
    t_cam_root_m: Float[Tensor, " 3"]
    joints_cam_m: Float[Tensor, "22 3"]
    keypoints_cam_m: Float[Tensor, "33 3"]
    keypoints_px: Float[Tensor, "33 2"]
    """True positions, outside of the image too."""
    keypoint_uncovered: Bool[Tensor, " 33"]
    """Inside the image, and neither furniture nor other people are before it."""
    keypoint_visible: Bool[Tensor, " 33"]
    """Uncovered, and not behind the person's own body either."""

    def posed(self, body: BodyModel) -> PosedBody:
        """The person in the camera's frame, as any subset of the bundled body."""
        return body.with_shape(self.shape).with_pose(self.pose, self.t_cam_root_m)


@dataclass(frozen=True)
class World:
    """People and furniture before a camera: x_cam = R_cam_world x_world + t_cam_world_m."""

    camera: Camera
    R_cam_world: Float[Tensor, "3 3"]
    t_cam_world_m: Float[Tensor, " 3"]
    people: tuple[WorldPerson, ...]
    """The first is who the picture is about; one who hides another comes last."""
    boxes: tuple[Box, ...]
    hiding: Hiding

    @property
    def up_cam(self) -> Float[Tensor, " 3"]:
        """The way up, against gravity, in the camera's frame."""
        return self.R_cam_world[:, 1]

    @property
    def camera_height_m(self) -> float:
        """Height of the camera above the floor; negative below it."""
        return -float(self.up_cam @ self.t_cam_world_m)

    def height_above_floor_m(self, points_cam_m: Float[Tensor, "*batch 3"]) -> Tensor:
        """Height above the floor of points in the camera's frame, (*batch)."""
        return points_cam_m @ self.up_cam + self.camera_height_m


def posture_of(config: WorldConfig, at: float) -> Posture:
    """The posture at a place in [0, 1) of the cumulated shares."""
    reached = 0.0
    for posture, part in zip(POSTURES, config.postures, strict=True):
        reached += part / sum(config.postures)
        if at < reached:
            return posture
    return next(p for p, part in zip(POSTURES, config.postures, strict=True) if part > 0)
