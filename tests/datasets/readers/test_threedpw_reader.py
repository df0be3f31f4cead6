"""3DPW as its authors give it out: pickles of Python 2."""

import io
import pickle
import struct

import numpy as np
import pytest
from damage import assert_check_fails, assert_refused, cut_off, hostile_pickle
from made_people import (
    REST_PELVIS_M,
    Z_UP,
    angle_between,
    extrinsics_of,
    made_camera,
    made_person,
    matrix_of,
    read_all,
    seen,
)
from PIL import Image

from kinflow.datasets.readers.joint_names import OPENPOSE18, SMPL24
from kinflow.datasets.readers.reprojection import reprojection_px

FRAMES, SEQUENCE = 4, "downtown_made_00"
SIZE = (1080, 1920)


class _Python2(pickle._Pickler):
    """Writes text and bytes as Python 2 wrote its strings, and numpy under its old names."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_string(self, value):
        data = value if isinstance(value, bytes) else value.encode("latin1")
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    def save_global(self, obj, name=None):
        module = obj.__module__.replace("numpy._core", "numpy.core").replace(
            "builtins", "__builtin__"
        )
        self.write(pickle.GLOBAL + f"{module}\n{name or obj.__qualname__}\n".encode())
        self.memoize(obj)

    dispatch[bytes] = dispatch[str] = save_string
    dispatch[type] = dispatch[type(len)] = dispatch[type(lambda: 0)] = save_global


def python2(value) -> bytes:
    stream = io.BytesIO()
    _Python2(stream, 2).dump(value)
    return stream.getvalue()


def made():
    people = [made_person(FRAMES, 1), made_person(FRAMES, 2, shift=(0.8, 0, 0.3))]
    return people, made_camera(SIZE, 1960.0)


def fields(people, camera, R_file=Z_UP) -> dict:
    """One sequence's fields, in a world turned by `R_file`."""
    joints = [person.points(SMPL24) for person in people]
    pixels = [seen(camera, person.points(OPENPOSE18)) for person in people]
    return {
        "sequence": SEQUENCE,
        "poses": [person.rotvec(24, R_file) for person in people],
        "trans": [person.translation(R_file) for person in people],
        "poses_60Hz": [np.repeat(person.rotvec(24, R_file), 2, 0) for person in people],
        "betas": [np.linspace(-1, 1, 10), np.linspace(1, 0, 300)],
        "genders": ["m", "f"],
        "cam_intrinsics": matrix_of(camera),
        "cam_poses": np.stack([extrinsics_of(camera, R_file)] * FRAMES),
        "campose_valid": [np.array([1, 1, 0, 1]), np.ones(FRAMES, int)],
        "poses2d": [
            np.concatenate([p.transpose(0, 2, 1), np.full((FRAMES, 1, 18), 1.02)], 1)
            for p in pixels
        ],
        "jointPositions": [(j @ R_file.T).reshape(FRAMES, 72) for j in joints],
        "img_frame_ids": np.arange(0, 2 * FRAMES, 2),
    }


def write(root, content, split="test"):
    folder = root / "sequenceFiles" / split
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{SEQUENCE}.pkl"
    path.write_bytes(content if isinstance(content, bytes) else python2(content))
    return path


def test_labels_come_back_in_a_world_that_is_upright(tmp_path):
    people, camera = made()
    write(tmp_path, fields(people, camera))
    found = read_all("3dpw", tmp_path, "test")

    assert [s.key for s in found[:3]] == [
        f"test/{SEQUENCE}/{k}" for k in ("0/00000", "1/00000", "0/00001")
    ]
    for row, person in enumerate(people):
        for frame, sample in enumerate(found[row::2]):
            off_mm = 1e3 * np.abs(sample.joints.position_m - person.points(SMPL24)[frame]).max()
            assert off_mm < 0.1
            assert angle_between(sample.body.R_parent_joint[:22], person.R[frame]) < 1e-3
            pelvis_m = sample.body.pelvis_space_m(REST_PELVIS_M)
            np.testing.assert_allclose(pelvis_m, person.root_m[frame], atol=1e-4)
            assert sample.time_s == pytest.approx(frame / 30)
            np.testing.assert_array_equal(sample.up, [0, 1, 0])
    assert (found[0].body.gender, found[1].body.gender) == ("male", "female")
    np.testing.assert_allclose(found[1].body.shape, np.linspace(1, 0, 300)[:10], atol=1e-6)
    assert found[0].picture.path == tmp_path / "imageFiles" / SEQUENCE / "image_00000.jpg"
    assert found[0].picture.size == SIZE


def test_joints_are_seen_where_keypoints_are(tmp_path):
    people, camera = made()
    write(tmp_path, fields(people, camera))

    for sample in read_all("3dpw", tmp_path):
        off = reprojection_px(sample)
        if sample.valid:
            shared = [n for n in OPENPOSE18 if n in SMPL24]
            assert len(off) == len(shared) and off.max() < 0.5
        else:
            assert off is None and sample.key.endswith("0/00002")
            assert sample.camera.R_cam_world is None


def test_worlds_that_are_upright_already_stay(tmp_path):
    people, camera = made()
    write(tmp_path, fields(people, camera, np.eye(3)))
    sample = read_all("3dpw", tmp_path)[0]

    assert sample.body.R_space_model is None
    np.testing.assert_allclose(sample.camera.R_cam_world, camera.R_cam_world, atol=1e-6)


def test_check_names_what_is_missing(tmp_path, capsys):
    people, camera = made()
    write(tmp_path, fields(people, camera))
    images = tmp_path / "imageFiles" / SEQUENCE
    images.mkdir(parents=True)
    for frame in range(3):
        Image.new("RGB", (8, 8)).save(images / f"image_{frame:05d}.jpg")

    said = assert_check_fails("3dpw", tmp_path, capsys)
    assert "8 samples in 1 label files" in said and "image_00003.jpg', not there" in said
    assert "24 of the 24 sequences of 3dpw test are not there: downtown_arguing_00" in said
    assert f"version: {SEQUENCE}: of test by its file or folder, and not on its list." in said
    assert "no sequences" not in said and "  not valid: 1" in said
    write(tmp_path, fields(people, camera)).rename(
        tmp_path / "sequenceFiles/test/downtown_bar_00.pkl"
    )
    said = assert_check_fails("3dpw", tmp_path, capsys)
    assert "23 of the 24" in said and "arguing_00, downtown_bus_00" in said


def change(name, value):
    return lambda fields: fields | {name: value}


def drop(name):
    return lambda fields: {k: v for k, v in fields.items() if k != name}


@pytest.mark.parametrize(
    ("damaged", "says"),
    [
        *((drop(name), f"no {name}") for name in ("poses", "trans", "cam_poses", "cam_intrinsics")),
        (change("poses", [np.zeros((FRAMES, 71))] * 2), "'poses' has the shape (4, 71), not 4 x 72"
         .replace("4 x", "frames x")),
        (change("poses", [np.full((FRAMES, 72), np.nan)] * 2), "not finite"),
        (change("poses", [np.full((FRAMES, 72), 1e30)] * 2), "as large as 1e+30"),
        (change("poses", np.zeros(3)), "'poses'"),
        (change("poses", []), "holds no people"),
        (change("trans", [np.zeros((FRAMES - 1, 3))] * 2), "not 4 x 3"),
        (change("trans", [np.zeros((FRAMES, 3))]), "has 1 entries, not 2"),
        (change("betas", [np.zeros(4)] * 2), "has 4 numbers, not 10"),
        (change("genders", ["x", "y"]), "no gender 'x'"),
        (change("cam_intrinsics", np.zeros((3, 3))), "positive focal"),
        (change("cam_poses", np.full((FRAMES, 4, 4), np.inf)), "not finite"),
        (change("cam_poses", np.ones((FRAMES, 4, 4))), "no rotation"),
        (change("poses2d", [np.zeros((FRAMES, 18, 3))] * 2), "not 4 x 3 x 18"),
        (change("jointPositions", "none"), "no list"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_said(tmp_path, damaged, says):
    write(tmp_path, damaged(fields(*made())))
    assert_refused("3dpw", tmp_path, says)


def test_other_files_are_refused_and_nothing_runs(tmp_path):
    marker = tmp_path / "ran"
    good = python2(fields(*made()))
    for content in (
        good[: len(good) // 2],
        b"hello",
        b"\x80\x02.",
        python2([1, 2]),
        hostile_pickle(marker),
        hostile_pickle(marker, 0),
    ):
        write(tmp_path, content)
        assert_refused("3dpw", tmp_path)
    assert not marker.exists()
    path = write(tmp_path, good)
    cut_off(path, 0.99)
    assert_refused("3dpw", tmp_path)
