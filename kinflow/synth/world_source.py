"""Draws worlds: who is there, where the camera is, what stands before whom.

The first person is drawn and put before a camera of random pitch, roll and field of view; that
settles where the floor is. Furniture and people before them are put where they cover the legs,
others where the image shows them. What came out otherwise is drawn again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.bones import LOWER_LEG, UPPER_ARM, both_sides
from kinflow.body.keypoints import BLAZEPOSE33, KEYPOINT_INDEX
from kinflow.body.model import PosedBody
from kinflow.body.part_mesh import PartMesh
from kinflow.body.sides import SIDES
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.geometry.pinhole import Camera
from kinflow.synth.people import ADULT_MEAN, ADULT_STD, PeopleSource
from kinflow.synth.postures import Posture, pose_in_world, seat_height_m, turn
from kinflow.synth.rendering import coarse_mesh
from kinflow.synth.world import Box, World, WorldConfig, WorldPerson, posture_of
from kinflow.synth.world_depth import Drawn, covered, draw, draw_boxes

_UPRIGHT = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
"""From a world with y up, seen along -z, to the camera's axes."""

_NEAREST_M = 0.4
"""Nothing of anybody is nearer to the camera."""
_LOWEST_CAMERA_M = 0.15
_LOOKS_UP_DEG = -8.0
"""Only cameras that look up by more than this may be below the floor that people stand on."""
_APART_M = 0.25
"""Joints of different people are at least this far from each other."""
_FRONT_SHARE = 0.45
"""Who covers another's legs has at least this share of the other's distance."""
_SMALL_AGES = (0.08, 0.25)
"""Phenotype `age` of children who cover the legs of a grown-up: one and a half to five years."""
_LEAST_SEAT_M = 0.15
_LEAST_JOINTS = 12
"""Joints in the image of people who are not hidden on purpose, of 22."""
_TRIES = 400
_LEGS = [KEYPOINT_INDEX[name] for bone in both_sides(LOWER_LEG) for name in bone]
_UPPER = [KEYPOINT_INDEX[name] for bone in both_sides(UPPER_ARM) for name in bone]
_FACE_KEYPOINTS = 11
"""The first of BlazePose's keypoints are those of the face."""


@dataclass(frozen=True)
class _Body:
    """Somebody on the floor, in the world's frame."""

    posture: Posture
    child: bool
    shape: Tensor
    pose: Tensor
    root_m: Tensor
    posed: PosedBody
    seat: Box | None

    @property
    def ground_m(self) -> Tensor:
        """The place on the floor below the pelvis."""
        return self.root_m * torch.tensor([1.0, 0.0, 1.0])


class WorldSource:
    """Makes worlds; equal configurations and seeds give equal worlds."""

    def __init__(self, config: WorldConfig | None = None) -> None:
        self.config = config or WorldConfig()
        self.people = PeopleSource(self.config.people)

    @cached_property
    def mesh(self) -> PartMesh:
        """What hides what is found out with this body."""
        return coarse_mesh(BodyModel.load())

    def world(self, seed: int) -> World:
        """The world of a seed.

        Raises:
            RuntimeError: after many tries nothing was as the configuration wants it.
        """
        rng = np.random.default_rng((self.config.seed, seed))
        for _ in range(_TRIES):
            made = self._any_world(rng)
            if made is not None and self._as_wanted(made):
                return made
        raise RuntimeError(f"no world of {_TRIES} is as {self.config} wants it")

    def _any_world(self, rng: np.random.Generator) -> World | None:
        config = self.config
        sizes = config.image_sizes
        camera = Camera.from_fov(
            sizes[rng.integers(len(sizes))], float(rng.uniform(*config.fov_deg))
        )
        pitch_deg = float(rng.uniform(*config.pitch_deg))
        roll = math.radians(float(rng.normal(0, config.roll_std_deg)))
        R = turn("z", roll) @ _UPRIGHT @ turn("x", math.radians(pitch_deg))
        posture = posture_of(config, rng.random())
        bodies = [self._body(posture, torch.zeros(3), rng)]
        t = self._before_camera(bodies[0], R, camera, rng)
        if t is None:
            return None
        position_m = -(R.mT @ t)
        if position_m[1] < _LOWEST_CAMERA_M and pitch_deg > _LOOKS_UP_DEG:
            return None
        alike = rng.random() < config.alike_share
        for _ in range(int(rng.integers(config.count[0], config.count[1] + 1)) - 1):
            other = self._beside(bodies, posture if alike else None, R, t, camera, rng)
            if other is not None:
                bodies.append(other)
        if len(bodies) < config.count[0]:
            return None
        boxes = [body.seat for body in bodies if body.seat is not None]
        boxes += self._background(bodies, position_m, R, rng)
        if config.hiding == "furniture":
            table = _table(bodies[0], position_m, rng)
            if table is None:
                return None
            boxes.append(table)
        elif config.hiding == "person":
            front = self._in_front(bodies[0], position_m, rng)
            reached_m = float(((front.posed.joints_m @ R.mT + t)[:, 2]).min())
            first_m = float((R @ bodies[0].root_m + t)[2])
            if reached_m < _FRONT_SHARE * first_m or not _apart(front, bodies):
                return None
            bodies.append(front)
            boxes += [front.seat] if front.seat is not None else []
        return self._seen(bodies, boxes, camera, R, t)

    def _shape(self, rng: np.random.Generator, small: bool) -> tuple[Tensor, bool]:
        """Phenotypes, and whether they are those of a child; a small child where that is wanted."""
        spread = self.config.shape_spread * np.array(ADULT_STD)
        shape = (np.array(ADULT_MEAN) + spread * rng.standard_normal(6)).clip(0.01, 0.99)
        shape[1] = shape[1].clip(0.75, 0.93)
        child = bool(rng.random() < self.config.child_share)
        if child or small:
            shape[1] = rng.uniform(*(_SMALL_AGES if small else self.config.child_ages))
        return torch.from_numpy(shape).float(), child or small

    def _body(
        self, posture: Posture, ground_m: Tensor, rng: np.random.Generator, small: bool = False
    ) -> _Body:
        """Somebody whose lowest point is on the floor, the pelvis above `ground_m`."""
        shape, child = self._shape(rng, small)
        pose = pose_in_world(self.people, posture, self.mesh, rng)
        shaped = self.mesh.body.with_shape(shape)
        posed = shaped.with_pose(pose, torch.zeros(3))
        root_m = ground_m.clone()
        root_m[1] = -float(posed.vertices_m()[:, 1].min())
        posed = shaped.with_pose(pose, root_m)
        seat = None
        if posture == "sitting" and (top_m := seat_height_m(posed, self.mesh)) > _LEAST_SEAT_M:
            facing = pose[0] @ torch.tensor([0.0, 0.0, 1.0])
            yaw = math.atan2(float(facing[0]), float(facing[2]))
            width, depth = (float(rng.uniform(0.36, 0.5)) for _ in range(2))
            x, _, z = root_m.tolist()
            seat = Box((x, top_m / 2, z), (width, top_m, depth), yaw)
        return _Body(posture, child, shape, pose, root_m, posed, seat)

    def _before_camera(
        self, body: _Body, R: Tensor, camera: Camera, rng: np.random.Generator
    ) -> Float[Tensor, " 3"] | None:
        """Translation of the world that puts the first person where the image shows them."""
        points = body.posed.vertices_m() @ R.mT
        if self.config.hiding == "edge":
            points = points[body.posed.vertices_m()[:, 1] > _cut_height_m(body, rng)]
        low, high = points.amin(0), points.amax(0)
        extent_m = float((high - low)[:2].max())
        wanted_px = float(rng.uniform(*self.config.size_range)) * min(camera.image_size)
        middle = (low + high) / 2
        distance_m = camera.focal_px * extent_m / wanted_px
        nearest_m = _NEAREST_M + float(high[2] - low[2]) / 2
        t = torch.tensor([0.0, 0.0, max(distance_m, nearest_m)]) - middle
        for axis in range(2):
            px = camera.project(points + t)[:, axis]
            begin, end, size = float(px.min()), float(px.max()), camera.image_size[axis]
            at = rng.uniform(0.1, 0.9)
            if self.config.hiding == "edge" and axis == 1:
                at = 1.0  # what is shown ends where the image does
            slack = size - (end - begin)
            if slack < 0:
                return None
            t[axis] += (at * slack - begin) * float((middle + t)[2]) / camera.focal_px
        return t

    def _beside(
        self,
        bodies: list[_Body],
        posture: Posture | None,
        R: Tensor,
        t: Tensor,
        camera: Camera,
        rng: np.random.Generator,
    ) -> _Body | None:
        """One more person, somewhere in the image; None when there was no room."""
        up, depth_m = R[:, 1], float((R @ bodies[0].root_m + t)[2])
        for _ in range(12):
            z = depth_m * float(rng.uniform(*self.config.depth_range))
            column = float(rng.uniform(0.05, 0.95)) * camera.image_size[0]
            x = (column - camera.principal_px[0]) / camera.focal_px * z
            # the floor's height settles where along the image's column the person stands
            y = float((up @ t - up[0] * x - up[2] * z) / up[1])
            ground_m = R.mT @ (torch.tensor([x, y, z]) - t)
            body = self._body(posture or posture_of(self.config, rng.random()), ground_m, rng)
            joints = body.posed.joints_m @ R.mT + t
            px = camera.project(joints)
            inside = ((px >= 0) & (px < torch.tensor(camera.image_size))).all(1)
            near = float(joints[:, 2].min()) < _NEAREST_M + 0.2
            if not near and int(inside.sum()) >= _LEAST_JOINTS and _apart(body, bodies):
                return body
        return None

    def _in_front(self, body: _Body, position_m: Tensor, rng: np.random.Generator) -> _Body:
        """A small child or somebody who sits, low enough to cover the legs only."""
        ahead, aside = _towards(body.ground_m, position_m)
        ground_m = body.ground_m + ahead * rng.uniform(0.45, 1.0) + aside * rng.normal(0, 0.12)
        small = bool(rng.random() < 0.5)
        posture = "standing" if small and rng.random() < 0.7 else "sitting"
        return self._body(posture, ground_m.float(), rng, small)

    def _background(
        self, bodies: list[_Body], position_m: Tensor, R: Tensor, rng: np.random.Generator
    ) -> list[Box]:
        """Furniture behind everybody."""
        boxes = []
        ahead, aside = _towards(bodies[0].ground_m, position_m)
        farthest_m = max(float(-(body.posed.joints_m @ ahead).min()) for body in bodies)
        for _ in range(int(rng.integers(0, self.config.furniture + 1))):
            size = (rng.uniform(0.4, 1.8), rng.uniform(0.3, 1.6), rng.uniform(0.3, 0.7))
            behind_m = farthest_m + 1.1 + rng.uniform(0, 2)
            place = -ahead * behind_m + aside * rng.uniform(-2.5, 2.5)
            boxes.append(_box(place, size, rng.uniform(-0.4, 0.4)))
        return boxes

    def _seen(
        self, bodies: list[_Body], boxes: list[Box], camera: Camera, R: Tensor, t: Tensor
    ) -> World:
        """The world in the camera's frame, with what hides what."""
        posed = []
        for body in bodies:
            pose = body.pose.clone()
            pose[0] = R @ pose[0]
            shaped = self.mesh.body.with_shape(body.shape)
            posed.append(shaped.with_pose(pose, R @ body.root_m + t))
        drawn = [draw(one.vertices_m(), self.mesh.faces, camera) for one in posed]
        furniture = draw_boxes(boxes, R, t, camera)
        people = []
        for i, (body, one) in enumerate(zip(bodies, posed, strict=True)):
            others: list[Drawn] = [furniture, *drawn[:i], *drawn[i + 1 :]]
            keypoints_m = one.keypoints_m()[: len(BLAZEPOSE33)]
            uncovered, visible = covered(keypoints_m, camera, drawn[i], others)
            people.append(
                WorldPerson(
                    posture=body.posture,
                    child=body.child,
                    shape=body.shape,
                    pose=one.pose,
                    t_cam_root_m=R @ body.root_m + t,
                    joints_cam_m=one.joints_m,
                    keypoints_cam_m=keypoints_m,
                    keypoints_px=camera.project(keypoints_m),
                    keypoint_uncovered=uncovered,
                    keypoint_visible=visible,
                )
            )
        return World(camera, R, t, tuple(people), tuple(boxes), self.config.hiding)

    def _as_wanted(self, world: World) -> bool:
        """Whether the legs are hidden that should be, and those in full that should be."""
        first = world.people[0]
        if self.config.hiding != "nothing":
            legs, upper = first.keypoint_uncovered[_LEGS], first.keypoint_uncovered[_UPPER]
            face = first.keypoint_uncovered[:_FACE_KEYPOINTS]
            return int(legs.sum()) <= 1 and bool(upper.all()) and bool(face.all())
        if self.config.in_full:
            return all(bool(person.keypoint_uncovered.all()) for person in world.people)
        return int(first.keypoint_uncovered.sum()) >= _LEAST_JOINTS


def _cut_height_m(body: _Body, rng: np.random.Generator) -> float:
    """A height between the hips and the knees (or somewhat above what of the knees is higher)."""
    joints = body.posed.joints_m
    hips = float(joints[[JOINT_INDEX[f"{side}_hip"] for side in SIDES], 1].mean())
    knees = float(joints[[JOINT_INDEX[f"{side}_knee"] for side in SIDES], 1].max()) + 0.06
    return hips + float(rng.uniform(-0.15, 0.8)) * (min(knees, hips + 0.15) - hips)


def _towards(ground_m: Tensor, position_m: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors on the floor: towards the camera, and across."""
    ahead = (position_m - ground_m) * torch.tensor([1.0, 0.0, 1.0])
    ahead = ahead / ahead.norm().clamp_min(1e-6)
    return ahead, torch.stack([ahead[2], ahead[1], -ahead[0]])


def _table(body: _Body, position_m: Tensor, rng: np.random.Generator) -> Box | None:
    """Something before a person that covers them from about the hips down; None if it cannot be."""
    ahead, aside = _towards(body.ground_m, position_m)
    reach_m = float((body.posed.joints_m @ ahead).max() - body.ground_m @ ahead)
    gap_m, depth_m = reach_m * 0.6 + rng.uniform(0.12, 0.35), rng.uniform(0.3, 0.8)
    distance_m = float((position_m - body.ground_m) @ ahead)
    far_edge_m = gap_m  # the edge nearer to the person
    if distance_m < gap_m + depth_m + _NEAREST_M:
        return None
    covered_m = _cut_height_m(body, rng)
    # on the line of sight to that height of the person
    top_m = covered_m + (float(position_m[1]) - covered_m) * far_edge_m / distance_m
    if not 0.3 < top_m < 1.5:
        return None
    place = body.ground_m + ahead * (gap_m + depth_m / 2) + aside * rng.uniform(-0.3, 0.3)
    yaw = math.atan2(float(ahead[0]), float(ahead[2])) + rng.normal(0, 0.1)
    return _box(place, (rng.uniform(1.2, 2.6), top_m, depth_m), yaw)


def _box(ground_m: Tensor, size_m: tuple[float, float, float], yaw_rad: float) -> Box:
    """A box on the floor."""
    width, height, depth = (float(side) for side in size_m)
    return Box(
        (float(ground_m[0]), height / 2, float(ground_m[2])), (width, height, depth), float(yaw_rad)
    )


def _apart(body: _Body, others: list[_Body]) -> bool:
    """Whether nobody's joints are where those of others are."""
    return all(
        float(torch.cdist(body.posed.joints_m, other.posed.joints_m).min()) > _APART_M
        for other in others
    )
