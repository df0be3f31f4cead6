"""Small valid files of every kind that kinflow reads, made from nothing but kinflow itself."""

from __future__ import annotations

import io
import json
import pickle
import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keypoint_writers as writers
import numpy as np
import torch
from cmu_skeleton import bvh_text, elbow_angles_deg
from joblib_pickles import joblib_bytes
from PIL import Image
from python2_pickles import python2_pickle
from smpl_files import synthetic_fields

import kinflow
import kinflow.priors
from kinflow.datasets.poses import PoseSet
from kinflow.evidence.keypoint_files import read_people
from kinflow.export.people_files import write_json, write_npz
from kinflow.priors.storage import save_prior

SIZE = writers.SIZE
"""Width and height of the photo that keypoints and maps belong to."""


def keypoint_files() -> dict[str, Any]:
    """The content of keypoint files of some tools, all of the same person in the photo."""
    canvas = {"canvas_width": SIZE[0], "canvas_height": SIZE[1]}
    return {
        "coco": writers.coco_file(writers.COCO17, writers.COCO17),
        "coco_results": [{"keypoints": writers.flat(writers.COCO17), "score": 0.8}],
        "openpose": writers.openpose(writers.flat(writers.BODY_25)),
        "openpose_18": writers.openpose(writers.flat(writers.COCO18), "pose_keypoints"),
        "dwpose": [writers.openpose(writers.flat(writers.COCO18), **canvas)],
        "alphapose": [writers.alphapose(writers.HALPE26)],
        "mmpose": [writers.mmpose(writers.COCO17)],
        "ultralytics": [writers.ultralytics(writers.COCO17)],
        "tfjs": [{"score": 0.8, "keypoints": writers.objects(writers.COCO17)}],
        "mediapipe": {"landmarks": [writers.landmarks()]},
    }


def _extent_px() -> tuple[int, int, int, int]:
    """Left, right, top and bottom of the person."""
    x, y = zip(*writers.PERSON.values(), strict=True)
    return int(min(x)), int(max(x)), int(min(y)), int(max(y))


@cache
def photo(kind: str) -> bytes:
    """A picture of soft noise in a format of Pillow's, or as 16-bit PNG (`png16`)."""
    return photo_with(kind)


def photo_with(kind: str, exif: Image.Exif | None = None) -> bytes:
    """The same with EXIF entries."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 255, (20, 15, 3), np.uint8))
    image = small.resize(SIZE, Image.Resampling.BICUBIC)
    if kind == "png16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    stream = io.BytesIO()
    image.save(stream, kind.removesuffix("16").upper(), **({"exif": exif} if exif else {}))
    return stream.getvalue()


def mask(rng: random.Random) -> bytes:
    """A silhouette in one of the ways in which programs save them."""
    left, right, top, bottom = _extent_px()
    shape = np.zeros(SIZE[::-1], np.uint8)
    shape[top:bottom, left:right] = 255
    grey = Image.fromarray(shape)
    black = Image.new("L", SIZE)
    saved = {
        "L": grey,
        "1": grey.convert("1"),
        "P": grey.convert("P"),
        "RGB": grey.convert("RGB"),
        "LA": Image.merge("LA", (black, grey)),
        "RGBA": Image.merge("RGBA", (black, black, black, grey)),
        "I;16": Image.fromarray(shape.astype(np.uint16) * 257),
    }[rng.choice(("L", "1", "P", "RGB", "LA", "RGBA", "I;16"))]
    stream = io.BytesIO()
    saved.save(stream, "PNG")
    return stream.getvalue()


def part_map(rng: random.Random) -> bytes:
    """kinflow's own part ids in horizontal bands over the person."""
    left, right, highest, lowest = _extent_px()
    ids = np.zeros(SIZE[::-1], np.uint8)
    rows = np.linspace(highest, lowest, 15).astype(int)
    for part, (top, bottom) in enumerate(zip(rows, rows[1:], strict=False), start=1):
        ids[top:bottom, left:right] = part
    image = Image.fromarray(ids)
    if rng.random() < 0.5:
        image.putpalette(list(range(45)))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _written(write, name: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


@cache
def people(kind: str) -> bytes:
    """`people.npz` or `people.json` of a person fitted to the keypoints."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "keypoints.json"
        file.write_bytes(keypoints())
        evidence = read_people(file, SIZE).evidence
    blank = np.zeros((*SIZE[::-1], 3), np.uint8)
    result = kinflow.Reconstructor()(blank, evidence=evidence)
    write = {"npz": write_npz, "json": write_json}[kind]
    return _written(lambda path: write(result, path), f"people.{kind}")


def keypoints(tool: str = "coco_results") -> bytes:
    """A keypoint file of a tool."""
    return json.dumps(keypoint_files()[tool]).encode()


@cache
def prior(name: str) -> bytes:
    """The weight file of a shipped prior."""
    loaded = kinflow.priors.load(name)
    return _written(lambda path: save_prior(loaded, path), "prior.safetensors")


@cache
def pose_set() -> bytes:
    """Poses about the middle of the shipped prior, of a training and a validation subject."""
    from kinflow.priors.pose_space import matrix_to_rotvec

    R = kinflow.priors.load("gaussian").sample(80, torch.Generator().manual_seed(0))
    poses = PoseSet(
        matrix_to_rotvec(R).float(),
        torch.zeros(80, 3),
        (torch.arange(80) >= 60).int(),
        torch.arange(80).int(),
        ("walk", "jump"),
        ("01", "02"),
    )
    return _written(poses.save, "poses.safetensors")


@cache
def bvh() -> bytes:
    """A clip of the CMU skeleton that bends both elbows."""
    bend = np.linspace(20, 90, 12)
    angles = {f"{side}ForeArm": elbow_angles_deg(side, bend) for side in ("Left", "Right")}
    return bvh_text(angles, len(bend)).encode()


@cache
def amass() -> bytes:
    """An AMASS archive of twelve frames."""
    rng = np.random.default_rng(0)
    stream = io.BytesIO()
    np.savez(
        stream,
        poses=rng.normal(0, 0.1, (12, 156)),
        trans=rng.normal(0, 0.1, (12, 3)),
        mocap_framerate=120.0,
        gender="female",
        betas=np.zeros(16),
    )
    return stream.getvalue()


@cache
def person_rows() -> bytes:
    """Truth, or predictions, of two people in three frames."""
    from kinflow.body.keypoints import COCO17
    from kinflow.datasets.person_rows import write_rows
    from kinflow.evaluation.protocols.joint_sets import LSP14

    rng = np.random.default_rng(0)
    arrays = {
        "sequence": np.repeat(["one", "two"], 3),
        "frame": np.tile(np.arange(3), 2),
        "person": np.zeros(6, int),
        "action": np.repeat(["walk", "sit"], 3),
        "rate_hz": np.array(30.0),
        "joint_names": np.array(LSP14),
        "joint_source": np.array("mesh:h36m"),
        "joints_m": rng.normal(0, 0.3, (6, 14, 3)),
        "joint_valid": np.ones((6, 14), bool),
        "vertices_m": rng.normal(0, 0.3, (6, 9, 3)),
        "topology": np.array("smpl"),
        "keypoint_names": np.array(COCO17),
        "keypoints_px": rng.uniform(0, 100, (6, 17, 3)),
        "box_px": rng.uniform(0, 100, (6, 4)),
        "score": rng.uniform(0, 1, 6),
    }
    return _written(lambda path: write_rows(path, arrays), "rows.npz")


@cache
def evaluation_result() -> bytes:
    """A result of person rows."""
    from kinflow.evaluation.protocols.judging import evaluate
    from kinflow.evaluation.protocols.named import PROTOCOLS
    from kinflow.evaluation.protocols.results import result_bytes
    from kinflow.evaluation.protocols.row_files import read_rows

    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npz"
        path.write_bytes(person_rows())
        rows = read_rows(path)
    return result_bytes(evaluate(rows, rows, PROTOCOLS["3dpw"]).result)


@cache
def smpl(kind: str) -> bytes:
    """A coarse body in SMPL's layout."""
    fields = synthetic_fields("smpl", vertices=120)
    if kind == "npz":
        stream = io.BytesIO()
        np.savez(stream, **fields)
        return stream.getvalue()
    return python2_pickle(fields) if kind == "pkl2" else pickle.dumps(fields, protocol=4)


def results(kind: str) -> bytes:
    """Parameters of two bodies as other systems write them: SAM 3D Body, WHAM and GVHMR."""
    betas, place = np.zeros((2, 10), np.float32), np.ones((2, 3), np.float32)
    if kind == "npz":
        stream = io.BytesIO()
        np.savez(stream, pred_keypoints_3d=np.ones((2, 70, 3)), pred_cam_t=place)
        return stream.getvalue()
    if kind == "joblib":
        pose = np.full((2, 72), 0.1, np.float32)
        person = {"pose": pose, "trans": place, "betas": betas, "frame_ids": np.arange(2)}
        return joblib_bytes({0: person})
    fields = {"global_orient": place, "body_pose": np.full((2, 63), 0.1), "transl": place}
    tensors = {name: torch.from_numpy(a) for name, a in {**fields, "betas": betas}.items()}
    stream = io.BytesIO()
    torch.save({"smpl_params_incam": tensors}, stream)
    return stream.getvalue()
