"""MPI-INF-3DHP: actors before a green screen, 14 cameras, joints tracked without markers (2017)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from kinflow.datasets.readers.bodies import UP
from kinflow.datasets.readers.fields import Fields, reading
from kinflow.datasets.readers.joint_names import MPI17, MPI28
from kinflow.datasets.readers.mpi_inf_3dhp_cameras import camera_of_test, read_calibration
from kinflow.datasets.readers.packages import hdf5_array, package, read_hdf5, read_mat
from kinflow.datasets.readers.reader import DatasetInfo, Finding, Reader, Unit
from kinflow.datasets.readers.records import OnFault, made, raised
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import CalibratedCamera, Joints3D, Keypoints2D, Picture
from kinflow.errors import InputError

DEFINITION = "mocap:mpi-inf-3dhp"
ACTIVITIES = (
    "standing and walking",
    "exercise",
    "sitting",
    "crouching and reaching",
    "on the floor",
    "sports",
    "miscellaneous",
)
_CAMERAS = 14
_CHEST_HEIGHT = (0, 1, 2, 4, 5, 6, 7, 8)
"""Whose videos the download script fetches unless told otherwise (`vnect_cameras`)."""
_LONG_FRAMES, _FPS, _LONG_FPS = 9000, 25.0, 50.0
_SHORT_VIDEO = {("S6", "Seq2", 2): 3911}
_WHAT_TRAIN, _WHAT_TEST = "an annot.mat of MPI-INF-3DHP", "an annot_data.mat of MPI-INF-3DHP"


class MpiInf3dhp(Reader):
    """Reads sequences of both sets; each frame of a camera is a sample."""

    info = DatasetInfo(
        name="mpi-inf-3dhp",
        title="MPI-INF-3DHP",
        home="https://vcai.mpi-inf.mpg.de/3dhp-dataset/",
        licence="for non-commercial research only; no redistribution",
        tree=(
            "S1/Seq1/annot.mat, camera.calibration and imageSequence/video_0.avi ...\n"
            "TS1/annot_data.mat and imageSequence/img_000001.jpg ... "
            "(or mpi_inf_3dhp_test_set/TS1)"
        ),
        used=(
            "annot2, annot3 (millimetres of the real person, in the camera's frame) and the "
            "calibration; of the test set also valid_frame and activity_annotation. Of the "
            "training set the eight cameras at the height of the chest. Not: univ_annot3, masks"
        ),
        faults=(
            "univ_annot3 has bones scaled to one person's and is not read: annot3 is the person's",
            "sequences have 25 or 50 frames a second: those of 9,000 frames and more have 50",
            "the video of S6, Seq2, camera 2 is too short: frames after 3,910 have no picture",
            "TS5 and TS6 have a lens that distorts; annot2 of all sequences agrees with annot3",
            "frames of the test set with valid_frame 0 show nobody and are not valid",
            "joints are a tracker's: 28 of the training set, 17 of the test set, whose `head` and "
            "`spine` others leave out",
            "pixels are as the files have them; whether whole numbers are the middles of pixels is "
            "not said, so they may be half a pixel from kinflow's",
        ),
        splits=("train", "test"),
        labels=("picture", "keypoints", "joints", "camera", "gravity", "identity", "time"),
        needs=("h5py",),
    )  # fmt: skip

    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """As `Reader.units`: a unit is a sequence."""
        train = sorted(root.glob("S[1-8]/Seq[12]/annot.mat"))
        test = sorted(root.glob("TS[1-6]/annot_data.mat"))
        test = test or sorted(root.glob("mpi_inf_3dhp_test_set/TS[1-6]/annot_data.mat"))
        if not train and not test:
            raise InputError(
                f"'{root}' holds no sequences of MPI-INF-3DHP; there have to be S1/Seq1/annot.mat "
                "or TS1/annot_data.mat."
            )
        if test:
            package("h5py", f"Reading {_WHAT_TEST}")
        units = [
            *(Unit(path, f"{path.parts[-3]}/{path.parts[-2]}", "train") for path in train),
            *(Unit(path, path.parts[-2], "test") for path in test),
        ]
        findings = [
            Finding("missing", f"'{path.with_name('camera.calibration')}' is not there.")
            for path in train
            if not path.with_name("camera.calibration").is_file()
        ]
        for kind, found, whole in (("training", train, 16), ("test", test, 6)):
            if found and len(found) < whole:
                findings.append(
                    Finding("missing", f"'{root}' holds {len(found)} of {whole} {kind} sequences.")
                )
        return units, findings

    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """As `Reader.read`; a record is a frame of a camera."""
        what = _WHAT_TRAIN if unit.split == "train" else _WHAT_TEST
        with reading(unit.path, what):
            views = _train(unit) if unit.split == "train" else _test(unit)
            for view in views:
                frames, make = range(len(view.joints_m)), partial(_sample, unit, view)
                yield from made(frames, make, unit.path, view.frame_name, on_fault)


def _train(unit: Unit) -> Iterator[_View]:
    subject, sequence = unit.key.split("/")
    content = read_mat(unit.path, ("annot2", "annot3"), _WHAT_TRAIN)
    fields = Fields.of(unit.path, content, _WHAT_TRAIN)
    fields.need(("annot2", "annot3"), _WHAT_TRAIN)
    pixels, points = (_views(fields, name) for name in ("annot2", "annot3"))
    calibration = unit.path.with_name("camera.calibration")
    cameras = read_calibration(calibration) if calibration.is_file() else {}
    for number in _CHEST_HEIGHT:
        fields.lengths.clear()
        seen = replace(fields, broken={})
        joints = seen.as_rows(points[number], "annot3", "frames", 84).reshape(-1, 28, 3)
        px = seen.as_rows(pixels[number], "annot2", "frames", 56).reshape(-1, 28, 2)
        video = unit.path.parent / "imageSequence" / f"video_{number}.avi"
        readable = _SHORT_VIDEO.get((subject, sequence, number), len(joints))
        yield _View(
            fields=seen,
            key=f"{unit.key}/{number}",
            names=MPI28,
            joints_m=joints / 1000,
            px=px,
            camera=cameras.get(number),
            fps=_LONG_FPS if len(joints) > _LONG_FRAMES else _FPS,
            identity=subject,
            pictures=[Picture(video, (2048, 2048), frame) for frame in range(readable)],
        )


def _views(fields: Fields, name: str) -> list[object]:
    """MATLAB's column of cells, one a camera."""
    cells = fields.raw(name)
    if not isinstance(cells, np.ndarray) or cells.dtype != object or cells.size != _CAMERAS:
        raise InputError(f"'{fields.path}': '{name}' does not hold {_CAMERAS} cameras.")
    return list(cells.reshape(-1))


def _test(unit: Unit) -> Iterator[_View]:
    names = ("annot2", "annot3", "valid_frame", "activity_annotation")
    content = read_hdf5(
        unit.path,
        lambda file: {name: hdf5_array(file, name, unit.path) for name in names},
        _WHAT_TEST,
    )
    fields = Fields(unit.path, content)
    px = fields.rows("annot2", "frames", 1, 17, 2)[:, 0]
    joints = fields.rows("annot3", "frames", 1, 17, 3)[:, 0]
    valid = fields.flags("valid_frame", "frames", 1)[:, 0]
    activity = fields.numbers("activity_annotation", "frames", 1)[:, 0].astype(int)
    images, camera = unit.path.parent / "imageSequence", camera_of_test(unit.key)
    size = camera.size if camera else None
    numbers = range(1, len(joints) + 1)
    yield _View(
        fields=fields,
        key=unit.key,
        names=MPI17,
        joints_m=joints / 1000,
        px=px,
        camera=camera,
        fps=_FPS,
        identity=unit.key,
        pictures=[Picture(images / f"img_{number:06d}.jpg", size) for number in numbers],
        actions=[ACTIVITIES[a - 1] if 0 < a <= len(ACTIVITIES) else None for a in activity],
        valid=valid,
    )


@dataclass(frozen=True)
class _View:
    """A sequence as one camera saw it; there may be fewer pictures than frames."""

    fields: Fields
    key: str
    names: tuple[str, ...]
    joints_m: Float64[np.ndarray, "frames j 3"]
    px: Float64[np.ndarray, "frames j 2"]
    camera: CalibratedCamera | None
    fps: float
    identity: str
    pictures: list[Picture]
    actions: list[str | None] | None = None
    valid: np.ndarray | None = None

    def frame_name(self, frame: int) -> str:
        """For sentences."""
        return f"Frame {frame} of '{self.key}'"


def _sample(unit: Unit, view: _View, frame: int) -> Sample:
    view.fields.check_row(frame)
    count = len(view.names)
    valid = view.valid is None or bool(view.valid[frame])
    R = None if view.camera is None else view.camera.R_cam_world
    return Sample(
        dataset="mpi-inf-3dhp",
        key=f"{view.key}/{frame:06d}",
        split=unit.split,
        licence=MpiInf3dhp.info.licence,
        picture=view.pictures[frame] if frame < len(view.pictures) else None,
        keypoints=(
            Keypoints2D(view.names, view.px[frame].astype(np.float32), np.ones(count, np.float32))
            if valid
            else None
        ),
        joints=Joints3D(
            view.names,
            view.joints_m[frame].astype(np.float32),
            np.ones(count, bool),
            "camera",
            DEFINITION,
        ),
        camera=view.camera,
        up=None if R is None else R @ UP,
        identity=view.identity,
        sequence=unit.key,
        action=view.actions[frame] if view.actions else None,
        time_s=frame / view.fps,
        fps=view.fps,
        valid=valid,
    )
