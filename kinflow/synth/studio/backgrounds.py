"""`kinflow data backgrounds`: squares of photographs that show nobody, to put people before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from rich.progress import track
from torch import Tensor

from kinflow.checks import path, whole
from kinflow.errors import InputError
from kinflow.evidence.detector import EvidenceDetector
from kinflow.evidence.image import read_photo
from kinflow.files.destinations import check_file_destination
from kinflow.files.tensor_files import read_tensors, write_tensors

SIDE_PX = 256
_FORMAT = "kinflow-backgrounds-1"
_WHAT = "a file of backgrounds"
_ROOM = 0.08
_LEAST_PX = 96
_TRIES = 60
_QUALITY = 88
"""Squares are kept as JPEG, for a file of them travels."""


@dataclass(frozen=True)
class BackgroundsConfig:
    """Cut squares without people out of photographs.

    Attributes:
        images: folder of photographs.
        out: file to write.
        per_image: most squares of each.
        seed: of the choice of squares.
    """

    images: Path
    out: Path
    per_image: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        path(self, "images")
        path(self, "out")
        whole(self, "per_image", at_least=1, at_most=1000)
        whole(self, "seed")


def main(config: BackgroundsConfig) -> None:
    """Write the file and say how many squares it holds."""
    check_file_destination(config.out)
    files = sorted(
        p for p in config.images.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    if not files:
        raise InputError(f"'{config.images}' holds no photographs (.jpg, .png).")
    detector, rng = EvidenceDetector(), np.random.default_rng(config.seed)
    squares: list[np.ndarray] = []
    for file in track(files, "photographs"):
        try:
            rgb = read_photo(file).rgb
        except InputError as error:
            print(f"{file}: {error}")
            continue
        people = [person.detection.box_px for person in detector.people(rgb, None)]
        boxes = np.array([list(map(float, box)) for box in people]).reshape(-1, 4)
        squares += [_packed(s) for s in _squares(rgb, boxes, config.per_image, rng)]
    if not squares:
        raise InputError(f"Nothing without people was found in the photographs of {config.images}.")
    ends = np.cumsum([len(square) for square in squares])
    tensors = {
        "jpeg": torch.from_numpy(np.concatenate(squares)),
        "end": torch.from_numpy(ends).long(),
    }
    write_tensors(config.out, tensors, {"format": _FORMAT})
    print(f"Wrote {len(squares)} squares of {len(files)} photographs to {config.out}.")


def load_backgrounds(file: Path) -> UInt8[Tensor, "photos 3 256 256"]:
    """All squares of a file.

    Raises:
        InputError: it is missing, damaged or another kind of file.
    """
    texts, tensors = read_tensors(file, what=_WHAT)
    if texts.get("format") != _FORMAT or not {"jpeg", "end"} <= tensors.keys():
        raise InputError(f"'{file}' does not hold backgrounds of this version of kinflow.")
    jpeg, ends = tensors["jpeg"].numpy(), tensors["end"].tolist()
    squares = []
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):
        decoded = cv2.imdecode(jpeg[begin:end], cv2.IMREAD_COLOR) if 0 <= begin < end else None
        if decoded is None or decoded.shape != (SIDE_PX, SIDE_PX, 3):
            raise InputError(f"'{file}' is damaged: a background cannot be read; make it anew.")
        squares.append(torch.from_numpy(decoded[..., ::-1].copy()))
    return torch.stack(squares).permute(0, 3, 1, 2).contiguous()


def _packed(square: UInt8[np.ndarray, "256 256 3"]) -> UInt8[np.ndarray, " bytes"]:
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    return cv2.imencode(".jpg", square[..., ::-1], quality)[1].ravel()


def _squares(
    rgb: UInt8[np.ndarray, "h w 3"],
    boxes: Float[np.ndarray, "people 4"],
    most: int,
    rng: np.random.Generator,
) -> list[UInt8[np.ndarray, "256 256 3"]]:
    """Squares of any size that none of the boxes reaches into."""
    height, width = rgb.shape[:2]
    room = _ROOM * (boxes[:, 2:] - boxes[:, :2]) if len(boxes) else np.zeros((0, 2))
    low, high = boxes[:, :2] - room, boxes[:, 2:] + room
    found: list[np.ndarray] = []
    for attempt in range(_TRIES):
        if len(found) == most:
            break
        largest = min(height, width) * (1 - 0.8 * attempt / _TRIES)
        side = int(rng.uniform(0.7, 1.0) * largest)
        if side < _LEAST_PX:
            break
        x, y = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
        meets = (low < (x + side, y + side)).all(1) & (high > (x, y)).all(1)
        if not meets.any():
            size = (SIDE_PX, SIDE_PX)
            found.append(
                cv2.resize(rgb[y : y + side, x : x + side], size, interpolation=cv2.INTER_AREA)
            )
    return found
