"""Recordings as sequences: rotations of the free joints, and where the root is and how it turns.

What dynamics are learned from. Other than pose sets (`kinflow.datasets.poses`) nothing is thinned,
time matters, and the root's path is kept. A recording is cut where a frame is no pose of a body;
one whose clock is wrong (`kinflow.datasets.timing`) is left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.datasets.mocap_splits import CMU_SPLITS, MocapSplits, Split, subject_of
from kinflow.datasets.motion_files import SkippedClip, find_motions, read_motions
from kinflow.datasets.plausible import plausible_frames
from kinflow.datasets.retarget import RetargetedMotion
from kinflow.datasets.timing import timing_fault
from kinflow.errors import InputError
from kinflow.priors.average_adult import joint_positions_m
from kinflow.priors.pose_space import MIRROR_FREE

RATE_HZ = 30.0
_RATE_TOLERANCE = 0.04
_LEAST_FRAMES = 16
_MOST_SPEED_M_S, _MOST_TURN_RAD = 12.0, 0.8
"""Of the root; what goes faster, or turns further from a frame to the next, is a glitch."""
_ANKLES = (JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"])
_MIRROR = (-1.0, 1.0, 1.0)


@dataclass(frozen=True)
class MotionSet:
    """Frames of many sequences, one after the other, at 30 frames a second.

    Attributes:
        R_free: rotations of the free joints in their parents.
        R_root: rotation of the root in a world whose y axis is up.
        root_m: position of the root there.
        sequence: to which sequence each frame belongs; ascending, without gaps.
        names: of each sequence's recording.
        subjects: whose it is.
        skipped: recordings that were not used, with reasons.
    """

    R_free: Float[Tensor, "frames 19 3 3"]
    R_root: Float[Tensor, "frames 3 3"]
    root_m: Float[Tensor, "frames 3"]
    sequence: Int[Tensor, "frames"]
    names: tuple[str, ...]
    subjects: tuple[str, ...]
    skipped: tuple[SkippedClip, ...] = ()

    def __len__(self) -> int:
        return len(self.root_m)

    @property
    def sha256(self) -> str:
        """Hash of the content."""
        digest = hashlib.sha256(json.dumps([self.names, self.subjects]).encode())
        for tensor in (self.R_free, self.R_root, self.root_m, self.sequence):
            digest.update(np.ascontiguousarray(tensor.numpy()).data)
        return digest.hexdigest()

    def split(self, name: Split, splits: MocapSplits = CMU_SPLITS) -> MotionSet:
        """The sequences of one of the three subject-disjoint splits."""
        chosen = [row for row, who in enumerate(self.subjects) if splits.of(who) == name]
        rank = torch.full((len(self.subjects),), -1, dtype=torch.long)
        rank[chosen] = torch.arange(len(chosen))
        sequence = rank[self.sequence]
        keep: Bool[Tensor, "frames"] = sequence >= 0
        return MotionSet(
            self.R_free[keep],
            self.R_root[keep],
            self.root_m[keep],
            sequence[keep],
            tuple(self.names[row] for row in chosen),
            tuple(self.subjects[row] for row in chosen),
        )

    def mirrored(self) -> MotionSet:
        """The same people seen in a mirror."""
        flip = torch.tensor(_MIRROR)
        turn = flip[:, None] * flip
        return MotionSet(
            self.R_free[:, MIRROR_FREE] * turn,
            self.R_root * turn,
            self.root_m * flip,
            self.sequence,
            self.names,
            self.subjects,
        )

    def last_frames(self, count: int, stride: int = 1) -> Int[Tensor, "rows"]:
        """Rows that have `count` - 1 frames of their own sequence before them, `stride` apart."""
        reach = (count - 1) * stride
        rows = torch.arange(reach, len(self))
        return rows[self.sequence[rows] == self.sequence[rows - reach]]

    def subject_codes(self) -> Int[Tensor, "frames"]:
        """An integer per frame that is equal for frames of the same subject."""
        names = sorted(set(self.subjects))
        return torch.tensor([names.index(who) for who in self.subjects])[self.sequence]


def read_motion_set(folders: Iterable[Path]) -> MotionSet:
    """All usable recordings of some folders, whose names tell the subjects.

    Raises:
        InputError: a folder does not exist, or no recording can be used.
    """
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    names, subjects, skipped = [], [], []
    for path, motion in read_motions(find_motions(map(Path, folders)), RATE_HZ):
        found = motion if isinstance(motion, SkippedClip) else _sequences(path, motion)
        if isinstance(found, SkippedClip):
            skipped.append(found)
            continue
        parts += found
        names += [path.stem] * len(found)
        subjects += [subject_of(path)] * len(found)
    if not parts:
        why = f": {skipped[0].reason} ('{skipped[0].path}')" if skipped else ""
        raise InputError(f"No recording holds motion that can be used{why}.")
    R_free, R_root, root_m = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    sequence = torch.repeat_interleave(torch.tensor([len(part[2]) for part in parts]))
    return MotionSet(
        R_free, R_root, root_m, sequence, tuple(names), tuple(subjects), tuple(skipped)
    )


def _sequences(
    path: Path, motion: RetargetedMotion
) -> Sequence[tuple[Tensor, Tensor, Tensor]] | SkippedClip:
    """A recording cut where frames are bad: rotations, the root's rotations and positions."""
    rate_hz = 1 / motion.frame_time_s
    if abs(rate_hz / RATE_HZ - 1) > _RATE_TOLERANCE:
        return SkippedClip(path, f"it does not come near 30 frames a second ({rate_hz:.1f})")
    R = torch.from_numpy(motion.rotations).float()
    root_m = torch.from_numpy(motion.root_positions_m).float()
    R_free, R_root = R[:, FREE_JOINTS], R[:, 0]
    good = torch.from_numpy(plausible_frames(motion.rotations))
    if len(R) > 1:
        speed = torch.diff(root_m, dim=0).norm(dim=-1) * rate_hz
        trace = (R_root[:-1] * R_root[1:]).sum((-1, -2))
        turn_rad = torch.acos(((trace - 1) / 2).clamp(-1, 1))
        good[1:] &= (speed < _MOST_SPEED_M_S) & (turn_rad < _MOST_TURN_RAD)
    # a bad frame ends a sequence and begins none
    number = torch.cumsum((~good).int(), 0)
    found = []
    for part in torch.unique(number[good]).tolist():
        rows = torch.nonzero(good & (number == part))[:, 0]
        if len(rows) >= _LEAST_FRAMES:
            found.append((R_free[rows], R_root[rows], root_m[rows]))
    if not found:
        return SkippedClip(path, "it holds no half second without jumps")
    for R_free_part, R_root_part, root_part in found:
        ankles_m = joint_positions_m(R_free_part)[:, _ANKLES]
        ankles_m = (R_root_part[:, None] @ ankles_m[..., None])[..., 0] + root_part[:, None]
        if (fault := timing_fault(root_part, ankles_m, rate_hz)) is not None:
            return SkippedClip(path, f"its frame rate cannot be right: {fault}")
    return found
