"""Small photos of noise, and keypoints of somebody who stands in them: fitted within a moment."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

FIGURE_PX = (
    *((120, 50), (125, 45), (115, 45), (131, 48), (109, 48), (145, 85), (95, 85), (160, 130)),
    *((80, 130), (165, 170), (75, 170), (135, 170), (105, 170), (137, 230), (103, 230)),
    *((138, 290), (102, 290)),
)
"""COCO's 17 keypoints of a person who stands in front of the camera."""
SIZE = (240, 320)


def small_photos(
    folder: Path,
    names: tuple[str, ...],
    figures_px: Sequence[tuple[tuple[float, float], ...]] = (FIGURE_PX,),
) -> tuple[list[Path], Path]:
    """Write photos and one file of keypoints for all of them; returns the paths of both.

    Args:
        folder: where to.
        names: of the photos.
        figures_px: the people who stand in each.
    """
    rng = np.random.default_rng(0)
    images, people = [], []
    for number, name in enumerate(names):
        pixels = rng.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
        with open(folder / name, "wb") as stream:
            Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
        images.append({"id": number, "file_name": name, "width": SIZE[0], "height": SIZE[1]})
        for figure_px in figures_px:
            points = [value for x, y in figure_px for value in (x, y, 2)]
            known = {"id": len(people), "image_id": number, "category_id": 1}
            people.append({**known, "keypoints": points})
    keypoints = folder / "keypoints.json"
    keypoints.write_text(json.dumps({"images": images, "annotations": people}))
    return [folder / name for name in names], keypoints
