"""Label files of image datasets damaged at random: samples or one sentence, and no other error."""

import copy
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from image_trees import structs, write_csv, write_mpii
from test_malformed_images import (
    BOX_HEADER,
    FILES,
    GOOD,
    MASK_HEADER,
    MASK_ROW,
    OPEN_BOXES,
    ROW,
)

from kinflow.datasets.readers.reader import samples
from kinflow.datasets.readers.registry import reader_of
from kinflow.errors import InputError

sys.path.append(str(Path(__file__).parents[2] / "files"))
from mutations import mutated_bytes, mutated_json


def coco(root: Path) -> Path:
    content = copy.deepcopy(GOOD)
    content["annotations"] = [{**content["annotations"][0], "id": i} for i in range(5)]
    for name in FILES.values():
        path = root / "annotations" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return path


def damaged_coco(name: str) -> Callable[[Path], Path]:
    def write(root: Path) -> Path:
        coco(root)
        for other in set(FILES.values()) - {FILES[name]}:
            (root / "annotations" / other).unlink()
        return root / "annotations" / FILES[name]

    return write


def lsp(root: Path) -> Path:
    joints = np.random.default_rng(0).uniform(0, 200, (3, 14, 2000))
    scipy.io.savemat(root / "joints.mat", {"joints": joints}, do_compression=True)
    return root / "joints.mat"


def mpii(root: Path) -> Path:
    points = [{"x": 5.0, "y": 6.0, "id": n, "is_visible": "1"} for n in range(16)]
    annopoints = structs([{"point": structs(points)}])
    image = structs([{"name": "a.jpg"}])
    annolist = structs([{"image": image, "annorect": structs([{"annopoints": annopoints}])}] * 3)
    return write_mpii(root, {"annolist": annolist, "img_train": np.ones((1, 3), np.uint8)})


def open_images(root: Path) -> Path:
    write_csv(root / "test-annotations-object-segmentation.csv", MASK_HEADER, [MASK_ROW] * 9)
    return write_csv(root / OPEN_BOXES["test"], BOX_HEADER, [ROW] * 9)


def open_images_masks(root: Path) -> Path:
    open_images(root)
    return root / "test-annotations-object-segmentation.csv"


@pytest.mark.parametrize(
    ("name", "write", "damage"),
    [
        ("coco", damaged_coco("coco"), mutated_json),
        ("coco-densepose", damaged_coco("coco-densepose"), mutated_json),
        ("coco-wholebody", damaged_coco("coco-wholebody"), mutated_json),
        ("lsp", lsp, mutated_bytes),
        ("mpii", mpii, mutated_bytes),
        ("open-images", open_images, mutated_bytes),
        ("open-images", open_images_masks, mutated_bytes),
    ],
)
def test_damage_is_a_sentence(tmp_path, name, write, damage):
    path, reader = write(tmp_path), reader_of(name)
    good, refused = path.read_bytes(), 0
    split = reader.units(tmp_path)[0][-1].split
    for seed in range(60 if name != "lsp" else 25):
        path.write_bytes(damage(good, random.Random(seed)))
        try:
            for sample in samples(reader, tmp_path, split):
                if sample.mask is not None and sample.mask.path is None:
                    sample.mask.array()
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 500
    assert refused >= 10
