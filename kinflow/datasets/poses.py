"""Pose sets: every usable frame of a folder of motion clips as 19 rotation vectors, in one file.

Stages: read clips (`<folder>/<subject>/<trial>.bvh` on the CMU skeleton, or AMASS `.npz`), retarget
them to the 22-joint skeleton, bring them to 30 frames a second, drop frames that no body can hold
or that jump, thin the training subjects' near-duplicates (`kinflow.datasets.thinning`), and store
what is left in one safetensors file that loads memory-mapped. Splits go by subject, never by frame
or clip: neighbouring frames, and one person's habits, would otherwise leak from training into
testing.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import roma
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.datasets.amass import read_amass
from kinflow.datasets.bvh import read_bvh
from kinflow.datasets.retarget import (
    ElbowHinges,
    RetargetedMotion,
    measure_elbow_hinges,
    retarget_cmu,
)
from kinflow.datasets.thinning import distinct_poses
from kinflow.errors import InputError
from kinflow.files.reading import guarded
from kinflow.files.tensor_files import header_json, read_tensors, write_tensors

Split = Literal["train", "validation", "test"]

VALIDATION_SUBJECTS = frozenset({"02", "16", "94"})
TEST_SUBJECTS = frozenset({"05", "127", "135"})

FRAME_RATE_HZ = 30.0
MAX_STEP_DEG = 60.0
"""A joint that turns further than this within 1/30 s is a tracking glitch."""

MAX_ANGLE_DEG: dict[str, float] = {
    "hip": 150.0,
    "knee": 130.0,
    "ankle": 95.0,
    "neck": 60.0,
    "head": 100.0,
    "shoulder": 155.0,
    "elbow": 170.0,
    "wrist": 110.0,
}
"""Rotation angles from the T-pose beyond which a frame is a tracking error, not a pose."""

_MAX_HINGE_DISAGREEMENT_DEG = 6.0
_FORMAT = "kinflow-poses-1"
_TENSORS: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
    "rotvec": ((19, 3), torch.float32),
    "root_rotvec": ((3,), torch.float32),
    "clip": ((), torch.int32),
    "frame": ((), torch.int32),
}
_MAX_BYTES = 1 << 30
_CHUNK = 1 << 16
_MAX_ROTATION_RAD = 2 * math.pi


def split_of(subject: str) -> Split:
    """The split a CMU subject belongs to; every name that is not held out is for training."""
    if subject in VALIDATION_SUBJECTS:
        return "validation"
    return "test" if subject in TEST_SUBJECTS else "train"


@dataclass(frozen=True)
class PoseSet:
    """Poses with their origin.

    Attributes:
        rotvec: (N, 19, 3) float32 rotation vectors of the free joints, radians.
        root_rotvec: (N, 3) global rotation of the pelvis in the canonical frame, radians.
        clip: (N,) index into `clip_names`.
        frame: (N,) frame number within the clip, at 30 Hz.
        clip_names: name of each clip.
        clip_subjects: subject of each clip.
    """

    rotvec: Float[Tensor, "poses 19 3"]
    root_rotvec: Float[Tensor, "poses 3"]
    clip: Int[Tensor, "poses"]
    frame: Int[Tensor, "poses"]
    clip_names: tuple[str, ...]
    clip_subjects: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rotvec)

    @property
    def sha256(self) -> str:
        """Hash of the content, independent of how it is stored."""
        digest = hashlib.sha256(json.dumps([self.clip_names, self.clip_subjects]).encode())
        for tensor in (self.rotvec, self.root_rotvec, self.clip, self.frame):
            digest.update(np.ascontiguousarray(tensor.numpy()).data)
        return digest.hexdigest()

    def of_clips(self, clips: Iterable[int]) -> "PoseSet":
        """The poses of some clips; names and clip indices stay as they are."""
        return self.where(torch.isin(self.clip, torch.tensor(sorted(clips), dtype=self.clip.dtype)))

    def where(self, keep: Bool[Tensor, "poses"]) -> "PoseSet":
        """Some of the poses; names and clip indices stay as they are."""
        return PoseSet(
            self.rotvec[keep],
            self.root_rotvec[keep],
            self.clip[keep],
            self.frame[keep],
            self.clip_names,
            self.clip_subjects,
        )

    def of_subjects(self, subjects: Iterable[str]) -> "PoseSet":
        """The poses of some subjects."""
        wanted = set(subjects)
        return self.of_clips(i for i, s in enumerate(self.clip_subjects) if s in wanted)

    def split(self, name: Split) -> "PoseSet":
        """The poses of one of the three subject-disjoint splits."""
        return self.of_subjects(s for s in self.clip_subjects if split_of(s) == name)

    def subject_codes(self) -> Int[Tensor, "poses"]:
        """An integer per pose that is equal for poses of the same subject."""
        names = sorted(set(self.clip_subjects))
        code_of_clip = torch.tensor([names.index(s) for s in self.clip_subjects])
        return code_of_clip[self.clip.long()]

    def save(self, path: Path | str) -> None:
        """Write the set to one safetensors file, atomically."""
        tensors = {name: getattr(self, name) for name in _TENSORS}
        metadata = {
            "format": _FORMAT,
            "clip_names": json.dumps(self.clip_names),
            "clip_subjects": json.dumps(self.clip_subjects),
            "sha256": self.sha256,
        }
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, tensors, metadata)

    @staticmethod
    def load(path: Path | str) -> "PoseSet":
        """Load a pose set, memory-mapped.

        Raises:
            InputError: the file is missing, damaged, or not a pose set whose poses can be right.
        """
        texts, tensors = read_tensors(path, what="a pose set", at_most=_MAX_BYTES)
        if texts.get("format") != _FORMAT:
            raise InputError(f"'{path}' is not a pose set; `kinflow data poses` makes one.")
        with guarded(path, "a pose set"):
            names, subjects = (
                header_json(texts, key, path, list) for key in ("clip_names", "clip_subjects")
            )
            try:
                poses = _checked(tensors, names, subjects)
            except InputError as error:
                raise InputError(f"The pose set '{path}' is damaged: {error}.") from error
            if "sha256" in texts and texts["sha256"] != poses.sha256:
                raise InputError(
                    f"The pose set '{path}' is damaged: its content is not what its hash says; "
                    "copy it again or make it anew."
                )
        return poses


def _checked(tensors: dict[str, Tensor], names: list[object], subjects: list[object]) -> PoseSet:
    """A pose set of what a file holds; `InputError` says what cannot be right."""
    if set(tensors) != set(_TENSORS):
        raise InputError(f"it holds {', '.join(sorted(tensors))} in place of {', '.join(_TENSORS)}")
    count = len(tensors["rotvec"]) if tensors["rotvec"].ndim else 0
    if count == 0:
        raise InputError("it holds no poses")
    for name, (shape, dtype) in _TENSORS.items():
        tensor = tensors[name]
        if tensor.shape != (count, *shape) or tensor.dtype != dtype:
            raise InputError(
                f"'{name}' has shape {tuple(tensor.shape)} and type {tensor.dtype} where "
                f"{(count, *shape)} and {dtype} are needed"
            )
    if not all(isinstance(name, str) for name in (*names, *subjects)):
        raise InputError("its clips and subjects are not named by text")
    if len(names) != len(subjects):
        raise InputError(f"it names {len(names)} clips but the subjects of {len(subjects)}")
    for name in ("rotvec", "root_rotvec"):
        pieces = tensors[name].split(_CHUNK)
        if max(float(piece.norm(dim=-1).max()) for piece in pieces) > _MAX_ROTATION_RAD:
            raise InputError(f"'{name}' holds rotations by more than a whole turn")
    if tensors["clip"].min() < 0 or tensors["clip"].max() >= len(names):
        raise InputError(f"'clip' holds numbers that are not those of the {len(names)} clips")
    if tensors["frame"].min() < 0:
        raise InputError("'frame' holds negative numbers")
    return PoseSet(
        **tensors, clip_names=tuple(map(str, names)), clip_subjects=tuple(map(str, subjects))
    )


def plausible_frames(rotations: Float[np.ndarray, "frames 22 3 3"]) -> np.ndarray:
    """Which frames (F,) stay within `MAX_ANGLE_DEG` and do not jump from the frame before."""
    R = torch.from_numpy(rotations)
    angle_deg = torch.rad2deg(roma.rotmat_to_rotvec(R).norm(dim=-1))
    limit_deg = torch.full((R.shape[1],), 180.1, dtype=angle_deg.dtype)
    for name, joint in JOINT_INDEX.items():
        limit_deg[joint] = MAX_ANGLE_DEG.get(name.split("_")[-1], 180.1)
    good = (angle_deg <= limit_deg).all(1)
    step = torch.rad2deg(roma.rotmat_to_rotvec(R[:-1].mT @ R[1:]).norm(dim=-1))
    jumps = (step[:, FREE_JOINTS] > MAX_STEP_DEG).any(1)
    good[1:] &= ~jumps
    # a clip that jumps at once begins with a frame of calibration, not of motion
    good[0] &= not bool(jumps[:1].any())
    return good.numpy()


def _stride(frame_time_s: float) -> int:
    """Stride that brings a clip to 30 Hz; clips below that rate are used as they are."""
    return max(1, round(1.0 / (frame_time_s * FRAME_RATE_HZ)))


def _axis_angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1.0, 1.0))))


def _agree(a: ElbowHinges, b: ElbowHinges) -> bool:
    disagreement_deg = max(_axis_angle_deg(a.left, b.left), _axis_angle_deg(a.right, b.right))
    return a.concentration > 0.9 and disagreement_deg < _MAX_HINGE_DISAGREEMENT_DEG


def reference_hinges(hinges: Iterable[ElbowHinges]) -> ElbowHinges:
    """The elbow axes of the skeleton that a corpus shares: the median over its clips."""
    usable = [h for h in hinges if h.concentration > 0.99]
    if not usable:
        raise InputError("no clip bends both elbows like hinges; is this the CMU skeleton?")
    left, right = (
        np.median([getattr(h, side) for h in usable], axis=0) for side in ("left", "right")
    )
    return ElbowHinges(left / np.linalg.norm(left), right / np.linalg.norm(right), 1.0)


@dataclass(frozen=True)
class BuildReport:
    """What was kept of a folder of clips and what was not, with the reasons."""

    clips: int
    skipped_clips: tuple[str, ...]
    frames_read: int
    frames_kept: int


def _retargeted_bvh(
    paths: list[Path],
) -> Iterator[tuple[Path, RetargetedMotion | None]]:
    """Motions of BVH clips; None for a clip whose elbows bend about other axes than the rest."""
    clips = [read_bvh(path) for path in paths]
    hinges = [measure_elbow_hinges(clip) for clip in clips]
    shared = reference_hinges(hinges) if clips else None
    for path, clip, own in zip(paths, clips, hinges, strict=True):
        agrees = shared is not None and _agree(own, shared)
        yield path, retarget_cmu(clip, shared or own) if agrees else None


def build_pose_set(folders: Iterable[Path]) -> tuple[PoseSet, BuildReport]:
    """Turn folders of motion clips into one pose set.

    Clips are BVH files of the CMU skeleton or AMASS archives, nested at will; the name of the
    folder that holds a clip is its subject. BVH clips whose elbows do not bend about the axes that
    the corpus shares are skipped: their arm rotations would mean something else.
    """
    roots = [Path(folder) for folder in folders]
    bvh_paths = [path for root in roots for path in sorted(root.rglob("*.bvh"))]
    amass_paths = [path for root in roots for path in sorted(root.rglob("*_poses.npz"))]
    if not bvh_paths and not amass_paths:
        raise InputError("there are no .bvh or AMASS *_poses.npz files in the folders given")
    motions = chain(_retargeted_bvh(bvh_paths), ((path, read_amass(path)) for path in amass_paths))
    rotvecs, clip_index, frame_index, names, subjects, skipped = [], [], [], [], [], []
    frames_read = 0
    for path, motion in motions:
        if motion is None:
            skipped.append(path.stem)
            continue
        rotations = motion.rotations[:: _stride(motion.frame_time_s)]
        frames_read += len(rotations)
        (kept,) = np.nonzero(plausible_frames(rotations))
        rotvecs.append(roma.rotmat_to_rotvec(torch.from_numpy(rotations[kept])).float())
        clip_index.append(np.full(len(kept), len(names), np.int32))
        frame_index.append(kept.astype(np.int32))
        names.append(path.stem)
        subjects.append(path.parent.name)
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


def thinned(poses: PoseSet, min_distance_rad: float) -> PoseSet:
    """The set without near-duplicates among the training poses; held-out poses all stay."""
    codes = poses.subject_codes()
    keep = torch.ones(len(poses), dtype=torch.bool)
    for code, subject in enumerate(sorted(set(poses.clip_subjects))):
        if split_of(subject) == "train":
            (rows,) = torch.nonzero(codes == code, as_tuple=True)
            keep[rows] = distinct_poses(poses.rotvec[rows].flatten(1), min_distance_rad)
    return poses.where(keep)


@dataclass(frozen=True)
class BuildPosesConfig:
    """Settings of `kinflow data poses`.

    Attributes:
        folders: folders with motion clips, one sub-folder per subject.
        out: the pose set to write.
        thin_deg: of training poses of one subject that lie closer together than this (root mean
            square angle over the joints), one is kept; 0 keeps all.
    """

    folders: tuple[Path, ...]
    out: Path
    thin_deg: float = 4.0


def main(config: BuildPosesConfig) -> None:
    """Build a pose set and say what was kept."""
    poses, report = build_pose_set(config.folders)
    if config.thin_deg > 0:
        poses = thinned(poses, math.radians(config.thin_deg))
    poses.save(config.out)
    sizes = ", ".join(f"{len(poses.split(name))} {name}" for name in get_args(Split))
    print(
        f"{report.frames_kept} of {report.frames_read} frames of {report.clips} clips kept"
        f"{f', {len(poses)} after thinning' if config.thin_deg > 0 else ''} "
        f"({sizes}); skipped clips: {', '.join(report.skipped_clips) or 'none'}; "
        f"wrote {config.out} with content hash {poses.sha256[:12]}"
    )
