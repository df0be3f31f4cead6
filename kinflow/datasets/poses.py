"""Pose sets: poses as 19 rotation vectors with their origin, in one file.

A set is stored as one safetensors file that loads memory-mapped; `kinflow.datasets.build_poses`
makes one out of motion files. Splits go by subject, never by frame or clip: neighbouring frames,
and one person's habits, would otherwise leak from training into testing.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from kinflow.errors import AssetError
from kinflow.files.atomic import explained, write_bytes

Split = Literal["train", "validation", "test"]

VALIDATION_SUBJECTS = frozenset({"02", "16", "94"})
TEST_SUBJECTS = frozenset({"05", "127", "135"})

_FORMAT = "kinflow-poses-1"


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
            digest.update(np.ascontiguousarray(tensor.numpy()).tobytes())
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
        """Write the set to one safetensors file, atomically; InputError if it cannot be written."""
        path = Path(path)
        tensors = {
            name: getattr(self, name).contiguous()
            for name in ("rotvec", "root_rotvec", "clip", "frame")
        }
        metadata = {
            "format": _FORMAT,
            "clip_names": json.dumps(self.clip_names),
            "clip_subjects": json.dumps(self.clip_subjects),
            "sha256": self.sha256,
        }
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, to_bytes(tensors, metadata))

    @staticmethod
    def load(path: Path | str) -> "PoseSet":
        """Load a pose set, memory-mapped; AssetError if the file is not one."""
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != _FORMAT:
                    raise AssetError(f"{path} is not a pose set; `kinflow data poses` makes one")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise AssetError(f"cannot read the pose set {path}: {error}") from error
        return PoseSet(
            **tensors,
            clip_names=tuple(json.loads(metadata["clip_names"])),
            clip_subjects=tuple(json.loads(metadata["clip_subjects"])),
        )
