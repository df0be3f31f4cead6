"""The main job on real photos, from the command to files that other programs open."""

import io
import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

import kinflow
from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.cli.demo import demo_photos

PHOTOS = ("astronaut", "camera")
FILES = {".kinflow", "people.npz", "people.json", "overlay.png", "scene.glb", "viewer.html"}


@pytest.fixture(scope="module")
def results(demo_run) -> Path:
    done, out = demo_run
    assert done.code == 0, done.err
    return out


@pytest.fixture(params=PHOTOS)
def folder(request, results) -> Path:
    return results / request.param


@pytest.fixture
def person(folder) -> kinflow.Person:
    (person,) = kinflow.load(folder).people
    return person


def test_the_summary_says_where_to_look(demo_run):
    done, out = demo_run
    for word in ("astronaut.png", "camera.png", "viewer.html", str(out)):
        assert word in done.out
    assert done.err == ""


def test_all_files_are_there_and_no_others(folder):
    assert {path.name for path in folder.iterdir()} == FILES


def test_the_body_follows_the_keypoints(person):
    """On average to half of what counts as found, a fifth of the trunk (PCK@0.2).

    Both photos cut people off above the knees.
    """
    shoulders, hips = (
        person.keypoints_px[[KEYPOINT_INDEX[f"{side}_{name}"] for side in ("left", "right")], :2]
        for name in ("shoulder", "hip")
    )
    trunk_px = float((shoulders.mean(0) - hips.mean(0)).norm())
    assert 100 < trunk_px < 300
    assert person.limb_error_px() < 0.1 * trunk_px
    assert person.code == "truncated"
    assert person.score > 0.9


def test_the_body_is_an_adult_at_a_plausible_place(person):
    assert 1.4 < person.measures().height_m < 2.1
    x, y, z = person.t_cam_root_m.tolist()
    assert 0.5 < z < 4.0
    assert abs(x) < 1.0 and abs(y) < 1.5
    joints_m = person.joints_cam_m
    assert float((joints_m - joints_m[0]).norm(dim=-1).max()) < 1.3
    head, pelvis = joints_m[JOINT_INDEX["head"]], joints_m[0]
    assert head[1] < pelvis[1], "the head is above the hips"


def test_uncertainty_is_larger_where_nothing_is_seen(results):
    """The astronaut's feet are out of the picture, her shoulders are not."""
    (person,) = kinflow.load(results / "astronaut").people
    std_m = person.joint_std_m
    assert std_m[JOINT_INDEX["left_ankle"]] > 2 * std_m[JOINT_INDEX["left_shoulder"]]
    assert person.code == "truncated"
    assert (std_m[1:] > 0).all() and (std_m < 1).all()


def test_the_astronaut_faces_the_camera_and_the_photographer_looks_right(results):
    """Camera axes: x right, z forward. The body's own +z axis is where its chest points."""
    (astronaut,) = kinflow.load(results / "astronaut").people
    (photographer,) = kinflow.load(results / "camera").people
    assert astronaut.R_cam_root[2, 2] < -0.7
    assert photographer.R_cam_root[0, 2] > 0.5


def test_the_silhouette_covers_the_person(results):
    (person,) = kinflow.load(results / "astronaut").people
    mask = person.silhouette()
    assert mask.shape == (512, 512)
    assert 0.15 < float(mask.float().mean()) < 0.6
    assert mask[250, 220], "the chest"
    assert not mask[100, 400], "the rocket"


def test_npz_and_json_say_the_same(folder):
    from_npz, from_json = (kinflow.load(folder / f"people.{kind}") for kind in ("npz", "json"))
    for one, other in zip(from_npz.people, from_json.people, strict=True):
        np.testing.assert_allclose(one.joints_cam_m, other.joints_cam_m, atol=1e-6)
        assert one.code == other.code
    with np.load(folder / "people.npz", allow_pickle=False) as fields:
        assert fields["joints_cam_m"].shape == (1, 22, 3)
        assert fields["joint_names"].tolist() == list(JOINT_INDEX)


def test_the_overlay_shows_the_photo_where_there_is_no_body(folder):
    overlay = cv2.imread(str(folder / "overlay.png"))
    photo = cv2.imread(str(_photo(folder.name)))
    (person,) = kinflow.load(folder).people
    near = cv2.dilate(person.silhouette().numpy().astype(np.uint8), np.ones((9, 9)))
    assert overlay.shape == photo.shape
    np.testing.assert_array_equal(overlay[near == 0], photo[near == 0])
    changed = np.abs(overlay.astype(int) - photo).max(axis=2)
    assert float(np.mean(changed[near == 1] > 10)) > 0.6


def test_the_scene_is_a_skinned_body_as_tall_as_the_person(folder, person):
    data = (folder / "scene.glb").read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    document = json.loads(data[20 : 20 + length])
    assert len(document["skins"][0]["joints"]) == 22
    assert "cameras" in document
    scene = trimesh.load(io.BytesIO(data), file_type="glb")
    assert isinstance(scene, trimesh.Scene)
    # trimesh does not apply skins: it shows the body at rest
    height_m = (scene.bounds[1] - scene.bounds[0])[1]
    assert height_m == pytest.approx(person.measures().height_m, abs=0.05)


def test_the_viewer_needs_no_network(folder):
    page = (folder / "viewer.html").read_text(encoding="utf8")
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert 'src="http' not in page and 'href="http' not in page
    assert "import(" not in page and "fetch(" not in page


def test_a_second_run_gives_the_same(run_kinflow, results, tmp_path):
    arguments = ("reconstruct", *map(_photo, PHOTOS), "--out", tmp_path / "again")
    assert run_kinflow(*arguments, "--format", "npz", "json").code == 0
    for name in PHOTOS:
        with (
            np.load(results / name / "people.npz") as first,
            np.load(tmp_path / "again" / name / "people.npz") as second,
        ):
            for field in first.files:
                np.testing.assert_array_equal(first[field], second[field], err_msg=field)


def _photo(name: str) -> Path:
    return next(path for path in demo_photos() if path.stem == name)
