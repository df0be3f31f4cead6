"""Rebuild the picture at the top of README.md from the demo's two photos.

    python tools/readme_picture.py [OUT]

Both photos are free: `astronaut` is by NASA (public domain), `camera` by Lav Varshney (CC0).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

import kinflow
from kinflow.cli.demo import demo_photos
from kinflow.evidence.image import read_photo
from kinflow.export.writer import ExportOptions, write_all

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "demo.jpg"
HEIGHT_PX = 360
JPEG_QUALITY = 88


def panels(path: Path, reconstructor: kinflow.Reconstructor, folder: Path) -> list[np.ndarray]:
    """The photo, and the overlay with the view from the side, as BGR."""
    photo = read_photo(path)
    options = ExportOptions(formats=("overlay",), side_view=True)
    written = write_all(reconstructor(photo), photo.rgb, folder / path.stem, options)
    pictures = [
        cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        for rgb in (photo.rgb, read_photo(written["overlay"]).rgb)
    ]
    return [
        cv2.resize(
            picture,
            (round(picture.shape[1] * HEIGHT_PX / len(picture)), HEIGHT_PX),
            interpolation=cv2.INTER_AREA,
        )
        for picture in pictures
    ]


def main(out: Path) -> None:
    """Write the picture: one row a photo."""
    reconstructor = kinflow.Reconstructor()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            cv2.hconcat(panels(path, reconstructor, Path(folder)))
            for path in reversed(demo_photos())
        ]
    width = max(row.shape[1] for row in rows)
    white = (255, 255, 255)
    padded = [
        cv2.copyMakeBorder(row, 0, 0, 0, width - row.shape[1], cv2.BORDER_CONSTANT, value=white)
        for row in rows
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), cv2.vconcat(padded), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
