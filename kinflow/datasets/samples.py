"""Samples that networks learn from: what a detector saw of somebody, and the truth if known.

Every label may be there or not, and a mask says which: renders know everything, photographs that
nobody has labelled know nothing but what was seen. Samples live in folders of shards, one
safetensors file each, that are written at once; a folder grows by whole shards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int16
from torch import Tensor

from kinflow.errors import InputError
from kinflow.evidence.region import Region
from kinflow.evidence.types import (
    NUM_FEATURES,
    NUM_JOINT_FEATURES,
    NUM_MAP_FEATURES,
    CloseLook,
)
from kinflow.files.reading import guarded
from kinflow.files.tensor_files import read_tensors, write_tensors
from kinflow.geometry.pinhole import Camera

_FORMAT = "kinflow-samples-2"
_WHAT = "a shard of samples"
PART_CELLS = 32
"""Cells along a side of the crop that part labels are kept for."""
_SHAPES: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
    "features": ((NUM_FEATURES,), torch.float16),
    "joint_features": ((33, NUM_JOINT_FEATURES), torch.float16),
    "map_features": ((NUM_MAP_FEATURES,), torch.float16),
    "landmarks": ((33, 3), torch.float32),
    "world_m": ((33, 3), torch.float32),
    "region": ((4,), torch.float32),
    "camera": ((5,), torch.float32),
    "up_cam": ((3,), torch.float32),
    "has_up": ((), torch.bool),
    "rotvec": ((22, 3), torch.float32),
    "phenotypes": ((6,), torch.float32),
    "root_cam_m": ((3,), torch.float32),
    "has_body": ((), torch.bool),
    "has_pose": ((), torch.bool),
    "has_root": ((), torch.bool),
    "keypoint_shows": ((33,), torch.bool),
    "keypoints": ((33, 3), torch.float32),
    "joints_cam_m": ((33, 4), torch.float32),
    "parts": ((PART_CELLS, PART_CELLS), torch.int16),
}
_LABELS = ("up_cam", "rotvec", "phenotypes", "root_cam_m", "keypoints", "joints_cam_m")
_MAY_LACK = ("keypoints", "joints_cam_m", "parts", "has_pose", "has_root")
"""Columns of labels that a shard leaves out where nobody in it has any."""


@dataclass(frozen=True)
class Samples:
    """Any number of people, each as seen in one picture.

    Attributes:
        features: last activation of the detector's network.
        joint_features: its activations at the keypoints.
        map_features: its activations in 4 x 4 cells of the crop.
        landmarks: (x, y, confidence) in the axes of the region's crop, each from -0.5 to 0.5.
        world_m: rough 3D keypoints in the axes of the crop.
        region: (x, y, side, roll) of the crop, in pixels and radians.
        camera: (focal length, principal x, principal y, width, height) in pixels.
        up_cam: the way up in the camera's frame; zero where unknown.
        has_up: where it is known.
        rotvec: rotation vectors of the pose, entry 0 from the root to the camera; zero where
            unknown.
        phenotypes: of the shape; zero where unknown.
        root_cam_m: position of the root in the camera's frame; zero where unknown.
        has_body: where pose, shape and position are known.
        has_pose: where `rotvec` tells how joints are turned, and no more is known of the body.
        has_root: where it also tells how the root is turned to the camera.
        keypoint_shows: keypoints that nothing hides, of those whose truth is known.
        keypoints: (x, y, weight) of labelled keypoints in the axes of the crop; the weight is zero
            where nobody labelled one.
        joints_cam_m: (x, y, z, weight) of labelled joints by the keypoints of their names, in the
            camera's frame; the weight is zero where there is none.
        parts: bit set of the body parts that each cell of the crop may show
            (`kinflow.body.parts`), by its middle; all zero where nobody labelled them.
    """

    features: Float[Tensor, "samples 1152"]
    joint_features: Float[Tensor, "samples 33 288"]
    map_features: Float[Tensor, "samples 4608"]
    landmarks: Float[Tensor, "samples 33 3"]
    world_m: Float[Tensor, "samples 33 3"]
    region: Float[Tensor, "samples 4"]
    camera: Float[Tensor, "samples 5"]
    up_cam: Float[Tensor, "samples 3"]
    has_up: Bool[Tensor, " samples"]
    rotvec: Float[Tensor, "samples 22 3"]
    phenotypes: Float[Tensor, "samples 6"]
    root_cam_m: Float[Tensor, "samples 3"]
    has_body: Bool[Tensor, " samples"]
    has_pose: Bool[Tensor, " samples"]
    has_root: Bool[Tensor, " samples"]
    keypoint_shows: Bool[Tensor, "samples 33"]
    keypoints: Float[Tensor, "samples 33 3"]
    joints_cam_m: Float[Tensor, "samples 33 4"]
    parts: Int16[Tensor, "samples 32 32"]

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: Tensor | slice) -> Samples:
        """Some of them."""
        return Samples(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def to(self, device: torch.device | str) -> Samples:
        """The same samples on another device."""
        return Samples(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    @staticmethod
    def of_look(
        look: CloseLook,
        camera: Camera,
        **truth: Tensor,
    ) -> Samples:
        """One sample.

        Args:
            look: what the detector saw.
            camera: that the picture was taken with.
            truth: what is known, by attribute and without the first axis.
        """
        region = (*look.region.center_px, look.region.size_px, look.region.roll)
        given = {
            "features": look.features,
            "joint_features": look.joint_features,
            "map_features": look.map_features,
            "landmarks": look.landmarks,
            "world_m": look.world_m,
            "region": torch.tensor(region),
            "camera": torch.tensor(
                (camera.focal_px, *camera.principal_px, *camera.image_size), dtype=torch.float32
            ),
            **truth,
        }
        for name, (shape, dtype) in _SHAPES.items():
            given[name] = given.get(name, torch.zeros(shape)).to(dtype)[None]
        return Samples(**given)

    @staticmethod
    def nobody() -> Samples:
        """No samples."""
        return Samples(
            **{name: torch.zeros((0, *shape), dtype=t) for name, (shape, t) in _SHAPES.items()}
        )

    @staticmethod
    def concatenate(parts: Sequence[Samples]) -> Samples:
        """Samples one after another; at least one part."""
        return Samples(
            **{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Samples)}
        )

    def save(self, path: Path) -> None:
        """Write one shard, atomically."""
        columns = {n: v for n, v in vars(self).items() if n not in _MAY_LACK or bool(v.any())}
        write_tensors(path, columns, {"format": _FORMAT})

    @staticmethod
    def load(path: Path, unread: bool = False) -> Samples:
        """Read one shard; InputError if it is damaged or not one.

        Args:
            path: of the shard.
            unread: check the labels alone, and leave what the detector saw on disk until it is
                touched.
        """
        texts, tensors = read_tensors(path, what=_WHAT, trusted=unread)
        with guarded(path, _WHAT):
            if texts.get("format") != _FORMAT:
                raise InputError(f"'{path}' does not hold samples of this version of kinflow.")
            rows = len(tensors.get("features", ()))
            for name in _MAY_LACK:
                shape, dtype = _SHAPES[name]
                tensors.setdefault(name, torch.zeros((rows, *shape), dtype=dtype))
            for name, (shape, dtype) in _SHAPES.items():
                tensor = tensors.get(name)
                if tensor is None or tensor.dtype != dtype or tuple(tensor.shape[1:]) != shape:
                    raise InputError(
                        f"'{path}' is damaged: '{name}' is missing or of another shape or type; "
                        "delete it and make it anew."
                    )
            if len({len(tensors[name]) for name in _SHAPES}) != 1:
                raise InputError(f"'{path}' is damaged: its columns differ in length; delete it.")
            samples = Samples(**{name: tensors[name] for name in _SHAPES})
        for name in _LABELS:
            wrong = ~getattr(samples, name).flatten(1).isfinite().all(1)
            if bool(wrong.any()):
                raise InputError(
                    f"'{path}': the label '{name}' of sample {int(wrong.nonzero()[0])} is not "
                    "finite (NaN or infinity); delete the file and make it anew."
                )
        return samples

    @staticmethod
    def load_all(folders: Iterable[Path]) -> Samples:
        """All shards of some folders, by name.

        Raises:
            InputError: a folder holds none, or a shard is damaged.
        """
        parts = []
        for folder in folders:
            shards = sorted(Path(folder).glob("samples_*.safetensors"))
            if not shards:
                raise InputError(f"'{folder}' holds no samples; `kinflow data looks` makes some.")
            parts += [Samples.load(shard) for shard in shards]
        if not parts:
            raise InputError("There is no folder of samples to learn from; name one.")
        return Samples.concatenate(parts)


def look_of(samples: Samples, row: int) -> CloseLook:
    """What the detector saw of one sample."""
    x, y, side, roll = samples.region[row].tolist()
    return CloseLook(
        Region((x, y), side, roll),
        samples.landmarks[row],
        samples.world_m[row],
        samples.features[row].float(),
        samples.joint_features[row],
        samples.map_features[row],
    )
