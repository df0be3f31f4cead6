"""Crops of people for networks that look at pictures: `kinflow data crops`.

The studio shows them; each is kept smaller than the detector's crops with all that is true of the
person, in shards of one safetensors file each. A shard depends on its number and the settings
alone, so that folders grow, and go on after a kill, by whole shards.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from rich.progress import track
from torch import Tensor

from kinflow.body.keypoints import BLAZEPOSE33, KEYPOINT_INDEX
from kinflow.body.sides import other_side
from kinflow.body.skeleton import JOINT_INDEX, JOINT_NAMES
from kinflow.checks import nested, path, whole
from kinflow.errors import InputError
from kinflow.files.destinations import check_folder_destination
from kinflow.files.reading import guarded
from kinflow.files.tensor_files import read_tensors, write_tensors
from kinflow.synth.studio import Studio, StudioBatch, StudioConfig
from kinflow.tensors import check_device

_FORMAT = "kinflow crops 1"
_WHAT = "a shard of crops"
_STREAMS_APART = 1_000_003
_AT_ONCE = 32
_MIRROR_JOINTS = [JOINT_INDEX[other_side(name)] for name in JOINT_NAMES]
_MIRROR_KEYPOINTS = [KEYPOINT_INDEX[other_side(name)] for name in BLAZEPOSE33]


@dataclass(frozen=True)
class CropsConfig:
    """Show people in a studio, and keep the pictures for networks that look at them.

    Attributes:
        studio: what is shown.
        out: folder for the shards; those that are there are kept.
        shards: number of files.
        per_shard: people in each.
        crop_px: side of the pictures.
        device: where they are drawn.
        seed: another one shows others.
    """

    studio: StudioConfig
    out: Path
    shards: int = 10
    per_shard: int = 512
    crop_px: int = 128
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        path(self, "out")
        nested(self, studio=StudioConfig)
        whole(self, "shards", "per_shard", at_least=1)
        whole(self, "crop_px", at_least=32, at_most=256)
        whole(self, "seed")


@dataclass(frozen=True)
class CropSet:
    """Crops of people and what is true of them, as in `StudioBatch`."""

    rgb: UInt8[Tensor, "people side side 3"]
    rotation: Float[Tensor, "people 22 3 3"]
    phenotypes: Float[Tensor, "people 6"]
    root_cam_m: Float[Tensor, "people 3"]
    focal_px: Float[Tensor, " people"]
    principal_px: Float[Tensor, "people 2"]
    region: Float[Tensor, "people 4"]
    keypoints_crop: Float[Tensor, "people 33 2"]
    keypoint_shows: Bool[Tensor, "people 33"]

    def __len__(self) -> int:
        return len(self.rgb)

    @staticmethod
    def of(shown: StudioBatch, crop_px: int) -> CropSet:
        """What a studio showed, in smaller pictures."""
        columns = {f.name: getattr(shown, f.name) for f in fields(CropSet)}
        return CropSet(**columns | {"rgb": shrunk(shown.rgb, crop_px)})

    def mirrored(self) -> CropSet:
        """The same people seen in a mirror, by cameras with the same principal points."""
        flip = self.rotation.new_tensor([-1.0, 1.0, 1.0])
        x, y, side, roll = self.region.unbind(-1)
        return CropSet(
            rgb=self.rgb.flip(2),
            rotation=self.rotation[:, _MIRROR_JOINTS] * flip[:, None] * flip,
            phenotypes=self.phenotypes,
            root_cam_m=self.root_cam_m * flip,
            focal_px=self.focal_px,
            principal_px=self.principal_px,
            region=torch.stack([2 * self.principal_px[:, 0] - x, y, side, -roll], -1),
            keypoints_crop=self.keypoints_crop[:, _MIRROR_KEYPOINTS] * flip[:2],
            keypoint_shows=self.keypoint_shows[:, _MIRROR_KEYPOINTS],
        )

    @staticmethod
    def concatenate(parts: Sequence[CropSet]) -> CropSet:
        """One after another; at least one part, all of one size."""
        names = [f.name for f in fields(CropSet)]
        return CropSet(**{n: torch.cat([getattr(part, n) for part in parts]) for n in names})

    def save(self, path: Path) -> None:
        """Write one shard, atomically."""
        write_tensors(path, {n: v.cpu() for n, v in vars(self).items()}, {"format": _FORMAT})

    @staticmethod
    def load(path: Path) -> CropSet:
        """Read one shard; InputError if it is damaged or not one."""
        texts, tensors = read_tensors(path, what=_WHAT)
        with guarded(path, _WHAT):
            if texts.get("format") != _FORMAT:
                raise InputError(f"'{path}' does not hold crops of this version of kinflow.")
            crops = CropSet(**{f.name: tensors[f.name] for f in fields(CropSet)})
            crops.check()
        return crops

    @staticmethod
    def load_all(folders: Iterable[Path]) -> CropSet:
        """All shards of some folders, by name.

        Raises:
            InputError: a folder holds none, a shard is damaged, or pictures differ in size.
        """
        parts = []
        for folder in folders:
            shards = sorted(Path(folder).glob("crops_*.safetensors"))
            if not shards:
                raise InputError(f"'{folder}' holds no crops; `kinflow data crops` makes some.")
            parts += [CropSet.load(shard) for shard in shards]
        if not parts:
            raise InputError("There is no folder of crops to learn from; name one.")
        if len({part.rgb.shape[1] for part in parts}) > 1:
            raise InputError("The folders hold crops of different sizes; name some of one size.")
        return CropSet.concatenate(parts)

    def check(self) -> None:
        """Raise InputError where shapes do not go together or labels are no numbers."""
        people, side = self.rgb.shape[:2]
        shapes = {
            "rgb": (side, side, 3),
            "rotation": (22, 3, 3),
            "phenotypes": (6,),
            "root_cam_m": (3,),
            "focal_px": (),
            "principal_px": (2,),
            "region": (4,),
            "keypoints_crop": (33, 2),
            "keypoint_shows": (33,),
        }
        for name, shape in shapes.items():
            column = getattr(self, name)
            if column.shape != (people, *shape):
                raise InputError(f"'{name}' is of another shape than crops have.")
            if column.is_floating_point() and not bool(column.isfinite().all()):
                raise InputError(f"'{name}' is not finite (NaN or infinity).")


def shrunk(
    rgb: UInt8[Tensor, "people from from 3"], crop_px: int
) -> UInt8[Tensor, "people side side 3"]:
    """Pictures of another size, averaged."""
    if rgb.shape[1] == crop_px:
        return rgb
    parts = []
    for some in rgb.split(_AT_ONCE):
        pixels = F.interpolate(
            some.permute(0, 3, 1, 2).float(), size=(crop_px, crop_px), mode="area"
        )
        parts.append(pixels.round().to(torch.uint8).permute(0, 2, 3, 1))
    return torch.cat(parts)


def main(config: CropsConfig) -> None:
    """Write the shards that are not there yet."""
    check_folder_destination(config.out)
    check_device(config.device)
    config.out.mkdir(parents=True, exist_ok=True)
    _check_settings(config)
    missing = [i for i in range(config.shards) if not _shard(config, i).exists()]
    if not missing:
        print(f"All {config.shards} shards are there already.")
        return
    studio = Studio(config.studio, torch.device(config.device))
    for number in track(missing, "crops"):
        _made(config, studio, number).save(_shard(config, number))
    print(f"Wrote {len(missing) * config.per_shard} people to {config.out}.")


def _made(config: CropsConfig, studio: Studio, number: int) -> CropSet:
    generator = torch.Generator(studio.device)
    generator.manual_seed(config.seed + _STREAMS_APART * number)
    parts, left = [], config.per_shard
    while left:
        shown = studio.draw(min(_AT_ONCE, left), generator)
        parts.append(CropSet.of(shown, config.crop_px))
        left -= len(shown)
    return CropSet.concatenate(parts)


def _shard(config: CropsConfig, number: int) -> Path:
    return config.out / f"crops_{number:05d}.safetensors"


def _check_settings(config: CropsConfig) -> None:
    """A folder holds crops of one kind."""
    settings = {k: v for k, v in asdict(config).items() if k not in ("out", "shards", "device")}
    text = json.dumps(settings, default=str, sort_keys=True, indent=1)
    note = config.out / "crops.json"
    if note.exists() and note.read_text(encoding="utf8") != text:
        raise InputError(
            f"'{config.out}' holds crops of other settings; choose another folder or delete it.",
            {"another folder": "out"},
        )
    note.write_text(text, encoding="utf8")
