"""Crops of made-up people whose keypoints are painted as dots: quick, and with something to see."""

from pathlib import Path

import torch
from made_up_people import MadeUpPeople

from kinflow.synth.crops import CropSet

SIDE = 48


def painted_crops(count: int, seed: int) -> CropSet:
    people = MadeUpPeople(seed)
    shown = people.draw(count, torch.Generator().manual_seed(seed))
    at = ((shown.keypoints_crop + 0.5) * SIDE).floor().long().clamp(0, SIDE - 1)
    rgb = torch.zeros(count, SIDE, SIDE, 3, dtype=torch.uint8)
    person = torch.arange(count)[:, None].expand(-1, 33)
    for channel, (first, last) in enumerate(((0, 11), (11, 23), (23, 33))):
        some = slice(first, last)
        rgb[person[:, some], at[:, some, 1], at[:, some, 0], channel] = 255
    columns = {name: getattr(shown, name) for name in CropSet.__dataclass_fields__}
    return CropSet(**columns | {"rgb": rgb})


def write_crops(folder: Path, count: int, seed: int) -> Path:
    folder.mkdir(parents=True)
    painted_crops(count, seed).save(folder / "crops_00000.safetensors")
    return folder
