"""Recordings of Human3.6M out of its own CDF files and out of what others packed them into.

Whatever the file, a recording is one subject's trial: 17 joints in all frames, in the world or in
the frames of cameras, and where there are some, the same joints in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from kinflow.datasets.amass import R_YUP_ZUP
from kinflow.datasets.readers.fields import Fields
from kinflow.datasets.readers.h36m_cameras import CAMERAS
from kinflow.datasets.readers.joint_names import H36M17_OF_32
from kinflow.datasets.readers.packages import hdf5_array, read_cdf, read_hdf5
from kinflow.datasets.sample_parts import Space
from kinflow.errors import InputError
from kinflow.files.npz_files import read_npz_objects

WHAT = "a file of Human3.6M's poses"
NPZ_3D, NPZ_2D = "data_3d_h36m.npz", "data_2d_h36m_gt.npz"


@dataclass(frozen=True)
class Recording:
    """One trial of a subject, seen by all cameras (`world`) or by one (`camera`).

    Attributes:
        subject: such as `S9`.
        trial: as its file is called, such as `Greeting 1`.
        joints_m: the 17 joints; the world's y axis is up.
        space: what they are in.
        frames: numbers of the frames in the videos, from 0.
        pixels: the 17 joints in the picture by camera, as far as they are there; a trial that is
            seen by one camera has one entry, which may be None.
        folder: of the subject.
        universal: whether the bones have been scaled to those of one person.
        broken: rows of frames that cannot be right, and why.
        images: of the frames, where they were unpacked from the videos.
        intrinsics: fx, cx, fy, cy by camera, where a re-packing fitted them itself.
    """

    subject: str
    trial: str
    joints_m: Float64[np.ndarray, "frames 17 3"]
    space: Space
    frames: np.ndarray
    pixels: dict[str, np.ndarray | None]
    folder: Path
    universal: bool = False
    images: tuple[Path, ...] = ()
    broken: dict[int, str] = field(default_factory=dict)
    intrinsics: dict[str, np.ndarray] = field(default_factory=dict)


def recordings(path: Path, split_subjects: frozenset[str]) -> Iterator[Recording]:
    """The recordings of a file; of one that holds all subjects those that are asked for.

    Raises:
        InputError: the file cannot be read, or its content cannot be right.
    """
    if path.suffix == ".cdf":
        yield _of_cdf(path)
    elif path.name == NPZ_3D:
        yield from _of_npz(path, split_subjects)
    elif path.name == "annot.h5":
        yield from read_hdf5(path, lambda file: list(_of_annotations(file, path)), WHAT)
    else:
        yield read_hdf5(path, lambda file: _of_h5(file, path), WHAT)


def _of_cdf(path: Path) -> Recording:
    folder = path.parent.name
    in_camera = "_mono" in folder
    trial, _, camera = path.stem.rpartition(".") if in_camera else (path.stem, "", "")
    if in_camera and camera not in CAMERAS:
        raise InputError(f"'{path}' is not named by its camera, as 'Walking.54138969.cdf' is.")
    broken: dict[int, str] = {}
    joints = _pose(path, 3, broken)
    pixels: dict[str, np.ndarray | None] = {}
    for name in (camera,) if in_camera else CAMERAS:
        seen = path.parent.parent / _like(folder, "D2_Positions") / f"{trial}.{name}.cdf"
        pixels[name] = _pose(seen, 2, broken) if seen.is_file() else None
    subject = _subject_folder(path)
    return Recording(
        subject.name,
        trial,
        joints / 1000 if in_camera else _upright(joints / 1000),
        "camera" if in_camera else "world",
        np.arange(len(joints)),
        pixels,
        subject,
        universal="universal" in folder,
        broken=broken,
    )


def _like(folder: str, kind: str) -> str:
    return f"Poses_{kind}" if folder.startswith("Poses_") else kind


def _subject_folder(path: Path) -> Path:
    for folder in path.parents:
        if folder.name[:1] == "S" and folder.name[1:].isdecimal():
            return folder
    raise InputError(f"'{path}' is not in the folder of a subject, as 'S9'.")


def _pose(path: Path, axes: int, broken: dict[int, str]) -> np.ndarray:
    found = read_cdf(path, "Pose", WHAT)
    if found.ndim == 3 and len(found) == 1:
        found = found[0]
    fields = Fields(path, {"Pose": found}, broken=broken)
    return _seventeen(fields, "Pose", found, axes)


def _seventeen(fields: Fields, name: str, rows: object, axes: int) -> np.ndarray:
    """The 17 of 32 points, frame by frame."""
    array = fields.as_rows(rows, name, "frames", 32 * axes)
    return array.reshape(-1, 32, axes)[:, H36M17_OF_32]


def _upright(joints: np.ndarray) -> np.ndarray:
    return joints @ R_YUP_ZUP.T


def _of_npz(path: Path, subjects: frozenset[str]) -> Iterator[Recording]:
    """VideoPose3D's packing: pickled dicts of subjects and trials, metres, z up."""
    in_space = _packed(path, "positions_3d")
    seen_path = path.with_name(NPZ_2D)
    seen = _packed(seen_path, "positions_2d") if seen_path.is_file() else None
    for subject in in_space.content:
        if subject not in subjects:
            continue
        trials = in_space.part(subject)
        seen_trials = None if seen is None or subject not in seen else seen.part(subject)
        for trial in trials.content:
            trials = replace(trials, lengths={}, broken={})
            joints = trials.rows(trial, "frames", 32, 3)[:, H36M17_OF_32]
            pixels: dict[str, np.ndarray | None] = dict.fromkeys(CAMERAS)
            if seen_trials is not None and trial in seen_trials:
                seen_trials = replace(seen_trials, lengths={}, broken=trials.broken)
                views = seen_trials.parts(trial, len(CAMERAS))
                for name, view in zip(CAMERAS, views, strict=True):
                    pixels[name] = seen_trials.as_rows(view, trial, f"of {name}", 17, 2)
            yield Recording(
                str(subject),
                trial,
                _upright(joints),
                "world",
                np.arange(len(joints)),
                pixels,
                path.parent / str(subject),
                broken=trials.broken,
            )


def _packed(path: Path, name: str) -> Fields:
    return Fields.of(path, {name: read_npz_objects(path, name, what=WHAT)}, WHAT).part(name)


def _of_h5(file: Any, path: Path) -> Recording:
    """Martinez et al.'s packing of the positions in the world: (96, frames), millimetres."""
    fields = Fields(path, {})
    rows = hdf5_array(file, "3D_positions", path)
    joints = _seventeen(fields, "3D_positions", rows.T, 3)
    subject = _subject_folder(path)
    pixels: dict[str, np.ndarray | None] = dict.fromkeys(CAMERAS)
    frames = np.arange(len(joints))
    world_m = _upright(joints / 1000)
    return Recording(
        subject.name, path.stem, world_m, "world", frames, pixels, subject, broken=fields.broken
    )


def _of_annotations(file: Any, path: Path) -> Iterator[Recording]:
    """h36m-fetch's packing: chosen frames of a trial, all cameras one after the other."""
    names = ("pose/2d", "pose/3d", "camera", "frame")
    fields = Fields(path, {name: hdf5_array(file, name, path) for name in names})
    pixels = fields.rows("pose/2d", "frames", 32, 2)[:, H36M17_OF_32]
    joints = fields.rows("pose/3d", "frames", 32, 3)[:, H36M17_OF_32]
    camera, frame = (fields.numbers(name, "frames", finite=False).astype(int) for name in names[2:])
    subject, said = _subject_folder(path), fields.broken
    for name in CAMERAS:
        rows = np.flatnonzero(camera == int(name))
        if not len(rows):
            continue
        found = file.get(f"intrinsics/{name}")
        known = {} if found is None else {name: fields.as_row(np.asarray(found), "intrinsics", 4)}
        images = path.parent / "imageSequence" / name
        yield Recording(
            subject.name,
            path.parent.name,
            joints[rows] / 1000,
            "camera",
            frame[rows] - 1,  # counted from 1, as the images are
            {name: pixels[rows]},
            subject,
            images=tuple(images / f"img_{number:06d}.jpg" for number in frame[rows]),
            broken={i: said[r] for i, r in enumerate(rows.tolist()) if r in said},
            intrinsics=known,
        )
