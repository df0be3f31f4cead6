"""Samples say what they know, and refuse what cannot be so."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kinflow.datasets.readers.reprojection import reprojection_px
from kinflow.datasets.sample import LABELS, Sample
from kinflow.datasets.sample_parts import (
    BodyLabel,
    CalibratedCamera,
    Joints3D,
    Keypoints2D,
    Mask,
    Picture,
)
from kinflow.errors import InputError

NAMES = ("left_hip", "right_hip", "nose")


def points(rng, count=3):
    return rng.normal(size=(count, 3)).astype(np.float32) + np.array([0, 0, 5], np.float32)


def camera(**changes):
    given = {"focal_px": (1000.0, 900.0), "principal_px": (320.0, 200.0), "size": (640, 400)}
    return CalibratedCamera(**{**given, **changes})


def world_camera(rng):
    R, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    R = (R * np.sign(np.linalg.det(R))).astype(np.float32)
    return camera(R_cam_world=R, t_cam_world_m=np.array([0.1, 0.2, 6.0], np.float32))


def test_labels_are_those_that_are_there(tmp_path):
    bare = Sample("made", "a")
    full = Sample("made", "a", picture=Picture(tmp_path / "a.png"), time_s=0.0, identity="s1")

    assert bare.labels == frozenset()
    assert full.labels == {"picture", "time", "identity"}
    assert full.labels <= set(LABELS)


def test_joints_of_the_world_are_seen_where_the_camera_sees_them():
    rng = np.random.default_rng(0)
    view = world_camera(rng)
    world = rng.normal(size=(3, 3)).astype(np.float32)
    cam = view.to_camera(world)
    seen = Keypoints2D(NAMES, view.project(cam), np.ones(3, np.float32))
    joints = Joints3D(NAMES, world, np.ones(3, bool), "world", "made")
    sample = Sample("made", "a", keypoints=seen, joints=joints, camera=view)

    off = reprojection_px(sample)
    assert off is not None and off.max() < 1e-2


def test_swapped_sides_and_unlabelled_points_show_in_the_reprojection():
    rng = np.random.default_rng(1)
    view, cam = camera(), points(rng)
    px = view.project(cam)
    px[2] = np.nan
    confidence = np.array([1, 1, 0], np.float32)
    swapped = Keypoints2D(("right_hip", "left_hip", "nose"), px, confidence)
    joints = Joints3D(NAMES, cam, np.ones(3, bool), "camera", "made")

    off = reprojection_px(Sample("made", "a", keypoints=swapped, joints=joints, camera=view))
    apart = np.linalg.norm(px[0] - px[1])
    assert off == pytest.approx([apart, apart], rel=1e-4)


def test_points_behind_the_camera_have_no_pixel():
    assert np.isnan(camera().project(np.array([[0, 0, -1.0]], np.float32))).all()


def test_distortion_moves_what_is_off_the_middle():
    point = np.array([[0.5, 0, 2.0], [0, 0, 2.0]], np.float32)
    plain, bent = (
        camera().project(point),
        camera(distortion=(0.1, 0.0, 0.0, 0.0, 0.0)).project(point),
    )

    assert bent[0, 0] == pytest.approx(320 + 1000 * 0.25 * (1 + 0.1 * 0.25**2), rel=1e-5)
    assert bent[1] == pytest.approx(plain[1])


def test_runs_and_pixels_of_a_mask_say_the_same():
    runs = Mask((3, 2), runs=(1, 2, 3))  # column by column: (0,0) off, (0,1) on, (1,0) on, ...
    expected = np.array([[0, 1, 0], [1, 0, 0]], bool)

    assert (runs.array() == expected).all()
    assert (Mask((3, 2), expected).array() == expected).all()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda r: Keypoints2D(NAMES, np.zeros((2, 2), np.float32), np.ones(2, np.float32)), "2 k"),
        (lambda r: Keypoints2D(NAMES, np.full((3, 2), np.nan, np.float32), np.ones(3, np.float32)),
         "finite"),
        (lambda r: Keypoints2D(NAMES, np.zeros((3, 2), np.float32), np.full(3, 2.0, np.float32)),
         "0 to 1"),
        (lambda r: Keypoints2D(NAMES, np.zeros((3, 2), np.float32), np.full(3, np.nan, np.float32)),
         "0 to 1"),
        (lambda r: Joints3D(NAMES, np.full((3, 3), np.inf, np.float32), np.ones(3, bool), "camera",
                            "made"), "finite"),
        (lambda r: BodyLabel("smpl", ("pelvis",), 2 * np.eye(3, dtype=np.float32)[None],
                             np.zeros(3, np.float32), "camera"), "no rotation"),
        (lambda r: camera(focal_px=(0.0, 1.0)), "focal"),
        (lambda r: camera(t_cam_world_m=np.zeros(3, np.float32)), "rotation and its position"),
        (lambda r: camera().to_camera(points(r)), "not known"),
        (lambda r: Mask((3, 2), runs=(1, 2)), "add up"),
        (lambda r: Mask((3, 2), np.zeros((3, 2), bool)), "3 by 2"),
        (lambda r: Sample("made", "a", box_px=(0.0, 0.0, 0.0, 5.0)), "shows nobody"),
        (lambda r: Sample("made", "a", up=np.array([0, 2, 0], np.float32)), "length 1"),
        (lambda r: Sample("made", ""), "no key"),
        (lambda r: Sample("made", "a", time_s=-1.0), "no time"),
        (lambda r: Sample("made", "a", fps=0.0), "frames a second"),
        (lambda r: Picture(Path("a.png"), (0, 5)), "0 by 5"),
        (lambda r: Picture(Path("a.mp4"), frame=-1), "no frame -1"),
    ],
)  # fmt: skip
def test_what_cannot_be_so_is_refused(make, says):
    with pytest.raises(InputError, match=says):
        make(np.random.default_rng(2))


def test_a_picture_of_another_size_than_its_labels_is_refused(tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")

    assert Picture(tmp_path / "a.png", (40, 30)).read().shape == (30, 40, 3)
    with pytest.raises(InputError, match="40 by 30 pixels, but its labels are for 30 by 40"):
        Picture(tmp_path / "a.png", (30, 40)).read()
