"""The statistical body: shape space, skeleton and linear blend skinning, in three stages.

    body = BodyModel.load()               # the asset
    shaped = body.with_shape(shape)       # rest points of a person, metres
    posed = shaped.with_pose(pose, t)     # joints; vertices and keypoints on demand

Each stage is an immutable value, so whatever does not change is computed once. Rest points keep the
asset's own A-pose (its skinning was made for it) and the fixed rotations `Q_rest` carry them to the
T-pose that pose rotations refer to: with G_j the global rotation of joint j and W_j = G_j Q_j,

    p_child = p_parent + W_parent (a_child - a_parent)
    v       = sum_j w_vj [ W_j (v_rest - a_j) + p_j ]

which is SMPL's skinning (Loper et al. 2015, eq. 2-6) when Q_j = I.

In the T-pose arms point along +x (left) and -x, and elbows flex forwards (+z) about the vertical:

>>> import torch
>>> from kinflow.body import BodyModel
>>> from kinflow.body.skeleton import JOINT_INDEX
>>> from kinflow.geometry.rotations import rotvec_to_matrix
>>> body = BodyModel.load("joints")
>>> person = body.with_shape(body.shape_space.neutral())
>>> pose = torch.eye(3).repeat(22, 1, 1)
>>> pose[JOINT_INDEX["left_elbow"]] = rotvec_to_matrix(torch.tensor([0.0, -torch.pi / 2, 0.0]))
>>> joints_m = person.with_pose(pose, t_root_m=torch.zeros(3)).joints_m
>>> forearm = joints_m[JOINT_INDEX["left_wrist"]] - joints_m[JOINT_INDEX["left_elbow"]]
>>> (forearm / forearm.norm()).round().tolist()[2]
1.0
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.body.asset import BodyAsset, load_bundled
from kinflow.body.kinematics import forward_kinematics, offsets_in_t_pose
from kinflow.body.shape import ShapeSpace
from kinflow.body.skeleton import NUM_JOINTS
from kinflow.body.skinning import blended, joint_maps, moved_m
from kinflow.tensors import check_axes

Subset = Literal["full", "fit", "joints"]


@dataclass(frozen=True)
class BodyModel:
    """Everything about a family of bodies that does not depend on the person.

    Rest points are ordered joints (22), virtual keypoint points (p), vertices (v). A keypoint is a
    weighted sum of virtual points, each moved rigidly by one joint.
    """

    shape_space: ShapeSpace
    rest_mean_m: Float[Tensor, "points 3"]
    rest_basis_m: Float[Tensor, "rank points 3"]
    Q_rest: Float[Tensor, "22 3 3"]
    skin_weights: Float[Tensor, "vertices 22"]
    faces: Int[Tensor, "faces 3"]
    vertex_parts: Int[Tensor, " vertices"]
    keypoint_mass: Float[Tensor, "keypoints virtual"]
    keypoint_joint: Int[Tensor, " virtual"]
    pose_basis_m: Float[Tensor, "features vertices 3"] | None = None
    """Pose blend shapes of SMPL-family bodies, over (R_j - I) of joints 1..21, row-major."""

    @staticmethod
    def load(subset: Subset = "full", device: torch.device | str = "cpu") -> BodyModel:
        """The bundled body: all 13,718 vertices, the ~1200 spread for fitting, or joints only.

        Raises:
            AssetError: the bundled file is missing or damaged.
        """
        asset = load_bundled()
        body = BodyModel.of(asset)
        if subset == "fit":
            body = body.select_vertices(asset.fit_vertices)
        elif subset == "joints":
            body = body.select_vertices(asset.fit_vertices[:0])
        return body.to(device)

    @staticmethod
    def of(asset: BodyAsset) -> BodyModel:
        """What the file of a body holds, with all vertices."""
        return BodyModel(
            shape_space=asset.shape_space,
            rest_mean_m=asset.rest_mean_m,
            rest_basis_m=asset.rest_basis_m,
            Q_rest=asset.Q_rest,
            skin_weights=asset.skin_weights,
            faces=asset.faces,
            vertex_parts=asset.vertex_parts,
            keypoint_mass=asset.keypoint_mass,
            keypoint_joint=asset.keypoint_joint,
        )

    @property
    def num_vertices(self) -> int:
        return len(self.skin_weights)

    def select_vertices(self, index: Int[Tensor, " chosen"]) -> BodyModel:
        """The same body with some of its vertices only, exactly; it has no faces."""
        first = len(self.rest_mean_m) - self.num_vertices
        keep = torch.cat([torch.arange(first), first + index.long()])
        return replace(
            self,
            rest_mean_m=self.rest_mean_m[keep],
            rest_basis_m=self.rest_basis_m[:, keep],
            skin_weights=self.skin_weights[index.long()],
            vertex_parts=self.vertex_parts[index.long()],
            faces=self.faces[:0],
            pose_basis_m=None if self.pose_basis_m is None else self.pose_basis_m[:, index.long()],
        )

    def coarsened(self, cube_m: float) -> BodyModel:
        """The same body with fewer triangles, for drawing it small.

        Vertices of one part that share a cube of this size at rest become one of them (vertex
        clustering, Rossignac & Borrel 1993), and triangles that lose a corner vanish.
        """
        rest_m = self.with_shape(self.shape_space.neutral()).rest_vertices_m
        cubes = torch.cat([(rest_m / cube_m).floor().long(), self.vertex_parts[:, None]], 1)
        cluster = torch.unique(cubes, dim=0, return_inverse=True)[1]
        order = cluster.argsort(stable=True)
        is_first = torch.ones_like(order, dtype=torch.bool)
        is_first[1:] = cluster[order[1:]] != cluster[order[:-1]]
        faces = cluster[self.faces.long()]
        a, b, c = faces.T
        kept = faces[(a != b) & (b != c) & (c != a)].to(self.faces.dtype)
        return replace(self.select_vertices(order[is_first]), faces=kept)

    def to(self, device: torch.device | str) -> BodyModel:
        """The same body with its tensors on `device`."""
        moved = {
            name: value.to(device) for name, value in vars(self).items() if hasattr(value, "to")
        }
        return replace(self, **moved)

    def with_shape(self, shape: Float[Tensor, "*batch shape"]) -> ShapedBody:
        """Rest points of the bodies with these shape parameters.

        Raises:
            InputError: there is another number of parameters.
        """
        check_axes(shape, "shape", (len(self.shape_space.names),))
        shape = shape.to(self.rest_mean_m.dtype)
        return self.with_code(shape, self.shape_space.code(shape))

    def with_code(
        self, shape: Float[Tensor, "*batch shape"], code: Float[Tensor, "*batch rank"]
    ) -> ShapedBody:
        """As `with_shape`, where the basis coefficients are known already."""
        points = (code @ self.rest_basis_m.flatten(1)).unflatten(-1, (-1, 3)) + self.rest_mean_m
        virtual = NUM_JOINTS + len(self.keypoint_joint)
        return ShapedBody(
            body=self,
            shape=shape,
            rest_joints_m=points[..., :NUM_JOINTS, :],
            rest_virtual_m=points[..., NUM_JOINTS:virtual, :],
            rest_vertices_m=points[..., virtual:, :],
        )


@dataclass(frozen=True)
class ShapedBody:
    """A person at rest (the asset's A-pose), body frame: y up, facing +z, +x to their left."""

    body: BodyModel
    shape: Float[Tensor, "*batch shape"]
    rest_joints_m: Float[Tensor, "*batch 22 3"]
    rest_virtual_m: Float[Tensor, "*batch virtual 3"]
    rest_vertices_m: Float[Tensor, "*batch vertices 3"]

    def joint_offsets_m(self) -> Float[Tensor, "*batch 22 3"]:
        """Parent-to-child offsets in the T-pose; zero for the root."""
        return offsets_in_t_pose(self.rest_joints_m, self.body.Q_rest)

    def keypoint_offsets_m(self) -> Float[Tensor, "*batch virtual 3"]:
        """Offsets of the virtual keypoint points from their joints in the T-pose."""
        joint = self.body.keypoint_joint
        from_joint = self.rest_virtual_m - self.rest_joints_m[..., joint, :]
        return (self.body.Q_rest[joint] @ from_joint[..., None])[..., 0]

    def with_pose(
        self, pose: Float[Tensor, "*batch 22 3 3"], t_root_m: Float[Tensor, "*batch 3"]
    ) -> PosedBody:
        """Pose the person; one person (no batch axes) can take many poses at once.

        Args:
            pose: local rotations relative to the T-pose; entry 0 turns the root into the outer
                frame (for a reconstruction the camera's), the others a joint in its parent.
            t_root_m: position of the pelvis joint in the outer frame.

        Raises:
            InputError: pose or position have another shape.
        """
        check_axes(pose, "pose", (NUM_JOINTS, 3, 3))
        check_axes(t_root_m, "t_root_m", (3,))
        pose, t_root_m = (x.to(self.rest_joints_m.dtype) for x in (pose, t_root_m))
        R_joints, joints_m = forward_kinematics(pose, t_root_m, self.joint_offsets_m())
        return PosedBody(self, pose, R_joints, joints_m)


@dataclass(frozen=True)
class PosedBody:
    """A posed person, in whatever frame the root rotation and position are given."""

    shaped: ShapedBody
    pose: Float[Tensor, "*batch 22 3 3"]
    R_joints: Float[Tensor, "*batch 22 3 3"]
    joints_m: Float[Tensor, "*batch 22 3"]

    def virtual_points_m(self) -> Float[Tensor, "*batch virtual 3"]:
        """The rigidly moved points that keypoints are sums of."""
        joint = self.shaped.body.keypoint_joint
        turned = self.R_joints[..., joint, :, :] @ self.shaped.keypoint_offsets_m()[..., None]
        return turned[..., 0] + self.joints_m[..., joint, :]

    def keypoints_m(self) -> Float[Tensor, "*batch keypoints 3"]:
        """BlazePose's 33 keypoints and the small toes, in the order of KEYPOINT_NAMES."""
        return self.shaped.body.keypoint_mass @ self.virtual_points_m()

    def vertices_m(self) -> Float[Tensor, "*batch vertices 3"]:
        """Linear blend skinning (with pose blend shapes where the body has them)."""
        body, rest_joints_m = self.shaped.body, self.shaped.rest_joints_m
        maps = joint_maps(self.R_joints, self.joints_m, rest_joints_m, body.Q_rest)
        return moved_m(blended(body.skin_weights, maps), self.corrected_rest_m())

    def corrected_rest_m(self) -> Float[Tensor, "*batch vertices 3"]:
        """Vertices at rest, with the pose blend shapes of bodies that have them."""
        body, rest = self.shaped.body, self.shaped.rest_vertices_m
        if body.pose_basis_m is None:
            return rest
        feature = (self.pose[..., 1:, :, :] - torch.eye(3).to(self.pose)).flatten(-3)
        return rest + (feature @ body.pose_basis_m.flatten(1)).unflatten(-1, (-1, 3))
