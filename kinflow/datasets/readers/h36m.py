"""Human3.6M: actors in a laboratory, four cameras, joints from markers (Ionescu et al. 2014)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from kinflow.datasets.readers.bodies import UP
from kinflow.datasets.readers.fields import reading
from kinflow.datasets.readers.h36m_cameras import CAMERAS, Cameras, find_cameras
from kinflow.datasets.readers.h36m_files import NPZ_2D, NPZ_3D, WHAT, Recording, recordings
from kinflow.datasets.readers.joint_names import H36M17
from kinflow.datasets.readers.packages import package
from kinflow.datasets.readers.reader import DatasetInfo, Finding, Reader, Unit
from kinflow.datasets.readers.records import OnFault, made, raised
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import CalibratedCamera, Joints3D, Keypoints2D, Picture
from kinflow.errors import InputError

FPS = 50.0
SUBJECTS: dict[str, frozenset[str]] = {
    "train": frozenset({"S1", "S5", "S6", "S7", "S8"}),
    "test": frozenset({"S9", "S11"}),
}
SHIFTED = frozenset({"Greeting", "SittingDown 1", "Waiting 1"})
"""Trials of S9 whose labels lie beside the person."""
SHIFT_M = np.array([-0.2, 0.0, 0.0])
_CORRUPT_VIDEO = ("S11", "Directions", "54138969")
_OTHER_NAMES = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}
_LAYOUTS = (
    "S*/MyPoseFeatures/D3_Positions/*.cdf",
    "S*/Poses_D3_Positions/*.cdf",
    "S*/MyPoseFeatures/D3_Positions_mono/*.cdf",
    "S*/Poses_D3_Positions_mono/*.cdf",
    "S*/MyPoseFeatures/D3_Positions_mono_universal/*.cdf",
    "S*/Poses_D3_Positions_mono_universal/*.cdf",
    NPZ_3D,
    "S*/MyPoses/3D_positions/*.h5",
    "S*/*/annot.h5",
)
"""In the order in which they are preferred."""
_BELOW = ("", "h36m", "extracted", "processed")


class H36m(Reader):
    """Reads the first layout that is there; each frame of each camera is a sample."""

    info = DatasetInfo(
        name="h36m",
        title="Human3.6M",
        home="http://vision.imar.ro/human3.6m",
        licence="for academic research only; no redistribution",
        tree=(
            "metadata.xml (of Release-v1.2: the cameras), and one of\n"
            "S9/MyPoseFeatures/{D3_Positions,D2_Positions}/*.cdf with S9/Videos/*.mp4\n"
            "S9/Poses_D3_Positions[_mono[_universal]]/*.cdf (as h36m-fetch extracts them)\n"
            "data_3d_h36m.npz and data_2d_h36m_gt.npz (VideoPose3D)\n"
            "S9/MyPoses/3D_positions/*.h5 and cameras.h5 (Martinez et al.)\n"
            "S9/<action>-<n>/annot.h5 and imageSequence (h36m-fetch)"
        ),
        used=(
            "17 of the 32 points of D3_Positions and D2_Positions, cameras with their lenses, "
            "frames of the videos. Not: angles, the time-of-flight camera, scans, S2, S3, S4, S10, "
            "whose poses are kept back"
        ),
        faults=(
            "labels of S9 in Greeting, SittingDown 1 and Waiting 1 lie 200 mm beside the person: "
            "joints in the world are moved back and projected anew; where there are joints of "
            "cameras only, these trials are not valid. annot.h5 of h36m-fetch does not tell which "
            "trial it is of, and is left as it is",
            "the video of S11, Directions, camera 54138969 is corrupt: its samples have no picture",
            "TakingPhoto and WalkingDog are also called Photo and WalkDog; actions are the latter",
            "D3_Positions_mono_universal has bones scaled to one person's: it is read where there "
            "is nothing else, and its joints are of `mocap:h36m-universal`",
            "the 17 joints are called by the protocol's names: what others call thorax is `neck`, "
            "nose or jaw is `nose`, head is `head_top`",
            "re-packings have no cameras of their own: add metadata.xml or cameras.h5",
            "pixels are as the files have them; whether whole numbers are the middles of pixels is "
            "not said, so they may be half a pixel from kinflow's",
        ),
        splits=tuple(SUBJECTS),
        labels=("picture", "keypoints", "joints", "camera", "gravity", "identity", "time"),
        needs=("cdflib", "h5py"),
    )

    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """As `Reader.units`: a unit is a trial, or half of VideoPose3D's file."""
        pattern, paths = _first_layout(root)
        if pattern != NPZ_3D:
            package("cdflib" if pattern.endswith(".cdf") else "h5py", f"Reading {WHAT}")
        if pattern == NPZ_3D:
            units = [Unit(paths[0], f"{paths[0].stem}/{split}", split) for split in SUBJECTS]
        else:
            units = [
                Unit(path, path.relative_to(root).with_suffix("").as_posix(), split)
                for path in paths
                if (split := _split_of(path)) is not None
            ]
        return units, list(_findings(root, pattern, paths))

    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """As `Reader.read`; a record is a frame of a camera."""
        cameras = find_cameras(root) or {}
        subjects = SUBJECTS[unit.split or "train"]
        with reading(unit.path, WHAT):
            for recording in recordings(unit.path, subjects):
                for name in recording.pixels:
                    view = _View.of(recording, name, cameras)
                    rows, make = range(len(recording.frames)), partial(_sample, view, unit.split)
                    yield from made(rows, make, unit.path, view.row_name, on_fault)


def _first_layout(root: Path) -> tuple[str, list[Path]]:
    for below in _BELOW:
        for pattern in _LAYOUTS:
            paths = sorted(p for p in (root / below).glob(pattern) if "_ALL" not in p.name)
            if paths:
                return pattern, paths
    raise InputError(
        f"'{root}' holds no poses of Human3.6M; unpack Poses_D3_Positions_S*.tgz there, so that "
        "there is S9/MyPoseFeatures/D3_Positions/*.cdf, or a re-packing (data_3d_h36m.npz)."
    )


def _split_of(path: Path) -> str | None:
    names = {folder.name for folder in path.parents}
    return next((split for split, subjects in SUBJECTS.items() if names & subjects), None)


def _findings(root: Path, pattern: str, paths: list[Path]) -> Iterator[Finding]:
    if find_cameras(root) is None:
        yield Finding("missing", f"'{root}' has no cameras: add metadata.xml of Release-v1.2.")
    if pattern == NPZ_3D:
        if not paths[0].with_name(NPZ_2D).is_file():
            yield Finding("missing", f"'{paths[0].with_name(NPZ_2D)}' is not there.")
        return
    there = {folder.name for path in paths for folder in path.parents}
    for split, subjects in SUBJECTS.items():
        if not subjects & there:
            yield Finding("note", f"'{root}' has no subjects of the split {split}.")
            continue
        for subject in sorted(subjects - there):
            yield Finding("missing", f"'{root}' has no poses of {subject}.")
    if "universal" in pattern:
        yield Finding("version", "Joints are those of the universal skeleton, not people's own.")


@dataclass(frozen=True)
class _View:
    """A trial as one camera saw it."""

    recording: Recording
    name: str
    camera: CalibratedCamera | None
    shifted: bool
    joints_m: np.ndarray

    @staticmethod
    def of(recording: Recording, name: str, cameras: Cameras) -> _View:
        """Labels that lie beside the person are moved back where that can be done."""
        shifted = recording.subject == "S9" and recording.trial in SHIFTED
        moved = shifted and recording.space == "world"
        joints_m = recording.joints_m + SHIFT_M if moved else recording.joints_m
        return _View(recording, name, _camera(recording, name, cameras), shifted, joints_m)

    @property
    def valid(self) -> bool:
        return not self.shifted or self.recording.space == "world"

    def row_name(self, row: int) -> str:
        """For sentences."""
        return f"Frame {self.recording.frames[row]} of '{self.recording.trial}.{self.name}'"

    def px(self, row: int) -> np.ndarray | None:
        """The joints in the picture."""
        pixels = self.recording.pixels[self.name]
        if self.shifted and self.valid and self.camera is not None:
            return _projected(self.camera, self.joints_m[row].astype(np.float32))
        if not self.shifted and pixels is not None and row < len(pixels):
            return pixels[row].astype(np.float32)
        return None


def _sample(view: _View, split: str | None, row: int) -> Sample:
    recording, frame = view.recording, view.recording.frames[row]
    if row in recording.broken:
        raise InputError(recording.broken[row])
    subject, trial, px = recording.subject, recording.trial, view.px(row)
    return Sample(
        dataset="h36m",
        key=f"{subject}/{trial}/{view.name}/{frame:06d}",
        split=split,
        licence=H36m.info.licence,
        picture=_picture(recording, view.name, row),
        keypoints=None if px is None else Keypoints2D(H36M17, px, np.ones(17, np.float32)),
        joints=Joints3D(
            H36M17,
            view.joints_m[row].astype(np.float32),
            np.ones(17, bool),
            recording.space,
            "mocap:h36m-universal" if recording.universal else "mocap:h36m",
        ),
        camera=view.camera,
        up=_up(recording, view.camera),
        identity=subject,
        sequence=f"{subject}/{trial}",
        action=action_of(trial),
        time_s=float(frame / FPS),
        fps=FPS,
        valid=view.valid,
    )


def action_of(trial: str) -> str:
    """What is done in a trial: its name without its number."""
    action = re.sub(r"[ -]\d+$", "", trial)
    return _OTHER_NAMES.get(action, action)


def _camera(recording: Recording, name: str, cameras: Cameras) -> CalibratedCamera | None:
    if (recording.subject, name) in cameras:
        return cameras[recording.subject, name]
    if name in recording.intrinsics:
        fx, cx, fy, cy = (float(value) for value in recording.intrinsics[name][:4])
        return CalibratedCamera((fx, fy), (cx, cy), CAMERAS[name])
    return None


def _up(recording: Recording, camera: CalibratedCamera | None) -> np.ndarray | None:
    if recording.space == "world":
        return UP
    if camera is None or camera.R_cam_world is None:
        return None
    return camera.R_cam_world @ UP


def _projected(camera: CalibratedCamera, position_m: np.ndarray) -> np.ndarray | None:
    """Where joints of the world are seen that have been moved."""
    px = camera.project(camera.to_camera(position_m))
    return px if np.isfinite(px).all() else None


def _picture(recording: Recording, camera: str, row: int) -> Picture | None:
    if recording.images:
        return Picture(recording.images[row])
    if (recording.subject, recording.trial, camera) == _CORRUPT_VIDEO:
        return None
    video = recording.folder / "Videos" / f"{recording.trial}.{camera}.mp4"
    return Picture(video, CAMERAS[camera], int(recording.frames[row]))
