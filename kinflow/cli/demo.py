"""`kinflow demo`: the main job on two free photos and a clip that is drawn on the spot.

The photos come inside scikit-image's package: `astronaut.png` shows Eileen Collins (NASA, public
domain), `camera.png` a photographer (CC0). The clip is of a body of ours that walks.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from kinflow.body import BodyModel
from kinflow.cli.options import Demo, Reconstruct
from kinflow.cli.output import say
from kinflow.cli.reconstruct import run as reconstruct
from kinflow.errors import InputError
from kinflow.export.video_file import VideoFile
from kinflow.synth.clip_picture import ClipPainter
from kinflow.synth.clips import Clip, ClipConfig, before_camera
from kinflow.synth.rendering import coarse_mesh
from kinflow.synth.walks import walking

DEMO_PHOTOS = ("astronaut.png", "camera.png")
DEMO_CLIP = "walk.webm"

_SEED = 9
_FRAMES, _RATE_HZ, _TURN_RAD_S = 36, 18.0, 0.5
_PHENOTYPES = (0.3, 0.8, 0.55, 0.5, 0.55, 0.5)


def demo_photos() -> list[Path]:
    """Paths of the demo photos; scikit-image is located, not imported.

    Raises:
        InputError: scikit-image is not installed.
    """
    spec = find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "The demo's photos come with scikit-image, which is not installed; "
            "run: pip install 'kinflow[demo]'."
        )
    return [Path(spec.submodule_search_locations[0]) / "data" / name for name in DEMO_PHOTOS]


def demo_walk() -> Clip:
    """The truth of the demo's clip: somebody who walks towards the camera and turns."""
    body = coarse_mesh(BodyModel.load()).body
    person = walking(torch.tensor(_PHENOTYPES), _FRAMES, _RATE_HZ, body, _TURN_RAD_S)
    rng = np.random.default_rng(_SEED)
    return before_camera([person], ClipConfig(), rng, body, _RATE_HZ)


def draw_demo_clip(path: Path) -> None:
    """Draw the demo's clip into a video file.

    Raises:
        InputError: it cannot be written.
    """
    clip = demo_walk()
    with VideoFile(path, clip.camera.image_size, clip.rate_hz) as video:
        for frame in ClipPainter.load().paint(clip, np.random.default_rng(_SEED)):
            video.add(frame)


def run(options: Demo) -> int:
    """Reconstruct the demo photos and the clip, and say where to look."""
    photos = demo_photos()
    folder = options.output.out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    clip = folder / DEMO_CLIP
    if not clip.exists():
        draw_demo_clip(clip)
    inputs = (*photos, clip)
    code = reconstruct(Reconstruct(tuple(map(str, inputs)), options.output))
    if code == 0:
        names = ", ".join(path.stem for path in inputs)
        say(
            f"Open overlay.png (overlay.webm of the clip) and viewer.html in {folder} ({names}); "
            "scene.glb and person_0.bvh are for Blender."
        )
    return code
