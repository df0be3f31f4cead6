"""People who stand, sit and lie: poses whose root is right with respect to gravity.

Motion capture has people who stand and move in plenty, few who sit and hardly any who lie. So legs
of a recorded pose are bent to sit, and whole bodies are laid on their back, front or side; where
the recordings have somebody who lies, it is one of those as often.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.model import PosedBody
from kinflow.body.part_mesh import PartMesh
from kinflow.body.parts import part_indices
from kinflow.body.sides import SIDES
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.geometry.rotations import about_axis, rotvec_to_matrix
from kinflow.synth.people import PeopleSource

Posture = Literal["standing", "sitting", "lying"]
POSTURES: tuple[Posture, ...] = ("standing", "sitting", "lying")

UPRIGHT_DEG, LYING_DEG = 50.0, 60.0
"""Trunks that lean by less stand, those that lean by more lie; from the pelvis to the neck."""
_TRIES = 40
_CHAIR_SHARE = 0.7
_RECORDED_LYING_SHARE = 0.5
_CALM = 0.6
"""Who lies does so with limbs bent by so much of what they are in a standing person's pose."""
_SEAT_PARTS = part_indices("torso", "upper_leg")


def turn(axis: Literal["x", "y", "z"], angle: float) -> Float[Tensor, "3 3"]:
    """Rotation about a coordinate axis by an angle in radians."""
    return about_axis(axis, torch.tensor(angle, dtype=torch.float32))


def trunk_tilt_deg(joints_m: Float[Tensor, "22 3"], up: Float[Tensor, " 3"]) -> float:
    """Angle between the direction from the pelvis to the neck and the way up."""
    trunk = joints_m[JOINT_INDEX["neck"]] - joints_m[JOINT_INDEX["pelvis"]]
    cosine = torch.dot(trunk, up) / (trunk.norm() * up.norm()).clamp_min(1e-9)
    return math.degrees(math.acos(float(cosine.clamp(-1, 1))))


def pose_in_world(
    people: PeopleSource,
    posture: Posture,
    mesh: PartMesh,
    rng: np.random.Generator,
) -> Float[Tensor, "22 3 3"]:
    """A pose whose root is turned in a world with y up, by any heading.

    Args:
        people: whose poses.
        posture: what the person does.
        mesh: any body, by whose joints postures are told apart.
        rng: source of randomness.
    """
    if posture == "lying" and rng.random() < _RECORDED_LYING_SHARE:
        recorded = _recorded(people, mesh, rng, LYING_DEG, 180.0)
        if recorded is not None:
            return recorded
    pose = _recorded(people, mesh, rng, 0.0, UPRIGHT_DEG)
    if pose is None:  # a set of nothing but people who lie
        pose = people.pose(rng)
        pose[0] = torch.eye(3)
    if posture == "sitting":
        return _sitting(pose, rng)
    return _lying(pose, rng) if posture == "lying" else pose


def _recorded(
    people: PeopleSource, mesh: PartMesh, rng: np.random.Generator, least: float, most: float
) -> Tensor | None:
    """A recorded pose with a trunk that leans by so many degrees; None if none was found soon."""
    shaped = mesh.body.with_shape(mesh.body.shape_space.neutral())
    for _ in range(_TRIES):
        pose = people.pose(rng)
        joints_m = shaped.with_pose(pose, torch.zeros(3)).joints_m
        if least <= trunk_tilt_deg(joints_m, torch.tensor([0.0, 1.0, 0.0])) <= most:
            pose[0] = turn("y", rng.uniform(-math.pi, math.pi)) @ pose[0]
            return pose
    return None


def _sitting(pose: Tensor, rng: np.random.Generator) -> Tensor:
    """On a chair, or on the floor with legs stretched or crossed."""
    chair = rng.random() < _CHAIR_SHARE
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        hip_deg = rng.uniform(70, 100)
        knee_deg = rng.uniform(60, 105) if chair else rng.uniform(5, 110)
        apart_deg = rng.uniform(-2, 20) if chair else rng.uniform(5, 40)
        hip = turn("y", sign * math.radians(apart_deg)) @ turn("x", -math.radians(hip_deg))
        pose[JOINT_INDEX[f"{side}_hip"]] = hip
        pose[JOINT_INDEX[f"{side}_knee"]] = turn("x", math.radians(knee_deg))
        pose[JOINT_INDEX[f"{side}_ankle"]] = turn("x", math.radians(rng.normal(0, 8)))
    lean, aside = (math.radians(rng.normal(mean, 8)) for mean in (4, 0))
    heading = turn("y", rng.uniform(-math.pi, math.pi))
    pose[0] = heading @ turn("z", aside) @ turn("x", lean)
    return pose


def _lying(pose: Tensor, rng: np.random.Generator) -> Tensor:
    """On the back, the front or a side, limbs calmer than those of who stands."""
    for joint in range(1, len(pose)):
        pose[joint] = _part_of(pose[joint], _CALM)
    spin = (0.0, math.pi, math.pi / 2, -math.pi / 2)[rng.choice(4, p=(0.5, 0.2, 0.15, 0.15))]
    spin += math.radians(rng.normal(0, 8))
    rise = -math.pi / 2 + math.radians(rng.normal(0, 6))
    pose[0] = turn("y", rng.uniform(-math.pi, math.pi)) @ turn("x", rise) @ turn("y", spin)
    return pose


def _part_of(R: Tensor, share: float) -> Tensor:
    """The rotation about the same axis by a share of its angle (below half a turn)."""
    axis = torch.stack([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])
    sine = axis.norm()
    angle = torch.atan2(sine, R.trace() - 1)
    return rotvec_to_matrix(share * angle * axis / sine.clamp_min(1e-9))


def seat_height_m(posed: PosedBody, mesh: PartMesh) -> float:
    """Height of the lowest point of the trunk and thighs of a body in a world with y up."""
    rows = torch.isin(mesh.body.vertex_parts, torch.tensor(_SEAT_PARTS))
    return float(posed.vertices_m()[rows, 1].min())
