"""People of one kind of body as people of another: ours as SMPL's, and back.

A person is converted by their surface: where the vertices of the target body are on the source body
is known from a registration, so whatever the source body does, these points say where the target's
vertices should be.

1. Shape: one for each person. It is the one with which the target lies best over the person in a
   few plain poses, so it does not depend on what they happen to do.
2. Start of each pose: the bones of the target turned as those of the source are, and by how much
   the two differ in the T-pose.
3. Every pose: vertices and joints, a few steps of Gauss and Newton.

The joints of two rigs are not at the same place in a body. What is asked for is the target's own
joints: those of the source moved by where the target's are in an adult in the T-pose, in the frame
of the bone above.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.bones import LOWER_LEG, UPPER_LEG, of_side
from kinflow.body.kinematics import joint_tree
from kinflow.body.model import BodyModel, PosedBody, ShapedBody
from kinflow.body.point_fit import PointTargets, PosedShapes, ShapeFreedom, fit_points
from kinflow.body.registration import Counterparts, Registration, spread_rows
from kinflow.body.shape import PHENOTYPES, LinearShapeSpace
from kinflow.body.sides import SIDES
from kinflow.body.skeleton import JOINT_INDEX, NUM_JOINTS
from kinflow.geometry.rotations import about_axis
from kinflow.optim import LMConfig

_FITTED_VERTICES = 600
_VERTEX_STD_M, _JOINT_STD_M = 0.005, 0.01
_BATCH = 32
"""Poses at a time: of each all vertices and a Jacobian are in memory."""
_SHAPE_LM = LMConfig(max_iterations=30, relative_tolerance=1e-4, initial_damping=1e-4, max_step=5.0)
_POSE_LM = LMConfig(max_iterations=8, relative_tolerance=1e-3, initial_damping=1e-4, max_step=3.0)
_PHENOTYPE_STD = 0.3
_CHILD_AGE = 0.35
"""The phenotype of a child of about eight: no way leads downhill from an adult to there."""


@dataclass(frozen=True)
class ConvertedPoses:
    """Poses of one person on the target body, and how far they are off."""

    shape: Float[Tensor, " shape"]
    pose: Float[Tensor, "poses 22 3 3"]
    t_root_m: Float[Tensor, "poses 3"]
    vertex_error_m: Float[Tensor, " poses"]
    """Mean distance of the target's vertices from their counterparts."""
    vertex_max_m: Float[Tensor, " poses"]
    joint_error_m: Float[Tensor, " poses"]
    """Mean distance of the 22 joints from where they should be."""


@dataclass(frozen=True)
class Converter:
    """From one kind of body to another.

    Use `to_theirs` and `to_ours`.
    """

    source: BodyModel
    target: BodyModel
    counterparts: Counterparts
    """Of the target's vertices on the source."""
    joint_gap_m: Float[Tensor, "22 3"]
    """From the source's joints to the target's, for the adult that was registered."""
    leg_m: float
    """Length of that adult's legs as the source has them."""

    @staticmethod
    def to_theirs(ours: BodyModel, theirs: BodyModel, registration: Registration) -> Converter:
        """From our full body to a user's."""
        adult = ours.with_shape(ours.shape_space.neutral())
        return Converter(
            ours, theirs, registration.theirs_on_ours, registration.joint_gap_m, _leg_m(adult)
        )

    @staticmethod
    def to_ours(theirs: BodyModel, ours: BodyModel, registration: Registration) -> Converter:
        """From a user's body to our full one."""
        adult = theirs.with_shape(registration.shape_of(theirs))
        # their T-pose is not quite ours, so gaps are turned into its bones
        R = adult.with_pose(registration.pose, registration.t_root_m).R_joints
        gap_m = -(_above(R).mT @ registration.joint_gap_m[:, :, None])[..., 0]
        return Converter(theirs, ours, registration.ours_on_theirs, gap_m, _leg_m(adult))

    def convert(
        self,
        shape: Float[Tensor, " shape"],
        pose: Float[Tensor, "poses 22 3 3"],
        t_root_m: Float[Tensor, "poses 3"],
    ) -> ConvertedPoses:
        """One person in any number of poses, in whatever frame they are given."""
        with torch.no_grad():
            person = self.source.with_shape(shape)
            fitted = self._shape(person)
            return self._poses(person, fitted, pose, t_root_m)

    def _shape(self, person: ShapedBody) -> PosedShapes:
        """The target's shape, and how it stands in the plain poses."""
        pose = plain_poses().to(person.rest_joints_m)
        posed = person.with_pose(pose, torch.zeros(len(pose), 3, dtype=torch.float32))
        vertices_m, joints_m = self._wanted(posed)
        rows, few = self._few()
        starts, freedom = _shapes_to_start_from(self.target)
        count = len(starts)
        start = PosedShapes(
            pose.expand(count, *pose.shape),
            joints_m[:, 0].expand(count, -1, -1),
            starts,
            freedom,
        )
        targets = self._targets(
            vertices_m[:, rows].expand(count, -1, -1, -1),
            joints_m.expand(count, -1, -1, -1),
            len(rows),
        )
        found = fit_points(few, start, targets, _SHAPE_LM)
        best = found.energy.argmin()
        return found.state[best[None]]

    def _poses(
        self, person: ShapedBody, fitted: PosedShapes, pose: Tensor, t_root_m: Tensor
    ) -> ConvertedPoses:
        rows, few = self._few()
        target = self.target.with_shape(fitted.shape[0])
        # how the target's bones are turned where the source stands in the T-pose
        R_rest = target.with_pose(fitted.pose[0, 0], torch.zeros(3, dtype=torch.float32)).R_joints
        found: list[tuple[Tensor, ...]] = []
        for some, place in zip(pose.split(_BATCH), t_root_m.split(_BATCH), strict=True):
            posed = person.with_pose(some, place)
            vertices_m, joints_m = self._wanted(posed)
            R = posed.R_joints @ R_rest
            start = PosedShapes(
                (_above(R).mT @ R)[:, None],
                joints_m[:, None, 0],
                fitted.shape.expand(len(R), -1),
            )
            targets = self._targets(vertices_m[:, None, rows], joints_m[:, None], len(rows))
            state = fit_points(few, start, targets, _POSE_LM).state
            result = target.with_pose(state.pose[:, 0], state.t_root_m[:, 0])
            off = torch.linalg.vector_norm(result.vertices_m() - vertices_m, dim=-1)
            off = off[:, self.counterparts.trusted]
            joints_off = torch.linalg.vector_norm(result.joints_m - joints_m, dim=-1)
            found.append(
                (result.pose, state.t_root_m[:, 0], off.mean(1), off.amax(1), joints_off.mean(1))
            )
        return ConvertedPoses(
            fitted.shape[0], *(torch.cat(column) for column in zip(*found, strict=True))
        )

    def _wanted(
        self, posed: PosedBody
    ) -> tuple[Float[Tensor, "poses vertices 3"], Float[Tensor, "poses 22 3"]]:
        """Where the target's vertices and joints should be."""
        size = _leg_m(posed.shaped) / self.leg_m
        gap_m = (_above(posed.R_joints) @ self.joint_gap_m[..., None])[..., 0]
        return self.counterparts.points.of(posed.vertices_m()), posed.joints_m + size * gap_m

    def _few(self) -> tuple[Tensor, BodyModel]:
        """Vertices of the target that are fitted, evenly spread, and the target with those only."""
        at_rest = self.target.with_shape(self.target.shape_space.neutral())
        rows = spread_rows(at_rest.rest_vertices_m, self.counterparts.trusted, _FITTED_VERTICES)
        return rows, self.target.select_vertices(rows)

    @staticmethod
    def _targets(vertices_m: Tensor, joints_m: Tensor, count: int) -> PointTargets:
        inverse_std = (torch.eye(3, dtype=torch.float32) / _VERTEX_STD_M).expand(1, count, 3, 3)
        return PointTargets(vertices_m, joints_m, inverse_std, _JOINT_STD_M)


def _shapes_to_start_from(
    target: BodyModel,
) -> tuple[Float[Tensor, "starts shape"], ShapeFreedom]:
    """An average adult and, of our body, a child; and how free shapes are."""
    space = target.shape_space
    neutral = space.neutral()
    if isinstance(space, LinearShapeSpace):
        return neutral[None], ShapeFreedom(neutral, torch.ones_like(neutral))
    child = neutral.clone()
    child[PHENOTYPES.index("age")] = _CHILD_AGE
    std = torch.full_like(neutral, _PHENOTYPE_STD)
    return torch.stack([neutral, child]), ShapeFreedom(neutral, std, 0.0, 1.0)


def plain_poses() -> Float[Tensor, "3 22 3 3"]:
    """The T-pose, arms hanging, and sitting with bent elbows."""
    pose = torch.eye(3, dtype=torch.float32).repeat(3, NUM_JOINTS, 1, 1)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        down = _about("z", -sign * 1.1)
        pose[1, JOINT_INDEX[f"{side}_shoulder"]] = down
        pose[2, JOINT_INDEX[f"{side}_shoulder"]] = down
        pose[2, JOINT_INDEX[f"{side}_elbow"]] = _about("y", -sign * 1.2)
        pose[2, JOINT_INDEX[f"{side}_hip"]] = _about("x", -1.2)
        pose[2, JOINT_INDEX[f"{side}_knee"]] = _about("x", 1.2)
    return pose


def _about(axis: str, angle_rad: float) -> Float[Tensor, "3 3"]:
    return about_axis(axis, torch.tensor(angle_rad, dtype=torch.float32))


def _above(R_joints: Float[Tensor, "*batch 22 3 3"]) -> Float[Tensor, "*batch 22 3 3"]:
    """Rotation of the bone above each joint; none above the root."""
    above = R_joints[..., joint_tree(R_joints).parents, :, :].clone()
    above[..., 0, :, :] = torch.eye(3).to(R_joints)
    return above


def _leg_m(shaped: ShapedBody) -> float:
    offsets_m = shaped.joint_offsets_m()
    bones = (bone for side in SIDES for bone in of_side(side, UPPER_LEG, LOWER_LEG))
    legs = [JOINT_INDEX[end] for _, end in bones]
    return float(torch.linalg.vector_norm(offsets_m[legs], dim=-1).sum()) / 2
