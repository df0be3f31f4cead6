"""`kinflow synth`: scenes as files, for training networks on.

    OUT/synth.json           settings, the same for all scenes of the folder
    OUT/images/000012.png    the picture (with `images`)
    OUT/masks/000012.png     silhouette with a segmenter's errors, 0 to 255
    OUT/parts/000012.png     true parts by id in a palette, 255 where something hides the person
    OUT/truth/000012.npz     everything in numbers (docs/synth.md lists the fields)

Scene number i is the one of seed i whenever it is made, so several processes can share a folder,
each with its own range of numbers, and an interrupted run goes on where it was: the truth is
written last, and scenes that have one are left alone.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from rich.progress import track
from torch import Tensor

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.part_maps import UNKNOWN_ID
from kinflow.body.parts import PART_COLORS, UNKNOWN_COLOR
from kinflow.body.skeleton import JOINT_NAMES
from kinflow.checks import flag, nested, path, whole
from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError
from kinflow.files.atomic import explained, write_bytes
from kinflow.files.destinations import check_folder_destination
from kinflow.files.json_files import read_json
from kinflow.synth.picture import Painter, to_image
from kinflow.synth.scene import Scene, SceneConfig, SceneSource
from kinflow.synth.truth import FORMAT
from kinflow.synth.truth import read_truth as read_truth
from kinflow.version import __version__

_MAX_SETTINGS_BYTES = 1 << 20
_PICTURE_STREAM = 1
"""Pictures draw from a random stream of their own, so that leaving them out changes nothing."""


@dataclass(frozen=True)
class SynthConfig:
    """Draw scenes of kinflow's own body with everything known about them; see docs/synth.md.

    Attributes:
        out: folder to fill; what is there already is kept.
        count: number of scenes.
        first: number of the first one.
        images: whether to paint pictures, which takes most of the time.
        scenes: what scenes look like.
    """

    out: Path
    count: int = 100
    first: int = 0
    images: bool = True
    scenes: SceneConfig = SceneConfig()

    def __post_init__(self) -> None:
        path(self, "out")
        whole(self, "count", at_least=1)
        whole(self, "first")
        flag(self, "images")
        nested(self, scenes=SceneConfig)


def main(config: SynthConfig) -> None:
    """Write the scenes that are not there yet and say how many there were."""
    torch.set_num_threads(1)
    writer = SceneWriter(config)
    numbers = range(config.first, config.first + config.count)
    missing = [number for number in numbers if not writer.truth_path(number).exists()]
    for number in track(missing, "scenes", disable=not missing):
        writer.write(number)
    there = len(numbers) - len(missing)
    print(f"Wrote {len(missing)} scenes to {config.out}; {there} were there already.")


class SceneWriter:
    """Makes scenes and writes them to one folder.

    Raises:
        InputError: the folder holds scenes of other settings, or cannot be written to.
    """

    def __init__(self, config: SynthConfig) -> None:
        check_folder_destination(config.out)
        self.config, self.source = config, SceneSource(config.scenes)
        self._painter = Painter.load() if config.images else None
        with explained(config.out):
            for name in ("images", "masks", "parts", "truth"):
                if name != "images" or config.images:
                    (config.out / name).mkdir(parents=True, exist_ok=True)
        self._check_settings()

    def truth_path(self, number: int) -> Path:
        """The file whose presence says that a scene is complete."""
        return self.config.out / "truth" / f"{number:06d}.npz"

    def write(self, number: int) -> None:
        """Make one scene and write its files."""
        scene, out = self.source.scene(number), self.config.out
        if self._painter is not None:
            rng = np.random.default_rng((self.config.scenes.seed, number, _PICTURE_STREAM))
            rgb = self._painter.paint(scene, rng)
            write_bytes(out / "images" / f"{number:06d}.png", _png(rgb[..., ::-1]))
        mask = scene.mask.rasterize(scene.camera.image_size).numpy()
        write_bytes(
            out / "masks" / f"{number:06d}.png", _png(np.round(255 * mask).astype(np.uint8))
        )
        write_bytes(out / "parts" / f"{number:06d}.png", _part_png(scene))
        write_bytes(self.truth_path(number), _truth(scene))

    def _check_settings(self) -> None:
        scenes = self.config.scenes
        poses = scenes.people.poses
        # a pose set is known by its content, wherever it lies
        nameless = replace(scenes, people=replace(scenes.people, poses=None))
        settings = {
            "format": FORMAT,
            "version": __version__,
            "images": self.config.images,
            "poses_sha256": None if poses is None else PoseSet.load(poses).sha256,
            "scenes": json.loads(json.dumps(asdict(nameless))),
        }
        path = self.config.out / "synth.json"
        if not path.exists():
            write_bytes(path, (json.dumps(settings, indent=1) + "\n").encode())
        elif read_json(path, _MAX_SETTINGS_BYTES) != settings:
            raise InputError(
                f"'{self.config.out}' holds scenes made with other settings (see synth.json); "
                "choose another folder."
            )


def part_ids(scene: Scene) -> np.ndarray:
    """True part of every pixel of the image; `UNKNOWN_ID` where something hides the person."""
    parts = to_image(scene.parts.numpy(), scene)
    hidden = to_image((~scene.known & scene.dressed).numpy(), scene)
    parts[hidden] = UNKNOWN_ID
    return parts


def _png(pixels: np.ndarray) -> bytes:
    """A PNG of grey or BGR pixels."""
    return cv2.imencode(".png", pixels)[1].tobytes()


def _part_png(scene: Scene) -> bytes:
    image = Image.fromarray(part_ids(scene), "P")
    unused = [0, 0, 0] * (UNKNOWN_ID - len(PART_COLORS))
    image.putpalette([*(c for color in PART_COLORS for c in color), *unused, *UNKNOWN_COLOR])
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _truth(scene: Scene) -> bytes:
    camera = scene.camera
    arrays: dict[str, np.ndarray] = {
        "format": np.array(FORMAT),
        "joint_names": np.array(JOINT_NAMES),
        "keypoint_names": np.array(BLAZEPOSE33),
        "focal_px": np.array(camera.focal_px),
        "principal_px": np.array(camera.principal_px),
        "image_size": np.array(camera.image_size),
        "grid_origin_px": np.array(scene.grid.origin_px),
        "grid_cell_px": np.array(scene.grid.cell_px),
        # replaced by the estimate where there is one
        "detected_depth_m": np.full(len(BLAZEPOSE33), np.nan, np.float32),
        "mask": np.round(255 * scene.mask.probability.numpy()).astype(np.uint8),
    }
    arrays |= {
        name: value.numpy() for name, value in vars(scene).items() if isinstance(value, Tensor)
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()
