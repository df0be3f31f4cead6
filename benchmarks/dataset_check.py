"""Time and memory of `kinflow data check` on trees of 100,000 images and annotations.

    python benchmarks/dataset_check.py [--kind coco|open-images] [--count 100000] [--root FOLDER]

Images are black but each is a file of its own. Annotations of COCO have 17 points and an outline of
forty corners; tables of Open Images have ten boxes of other things beside each person. Prints the
size of the annotation file, seconds by the clock and of the processor, and how much more memory was
in use than before.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from kinflow.body.keypoints import COCO17
from kinflow.datasets.readers.commands import CheckConfig, check

_CORNERS = 40


def write_tree(root: Path, count: int) -> Path:
    """A tree in COCO's layout with one person an image; returns the annotation file."""
    rng = np.random.default_rng(0)
    images = root / "val2017"
    images.mkdir(parents=True)
    pixels = cv2.imencode(".png", np.zeros((480, 640), np.uint8))[1].tobytes()
    for i in range(count):
        (images / f"{i:012d}.jpg").write_bytes(pixels)
    path = root / "annotations" / "person_keypoints_val2017.json"
    path.parent.mkdir()
    angle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) * 90 + 200
    with open(path, "w") as stream:
        listed = [
            {"license": 4, "file_name": f"{i:012d}.jpg", "height": 480, "width": 640, "id": i}
            for i in range(count)
        ]
        stream.write('{"info": {}, "images": ' + json.dumps(listed) + ', "annotations": [')
        for i in range(count):
            points = rng.integers(1, 400, (17, 3))
            points[:, 2] = rng.integers(0, 3, 17)
            points[:3, :2] = (200, 70), (220, 50), (180, 50)  # a face as faces are
            person = {
                "segmentation": [np.round(ring + rng.normal(0, 2, ring.shape), 2).ravel().tolist()],
                "num_keypoints": int((points[:, 2] > 0).sum()),
                "area": 25446.9,
                "iscrowd": 0,
                "keypoints": points.ravel().tolist(),
                "image_id": i,
                "bbox": [110.01, 110.02, 180.25, 180.5],
                "category_id": 1,
                "id": i,
            }
            stream.write(("" if i == 0 else ", ") + json.dumps(person))
        kinds = [{"id": 1, "name": "person", "keypoints": list(COCO17)}]
        stream.write('], "categories": ' + json.dumps(kinds) + "}")
    return path


def write_table(root: Path, count: int) -> Path:
    """A tree in Open Images' layout with one person an image; returns the table of boxes."""
    images = root / "validation"
    images.mkdir(parents=True)
    pixels = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    path = root / "validation-annotations-bbox.csv"
    masks = root / "validation-annotations-object-segmentation.csv"
    with open(path, "w") as boxes, open(masks, "w") as listed:
        boxes.write("ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,")
        boxes.write("IsTruncated,IsGroupOf,IsDepiction,IsInside\n")
        listed.write("MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,")
        listed.write("PredictedIoU,Clicks\n")
        for i in range(count):
            name = f"{i:016x}"
            (images / f"{name}.jpg").write_bytes(pixels)
            for mid in (*["/m/0cmf2"] * 10, "/m/01g317"):
                boxes.write(f"{name},xclick,{mid},1,0.125,0.5,0.25,0.75,0,0,0,0,0\n")
            mask = f"{name}_m01g317_{i:08x}.png,{name},/m/01g317,{i:08x}"
            listed.write(f"{mask},0.125,0.5,0.25,0.75,0.9,\n")
    return path


def main() -> None:
    """Write the tree, check it, print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=("coco", "open-images"), default="coco")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--root", type=Path, help="where to write the tree; kept and used again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = given.root or Path(folder)
        if given.kind == "coco":
            path, write = root / "annotations" / "person_keypoints_val2017.json", write_tree
        else:
            path, write = root / "validation-annotations-bbox.csv", write_table
        if not path.exists():
            write(root, given.count)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        start, start_cpu = time.perf_counter(), time.process_time()
        check(CheckConfig(given.kind, root))
        seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = path.stat().st_size / 1e6
        print(
            f"{size:.0f} MB of annotations: {seconds:.1f} s ({cpu:.1f} s of CPU), "
            f"{peak - before:.0f} MB more memory"
        )


if __name__ == "__main__":
    main()
