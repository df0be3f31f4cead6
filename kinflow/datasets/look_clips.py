"""Clips of one person each as a detector saw them, with the truth of every frame.

They live in folders of shards, one safetensors file each, that are written at once; a folder grows
by whole shards. Frames of all clips of a shard follow each other in one table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kinflow.errors import InputError
from kinflow.evidence.types import NUM_FEATURES, NUM_JOINT_FEATURES, NUM_MAP_FEATURES
from kinflow.files.reading import guarded
from kinflow.files.tensor_files import read_tensors, write_tensors

_FORMAT = "kinflow-look-clips-1"
_WHAT = "a shard of clips"
SHARDS = "clips_*.safetensors"
_SHAPES: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
    "clip": ((), torch.int64),
    "time_s": ((), torch.float32),
    "seen": ((), torch.bool),
    "features": ((NUM_FEATURES,), torch.float16),
    "joint_features": ((33, NUM_JOINT_FEATURES), torch.float16),
    "map_features": ((NUM_MAP_FEATURES,), torch.float16),
    "landmarks": ((33, 3), torch.float32),
    "world_m": ((33, 3), torch.float32),
    "region": ((4,), torch.float32),
    "camera": ((5,), torch.float32),
    "R_still_cam": ((3, 3), torch.float32),
    "rotvec": ((22, 3), torch.float32),
    "phenotypes": ((6,), torch.float32),
    "root_cam_m": ((3,), torch.float32),
}


@dataclass(frozen=True)
class LookClips:
    """Frames of clips, one clip after another.

    Attributes:
        clip: number of the clip that a frame is of; ascending.
        time_s: since the clip began.
        seen: whether the detector saw the person; where not, all that it would have said is zero.
        features: last activation of the detector's network.
        joint_features: its activations at the keypoints.
        map_features: its activations in 4 x 4 cells of the crop.
        landmarks: (x, y, confidence) in the axes of the region's crop, each from -0.5 to 0.5.
        world_m: rough 3D keypoints in the axes of the crop.
        region: (x, y, side, roll) of the crop, in pixels and radians.
        camera: (focal length, principal x, principal y, width, height) in pixels.
        R_still_cam: from each frame's camera to one at the same place that stands still.
        rotvec: rotation vectors of the true pose, entry 0 from the root to the camera.
        phenotypes: of the true shape.
        root_cam_m: true position of the root in the frame's camera.
    """

    clip: Int64[Tensor, " frames"]
    time_s: Float[Tensor, " frames"]
    seen: Bool[Tensor, " frames"]
    features: Float[Tensor, "frames 1152"]
    joint_features: Float[Tensor, "frames 33 288"]
    map_features: Float[Tensor, "frames 4608"]
    landmarks: Float[Tensor, "frames 33 3"]
    world_m: Float[Tensor, "frames 33 3"]
    region: Float[Tensor, "frames 4"]
    camera: Float[Tensor, "frames 5"]
    R_still_cam: Float[Tensor, "frames 3 3"]
    rotvec: Float[Tensor, "frames 22 3"]
    phenotypes: Float[Tensor, "frames 6"]
    root_cam_m: Float[Tensor, "frames 3"]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.clip)

    def __getitem__(self, rows: Tensor | slice) -> LookClips:
        """Some of the frames."""
        return self.each(lambda values: values[rows])

    def each(self, change: Callable[[Tensor], Tensor]) -> LookClips:
        """The same with all columns changed."""
        return LookClips(**{f.name: change(getattr(self, f.name)) for f in fields(self)})

    @staticmethod
    def of_frames(frames: Sequence[dict[str, Tensor]]) -> LookClips:
        """Of frames by columns without their first axis; what a frame lacks is zero."""
        columns = {}
        for name, (shape, dtype) in _SHAPES.items():
            zero = torch.zeros(shape)
            columns[name] = torch.stack([frame.get(name, zero).to(dtype) for frame in frames])
        return LookClips(**columns)

    @staticmethod
    def concatenate(parts: Sequence[LookClips]) -> LookClips:
        """Clips one after another, numbered anew; at least one part."""
        columns = {f.name: [getattr(p, f.name) for p in parts] for f in fields(LookClips)}
        numbers, first = [], 0
        for clip in columns["clip"]:
            own = clip.unique(return_inverse=True)[1] + first
            numbers.append(own)
            first = int(own.max()) + 1 if len(own) else first
        return LookClips(**{n: torch.cat(v) for n, v in (columns | {"clip": numbers}).items()})

    def save(self, path: Path) -> None:
        """Write one shard, atomically."""
        write_tensors(path, dict(vars(self)), {"format": _FORMAT})

    @staticmethod
    def load(path: Path) -> LookClips:
        """Read one shard; InputError if it is damaged, not finite or not one."""
        texts, tensors = read_tensors(path, what=_WHAT)
        with guarded(path, _WHAT):
            if texts.get("format") != _FORMAT:
                raise InputError(f"'{path}' does not hold clips of this version of kinflow.")
            for name, (shape, dtype) in _SHAPES.items():
                tensor = tensors.get(name)
                if tensor is None or tensor.dtype != dtype or tuple(tensor.shape[1:]) != shape:
                    raise InputError(
                        f"'{path}' is damaged: '{name}' is missing or of another shape or type; "
                        "delete it and make it anew."
                    )
            if len({len(tensors[name]) for name in _SHAPES}) != 1:
                raise InputError(f"'{path}' is damaged: its columns differ in length; delete it.")
            clips = LookClips(**{name: tensors[name] for name in _SHAPES})
        return clips

    @staticmethod
    def load_all(folders: Iterable[Path]) -> LookClips:
        """All shards of some folders, by name.

        Raises:
            InputError: a folder holds none, or a shard is damaged.
        """
        parts = []
        for folder in folders:
            shards = sorted(Path(folder).glob(SHARDS))
            if not shards:
                raise InputError(
                    f"'{folder}' holds no clips; `kinflow data look-clips` makes some."
                )
            parts += [LookClips.load(shard) for shard in shards]
        if not parts:
            raise InputError("There is no folder of clips to learn from; name one.")
        return LookClips.concatenate(parts)
