"""Somebody who moves before a camera, made with our own body: what readers have to give back."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import roma
import torch

from kinflow.body import BodyModel
from kinflow.body.skeleton import JOINT_NAMES
from kinflow.datasets.readers.reader import samples
from kinflow.datasets.readers.registry import reader_of
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import CalibratedCamera

REST_PELVIS_M = np.array([-0.002, -0.24, 0.03], np.float32)
"""Where a body of the SMPL family has its pelvis before it is translated."""
Z_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
"""Turns a world whose y axis is up into one whose z axis is up."""


@dataclass(frozen=True)
class MadePerson:
    """Frames of somebody in a world whose y axis is up, metres."""

    R: np.ndarray
    root_m: np.ndarray
    joints_m: np.ndarray

    def rotvec(self, num_joints: int = 22, R_new_world: np.ndarray | None = None) -> np.ndarray:
        """(frames, 3 * num_joints) rotation vectors, in a turned world if asked for."""
        R = self.R.copy()
        if R_new_world is not None:
            R[:, 0] = R_new_world @ R[:, 0]
        found = np.zeros((len(R), num_joints, 3))
        found[:, :22] = roma.rotmat_to_rotvec(torch.from_numpy(R)).numpy()
        return found.reshape(len(R), -1)

    def translation(self, R_new_world: np.ndarray | None = None) -> np.ndarray:
        """What SMPL adds to its pelvis to put it where it is, in a turned world if asked for."""
        root_m = self.root_m if R_new_world is None else self.root_m @ R_new_world.T
        return (root_m - REST_PELVIS_M).astype(np.float64)

    def points(self, names: tuple[str, ...]) -> np.ndarray:
        """Points of these names; those that our body has not lie beside its joints."""
        rows = [JOINT_NAMES.index(name) if name in JOINT_NAMES else None for name in names]
        beside = np.linspace(0.02, 0.1, len(names))[:, None] * np.array([0.3, 1.0, 0.5])
        points = [
            self.joints_m[:, i % 22] + beside[i] if row is None else self.joints_m[:, row]
            for i, row in enumerate(rows)
        ]
        head_m = self.joints_m[:, JOINT_NAMES.index("head")]
        for name, at in {"nose": (0, 0.05, 0.1), "head_top": (0, 0.2, 0)}.items():
            if name in names:  # where people have them
                points[names.index(name)] = head_m + self.R[:, 0] @ np.array(at)
        return np.stack(points, 1).astype(np.float32)


def made_person(frames: int = 4, seed: int = 0, shift=(0.0, 0.0, 0.0)) -> MadePerson:
    """Somebody who stands and moves arms and legs."""
    rng = np.random.default_rng(seed)
    rotvec = np.cumsum(rng.normal(0, 0.04, (frames, 22, 3)), 0) + rng.normal(0, 0.15, (22, 3))
    rotvec[:, 0] = [0.0, rng.uniform(-3, 3), 0.0] + rng.normal(0, 0.1, (frames, 3))
    R = roma.rotvec_to_rotmat(torch.from_numpy(rotvec)).float()
    root_m = torch.tensor(rng.normal(0, 0.05, (frames, 3)) + [0, 0.9, 0] + shift).float()
    body = BodyModel.load("joints")
    posed = body.with_shape(body.shape_space.neutral()).with_pose(R, root_m)
    return MadePerson(R.numpy(), root_m.numpy(), posed.joints_m.numpy())


def made_camera(size=(1000, 1000), focal=1150.0, distance_m=5.0, turn=0.4, **changes):
    """A camera at breast height that looks at the world's origin from some way off."""
    forward = np.array([np.sin(turn), -0.1, np.cos(turn)])
    forward /= np.linalg.norm(forward)
    right = np.cross([0, -1, 0], forward)
    right /= np.linalg.norm(right)
    R = np.stack([right, np.cross(forward, right), forward]).astype(np.float32)
    place_m = np.array([0, 0.9, 0]) - distance_m * forward
    given = {
        "focal_px": (focal, focal * 1.01),
        "principal_px": (size[0] / 2 + 3.0, size[1] / 2 - 2.0),
        "size": size,
        "R_cam_world": R,
        "t_cam_world_m": (-R @ place_m).astype(np.float32),
    }
    return CalibratedCamera(**{**given, **changes})


def matrix_of(camera: CalibratedCamera) -> np.ndarray:
    """K of a camera."""
    fx, fy = camera.focal_px
    cx, cy = camera.principal_px
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def extrinsics_of(camera: CalibratedCamera, R_new_world: np.ndarray | None = None) -> np.ndarray:
    """World to camera as a 4 by 4 matrix, of a turned world if asked for."""
    E = np.eye(4)
    R = camera.R_cam_world
    E[:3, :3] = R if R_new_world is None else R @ R_new_world.T
    E[:3, 3] = camera.t_cam_world_m
    return E


def seen(camera: CalibratedCamera, points_world_m: np.ndarray) -> np.ndarray:
    """Pixels of (frames, points, 3) of the world."""
    cam = camera.to_camera(points_world_m.astype(np.float32))
    return np.stack([camera.project(frame) for frame in cam])


def read_all(name: str, root: Path, split: str | None = None) -> list[Sample]:
    """Every sample of a dataset."""
    return list(samples(reader_of(name), root, split))


def angle_between(a: np.ndarray, b: np.ndarray) -> float:
    """The largest angle between rotations, radians."""
    return max(
        float(np.linalg.norm(cv2.Rodrigues((x.T @ y).astype(np.float64))[0]))
        for x, y in zip(a.reshape(-1, 3, 3), b.reshape(-1, 3, 3), strict=True)
    )
