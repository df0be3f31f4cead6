"""Options of every command as frozen dataclasses; free of heavy imports, so that help is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

OutputFormat = Literal["npz", "json", "overlay", "glb", "viewer"]
ALL_FORMATS: tuple[OutputFormat, ...] = ("npz", "json", "overlay", "glb", "viewer")


@dataclass(frozen=True)
class Output:
    """Where results go and what is written."""

    out: Path
    """Folder for the results; each photo gets a folder of its own in it."""
    format: tuple[OutputFormat, ...] = ALL_FORMATS
    """Files to write."""
    side_view: bool = False
    """Add a view turned by 90 degrees to the overlay."""
    joint_names: Literal["smpl", "mixamo"] = "smpl"
    """Names of the joints in scene.glb."""
    overwrite: bool = False
    """Replace results that are there already."""


@dataclass(frozen=True)
class Reconstruct:
    """Find every person in photos and fit a posed, shaped 3D body to each.

    Each photo gets a folder with people.npz, people.json, overlay.png, scene.glb and viewer.html.
    """

    photos: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Photos, folders of photos or glob patterns."""
    output: Output
    keypoints: Path | None = None
    """Keypoints of your own: COCO person keypoints or OpenPose BODY_25 JSON."""
    max_people: int | None = None
    """At most this many people a photo, the largest first."""
    fov: float | None = None
    """Field of view of the longer image side in degrees; overrides EXIF."""
    focal_px: float | None = None
    """Focal length in pixels; overrides EXIF and --fov."""
    estimate_focal: bool = False
    """Estimate the focal length together with the bodies; best with several people in view."""
    hint_3d: bool = True
    """Use the detector's rough 3D landmarks as a weak hint."""
    prior: str = "realnvp"
    """A shipped pose prior by name, or a weight file."""
    device: str = "cpu"
    """Where fitting runs: cpu, cuda or mps."""

    def run(self) -> int:
        from kinflow.cli.reconstruct import run

        return run(self)


@dataclass(frozen=True)
class Demo:
    """Reconstruct the people of two free photos that come with scikit-image."""

    output: Output

    def run(self) -> int:
        from kinflow.cli.demo import run

        return run(self)
