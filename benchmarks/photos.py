"""How closely fitted bodies follow the keypoints of real photos, and a sheet to look at.

For every person at least 100 px tall: the mean distance between projected and detected limb
keypoints (shoulders, elbows, wrists, hips, knees, ankles with a confidence above 0.5), as a share
of the person's height in the image. It measures the fit, not the detector.

    python benchmarks/photos.py PHOTO... [--sheet overlays.png]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import tyro

import kinflow
from kinflow.evidence.image import read_photo
from kinflow.export.overlay import draw_overlay
from kinflow.export.writer import png_bytes
from kinflow.pipeline.sources import find_photos

MIN_HEIGHT_PX = 100
SHEET_ROW_PX = 360
SHEET_COLUMNS = 2


@dataclass(frozen=True)
class Config:
    """Benchmark options."""

    photos: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Photos, folders or glob patterns."""
    sheet: Path | None = None
    """Write photo and overlay of every input side by side into this PNG."""


def main(config: Config) -> None:
    reconstructor = kinflow.Reconstructor()
    shares, pairs = [], []
    for path in find_photos(config.photos):
        photo = read_photo(path)
        evidence = reconstructor.detector.detect(photo.rgb)
        result = reconstructor(photo, evidence=evidence)
        for person, seen in zip(result.people, evidence.people, strict=True):
            share = person.limb_error_px() / seen.height_px
            large = seen.height_px >= MIN_HEIGHT_PX and not math.isnan(share)
            if large:
                shares.append(share)
            print(
                f"{path.name:28s} {person.person:2d} {person.code:14s} {seen.height_px:5.0f} px  "
                f"{100 * share:4.1f} %  {person.measures().height_m:.2f} m  "
                f"{float(person.t_cam_root_m[2]):5.1f} m away"
                + ("" if large else "  (not counted)")
            )
        pairs.append(np.hstack([photo.rgb, draw_overlay(photo.rgb, result)]))
    print(f"mean over {len(shares)} people of {MIN_HEIGHT_PX} px and more: ", end="")
    print(f"{100 * float(np.mean(shares)):.2f} % of their height")
    if config.sheet is not None:
        config.sheet.write_bytes(png_bytes(contact_sheet(pairs)))


def contact_sheet(pairs: list[np.ndarray]) -> np.ndarray:
    """Pictures at one height, a few to a row."""
    scaled = [
        cv2.resize(p, (round(p.shape[1] * SHEET_ROW_PX / p.shape[0]), SHEET_ROW_PX)) for p in pairs
    ]
    rows = [np.hstack(scaled[i : i + SHEET_COLUMNS]) for i in range(0, len(scaled), SHEET_COLUMNS)]
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
