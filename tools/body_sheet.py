"""Draw bodies of all kinds in eight poses: the visual check of the bake.

    python tools/body_sheet.py --out bodies.png

Rows are people from an infant to an elder, heavy and thin; columns the T-pose, hand-made poses and
samples of the shipped prior. Look for: closed armpits and groins, elbows and knees bending the
right way, hands and feet in line with their limbs, infants with large heads, nobody with a face or
shoulders of another age.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import cv2
import numpy as np
import torch

import kinflow.priors
from kinflow.body import BodyModel
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX, NUM_JOINTS
from kinflow.export.bodies import vertex_normals
from kinflow.export.painter import Layer, PaintStyle, paint
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import rotvec_to_matrix

PEOPLE = {  # gender, age, muscle, weight, height, proportions
    "infant": (0.5, 0.02, 0.5, 0.5, 0.5, 0.5),
    "child": (0.5, 0.33, 0.5, 0.5, 0.5, 0.5),
    "teenager": (0.5, 0.52, 0.5, 0.5, 0.5, 0.5),
    "man": (0.0, 0.8, 0.6, 0.5, 0.5, 0.7),
    "woman": (1.0, 0.8, 0.4, 0.5, 0.5, 0.7),
    "elder": (0.5, 1.0, 0.3, 0.5, 0.4, 0.3),
    "heavy": (0.5, 0.8, 1.0, 1.0, 0.5, 0.5),
    "thin": (0.5, 0.8, 0.0, 0.0, 0.5, 0.5),
}
POSES_DEG = {  # rotation vectors in degrees
    "T-pose": {},
    "arms down": {"left_shoulder": (0, 0, -75), "right_shoulder": (0, 0, 75)},
    "arms up": {"left_shoulder": (0, 0, 70), "right_shoulder": (0, 0, -70)},
    "sitting": {
        "left_hip": (-85, 0, 5),
        "right_hip": (-85, 0, -5),
        "left_knee": (85, 0, 0),
        "right_knee": (85, 0, 0),
        "left_shoulder": (0, -30, -60),
        "right_shoulder": (0, 30, 60),
        "left_elbow": (0, -70, 0),
        "right_elbow": (0, 70, 0),
    },
    "squatting": {
        "left_hip": (-115, 0, 15),
        "right_hip": (-115, 0, -15),
        "left_knee": (130, 0, 0),
        "right_knee": (130, 0, 0),
        "left_ankle": (-20, 0, 0),
        "right_ankle": (-20, 0, 0),
        "spine1": (25, 0, 0),
        "left_shoulder": (0, -80, -10),
        "right_shoulder": (0, 80, 10),
    },
}
PRIOR_POSES = 3
CELL_PX = 220
HEADING_DEG = 25.0
INK = (70, 70, 70)


def poses() -> torch.Tensor:
    """(poses, 22, 3, 3) local rotations, the root turned to face a camera (y down, z forward)."""
    rotvecs = torch.zeros(len(POSES_DEG), NUM_JOINTS, 3)
    for row, joints in zip(rotvecs, POSES_DEG.values(), strict=True):
        for name, degrees in joints.items():
            row[JOINT_INDEX[name]] = torch.tensor(degrees) * (math.pi / 180)
    sampled = torch.eye(3).repeat(PRIOR_POSES, NUM_JOINTS, 1, 1)
    generator = torch.Generator().manual_seed(3)
    sampled[:, list(FREE_JOINTS)] = kinflow.priors.load().sample(PRIOR_POSES, generator)
    pose = torch.cat([rotvec_to_matrix(rotvecs), sampled])
    heading = rotvec_to_matrix(torch.tensor([0.0, math.radians(HEADING_DEG), 0.0]))
    pose[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ heading
    return pose


def draw(vertices_m: torch.Tensor, faces: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """One body, scaled to its cell."""
    extent_m = vertices_m.amax(0) - vertices_m.amin(0)
    centre_m = (vertices_m.amax(0) + vertices_m.amin(0)) / 2
    camera = Camera.from_fov((CELL_PX, CELL_PX), 30.0)
    distance_m = 2.1 * float(extent_m.max())
    points_m = vertices_m - centre_m + torch.tensor([0, 0, distance_m])
    layer = Layer(
        vertices_cam_m=points_m.numpy(),
        normals_cam=vertex_normals(points_m.numpy(), faces),
        faces=faces,
        person_of_face=np.zeros(len(faces), np.int32),
        colors=np.array([color], np.uint8),
    )
    return paint(np.full((CELL_PX, CELL_PX, 3), 245, np.uint8), layer, camera, PaintStyle(1.0))


def label(cell: np.ndarray, text: str) -> np.ndarray:
    cv2.putText(cell, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    return cell


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("bodies.png"))
    arguments = parser.parse_args()
    body, pose = BodyModel.load(), poses()
    faces = body.faces.numpy().astype(np.int32)
    names = [*POSES_DEG, *("prior" for _ in range(PRIOR_POSES))]
    rows = []
    for person, shape in PEOPLE.items():
        shaped = body.with_shape(torch.tensor(shape))
        meshes = shaped.with_pose(pose, torch.zeros(len(pose), 3)).vertices_m()
        cells = [draw(mesh, faces, (120, 160, 215)) for mesh in meshes]
        rows.append(
            np.hstack([label(c, f"{person}, {n}") for c, n in zip(cells, names, strict=True)])
        )
    cv2.imwrite(str(arguments.out), np.vstack(rows)[..., ::-1])


if __name__ == "__main__":
    main()
