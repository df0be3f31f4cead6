"""EMDB: people outdoors, tracked by electromagnetic sensors (Kaufmann et al. 2023).

A `_data.pkl` is a sequence of one person: SMPL's parameters in a world, the camera of every frame
in it, and the joints of the mesh in pixels. Pickles are read as plain data: nothing in them runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from kinflow.datasets.readers.bodies import (
    UP,
    Gender,
    body_label,
    camera_of,
    gender_of,
    matrices,
    turn_up,
    turned_extrinsics,
    way_up,
)
from kinflow.datasets.readers.fields import Fields, reading
from kinflow.datasets.readers.joint_names import SMPL24
from kinflow.datasets.readers.reader import DatasetInfo, Finding, Reader, Unit, split_findings
from kinflow.datasets.readers.records import OnFault, made, raised
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import Keypoints2D, Picture
from kinflow.errors import InputError
from kinflow.files.plain_pickle import load_plain

FPS = 30.0
_SEQUENCES = 81
_WHAT = "a sequence of EMDB"
_NEEDED = ("gender", "n_frames", "good_frames_mask", "camera", "smpl")


class Emdb(Reader):
    """Reads sequences; each frame is a sample."""

    info = DatasetInfo(
        name="emdb",
        title="EMDB",
        home="https://eth-ait.github.io/emdb/",
        licence="for non-commercial research only; no redistribution",
        tree="P0/00_mvs_a/P0_00_mvs_a_data.pkl\nP0/00_mvs_a/images/00000.jpg ...",
        used=(
            "poses_root, poses_body, trans and betas of SMPL; intrinsics and extrinsics; kp2d, "
            "bboxes, good_frames_mask; emdb1 and emdb2"
        ),
        faults=(
            "extrinsics are world to camera",
            "kp2d are the labelled joints projected, not a labeller's",
            "frames outside good_frames_mask show nobody or next to nobody: no keypoints, no box, "
            "not valid; a box in invalid_idxs is left out",
            "the split `emdb1` is the single-frame benchmark, `emdb2` the one in the world; "
            "sequences of both are read twice, once in each split",
            "the documentation does not say which way up the world is; it is told from how the "
            "person is turned, sequence by sequence, and turned to y up",
            "images of P0/09_outdoor_walk are half as large as the others",
            "pixels are as the files have them; whether whole numbers are the middles of pixels is "
            "not said, so they may be half a pixel from kinflow's",
        ),
        splits=("emdb1", "emdb2", "other"),
        labels=("picture", "box", "keypoints", "body", "shape", "camera", "gravity", "identity",
                "time"),
    )  # fmt: skip

    def units(self, root: Path) -> tuple[list[Unit], list[Finding]]:
        """As `Reader.units`: a unit is a sequence."""
        paths = sorted(root.glob("P*/*/*_data.pkl"))
        if not paths:
            raise InputError(
                f"'{root}' holds no sequences of EMDB; there has to be P0/00_mvs_a/"
                "P0_00_mvs_a_data.pkl."
            )
        units = [
            Unit(path, f"{split}/{path.parent.relative_to(root).as_posix()}", split)
            for path in paths
            for split in _splits(path)
        ]
        findings = []
        if len(paths) < _SEQUENCES:
            sentence = f"'{root}' holds {len(paths)} of {_SEQUENCES} sequences."
            findings.append(Finding("note", sentence))
        for split in ("emdb1", "emdb2"):
            names = [_name(unit.path) for unit in units if unit.split == split]
            findings += split_findings("emdb", split, names)
        return units, findings

    def read(self, root: Path, unit: Unit, on_fault: OnFault = raised) -> Iterator[Sample]:
        """As `Reader.read`; a record is a frame."""
        with reading(unit.path, _WHAT):
            sequence = _Sequence.load(unit.path)
            frames, make = range(len(sequence.good)), partial(_sample, unit, sequence)
            yield from made(frames, make, unit.path, lambda frame: f"Frame {frame}", on_fault)


def _name(path: Path) -> str:
    return path.name.removesuffix("_data.pkl")


def _splits(path: Path) -> tuple[str, ...]:
    """The benchmarks that a sequence is of; that is said in the file itself."""
    try:
        fields = Fields.of(path, load_plain(path), _WHAT)
        found = tuple(name for name in ("emdb1", "emdb2") if name in fields and fields.number(name))
    except InputError:  # reading it says why
        found = ()
    return found or ("other",)


@dataclass(frozen=True)
class _Sequence:
    """One person's labels in all frames, in the world of the file."""

    fields: Fields
    name: str
    R: Float32[np.ndarray, "frames 24 3 3"]
    t_m: Float64[np.ndarray, "frames 3"]
    betas: Float64[np.ndarray, "10"]
    gender: Gender
    good: np.ndarray
    K: Float64[np.ndarray, "3 3"]
    size: tuple[int, int]
    extrinsics: Float64[np.ndarray, "frames 4 4"]
    px: Float64[np.ndarray, "frames 24 2"] | None
    boxes: dict[int, tuple[float, float, float, float]]
    R_world_file: Float32[np.ndarray, "3 3"] | None
    up: Float32[np.ndarray, "3"] | None

    @staticmethod
    def load(path: Path) -> _Sequence:
        """The labels of a file, checked."""
        fields = Fields.of(path, load_plain(path), _WHAT)
        fields.need(_NEEDED, _WHAT)
        fields.lengths["frames"] = int(fields.number("n_frames"))
        smpl, camera = fields.part("smpl"), fields.part("camera")
        root = smpl.rows("poses_root", "frames", 3)
        R = matrices(np.concatenate([root, smpl.rows("poses_body", "frames", 69)], 1))
        t_m = smpl.rows("trans", "frames", 3)
        extrinsics = camera.rows("extrinsics", "frames", 4, 4)
        up = way_up(np.delete(R[:, 0], list(fields.broken), 0))
        return _Sequence(
            fields=fields,
            name=_name(path),
            R=R,
            t_m=t_m,
            betas=smpl.flat("betas", 10)[:10],
            gender=gender_of(fields.text("gender"), fields),
            good=fields.flags("good_frames_mask", "frames"),
            K=camera.numbers("intrinsics", 3, 3),
            size=(int(camera.number("width")), int(camera.number("height"))),
            extrinsics=turned_extrinsics(extrinsics, turn_up(up)),
            px=(
                fields.numbers("kp2d", "frames", 24, 2, finite=False) if "kp2d" in fields else None
            ),
            boxes=_boxes(fields.part("bboxes")) if "bboxes" in fields else {},
            R_world_file=turn_up(up),
            up=None if up is None else UP,
        )


def _boxes(fields: Fields) -> dict[int, tuple[float, float, float, float]]:
    """Boxes that are some, by frame."""
    corners = fields.numbers("bboxes", "frames", 4, finite=False)
    bad = set(fields.flat("invalid_idxs").astype(int).tolist()) if "invalid_idxs" in fields else ()
    boxes = {}
    for frame, (left, top, right, bottom) in enumerate(corners.tolist()):
        if frame not in bad and left < right and top < bottom:
            boxes[frame] = (left, top, right - left, bottom - top)
    return boxes


def _sample(unit: Unit, sequence: _Sequence, frame: int) -> Sample:
    sequence.fields.check_row(frame)
    good = bool(sequence.good[frame])
    keypoints = None
    if good and sequence.px is not None:
        px = sequence.px[frame].astype(np.float32)
        keypoints = Keypoints2D(SMPL24, px, np.ones(24, np.float32))
    return Sample(
        dataset="emdb",
        key=f"{unit.key}/{frame:05d}",
        split=unit.split,
        licence=Emdb.info.licence,
        picture=Picture(unit.path.parent / "images" / f"{frame:05d}.jpg", sequence.size),
        box_px=sequence.boxes.get(frame) if good else None,
        keypoints=keypoints,
        body=body_label(
            "smpl",
            SMPL24,
            sequence.R[frame],
            sequence.t_m[frame],
            "world",
            sequence.betas,
            sequence.gender,
            sequence.R_world_file,
        ),
        camera=camera_of(sequence.K, sequence.size, sequence.extrinsics[frame]),
        up=sequence.up,
        identity=sequence.name.split("_")[0],
        sequence=sequence.name,
        time_s=frame / FPS,
        fps=FPS,
        valid=good,
    )
