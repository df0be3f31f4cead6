"""Writes the result folder of one photo: all formats at once, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
from jaxtyping import UInt8
from typing_extensions import assert_never

from kinflow.checks import flag, one_of, some_of
from kinflow.evidence.types import PartLabels
from kinflow.export.bodies import Bodies
from kinflow.export.gltf import scene_glb
from kinflow.export.joint_names import JointNaming
from kinflow.export.overlay import bodies_layer, draw_overlay
from kinflow.export.parts_seen import draw_parts_seen
from kinflow.export.people_files import JSON_NAME, NPZ_NAME, json_bytes, npz_bytes
from kinflow.export.people_to_fields import to_fields
from kinflow.export.results import Origin, check_destination
from kinflow.export.side_view import beside, draw_side_view
from kinflow.export.viewer import viewer_html
from kinflow.files.folders import Claim, new_folder
from kinflow.files.marker import Marker
from kinflow.results import Reconstruction

Format = Literal["npz", "json", "overlay", "glb", "viewer"]

FORMATS: tuple[Format, ...] = get_args(Format)

FILE_NAMES: dict[Format, str] = {
    "npz": NPZ_NAME,
    "json": JSON_NAME,
    "overlay": "overlay.png",
    "glb": "scene.glb",
    "viewer": "viewer.html",
}

_PNG_PARAMETERS = [cv2.IMWRITE_PNG_COMPRESSION, 1]
"""The fastest; photos hardly shrink further. Nor do they by trying every filter on every row, which
takes as long again; older versions of OpenCV do not have the choice."""
if hasattr(cv2, "IMWRITE_PNG_FILTER"):
    _PNG_PARAMETERS += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]


@dataclass(frozen=True)
class ExportOptions:
    """What is written, and how."""

    formats: tuple[Format, ...] = FORMATS
    """Files to write; all of them unless told otherwise."""
    overwrite: bool = False
    """Replace a folder that an earlier run made; files of your own in it are kept."""
    side_view: bool = False
    """Add the view from the side to `overlay.png`."""
    show_parts: bool = False
    """Colour the bodies of `overlay.png` by part, and add the parts that were seen."""
    joint_names: JointNaming = "smpl"
    """How `scene.glb` calls the joints."""

    def __post_init__(self) -> None:
        some_of(self, "formats", FORMATS)
        flag(self, "overwrite", "side_view", "show_parts")
        one_of(self, "joint_names", get_args(JointNaming))

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that are written."""
        return tuple(FILE_NAMES[kind] for kind in dict.fromkeys(self.formats))


def write_all(
    reconstruction: Reconstruction,
    image_rgb: UInt8[np.ndarray, "height width 3"],
    folder: Path,
    options: ExportOptions = ExportOptions(),
    seen: Sequence[PartLabels] = (),
    origin: Origin | None = None,
    claim: Claim | None = None,
) -> dict[Format, Path]:
    """Write the result folder of one photo.

    Args:
        reconstruction: people of one frame; of several only `people.npz` and `people.json` can be
            written.
        image_rgb: the photo, as upright as the reconstruction saw it.
        folder: where the files go; it appears complete or not at all.
        options: which formats, and how.
        seen: part labels of people of the photo, for `ExportOptions.show_parts`.
        origin: what the results were made from, for the folder's marker.
        claim: the claim of the folder, if the caller has it.

    Returns:
        The path of every file written.

    Raises:
        InputError: the folder exists and may not be overwritten or was not made by kinflow, cannot
            be written to, another process works on it, or the disk is full, or pictures are wanted
            of several frames; nothing is left behind then.
    """
    check_destination(folder, options.files, options.overwrite)
    marker = Marker(options.files, (origin or Origin()).details())
    drawn = bool(set(options.formats) - {"npz", "json"})
    people = reconstruction.people_of(reconstruction.only_frame.index) if drawn else ()
    bodies = Bodies.of(people) if people else None
    with new_folder(folder, marker, options.overwrite, claim) as temporary:
        fields = to_fields(reconstruction) if {"npz", "json"} & set(options.formats) else {}
        for kind in options.formats:
            if kind == "npz":
                data = npz_bytes(fields)
            elif kind == "json":
                data = json_bytes(fields)
            elif kind == "overlay":
                data = _overlay_png(reconstruction, image_rgb, bodies, options, seen)
            elif kind == "glb":
                data = scene_glb(reconstruction, bodies, options.joint_names)
            elif kind == "viewer":
                data = viewer_html(image_rgb, reconstruction, bodies, options.files)
            else:
                assert_never(kind)
            (temporary / FILE_NAMES[kind]).write_bytes(data)
    return {kind: folder / FILE_NAMES[kind] for kind in options.formats}


def _overlay_png(
    reconstruction: Reconstruction,
    image_rgb: np.ndarray,
    bodies: Bodies | None,
    options: ExportOptions,
    seen: Sequence[PartLabels],
) -> bytes:
    by_part = options.show_parts
    overlay = draw_overlay(image_rgb, reconstruction, bodies, by_part=by_part)
    if by_part and seen:
        overlay = beside(draw_parts_seen(image_rgb, seen), overlay)
    if options.side_view and bodies:
        layer = bodies_layer(bodies, by_part)
        frame = reconstruction.only_frame
        ground = (frame.gravity, frame.floor)
        side = draw_side_view(layer, len(bodies.people), len(overlay), *ground)
        overlay = beside(overlay, side)
    return png_bytes(overlay)


def png_bytes(image_rgb: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """A PNG file of an RGB picture."""
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".png", image_bgr, _PNG_PARAMETERS)
    return data.tobytes()
