"""3DPW: people outdoors, filmed by a hand-held phone and tracked by inertial sensors (2018).

A `.pkl` of Python 2 is a sequence of one or two people: SMPL's parameters in a world, the camera
of every frame in it, and OpenPose's keypoints. Pickles are read as plain data: nothing in them
runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from kinflow.datasets.readers.bodies import (
    UP,
    body_label,
    camera_of,
    gender_of,
    matrices,
    turn_up,
    turned_extrinsics,
    way_up,
)
from kinflow.datasets.readers.fields import Fields, reading
from kinflow.datasets.readers.joint_names import OPENPOSE18, SMPL24
from kinflow.datasets.readers.reader import (
    DatasetInfo,
    Finding,
    Reader,
    Unit,
    absent_split,
    split_findings,
)
from kinflow.datasets.readers.records import OnFault, made, raised
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import CalibratedCamera, Joints3D, Keypoints2D, Picture
from kinflow.errors import InputError
from kinflow.files.plain_pickle import load_plain

FPS = 30.0
_SPLITS = ("train", "validation", "test")
_SEQUENCES = {"train": 24, "validation": 12, "test": 24}
_WHAT = "a sequence of 3DPW"
_NEEDED = ("poses", "trans", "betas", "genders", "cam_poses", "cam_intrinsics")
_SIDES = (1080, 1920)


class ThreeDPW(Reader):
    """Reads `sequenceFiles`; each person in each frame is a sample."""

    info = DatasetInfo(
        name="3dpw",
        title="3DPW",
        home="https://virtualhumans.mpi-inf.mpg.de/3DPW/",
        licence="for non-commercial research only; no redistribution",
        tree=(
            "sequenceFiles/{train,validation,test}/*.pkl\n"
            "imageFiles/<sequence>/image_00000.jpg ..."
        ),
        used=(
            "poses, trans, betas and genders of SMPL; cam_intrinsics, cam_poses (world to camera) "
            "and campose_valid; poses2d; jointPositions. Not: 60 Hz poses, clothed shapes, textures"
        ),
        faults=(
            "jointPositions are not the joints of the labelled mesh: they differ by some 46 mm, so "
            "evaluation regresses joints from the mesh; they are given as joints of `3dpw`",
            "where campose_valid is 0 the camera is not aligned for that person: the sample has no "
            "place of the camera and is marked as not valid",
            "poses2d are OpenPose's detections and not labels; all zeros are nobody",
            "the documentation does not say which way up the world is; it is told from how people "
            "are turned, sequence by sequence, and turned to y up",
            "people have no names: an identity holds within its sequence only",
            "pixels are as the files have them; whether whole numbers are the middles of pixels is "
            "not said, so they may be half a pixel from kinflow's",
        ),
        splits=_SPLITS,
        labels=("picture", "keypoints", "joints", "body", "shape", "camera", "gravity", "identity",
                "time"),
    )  # fmt: skip

    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """As `Reader.units`: a unit is a sequence."""
        folder = root / "sequenceFiles"
        found = [
            Unit(path, f"{split}/{path.stem}", split)
            for split in _SPLITS
            for path in sorted((folder / split).glob("*.pkl"))
        ]
        if not found:
            raise InputError(
                f"'{root}' holds no sequences of 3DPW; unpack sequenceFiles.zip there, so that "
                "there is sequenceFiles/test/*.pkl."
            )
        findings = []
        for split, whole in _SEQUENCES.items():
            count, where = sum(unit.split == split for unit in found), folder / split
            if not count:
                findings.append(Finding("note", absent_split(f"{where}/*.pkl")))
            elif split == "test":
                there = [unit.path.stem for unit in found if unit.split == split]
                findings += split_findings("3dpw", split, there)
            elif count < whole:
                findings.append(
                    Finding("missing", f"'{where}' holds {count} of {whole} sequences.")
                )
        return found, findings

    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """As `Reader.read`; a record is a person in a frame."""
        with reading(unit.path, _WHAT):
            sequence = _Sequence.load(unit.path)
            places = product(range(sequence.num_frames), range(len(sequence.people)))
            make = partial(_sample, root, unit, sequence)
            yield from made(places, make, unit.path, _place_name, on_fault)


def _place_name(place: tuple[int, int]) -> str:
    return f"Frame {place[0]}, person {place[1]},"


@dataclass(frozen=True)
class _Person:
    """One person's labels in all frames, in the world of the file."""

    fields: Fields
    R: Float32[np.ndarray, "frames 24 3 3"]
    t_m: Float64[np.ndarray, "frames 3"]
    betas: Float64[np.ndarray, "10"]
    gender: str
    camera_valid: np.ndarray
    keypoints: Float64[np.ndarray, "frames 3 18"] | None
    joints_m: Float64[np.ndarray, "frames 24 3"] | None


@dataclass(frozen=True)
class _Sequence:
    fields: Fields
    name: str
    num_frames: int
    people: tuple[_Person, ...]
    K: Float64[np.ndarray, "3 3"]
    cam_poses: Float64[np.ndarray, "frames 4 4"]
    R_world_file: Float32[np.ndarray, "3 3"] | None
    up: Float32[np.ndarray, "3"] | None

    @staticmethod
    def load(path: Path) -> _Sequence:
        """The labels of a file, checked."""
        fields = Fields.of(path, load_plain(path), _WHAT)
        fields.need(_NEEDED, _WHAT)
        poses = fields.parts("poses")
        people = tuple(_person(fields, row, len(poses)) for row in range(len(poses)))
        if not people:
            raise InputError(f"'{path}' holds no people.")
        roots = [np.delete(one.R[:, 0], list(one.fields.broken), 0) for one in people]
        up = way_up(np.concatenate(roots))
        return _Sequence(
            fields=fields,
            name=path.stem,
            num_frames=fields.lengths["frames"],
            people=people,
            K=fields.numbers("cam_intrinsics", 3, 3),
            cam_poses=turned_extrinsics(
                fields.numbers("cam_poses", "frames", 4, 4, finite=False), turn_up(up)
            ),
            R_world_file=turn_up(up),
            up=None if up is None else UP,
        )

    def camera(self, frame: int, valid: bool) -> CalibratedCamera:
        """The camera of a frame, with its place where that holds for somebody."""
        long, short = max(_SIDES), min(_SIDES)
        size = (short, long) if self.K[1, 2] > self.K[0, 2] else (long, short)
        pose = self.cam_poses[frame] if valid else None
        if pose is not None:
            self.fields.check_finite(pose, "cam_poses")
        return camera_of(self.K, size, pose)


def _person(file: Fields, row: int, count: int) -> _Person:
    fields = replace(file, broken={})  # frames of others are no faults of theirs
    pose = fields.as_rows(fields.parts("poses", count)[row], "poses", "frames", 72)
    optional = {name: fields.parts(name, count)[row] for name in _OPTIONAL if name in fields}
    valid, keypoints, joints = (optional.get(name) for name in _OPTIONAL)
    frames = len(pose)
    return _Person(
        fields=fields,
        R=matrices(pose),
        t_m=fields.as_rows(fields.parts("trans", count)[row], "trans", "frames", 3),
        betas=fields.as_row(fields.parts("betas", count)[row], "betas", 10)[:10],
        gender=gender_of(str(fields.parts("genders", count)[row]), fields),
        camera_valid=(
            np.ones(frames, bool)
            if valid is None
            else fields.as_numbers(valid, "campose_valid", "frames") != 0
        ),
        keypoints=(
            None if keypoints is None else fields.as_rows(keypoints, "poses2d", "frames", 3, 18)
        ),
        joints_m=(
            None
            if joints is None
            else fields.as_rows(joints, "jointPositions", "frames", 72).reshape(-1, 24, 3)
        ),
    )


_OPTIONAL = ("campose_valid", "poses2d", "jointPositions")


def _sample(root: Path, unit: Unit, sequence: _Sequence, place: tuple[int, int]) -> Sample:
    frame, row = place
    person = sequence.people[row]
    person.fields.check_row(frame)
    valid = bool(person.camera_valid[frame])
    camera = sequence.camera(frame, valid)
    name = sequence.name
    return Sample(
        dataset="3dpw",
        key=f"{unit.key}/{row}/{frame:05d}",
        split=unit.split,
        licence=ThreeDPW.info.licence,
        picture=Picture(root / "imageFiles" / name / f"image_{frame:05d}.jpg", camera.size),
        keypoints=_keypoints(person, frame),
        joints=_joints(sequence, person, frame),
        body=body_label(
            "smpl",
            SMPL24,
            person.R[frame],
            person.t_m[frame],
            "world",
            person.betas,
            gender_of(person.gender, sequence.fields),
            sequence.R_world_file,
        ),
        camera=camera,
        up=sequence.up,
        identity=f"{name}/{row}",
        sequence=name,
        time_s=frame / FPS,
        fps=FPS,
        valid=valid,
    )


def _keypoints(person: _Person, frame: int) -> Keypoints2D | None:
    if person.keypoints is None or not person.keypoints[frame, 2].any():
        return None
    x, y, confidence = person.keypoints[frame].astype(np.float32)
    # OpenPose's confidences come a little above 1
    return Keypoints2D(OPENPOSE18, np.stack([x, y], 1), np.clip(confidence, 0, 1))


def _joints(sequence: _Sequence, person: _Person, frame: int) -> Joints3D | None:
    if person.joints_m is None:
        return None
    world_m = person.joints_m[frame].astype(np.float32)
    if sequence.R_world_file is not None:
        world_m = world_m @ sequence.R_world_file.T
    return Joints3D(SMPL24, world_m, np.ones(24, bool), "world", "3dpw")
