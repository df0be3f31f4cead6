"""What do the results of a clip cost: drawing, encoding, writing, playing, and bytes a frame?

One or more people walk before a camera; nothing is detected or fitted. Drawing and encoding are
timed apart and together, as `OverlayVideo` does it (the encoder has a thread of its own), for the
mesh that is drawn and for the full one, and for both codecs. Then every file of the result folder
is written; `node`, where there is one, says how long the viewer takes to pose the bodies.

    python benchmarks/clip_output.py --frames 300 --people 1 --size 640 480
"""

from __future__ import annotations

import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro

from kinflow.body.model import BodyModel
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.export.bodies import Bodies
from kinflow.export.bvh import bvh_bytes
from kinflow.export.clip_writer import ClipExportOptions, write_clip
from kinflow.export.gltf import scene_glb
from kinflow.export.motion import motions_of
from kinflow.export.overlay import bodies_layer
from kinflow.export.overlay_video import OverlayVideo, draw_people
from kinflow.export.painter import paint
from kinflow.export.people_files import json_bytes, npz_bytes
from kinflow.export.people_to_fields import to_fields
from kinflow.export.stage import Stage
from kinflow.export.video_file import VideoFile
from kinflow.export.viewer_clip import clip_viewer_html
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.results import Frame, Gravity, Person, Reconstruction

_DRAWN = 60
"""Frames that are drawn and encoded."""


@dataclass(frozen=True)
class Options:
    """What to measure on."""

    frames: int = 300
    people: int = 1
    size: tuple[int, int] = (640, 480)
    rate_hz: float = 30.0
    threads: int = 2


def main(options: Options) -> None:
    torch.set_num_threads(options.threads)
    clip = walking(options)
    pictures = [background(options.size, i) for i in range(_DRAWN)]
    print(f"{options.frames} frames, {options.people} people, {options.size}")
    print(f"\n{'overlay, ' + str(_DRAWN) + ' frames':34} {'ms/frame':>9} {'frames/s':>9}")
    drawn = [
        draw_people(picture, clip.people_of(i % options.frames))
        for i, picture in enumerate(pictures)
    ]
    row("drawing", lambda: [draw_people(p, clip.people_of(i)) for i, p in enumerate(pictures)])
    row("drawing the full mesh", lambda: [full(p, clip, i) for i, p in enumerate(pictures)])
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".webm", ".mp4"):
            path = Path(folder) / f"overlay{suffix}"
            row(f"encoding {suffix}", lambda path=path: encode(path, drawn, options))
            row(
                f"drawing and encoding {suffix}",
                lambda path=path: overlay(path, pictures, clip, options),
            )
            kilobytes = path.stat().st_size / 1000
            print(f"{'':34} {kilobytes / _DRAWN:9.1f} kB/frame, PSNR {psnr_db(path, drawn):.1f} dB")
        files(clip, Path(folder))
        player(clip, Path(folder))


def row(name: str, work: Callable[[], object]) -> None:
    """Time work on the frames that are drawn."""
    begin = time.perf_counter()
    work()
    each_s = (time.perf_counter() - begin) / _DRAWN
    print(f"{name:34} {1e3 * each_s:9.1f} {1 / each_s:9.1f}")


def full(picture: np.ndarray, clip: Reconstruction, index: int) -> np.ndarray:
    people = clip.people_of(index)
    return paint(picture, bodies_layer(Bodies.of(people)), people[0].camera)


def encode(path: Path, drawn: list[np.ndarray], options: Options) -> None:
    with VideoFile(path, options.size, options.rate_hz) as video:
        for picture in drawn:
            video.add(picture)


def overlay(path: Path, pictures: list[np.ndarray], clip: Reconstruction, options: Options) -> None:
    with OverlayVideo(path, options.size, options.rate_hz) as video:
        for i, picture in enumerate(pictures):
            video.add(picture, clip.people_of(i))


def psnr_db(path: Path, drawn: list[np.ndarray]) -> float:
    capture, errors = cv2.VideoCapture(str(path)), []
    for picture in drawn:
        read = capture.read()[1][..., ::-1].astype(float)
        errors.append(np.square(read - picture[: read.shape[0], : read.shape[1]]).mean())
    return 10 * math.log10(255**2 / float(np.mean(errors)))


def files(clip: Reconstruction, folder: Path) -> None:
    """Time and size of each file, and of the whole folder."""
    bodies = len(clip.people)
    print(f"\n{'file':34} {'s':>9} {'bytes a body':>13} {'whole, kB':>10}")
    motions = list(motions_of(clip.tracks, clip.frames, Stage.of(clip)))
    makers: dict[str, Callable[[], bytes]] = {
        "people.npz": lambda: npz_bytes(to_fields(clip)),
        "people.json": lambda: json_bytes(to_fields(clip)),
        "scene.glb": lambda: scene_glb(clip),
        "all person_<id>.bvh": lambda: b"".join(bvh_bytes(motion) for motion in motions),
        "viewer.html": lambda: clip_viewer_html(clip),
    }
    for name, make in makers.items():
        begin = time.perf_counter()
        size = len(make())
        seconds = time.perf_counter() - begin
        print(f"{name:34} {seconds:9.2f} {size / bodies:13.0f} {size / 1000:10.0f}")
    begin = time.perf_counter()
    formats = ("npz", "json", "glb", "bvh", "viewer")
    write_clip(clip, folder / "result", ClipExportOptions(formats=formats))
    print(f"{'the folder':34} {time.perf_counter() - begin:9.2f}")


def player(clip: Reconstruction, folder: Path) -> None:
    """How long the viewer's script takes to pose everybody, in node."""
    if shutil.which("node") is None:
        return
    (folder / "viewer.html").write_bytes(clip_viewer_html(clip))
    script = (
        "const text = require('fs').readFileSync(process.argv[1], 'utf8');"
        "const [data, code] = [...text.matchAll(/<script[^>]*>([^]*?)<\\/script>/g)]"
        ".map((m) => m[1]);"
        "const motion = (0, eval)(code.slice(0, code.indexOf('// Draws')) + ';kinflowMotion')"
        "(JSON.parse(data), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]);"
        "for (let i = 0; i < 50; i++) motion.at(0.01 * i);"
        "const begin = performance.now();"
        "for (let i = 0; i < 100; i++) motion.at(0.01 * i);"
        "console.log(((performance.now() - begin) / 100).toFixed(2));"
    )
    done = subprocess.run(
        ["node", "-e", script, str(folder / "viewer.html")],
        capture_output=True,
        text=True,
        check=True,
    )
    print(f"\nposing everybody in the viewer: {done.stdout.strip()} ms")


def background(size: tuple[int, int], index: int) -> np.ndarray:
    """Soft clutter that slides by a pixel a frame."""
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    clutter = cv2.resize(cv2.GaussianBlur(noise, (0, 0), 2), size, interpolation=cv2.INTER_CUBIC)
    return np.roll(clutter, index, 1)


def walking(options: Options) -> Reconstruction:
    """People who walk in place, side by side, before a camera that looks down a little."""
    gravity = Gravity((0.0, -math.cos(0.2), -math.sin(0.2)), 3.0)
    camera = Camera.from_fov(options.size, 55.0)
    times_s = torch.arange(options.frames) / options.rate_hz
    tracks = [one_walker(i, times_s, gravity, camera, options) for i in range(options.people)]
    frames = [Frame(i, float(s), camera, gravity) for i, s in enumerate(times_s)]
    people = [[track[i] for track in tracks] for i in range(options.frames)]
    return Reconstruction.of_frames(frames, people, "walk.mp4")


def one_walker(
    number: int, times_s: torch.Tensor, gravity: Gravity, camera: Camera, options: Options
) -> list[Person]:
    swing = torch.sin(2 * math.pi * 0.9 * times_s + number)
    rotvec = torch.zeros(len(times_s), 22, 3)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        rotvec[:, JOINT_INDEX[f"{side}_hip"], 0] = 0.5 * sign * swing
        rotvec[:, JOINT_INDEX[f"{side}_knee"], 0] = 0.5 - 0.4 * sign * swing
        rotvec[:, JOINT_INDEX[f"{side}_shoulder"], 2] = -1.2 * sign
        rotvec[:, JOINT_INDEX[f"{side}_elbow"], 1] = sign * (-0.6 - 0.4 * swing)
    pose = rotvec_to_matrix(rotvec)
    R_cam_world = gravity.R_world_cam().mT
    pose[:, 0] = R_cam_world @ pose[:, 0]
    root_m = torch.tensor([0.8 * (number - (options.people - 1) / 2), -0.5, -3.0]) @ R_cam_world.mT
    shape = torch.tensor([0.5, 0.8, 0.5, 0.5, 0.5, 0.5])
    joints_m = BodyModel.load("joints").with_shape(shape).with_pose(pose, root_m).joints_m
    still = {
        "person": number,
        "camera": camera,
        "t_cam_root_m": root_m,
        "z": torch.zeros(41),
        "shape": shape,
        "joint_std_m": torch.full((22,), 0.02),
        "t_cam_root_std_m": torch.full((3,), 0.02),
        "keypoints_px": torch.zeros(33, 3),
        "score": 0.9,
    }
    return [
        Person(R_cam_root=pose[i, 0], pose=pose[i], joints_cam_m=joints_m[i], **still)
        for i in range(len(times_s))
    ]


if __name__ == "__main__":
    main(tyro.cli(Options))
