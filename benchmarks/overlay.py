"""Time of drawing and writing three people at 1280x720, next to a plain painter of polygons.

    python benchmarks/overlay.py [--threads 2] [--repeats 7] [--out DIR]

Three bodies of 13,718 vertices and 27,420 triangles stand 3 to 4 m before the camera. `overlay` is
all of it: posing the meshes, normals, rasterising at twice the resolution, shading, blending.
`painter` is the usual short way to do the same with OpenCV alone: triangles sorted by depth, each
filled by one call of fillConvexPoly in one flat colour; it has no depth buffer, smooths nothing and
is given the posed meshes. Times are the fastest of the repeats, warm, in milliseconds; other rows
say what each file of a result folder costs. `--out` writes both pictures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from kinflow.body.model import BodyModel
from kinflow.export.bodies import Bodies
from kinflow.export.gltf import scene_glb
from kinflow.export.overlay import bodies_layer, draw_overlay
from kinflow.export.painter import project
from kinflow.export.people_files import json_bytes, npz_bytes
from kinflow.export.people_to_fields import to_fields
from kinflow.export.side_view import draw_side_view
from kinflow.export.viewer import viewer_html
from kinflow.export.writer import png_bytes
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.results import Person, Reconstruction

SIZE = (1280, 720)


def three_people() -> Reconstruction:
    """People side by side, turned differently, arms lowered."""
    camera = Camera.from_fov(SIZE, 55.0)
    model = BodyModel.load("joints")
    people = []
    for i in range(3):
        rotvec = 0.2 * torch.randn(22, 3, generator=torch.Generator().manual_seed(i))
        rotvec[[16, 17], 2] += torch.tensor([-1.1, 1.1])
        pose = rotvec_to_matrix(rotvec)
        pose[0] = torch.diag(torch.tensor([1.0, -1, -1])) @ rotvec_to_matrix(
            torch.tensor([0, i - 1.0, 0])
        )
        t_m = torch.tensor([0.8 * (i - 1), 0.1, 3.0 + 0.5 * i])
        shape = model.shape_space.neutral()
        posed = model.with_shape(shape).with_pose(pose, t_m)
        people.append(
            Person(
                person=i,
                camera=camera,
                R_cam_root=pose[0],
                t_cam_root_m=t_m,
                pose=pose,
                z=torch.zeros(57),
                shape=shape,
                joints_cam_m=posed.joints_m,
                joint_std_m=torch.full((22,), 0.02),
                t_cam_root_std_m=torch.tensor([0.02, 0.02, 0.2]),
                keypoints_px=torch.zeros(33, 3),
                score=1.0,
            )
        )
    return Reconstruction.of_frame(camera, people)


def paint_polygons(photo: np.ndarray, bodies: Bodies, camera: Camera) -> np.ndarray:
    """The painter's algorithm: far triangles first, each in one colour."""
    layer = bodies_layer(bodies)
    canvas = photo.copy()
    points_px = np.rint(project(layer.vertices_cam_m, camera)).astype(np.int32)
    light = np.clip(-layer.normals_cam[layer.faces].mean(1)[:, 2], 0, 1)
    order = np.argsort(-layer.vertices_cam_m[:, 2][layer.faces].mean(1))
    colors = layer.colors[layer.person_of_face] * (0.3 + 0.7 * light[:, None])
    for face, color in zip(layer.faces[order], colors[order].tolist(), strict=True):
        cv2.fillConvexPoly(canvas, points_px[face], color)
    return canvas


def fastest_ms(call: Callable[[], object], repeats: int) -> float:
    """Milliseconds of the fastest of several calls, after one to warm up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of drawing and writing three people.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    scene = three_people()
    photo = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    photo = cv2.GaussianBlur(photo, (0, 0), 3)
    bodies, fields = Bodies.of(scene.people), to_fields(scene)
    picture = draw_overlay(photo, scene, bodies)
    rows: dict[str, Callable[[], object]] = {
        "overlay": lambda: draw_overlay(photo, scene),
        "painter": lambda: paint_polygons(photo, bodies, scene.camera),
        "overlay of posed meshes": lambda: draw_overlay(photo, scene, bodies),
        "side view": lambda: draw_side_view(bodies_layer(bodies), 3, SIZE[1]),
        "overlay.png encoding": lambda: png_bytes(picture),
        "scene.glb": lambda: scene_glb(scene, bodies),
        "viewer.html": lambda: viewer_html(photo, scene, bodies),
        "measures and arrays": lambda: to_fields(scene),
        "people.npz": lambda: npz_bytes(fields),
        "people.json": lambda: json_bytes(fields),
    }
    times = {name: fastest_ms(call, options.repeats) for name, call in rows.items()}
    for name, milliseconds in times.items():
        print(f"{name:26s}{milliseconds:8.1f} ms")
    ratio = times["painter"] / times["overlay of posed meshes"]
    print(f"painter / overlay of posed meshes = {ratio:.1f}")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "overlay.png").write_bytes(png_bytes(picture))
        painted = paint_polygons(photo, bodies, scene.camera)
        (options.out / "painter.png").write_bytes(png_bytes(painted))


if __name__ == "__main__":
    main()
