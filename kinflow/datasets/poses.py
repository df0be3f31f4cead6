"""Pose sets: poses as 19 rotation vectors with their origin, in one file.

A set is stored as one safetensors file that loads memory-mapped; `kinflow.datasets.build_poses`
makes one out of motion files. Who is held out is said when a set is split
(`kinflow.datasets.mocap_splits`).
"""

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.datasets.mocap_splits import CMU_SPLITS, MocapSplits, Split
from kinflow.errors import InputError
from kinflow.files.atomic import explained
from kinflow.files.reading import guarded
from kinflow.files.tensor_files import header_json, read_tensors, write_tensors

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

    def split(self, name: Split, splits: MocapSplits = CMU_SPLITS) -> "PoseSet":
        """The poses of one of the three subject-disjoint splits."""
        return self.of_subjects(splits.only(self.clip_subjects, name))

    def subject_codes(self) -> Int[Tensor, "poses"]:
        """An integer per pose that is equal for poses of the same subject."""
        names = sorted(set(self.clip_subjects))
        code_of_clip = torch.tensor([names.index(s) for s in self.clip_subjects])
        return code_of_clip[self.clip.long()]

    def save(self, path: Path | str) -> None:
        """Write the set to one safetensors file, atomically; InputError if it cannot be written."""
        path = Path(path)
        tensors = {name: getattr(self, name) for name in _TENSORS}
        metadata = {
            "format": _FORMAT,
            "clip_names": json.dumps(self.clip_names),
            "clip_subjects": json.dumps(self.clip_subjects),
            "sha256": self.sha256,
        }
        with explained(path):
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
