"""Writes the result folder of a clip: all files at once, or nothing.

The overlay is too long to be held, so it is drawn while frames come (`OverlayVideo`, into a file of
any name on the same disk) and moves into the folder with the others.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import UInt8
from typing_extensions import assert_never

from kinflow.checks import flag, one_of, some_of
from kinflow.export.bvh import bvh_bytes, bvh_name
from kinflow.export.gltf import scene_glb
from kinflow.export.joint_names import JointNaming
from kinflow.export.motion import motions_of
from kinflow.export.people_files import JSON_NAME, NPZ_NAME, json_bytes, npz_bytes
from kinflow.export.people_schema import Fields
from kinflow.export.people_to_fields import to_fields
from kinflow.export.quality import quality_of
from kinflow.export.results import Origin, check_destination
from kinflow.export.stage import Stage
from kinflow.export.viewer_clip import clip_viewer_html
from kinflow.files.folders import Claim, new_folder
from kinflow.files.marker import Marker
from kinflow.results import Reconstruction

ClipFormat = Literal["npz", "json", "overlay", "glb", "bvh", "viewer"]

CLIP_FORMATS: tuple[ClipFormat, ...] = get_args(ClipFormat)

MOST_JSON_BODIES = 5000
"""A clip of more bodies (of one person, three minutes) has no `people.json`: text of that length
is more than its readers take, and `people.npz` holds the same."""


@dataclass(frozen=True)
class ClipExportOptions:
    """What is written of a clip, and how."""

    formats: tuple[ClipFormat, ...] = CLIP_FORMATS
    """Files to write; all of them unless told otherwise."""
    overwrite: bool = False
    """Replace a folder that an earlier run made; files of your own in it are kept."""
    joint_names: JointNaming = "smpl"
    """How `scene.glb` and the BVH files call the joints."""

    def __post_init__(self) -> None:
        some_of(self, "formats", CLIP_FORMATS)
        flag(self, "overwrite")
        one_of(self, "joint_names", get_args(JointNaming))


def write_clip(
    reconstruction: Reconstruction,
    folder: Path,
    options: ClipExportOptions = ClipExportOptions(),
    overlay: Path | None = None,
    pictures: Mapping[int, UInt8[np.ndarray, "height width 3"]] | None = None,
    origin: Origin | None = None,
    claim: Claim | None = None,
) -> dict[str, Path]:
    """Write the result folder of a clip.

    Args:
        reconstruction: people of any number of frames.
        folder: where the files go; it appears complete or not at all.
        options: which formats, and how.
        overlay: the finished overlay video, which moves into the folder as `overlay` with the
            ending that it has; None, and there is none.
        pictures: some frames by their index, for the viewer.
        origin: what the results were made from, for the folder's marker.
        claim: the claim of the folder, if the caller has it.

    Returns:
        The path of every file written, by its name.

    Raises:
        InputError: the folder exists and may not be overwritten or was not made by kinflow, cannot
            be written to, another process works on it, or the disk is full; nothing is left behind
            then, and the overlay stays where it was.
    """
    names = _names(reconstruction, options, overlay)
    check_destination(folder, names, options.overwrite)
    marker = Marker(names, (origin or Origin()).details())
    stage = Stage.of(reconstruction)
    fields: Fields = {}
    if {"npz", "json"} & set(options.formats):
        fields = to_fields(reconstruction, quality_of(reconstruction, stage))
    with new_folder(folder, marker, options.overwrite, claim) as temporary:
        # those of the arrays come first, and these are as large as all bodies
        for kind in sorted(set(options.formats), key=CLIP_FORMATS.index):
            if kind == "overlay":
                continue
            if kind not in ("npz", "json"):
                fields = {}
            for name, data in _files(kind, reconstruction, fields, stage, options, pictures, names):
                (temporary / name).write_bytes(data)
        if overlay is not None and "overlay" in options.formats:
            _move(overlay, temporary / _overlay_name(overlay))
    return {name: folder / name for name in names}


def _names(
    reconstruction: Reconstruction, options: ClipExportOptions, overlay: Path | None
) -> tuple[str, ...]:
    names: dict[ClipFormat, list[str]] = {
        "npz": [NPZ_NAME],
        "json": [JSON_NAME] if _is_short(reconstruction) else [],
        "overlay": [_overlay_name(overlay)] if overlay is not None else [],
        "glb": ["scene.glb"],
        "bvh": [bvh_name(track.identity) for track in reconstruction.tracks],
        "viewer": ["viewer.html"],
    }
    return tuple(name for kind in dict.fromkeys(options.formats) for name in names[kind])


def _overlay_name(overlay: Path) -> str:
    return f"overlay{overlay.suffix.lower()}"


def _files(
    kind: Literal["npz", "json", "glb", "bvh", "viewer"],
    reconstruction: Reconstruction,
    fields: Fields,
    stage: Stage,
    options: ClipExportOptions,
    pictures: Mapping[int, np.ndarray] | None,
    names: tuple[str, ...],
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of a format, one at a time."""
    if kind == "npz":
        yield NPZ_NAME, npz_bytes(fields)
    elif kind == "json":
        if _is_short(reconstruction):
            yield JSON_NAME, json_bytes(fields)
    elif kind == "glb":
        yield "scene.glb", scene_glb(reconstruction, None, options.joint_names, stage)
    elif kind == "bvh":
        for motion in motions_of(reconstruction.tracks, reconstruction.frames, stage):
            yield bvh_name(motion.identity), bvh_bytes(motion, options.joint_names)
    elif kind == "viewer":
        yield "viewer.html", clip_viewer_html(reconstruction, pictures, stage, names)
    else:
        assert_never(kind)


def _is_short(reconstruction: Reconstruction) -> bool:
    return sum(len(track.bodies) for track in reconstruction.tracks) <= MOST_JSON_BODIES


def _move(source: Path, target: Path) -> None:
    try:
        os.replace(source, target)
    except OSError:  # another disk
        shutil.copyfile(source, target)
        source.unlink()
