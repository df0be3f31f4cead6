"""AMASS: mocap of many databases as poses of SMPL-H or SMPL-X (Mahmood et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from kinflow.datasets.amass import MAX_AMASS_BYTES, R_YUP_ZUP, frame_rate_hz, holds_motion
from kinflow.datasets.mocap_splits import AMASS_SPLITS, MocapSplits, subject_of
from kinflow.datasets.readers.bodies import UP, Gender, body_label, gender_of, matrices
from kinflow.datasets.readers.fields import Fields, reading
from kinflow.datasets.readers.joint_names import SMPL24, SMPLH52, SMPLX55
from kinflow.datasets.readers.reader import DatasetInfo, Finding, Reader, Unit
from kinflow.datasets.readers.records import OnFault, made, raised
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import BodyModel
from kinflow.errors import InputError
from kinflow.files.npz_files import array_names, read_npz, read_npz_objects

RATE_HZ = 30.0
"""Frames are left out to come near it; recordings have 60 to 250 a second."""
_WHAT = "an AMASS motion"
_MODELS: dict[int, tuple[BodyModel, tuple[str, ...]]] = {
    3 * len(SMPL24): ("smpl", SMPL24),
    3 * len(SMPLH52): ("smplh", SMPLH52),
    3 * len(SMPLX55): ("smplx", SMPLX55),
}
"""By numbers of a pose."""
_TURN = R_YUP_ZUP.astype(np.float32)


@dataclass(frozen=True)
class Amass(Reader):
    """Reads motions; each frame, thinned to about 30 a second, is a sample.

    Attributes:
        splits: who is held out.
    """

    splits: MocapSplits = AMASS_SPLITS

    info = DatasetInfo(
        name="amass",
        title="AMASS",
        home="https://amass.is.tue.mpg.de",
        licence="for non-commercial research only; no redistribution",
        tree=(
            "<part>/<subject>/*_poses.npz (SMPL-H) or *_stageii.npz (SMPL-X), e.g.\n"
            "CMU/01/01_01_poses.npz\n"
            "KIT/3/walking_slow01_stageii.npz"
        ),
        used=(
            "poses, fingers included, trans, betas, gender and the frame rate (mocap_framerate or "
            "mocap_frame_rate). Not: soft tissue (dmpls), markers, shape.npz and *_stagei.npz"
        ),
        faults=(
            "some files hold no frames; they are no fault of yours and give no samples",
            "z is up; frames are turned to y up",
            "genders are text, bytes or objects; objects are read as plain data",
            "recordings have 60 to 250 frames a second: they are thinned to about 30",
            "the parts changed their names (SSM_synced is SSM in today's files); the splits, which "
            "are a setting, know both",
        ),
        splits=("train", "validation", "test"),
        labels=("body", "shape", "gravity", "identity", "time"),
    )

    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """As `Reader.units`: a unit is a recording."""
        archives = sorted(p for p in root.rglob("*.npz") if not p.name.startswith("._"))
        motions = [path for path in archives if holds_motion(path)]
        if not motions:
            raise InputError(
                f"'{root}' holds no motions of AMASS; unpack its archives there, so that there is "
                "CMU/01/01_01_poses.npz or CMU/01/01_01_stageii.npz."
            )
        units = [
            Unit(
                path,
                path.relative_to(root).with_suffix("").as_posix(),
                self.splits.of(subject_of(path)),
            )
            for path in motions
        ]
        kinds = {path.stem.endswith("_stageii") for path in motions}
        findings = [Finding("note", _PASSED_OVER.format(len(archives) - len(motions)))]
        findings = findings if len(archives) > len(motions) else []
        if len(kinds) > 1:
            findings.append(Finding("version", _TWICE))
        return units, findings

    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """As `Reader.read`; a record is a frame."""
        with reading(unit.path, _WHAT):
            motion = _Motion.load(unit.path)
            rows = range(len(motion.t_m))
            make = partial(_sample, unit, motion, matrices(motion.poses))
            yield from made(
                rows, make, unit.path, lambda row: f"Frame {row * motion.stride}", on_fault
            )


def _sample(unit: Unit, motion: _Motion, R: np.ndarray, row: int) -> Sample:
    motion.fields.check_row(row)
    return Sample(
        dataset="amass",
        key=f"{unit.key}/{row * motion.stride:06d}",
        split=unit.split,
        licence=Amass.info.licence,
        body=body_label(
            motion.model,
            motion.names,
            R[row],
            motion.t_m[row],
            "world",
            motion.betas,
            motion.gender,
            _TURN,
        ),
        up=UP,
        identity=subject_of(unit.path),
        sequence=unit.key,
        time_s=row * motion.stride / motion.rate_hz,
        fps=motion.rate_hz / motion.stride,
    )


_PASSED_OVER = "{} other archives are passed over (shapes, first stages)."
_TWICE = "There are files of SMPL-H and of SMPL-X; the same recordings may be there twice."


@dataclass(frozen=True)
class _Motion:
    """One recording, thinned, in a world whose z axis is up."""

    fields: Fields
    model: BodyModel
    names: tuple[str, ...]
    poses: np.ndarray
    t_m: np.ndarray
    betas: np.ndarray | None
    gender: Gender | None
    rate_hz: float
    stride: int

    @staticmethod
    def load(path: Path) -> _Motion:
        """The labels of a file, checked."""
        wanted = ("poses", "trans", "betas", "mocap_framerate", "mocap_frame_rate")
        content = read_npz(path, wanted, what=_WHAT, at_most=MAX_AMASS_BYTES)
        fields = Fields.of(path, content, _WHAT)
        fields.need(("poses", "trans"), _WHAT)
        rate_hz = frame_rate_hz(content)
        stride = max(1, round(rate_hz / RATE_HZ))
        poses = fields.raw("poses")
        width = poses.shape[-1] if poses.ndim == 2 else 1
        if width not in _MODELS:
            known = ", ".join(map(str, _MODELS))
            raise InputError(f"'{path}' has poses of {width} numbers, where AMASS has {known}.")
        model, names = _MODELS[width]
        return _Motion(
            fields=fields,
            model=model,
            names=names,
            poses=fields.as_rows(poses[::stride], "poses", "frames", width),
            t_m=fields.as_rows(fields.raw("trans")[::stride], "trans", "frames", 3),
            betas=fields.flat("betas") if "betas" in fields else None,
            gender=_gender(path, fields),
            rate_hz=rate_hz,
            stride=stride,
        )


def _gender(path: Path, fields: Fields) -> Gender | None:
    if "gender" not in array_names(path):
        return None
    found = read_npz_objects(path, "gender", what=_WHAT)
    text = Fields(path, {"gender": found}).text("gender")
    return gender_of(text, fields)
