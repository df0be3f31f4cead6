"""`kinflow demo`: the main job on two free photos that come inside scikit-image's package.

`astronaut.png` shows Eileen Collins (NASA, public domain), `camera.png` a photographer (CC0).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from kinflow.cli.options import Demo, Reconstruct
from kinflow.cli.output import say
from kinflow.cli.reconstruct import run as reconstruct
from kinflow.errors import InputError

DEMO_PHOTOS = ("astronaut.png", "camera.png")


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


def run(options: Demo) -> int:
    """Reconstruct the demo photos and say where to look."""
    photos = tuple(str(photo) for photo in demo_photos())
    code = reconstruct(Reconstruct(photos, options.output))
    if code == 0:
        folder = options.output.out.resolve()
        names = ", ".join(Path(photo).stem for photo in photos)
        say(f"Open overlay.png and viewer.html in {folder} ({names}); scene.glb is for Blender.")
    return code
