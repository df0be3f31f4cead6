"""What a sample says of a body in space, as points and triangles to be drawn.

Mocap and bodies of the SMPL family are shown through our own body of average shape: left and right,
axes and the camera are what a look has to settle, and for these it serves as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float32, Int

from kinflow.body.bones import STICK_FIGURE
from kinflow.body.model import BodyModel
from kinflow.body.skeleton import JOINT_INDEX, JOINT_NAMES, PARENTS
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import BodyLabel, CalibratedCamera

SKELETON: tuple[tuple[str, str], ...] = tuple(
    (JOINT_NAMES[parent], name)
    for parent, name in zip(PARENTS, JOINT_NAMES, strict=True)
    if parent >= 0
)
LINES: tuple[tuple[str, str], ...] = (*SKELETON, *STICK_FIGURE)
"""Pairs of names between which lines are drawn where both are known."""
_CUBE_M = 0.025
_PELVIS_M = {"smpl": (0.0, -0.22, 0.03), "smplh": (0.0, -0.22, 0.03), "smplx": (0.0, -0.35, 0.01)}
"""About where the pelvis of the rest body is, to which the model's translation is added."""


@dataclass(frozen=True)
class Figure:
    """A body in the camera's frame.

    Args:
        names: of the joints.
        joints_cam_m: where they are.
        vertices_cam_m: of the mesh; empty where only joints are drawn.
        faces: triangles of the mesh.
    """

    names: tuple[str, ...]
    joints_cam_m: Float32[np.ndarray, "joints 3"]
    vertices_cam_m: Float32[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]


def body_figure(sample: Sample, view: CalibratedCamera, with_mesh: bool = True) -> Figure | None:
    """The body of a sample; None where it has none, or none that this view can place.

    Args:
        sample: with a body.
        view: what it is seen with.
        with_mesh: whether the surface is wanted too.
    """
    body = sample.body
    if body is None or (body.space == "world" and view.R_cam_world is None):
        return None
    own = body.model == "kinflow" and body.shape is not None
    model = _mesh_body() if with_mesh else _joints_body()
    shape = torch.from_numpy(body.shape) if own else model.shape_space.neutral()
    shaped = model.with_shape(shape)
    posed = shaped.with_pose(_pose(body), torch.from_numpy(_root_m(sample, body)))
    joints, vertices = posed.joints_m.numpy(), posed.vertices_m().numpy()
    if body.space == "world":
        joints, vertices = view.to_camera(joints), view.to_camera(vertices)
    return Figure(JOINT_NAMES, _float(joints), _float(vertices), shaped.body.faces.numpy())


def joint_figure(sample: Sample, view: CalibratedCamera) -> Figure | None:
    """The valid joints of a sample; None where it has none, or none that this view can place."""
    joints = sample.joints
    if joints is None or (joints.space == "world" and view.R_cam_world is None):
        return None
    names = tuple(n for n, valid in zip(joints.names, joints.valid, strict=True) if valid)
    points = joints.position_m[joints.valid]
    if joints.space == "world":
        points = view.to_camera(points)
    none = np.zeros((0, 3), np.int64)
    return Figure(names, _float(points), np.zeros((0, 3), np.float32), none)


def view_without_camera(sample: Sample, side: int) -> CalibratedCamera | None:
    """A view of what is in space from some metres before it; None where nothing is.

    What is in the camera's frame is seen along its axis, what is in the world upright.
    """
    label = sample.joints or sample.body
    if label is None:
        return None
    R = np.eye(3, dtype=np.float32)
    if label.space == "world":
        R = _upright(np.array([0, 1, 0], np.float32) if sample.up is None else sample.up)
    if sample.joints is not None:
        at = sample.joints.position_m[sample.joints.valid]
    else:
        at = sample.body.t_space_m[None] if sample.body is not None else np.zeros((0, 3))
    if not len(at):
        return None
    low, high = at.min(0), at.max(0)
    extent_m = max(float((high - low).max()), 2.2 if len(at) == 1 else 0.5)
    away_m = np.array([0, 0, 3 * extent_m], np.float32)
    t = _float(away_m - R @ ((low + high) / 2))
    focal = 2.5 * side
    # labels of the camera's frame are put before this view too, so they count as its world
    middle, size = (side / 2, side / 2), (side, side)
    return CalibratedCamera((focal, focal), middle, size, R_cam_world=R, t_cam_world_m=t)


def _upright(up: np.ndarray) -> Float32[np.ndarray, "3 3"]:
    """A rotation after which up is -y and the old x, or y, still points about right."""
    right = np.eye(3)[0 if abs(up[0]) < 0.9 else 1]
    right = right - up * (right @ up)
    right /= np.linalg.norm(right)
    return _float(np.stack([right, -up, np.cross(right, -up)]))


def _pose(body: BodyLabel) -> torch.Tensor:
    """Rotations of our joints; those that the label does not name stay at rest."""
    pose = torch.eye(3, dtype=torch.float32).repeat(len(JOINT_NAMES), 1, 1)
    for name, R in zip(body.joint_names, body.R_parent_joint, strict=True):
        if name in JOINT_INDEX:
            pose[JOINT_INDEX[name]] = torch.from_numpy(R)
    pose[0] = torch.from_numpy(body.R_parent_joint[0])
    return pose


def _root_m(sample: Sample, body: BodyLabel) -> Float32[np.ndarray, "3"]:
    """Where the pelvis is: as labelled, or by the translation."""
    joints = sample.joints
    if joints is not None and joints.space == body.space and "pelvis" in joints.names:
        row = joints.names.index("pelvis")
        if joints.valid[row]:
            return _float(joints.position_m[row])
    rest = _PELVIS_M.get(body.model, (0.0, 0.0, 0.0))
    return _float(body.pelvis_space_m(np.array(rest, np.float32)))


def _float(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32)


@cache
def _mesh_body() -> BodyModel:
    return BodyModel.load().coarsened(_CUBE_M)


@cache
def _joints_body() -> BodyModel:
    return BodyModel.load("joints")
