"""Errors of one body of a photo against the truth of its world."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.keypoints import BLAZEPOSE33, KEYPOINT_INDEX, LIMB_KEYPOINTS
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.fitting.sample_kinds import BENT_DEG, hip_flexion_deg
from kinflow.metrics.pose import pa_mpjpe
from kinflow.results import Person
from kinflow.synth.world import WorldPerson

FAR_DEG = 25.0
"""A trunk that is off by more than this looks wrong to anybody."""
RIGHT_MM = 100.0
_COMPARED = [
    *LIMB_KEYPOINTS,
    *(KEYPOINT_INDEX[name] for name in ("nose", "left_ear", "right_ear")),
]
_LEAST_POINTS = 5


def angle_deg(a: Float[Tensor, " 3"], b: Float[Tensor, " 3"]) -> float:
    """Angle between two directions."""
    cosine = torch.dot(a.double(), b.double()) / (a.double().norm() * b.double().norm())
    return math.degrees(math.acos(float(cosine.clamp(-1, 1))))


def trunk(joints_m: Float[Tensor, "22 3"]) -> Float[Tensor, " 3"]:
    """From the pelvis to the neck."""
    return joints_m[JOINT_INDEX["neck"]] - joints_m[JOINT_INDEX["pelvis"]]


def trunk_error_deg(truth: WorldPerson, person: Person) -> float:
    """How far the trunk points another way, in the camera's frame."""
    return angle_deg(trunk(truth.joints_cam_m), trunk(person.joints_cam_m))


def pa_mm(truth: WorldPerson, person: Person) -> float:
    """PA-MPJPE of all 22 joints."""
    return 1000 * float(pa_mpjpe(person.joints_cam_m, truth.joints_cam_m))


def pa_seen_mm(truth: WorldPerson, person: Person) -> float:
    """PA-MPJPE of the keypoints of limbs and head that nothing covers, aligned by these alone; NaN
    when they are fewer than five."""
    rows = [row for row in _COMPARED if truth.keypoint_uncovered[row]]
    if len(rows) < _LEAST_POINTS:
        return math.nan
    own = person.body().keypoints_m()[: len(BLAZEPOSE33)]
    return 1000 * float(pa_mpjpe(own[rows], truth.keypoints_cam_m[rows]))


def place_mm(truth: WorldPerson, person: Person) -> tuple[float, float, float]:
    """Error of the pelvis in space: all of it, along the line of sight, and across."""
    gap = 1000 * (person.t_cam_root_m - truth.t_cam_root_m)
    sight = truth.t_cam_root_m / truth.t_cam_root_m.norm()
    along = float(gap @ sight)
    return float(gap.norm()), abs(along), float((gap - along * sight).norm())


def sitting(pose: Float[Tensor, "22 3 3"]) -> bool:
    """Whether somebody's hips are bent as of who sits or squats."""
    return float(hip_flexion_deg(pose[list(FREE_JOINTS)])) > BENT_DEG
