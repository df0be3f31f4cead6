"""CMU's motion capture database, as it was recorded (ASF/AMC) and in its BVH conversion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64

from kinflow.body.skeleton import JOINT_NAMES
from kinflow.datasets.acclaim import read_acclaim, skeleton_path
from kinflow.datasets.bvh import BvhClip, forward_kinematics, read_bvh
from kinflow.datasets.mocap_splits import CMU_SPLITS, MocapSplits, subject_of
from kinflow.datasets.plausible import plausible_frames
from kinflow.datasets.readers.bodies import UP
from kinflow.datasets.readers.fields import reading
from kinflow.datasets.readers.reader import DatasetInfo, Finding, Reader, Unit
from kinflow.datasets.readers.records import OnFault, raised
from kinflow.datasets.retarget import (
    METRES_PER_CMU_UNIT,
    SOURCE_JOINTS,
    RetargetedMotion,
    is_cmu,
    measure_elbow_hinges,
    retarget_cmu,
)
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import BodyLabel, Joints3D
from kinflow.datasets.timing import timing_fault
from kinflow.errors import InputError

RATE_HZ = 30.0
"""Frames are left out to come near it."""
_JOINTS = SOURCE_JOINTS | {"left_wrist": "LeftHand", "right_wrist": "RightHand"}
"""Places; how a wrist turns is another joint's to say."""
_BENDS = 0.9
_WHAT = "a motion of CMU's database"


@dataclass(frozen=True)
class Cmu(Reader):
    """Reads recordings; each frame, thinned to about 30 a second, is a sample.

    Attributes:
        splits: who is held out.
    """

    splits: MocapSplits = CMU_SPLITS

    info = DatasetInfo(
        name="cmu",
        title="CMU motion capture database",
        home="http://mocap.cs.cmu.edu",
        licence="free for all uses, if not resold as it is (mocap.cs.cmu.edu/faqs.php)",
        tree=(
            "<subject>/<subject>.asf and <subject>/<subject>_<trial>.amc, or\n"
            "<subject>/<subject>_<trial>.bvh (the MotionBuilder-friendly conversion)"
        ),
        used="skeleton and angles: places of joints, and rotations on kinflow's 22 joints",
        faults=(
            "AMC files do not say their frame rate: it is 120 a second, but some hold 60; where "
            "somebody would fall faster than gravity lets him, or walk in steps too short and too "
            "many, it is halved, also that of BVH; where that does not help there are no times",
            "frames in which a joint jumps or turns further than a body can are not valid",
            "how arms are twisted is read from how elbows bend; recordings in which they hardly "
            "bend have places of joints and no rotations",
            "many BVH conversions begin with a frame of calibration in a T-pose",
        ),
        splits=("train", "validation", "test"),
        labels=("joints", "body", "gravity", "identity", "time"),
    )

    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """As `Reader.units`: a unit is a recording."""
        paths = sorted(
            path
            for path in root.rglob("*")
            if path.suffix.lower() in (".amc", ".bvh") and not path.name.startswith("._")
        )
        if not paths:
            raise InputError(
                f"'{root}' holds no recordings of CMU; unpack its archives there, so that there is "
                "01/01.asf with 01/01_01.amc, or 01/01_01.bvh."
            )
        units = [
            Unit(
                path,
                path.relative_to(root).as_posix(),
                self.splits.of(subject_of(path)),
            )
            for path in paths
        ]
        findings = [
            Finding("missing", f"'{path}' needs a skeleton: there is no '{skeleton_path(path)}'.")
            for path in paths
            if path.suffix.lower() == ".amc" and not skeleton_path(path).is_file()
        ]
        kinds = {path.suffix.lower() for path in paths}
        if len({path.stem for path in paths}) < len(paths) and len(kinds) > 1:
            findings.append(Finding("version", "Recordings are there as AMC and as BVH, so twice."))
        return units, findings

    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """As `Reader.read`.

        Frames do not stand for themselves: the frame rate and how arms are twisted are read from
        the whole recording.
        """
        with reading(unit.path, _WHAT):
            recording = _Recording.load(unit.path)
            subject = subject_of(unit.path)
            for row in range(len(recording.joints_m)):
                frame = row * recording.stride
                yield Sample(
                    dataset="cmu",
                    key=f"{unit.key}/{frame:06d}",
                    split=unit.split,
                    licence=self.info.licence,
                    joints=Joints3D(
                        tuple(_JOINTS),
                        recording.joints_m[row].astype(np.float32),
                        np.ones(len(_JOINTS), bool),
                        "world",
                        "mocap:cmu",
                    ),
                    body=_body(recording.motion, row),
                    up=UP,
                    identity=subject,
                    sequence=unit.path.stem,
                    time_s=frame / recording.rate_hz if recording.rate_hz else None,
                    fps=recording.rate_hz / recording.stride if recording.rate_hz else None,
                    valid=bool(recording.good[row]),
                )


@dataclass(frozen=True)
class _Recording:
    """One recording, thinned.

    Attributes:
        joints_m: places of `_JOINTS`.
        motion: on our skeleton; None where the elbows do not bend.
        good: which frames are poses.
        rate_hz: of the file, None where it cannot be right.
        stride: between frames that are kept.
    """

    joints_m: Float64[np.ndarray, "frames j 3"]
    motion: RetargetedMotion | None
    good: np.ndarray
    rate_hz: float | None
    stride: int

    @staticmethod
    def load(path: Path) -> _Recording:
        """Read a recording of either kind."""
        clip = _clip(path)
        if not is_cmu(clip):
            raise InputError(f"'{path}' has another skeleton than CMU's recordings.")
        _, places = forward_kinematics(clip)
        places_m = places * METRES_PER_CMU_UNIT
        joints_m = places_m[:, [clip.joint(name) for name in _JOINTS.values()]]
        rate_hz = true_rate_hz(joints_m, 1 / clip.frame_time_s)
        stride = max(1, round((rate_hz or 1 / clip.frame_time_s) / RATE_HZ))
        hinges = measure_elbow_hinges(clip)
        thin = clip.frames(slice(None, None, stride))
        motion = retarget_cmu(thin, hinges) if hinges.concentration > _BENDS else None
        good = np.ones(len(thin), bool)
        if motion is not None:
            good = plausible_frames(motion.rotations)
        return _Recording(joints_m[::stride], motion, good, rate_hz, stride)


def true_rate_hz(joints_m: Float64[np.ndarray, "frames j 3"], rate_hz: float) -> float | None:
    """The frame rate of a recording that may be labelled with twice of it; None if neither fits."""
    names = list(_JOINTS)
    places = torch.from_numpy(joints_m)
    root = places[:, names.index("pelvis")]
    ankles = places[:, [names.index("left_ankle"), names.index("right_ankle")]]
    for rate in (rate_hz, rate_hz / 2):
        if timing_fault(root, ankles, rate) is None:
            return rate
    return None


def _clip(path: Path) -> BvhClip:
    return read_bvh(path) if path.suffix.lower() == ".bvh" else read_acclaim(path)


def _body(motion: RetargetedMotion | None, row: int) -> BodyLabel | None:
    if motion is None:
        return None
    R = motion.rotations[row].astype(np.float32)
    t_m = motion.root_positions_m[row].astype(np.float32)
    return BodyLabel("skeleton", JOINT_NAMES, R, t_m, "world")
