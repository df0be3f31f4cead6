"""`kinflow data poses`: every usable frame of folders of motion clips, as one pose set.

Stages: find the clips (`<folder>/<subject>/<trial>.bvh`, or AMASS `.npz`), retarget them to the
22-joint skeleton at 30 frames a second, drop frames that no body can hold or that jump, thin the
training subjects' near-duplicates (`kinflow.datasets.thinning`), and write what is left.
"""

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from kinflow.body.skeleton import FREE_JOINTS
from kinflow.checks import nested, number
from kinflow.datasets.mocap_splits import CMU_SPLITS, MocapSplits, Split, subject_of
from kinflow.datasets.motion_files import SkippedClip, find_motions, read_motions
from kinflow.datasets.plausible import plausible_frames
from kinflow.datasets.poses import PoseSet
from kinflow.datasets.thinning import distinct_poses
from kinflow.errors import InputError
from kinflow.files.destinations import check_file_destination
from kinflow.geometry.rotations import matrix_to_rotvec

FRAME_RATE_HZ = 30.0
_MAX_TOLD = 20


@dataclass(frozen=True)
class BuildReport:
    """What was kept of a folder of clips and what was not, with the reasons."""

    clips: int
    skipped_clips: tuple[SkippedClip, ...]
    frames_read: int
    frames_kept: int


def build_pose_set(folders: Iterable[Path]) -> tuple[PoseSet, BuildReport]:
    """Turn folders of motion clips into one pose set.

    Clips are BVH files or AMASS archives (see docs/motion.md), nested at will; the names of the
    folders that hold a clip tell its subject. A clip that cannot be used is skipped with a reason:
    among others, CMU clips whose elbows do not bend about the axes that the corpus shares, since
    their arm rotations would mean something else.

    Raises:
        InputError: a folder does not exist, or there is no clip that can be used.
    """
    rotvecs, clip_index, frame_index, names, subjects, skipped = [], [], [], [], [], []
    frames_read = 0
    for path, motion in read_motions(find_motions(map(Path, folders)), FRAME_RATE_HZ):
        if isinstance(motion, SkippedClip):
            skipped.append(motion)
            continue
        frames_read += len(motion.rotations)
        (kept,) = np.nonzero(plausible_frames(motion.rotations))
        if len(kept) == 0:
            reason = "in each of its frames a joint jumps or turns further than a body can"
            skipped.append(SkippedClip(path, reason))
        rotvecs.append(matrix_to_rotvec(torch.from_numpy(motion.rotations[kept])).float())
        clip_index.append(np.full(len(kept), len(names), np.int32))
        frame_index.append(kept.astype(np.int32))
        names.append(path.stem)
        subjects.append(subject_of(path))
    if not any(map(len, rotvecs)):
        raise InputError(_nothing_left(skipped))
    rotvec = torch.cat(rotvecs)
    poses = PoseSet(
        rotvec=rotvec[:, FREE_JOINTS],
        root_rotvec=rotvec[:, 0],
        clip=torch.from_numpy(np.concatenate(clip_index)),
        frame=torch.from_numpy(np.concatenate(frame_index)),
        clip_names=tuple(names),
        clip_subjects=tuple(subjects),
    )
    return poses, BuildReport(len(names), tuple(skipped), frames_read, len(poses))


def _nothing_left(skipped: list[SkippedClip]) -> str:
    first = skipped[0]
    others = f" (the first of {len(skipped)} clips, none of which can)" if skipped[1:] else ""
    return f"'{first.path}' cannot be used: {first.reason}{others}"


def thinned(poses: PoseSet, min_distance_rad: float, splits: MocapSplits = CMU_SPLITS) -> PoseSet:
    """The set without near-duplicates among the training poses; held-out poses all stay."""
    codes = poses.subject_codes()
    keep = torch.ones(len(poses), dtype=torch.bool)
    for code, subject in enumerate(sorted(set(poses.clip_subjects))):
        if splits.of(subject) == "train":
            (rows,) = torch.nonzero(codes == code, as_tuple=True)
            keep[rows] = distinct_poses(poses.rotvec[rows].flatten(1), min_distance_rad)
    return poses.where(keep)


@dataclass(frozen=True)
class BuildPosesConfig:
    """Turn motion files (BVH of many tools, AMASS) into a pose set; see docs/motion.md.

    Attributes:
        folders: folders with motion clips, searched at any depth, or single clips; the folder that
            holds a clip names its subject.
        out: the pose set to write.
        thin_deg: of training poses of one subject that lie closer together than this (root mean
            square angle over the joints), one is kept; 0 keeps all.
        splits: whom to hold out.
    """

    folders: tuple[Path, ...]
    out: Path
    thin_deg: float = 4.0
    splits: MocapSplits = CMU_SPLITS

    def __post_init__(self) -> None:
        number(self, "thin_deg", at_least=0, at_most=180, flags=True)
        nested(self, splits=MocapSplits)


def main(config: BuildPosesConfig) -> int:
    """Build a pose set and say what was kept.

    Returns:
        The exit code: 2 if some clips could not be used (which is said), else 0.
    """
    check_file_destination(config.out)
    poses, report = build_pose_set(config.folders)
    if config.thin_deg > 0:
        poses = thinned(poses, math.radians(config.thin_deg), config.splits)
    poses.save(config.out)
    sizes = ", ".join(f"{len(poses.split(name, config.splits))} {name}" for name in get_args(Split))
    skipped = report.skipped_clips
    names = ", ".join(clip.path.stem for clip in skipped[:_MAX_TOLD])
    print(
        f"{report.frames_kept} of {report.frames_read} frames of {report.clips} clips kept"
        f"{f', {len(poses)} after thinning' if config.thin_deg > 0 else ''} "
        f"({sizes}); skipped clips: {names or 'none'}{', ...' if skipped[_MAX_TOLD:] else ''}; "
        f"wrote {config.out} with content hash {poses.sha256[:12]}"
    )
    for clip in skipped[:_MAX_TOLD]:
        print(f"Skipped '{clip.path}': {clip.reason}", file=sys.stderr)
    if skipped[_MAX_TOLD:]:
        print(f"... and {len(skipped) - _MAX_TOLD} more.", file=sys.stderr)
    return 2 if skipped else 0
