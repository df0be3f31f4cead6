"""Small trees in the official layouts of image datasets, of rendered people whose truth is known.

Writers here are made from the formats' definitions and share no code with the readers.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import scipy.io
from PIL import Image

from kinflow.body.keypoints import COCO17
from kinflow.body.part_maps import PART_MAPS
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import Picture
from kinflow.synth.rendering import coarse_mesh
from kinflow.synth.samples import world_samples
from kinflow.synth.world import WorldConfig
from kinflow.synth.world_picture import WorldPainter
from kinflow.synth.world_source import WorldSource

LSP14 = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("right_wrist", "right_elbow", "right_shoulder"),
    *("left_shoulder", "left_elbow", "left_wrist", "nose", "nose"),
)
"""The order of LSP's points; neck and top of the head stand at the nose here."""
FEET = tuple(f"{s}_{p}" for s in ("left", "right") for p in ("big_toe", "heel", "heel"))


@dataclass(frozen=True)
class Shot:
    """A rendered picture and the truth of who is in it."""

    rgb: np.ndarray
    people: list[Sample]

    @property
    def size(self) -> tuple[int, int]:
        return self.rgb.shape[1], self.rgb.shape[0]

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(self.rgb).save(path, quality=90)


def shots(count: int, people: int = 1, side: int = 200) -> list[Shot]:
    """Rendered pictures."""
    config = WorldConfig(
        count=(people, people),
        in_full=True,
        image_sizes=((side, side - 20),),
        size_range=(0.6, 0.9),
    )
    source, painter = WorldSource(config), WorldPainter.load()
    mesh, made = coarse_mesh(painter.mesh.body), []
    for seed in range(count):
        world = source.world(seed)
        rgb = painter.paint(world, np.random.default_rng(seed))
        made.append(Shot(rgb, world_samples(world, str(seed), mesh, Picture(Path("none.jpg")))))
    return made


def point(person: Sample, name: str) -> tuple[float, float, int]:
    """(x, y, COCO's flag) of a point in kinflow's pixels."""
    assert person.keypoints is not None and person.keypoints.shown is not None
    at = person.keypoints.names.index(name)
    x, y = person.keypoints.px[at]
    return float(x), float(y), 2 if person.keypoints.shown[at] else 1


def coco_points(person: Sample, names=COCO17) -> list[float]:
    """Numbers of pixels, as COCO has them."""
    return [v for n in names for x, y, f in [point(person, n)] for v in (int(x), int(y), f)]


def runs_of(mask: np.ndarray) -> list[int]:
    """Run lengths column by column, off first."""
    flat = mask.T.ravel().astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges.tolist(), len(flat)]).tolist()
    return [0, *runs] if flat[0] else runs


def text_of(runs: list[int]) -> str:
    """COCO's compressed run lengths: five bits a letter, differences from the fourth number on."""
    text = ""
    for i, run in enumerate(runs):
        x = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            c, x = x & 0x1F, x >> 5
            more = x != -1 if c & 0x10 else x != 0
            text += chr((c | 0x20 if more else c) + 48)
    return text


def outlines_of(mask: np.ndarray) -> list[list[float]]:
    """Outlines along the edges of pixels, (0, 0) the corner of the image."""
    fine = cv2.resize(mask.astype(np.uint8), None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    found, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [
        ((c.reshape(-1, 2) + 0.5) / 8).ravel().tolist() for c in found if cv2.contourArea(c) > 64
    ]


def annotation(person: Sample, number: int, image: int) -> dict:
    """One person as COCO's annotators give them."""
    assert person.mask is not None and person.box_px is not None
    mask = person.mask.array()
    points = coco_points(person)
    return {
        "segmentation": outlines_of(mask),
        "num_keypoints": sum(f > 0 for f in points[2::3]),
        "area": float(mask.sum()),
        "iscrowd": 0,
        "keypoints": points,
        "image_id": image,
        "bbox": [round(v, 2) for v in person.box_px],
        "category_id": 1,
        "id": number,
    }


def crowd(mask: np.ndarray, number: int, image: int) -> dict:
    """A region of people nobody told apart."""
    return {
        "segmentation": {"counts": runs_of(mask), "size": list(mask.shape)},
        "num_keypoints": 0,
        "area": float(mask.sum()),
        "iscrowd": 1,
        "keypoints": [0] * 51,
        "image_id": image,
        "bbox": [0, 0, mask.shape[1], 30],
        "category_id": 1,
        "id": number,
    }


def coco_content(made: list[Shot], name: str = "{:012d}.jpg", more=lambda person: {}) -> dict:
    """An annotation file in COCO's order of members."""
    annotations, images = [], []
    for i, shot in enumerate(made, start=1):
        size = {"width": shot.size[0], "height": shot.size[1]}
        images.append({"license": 4, "file_name": name.format(i), "id": i, **size})
        for person in shot.people:
            number = 1000 + len(annotations)
            annotations.append({**annotation(person, number, i), **more(person)})
    return {
        "info": {"description": "COCO 2017 Dataset", "version": "1.0", "year": 2017},
        "licenses": [{"url": "http://x", "id": 4, "name": "Attribution"}],
        "images": images,
        "annotations": annotations,
        "categories": [
            {
                "supercategory": "person",
                "id": 1,
                "name": "person",
                "keypoints": list(COCO17),
                "skeleton": [[16, 14]],
            }
        ],
    }


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def coco_tree(root: Path, made: list[Shot]) -> Path:
    content = coco_content(made)
    empty = np.zeros((made[0].size[1], made[0].size[0]), bool)
    empty[:30] = True
    content["annotations"].append(crowd(empty, 9_000_000, 1))
    for split in ("train2017", "val2017"):
        write_json(root / f"annotations/person_keypoints_{split}.json", content)
        for i, shot in enumerate(made, start=1):
            shot.save(root / split / f"{i:012d}.jpg")
    return root


def wholebody_fields(person: Sample) -> dict:
    """Feet as they are; face and hands all at the nose and the wrists."""
    nose, wrists = point(person, "nose"), [point(person, f"{s}_wrist") for s in ("left", "right")]
    return {
        "foot_kpts": coco_points(person, FEET),
        "face_kpts": [nose[0] - 0.5, nose[1] - 0.5, 1.0] * 68,
        "lefthand_kpts": [wrists[0][0] - 0.5, wrists[0][1] - 0.5, 1.0] * 21,
        "righthand_kpts": [0.0, 0.0, 0.0] * 21,
        **{"foot_valid": True, "face_valid": True, "lefthand_valid": True},
        "righthand_valid": False,
    }


def wholebody_tree(root: Path, made: list[Shot]) -> Path:
    for split in ("train", "val"):
        content = coco_content(made, more=wholebody_fields)
        write_json(root / f"annotations/coco_wholebody_{split}_v1.0.json", content)
        for i, shot in enumerate(made, start=1):
            shot.save(root / f"{split}2017" / f"{i:012d}.jpg")
    return root


def dense_parts(person: Sample) -> dict:
    """The parts on 256 by 256 cells over the box, a compressed mask for each of the 14."""
    assert person.parts is not None and person.box_px is not None
    left, top, width, height = (int(v) for v in person.box_px)
    whole = np.zeros((2000, 2000), np.uint8)
    x, y, w, h = (int(v) for v in person.parts.box_px)
    whole[y : y + h, x : x + w] = person.parts.labels
    cut = whole[top : top + height, left : left + width]
    cells = cv2.resize(cut, (256, 256), interpolation=cv2.INTER_NEAREST)
    ours = PART_MAPS["kinflow"].classes
    masks = []
    for part in PART_MAPS["coco-densepose"].classes[1:]:
        mask = cells == ours.index(part)
        text = text_of(runs_of(mask))
        masks.append({"counts": text, "size": [256, 256]} if mask.any() else [])
    return {"dp_masks": masks, "dp_x": [], "dp_y": [], "dp_I": [], "dp_U": [], "dp_V": []}


def densepose_tree(root: Path, made: list[Shot]) -> Path:
    named = {
        "densepose_train2014": "train2014",
        "densepose_coco_2014_valminusminival": "val2014",
        "densepose_minival2014": "val2014",
    }
    for file, images in named.items():
        name = f"COCO_{images}_" + "{:012d}.jpg"
        content = coco_content(made, name, dense_parts)
        # whom DensePose's annotators passed over
        content["annotations"].append(annotation(made[0].people[0], 5000, 1))
        write_json(root / f"annotations/{file}.json", content)
        for i, shot in enumerate(made, start=1):
            shot.save(root / images / name.format(i))
    return root


def matlab_points(person: Sample) -> np.ndarray:
    """(14, 2): the first pixel of MATLAB is 1 and has its centre there."""
    return np.array([point(person, name)[:2] for name in LSP14]) + 0.5


def lsp_tree(root: Path, made: list[Shot], count: int = 2000) -> Path:
    joints = np.full((3, 14, count), 50.0)
    for i, shot in enumerate(made):
        for at in (i, count // 2 + i):
            joints[:2, :, at] = matlab_points(shot.people[0]).T
            shot.save(root / f"images/im{at + 1:04d}.jpg")
    scipy.io.savemat(root / "joints.mat", {"joints": joints})
    return root


def lspet_tree(root: Path, made: list[Shot], count: int = 10000) -> Path:
    joints = np.zeros((14, 3, count))
    for i, shot in enumerate(made):
        joints[:, :2, i] = matlab_points(shot.people[0])
        joints[:, 2, i] = [point(shot.people[0], n)[2] == 2 for n in LSP14]
        joints[joints[:, 2, i] == 0, :2, i] = -30
        shot.save(root / f"images/im{i + 1:05d}.jpg")
    scipy.io.savemat(root / "joints.mat", {"joints": joints}, do_compression=True)
    return root


MPII16 = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
    *("pelvis", "thorax", "nose", "nose"),
    *("right_wrist", "right_elbow", "right_shoulder"),
    *("left_shoulder", "left_elbow", "left_wrist"),
)
"""The order of MPII's points; those that our keypoints do not have are not labelled here."""


def structs(rows: list[dict]) -> np.ndarray:
    """MATLAB's array of structs, 1 by n."""
    array = np.empty((1, len(rows)), [(name, object) for name in rows[0]])
    for i, row in enumerate(rows):
        for name, value in row.items():
            array[0, i][name] = value
    return array


def mpii_points(person: Sample, flag) -> np.ndarray:
    """Points as structs, by their numbers; the first pixel is 1."""
    rows = []
    for number, name in enumerate(MPII16):
        if name in ("pelvis", "thorax"):
            continue
        x, y, f = point(person, name)
        seen = flag(f == 2)
        visible = np.zeros((0, 0)) if seen is None else seen
        rows.append({"x": x + 0.5, "y": y + 0.5, "id": number, "is_visible": visible})
    return structs(rows)


EMPTY = np.zeros((0, 0))


def mpii_release(made: list[Shot], **changes) -> dict:
    """What `RELEASE` has, with a test image at its end."""
    annolist, acts = [], []
    for i, shot in enumerate(made):
        people = [
            {
                "scale": 3.2,
                "objpos": structs([{"x": 50.0, "y": 60.0}]),
                "annopoints": structs([{"point": mpii_points(p, changes.get("flag", str_flag))}]),
            }
            for p in shot.people
        ]
        people.append({"scale": EMPTY, "objpos": EMPTY, "annopoints": EMPTY})
        annolist.append({"image": structs([{"name": f"{i:09d}.jpg"}]), "annorect": structs(people)})
        acts.append({"cat_name": "sports", "act_name": "curling", "act_id": 5})
    test = {"image": structs([{"name": "test.jpg"}]), "annorect": EMPTY}
    annolist.append(test)
    acts.append({"cat_name": EMPTY, "act_name": EMPTY, "act_id": -1})
    flags = np.array([[*[1] * len(made), 0]], np.uint8)
    return {"annolist": structs(annolist), "img_train": flags, "act": structs(acts)}


def str_flag(seen: bool) -> str:
    return str(int(seen))


def write_mpii(root: Path, release: dict) -> Path:
    path = root / "annot" / "mpii_human_pose_v1_u12_1.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {"RELEASE": structs([release])})
    return path


def mpii_tree(root: Path, made: list[Shot]) -> Path:
    write_mpii(root, mpii_release(made))
    for i, shot in enumerate(made):
        shot.save(root / "images" / f"{i:09d}.jpg")
    return root


BOX_HEADER = [
    *("ImageID", "Source", "LabelName", "Confidence", "XMin", "XMax", "YMin", "YMax"),
    *("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside"),
]
MASK_HEADER = [
    *("MaskPath", "ImageID", "LabelName", "BoxID", "BoxXMin", "BoxXMax", "BoxYMin", "BoxYMax"),
    *("PredictedIoU", "Clicks"),
]
OPEN_BOXES = {
    "train": "oidv6-train-annotations-bbox.csv",
    "validation": "validation-annotations-bbox.csv",
    "test": "test-annotations-bbox.csv",
}


def open_images_tree(root: Path, made: list[Shot]) -> Path:
    for split, name in OPEN_BOXES.items():
        boxes, masks = [], []
        for i, shot in enumerate(made):
            image = f"{i:015x}a"
            shot.save(root / split / f"{image}.jpg")
            boxes.append([image, "xclick", "/m/0cmf2", 1, 0.1, 0.2, 0.1, 0.2, 0, 0, 0, 0, 0])
            for k, person in enumerate(shot.people):
                mid = "/m/04yx4" if k % 2 else "/m/01g317"
                shares = box_shares(person, shot.size)
                boxes.append([image, "xclick", mid, 1, *shares, 0, 0, 0, 0, 0])
                file = f"{image}_{mid.replace('/', '')}_{i * 16 + k:08x}.png"
                rounded = [round(v, 6) for v in shares]
                masks.append([file, image, mid, f"{k:08x}", *rounded, 0.9, ""])
                save_mask(root / f"{split}-masks-{image[0]}" / file, person)
            boxes.append([image, "xclick", "/m/03bt1vf", 1, 0, 1, 0, 0.3, 1, 1, 1, 0, 0])
            boxes.append([image, "xclick", "/m/01bl7v", 1, 0, 1, 0, 0.3, 0, 0, 0, 1, 0])
        write_csv(root / name, BOX_HEADER, boxes)
        write_csv(root / f"{split}-annotations-object-segmentation.csv", MASK_HEADER, masks)
    return root


def box_shares(person: Sample, size: tuple[int, int]) -> list[float]:
    assert person.box_px is not None
    (x, y, w, h), (width, height) = person.box_px, size
    return [x / width, (x + w) / width, y / height, (y + h) / height]


def save_mask(path: Path, person: Sample) -> None:
    """A mask of 1.5 times the picture's size, black and white."""
    assert person.mask is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.fromarray(person.mask.array())
    mask.resize((mask.width * 3 // 2, mask.height * 3 // 2)).save(path)


def write_csv(path: Path, header: list[str], rows: list[list]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


TREES = {
    "coco": coco_tree,
    "coco-densepose": densepose_tree,
    "coco-wholebody": wholebody_tree,
    "lsp": lsp_tree,
    "lspet": lspet_tree,
    "mpii": mpii_tree,
    "open-images": open_images_tree,
}
