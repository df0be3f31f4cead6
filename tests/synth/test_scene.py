"""Scenes: what they claim to be true is."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.parts import PART_INDEX
from kinflow.errors import InputError
from kinflow.evidence.types import PersonMask
from kinflow.geometry.rasterizer import coverage
from kinflow.synth import SceneConfig, SceneSource
from kinflow.synth.people import PeopleConfig
from kinflow.synth.picture import to_image
from kinflow.synth.views import ViewConfig


def test_a_seed_is_a_scene(source):
    again = SceneSource(source.config).scene(3)
    scene, other = source.scene(3), source.scene(4)
    for field in fields(scene):
        one, two = getattr(scene, field.name), getattr(again, field.name)
        if isinstance(one, torch.Tensor):
            assert torch.equal(one, two), field.name
    assert torch.equal(scene.mask.probability, again.mask.probability)
    assert not torch.equal(scene.pose, other.pose)
    elsewhere = SceneSource(replace(source.config, seed=1)).scene(3)
    assert not torch.equal(scene.pose, elsewhere.pose)


def test_the_body_stands_where_the_truth_says(scenes, body):
    for scene in scenes[:4]:
        posed = scene.posed(body)
        torch.testing.assert_close(posed.joints_m, scene.joints_cam_m)
        torch.testing.assert_close(posed.keypoints_m()[:33], scene.keypoints_cam_m)
        torch.testing.assert_close(scene.camera.project(scene.keypoints_cam_m), scene.keypoints_px)
        full = coverage(posed.vertices_m(), body.faces, scene.camera).numpy()
        parts = to_image(scene.parts.numpy(), scene) > 0
        # the grid may be coarser than the image, the mesh is: outlines differ by about a cell
        assert (full & parts).sum() > 0.85 * (full | parts).sum()


def test_parts_lie_around_their_keypoints(scenes):
    found = {"left": 0, "right": 0}
    for scene in scenes:
        for side in found:
            knee = KEYPOINT_INDEX[f"{side}_knee"]
            if not scene.keypoint_visible[knee]:
                continue
            x, y = scene.grid.to_cells(scene.keypoints_px[knee])
            row, column = int(y), int(x)
            near = scene.parts[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3].unique()
            legs = {PART_INDEX[f"{side}_upper_leg"], PART_INDEX[f"{side}_lower_leg"]}
            found[side] += 1
            assert legs & set(near.tolist())
    assert min(found.values()) >= 3


def test_what_is_seen_is_consistent(scenes):
    for scene in scenes:
        width, height = scene.camera.image_size
        assert scene.dressed[scene.parts > 0].all()
        at = scene.keypoints_px
        inside = (at >= 0).all(1) & (at[:, 0] < width) & (at[:, 1] < height)
        assert not scene.keypoint_visible[~inside].any()
        probability = scene.mask.probability
        assert probability.shape == scene.parts.shape
        assert probability.min() >= 0 and probability.max() <= 1
        detected = scene.detected_keypoints_px
        assert detected.shape == (33, 3)
        assert ((detected[:, 2] >= 0) & (detected[:, 2] <= 1)).all()
    some_are_cut = any((scene.parts[~scene.known] > 0).any() for scene in scenes)
    assert some_are_cut


def test_masks_follow_the_dressed_person(scenes):
    overlaps = []
    for scene in scenes:
        shown = (scene.dressed & scene.known).numpy()
        mask = scene.mask.probability.numpy() > 0.5
        overlaps.append((shown & mask).sum() / max((shown | mask).sum(), 1))
    assert 0.8 < np.median(overlaps) < 0.999


def test_detections_are_near_the_truth(scenes):
    errors = []
    for scene in scenes:
        size = scene.grid.extent_px[1]
        sure = scene.keypoint_visible & (scene.detected_keypoints_px[:, 2] > 0.8)
        offset = scene.detected_keypoints_px[sure, :2] - scene.keypoints_px[sure]
        errors += (offset.norm(dim=1) / size).tolist()
    assert 0.002 < np.median(errors) < 0.03


def test_masks_and_labels_share_one_grid(scenes):
    scene = scenes[0]
    mask = scene.mask
    assert isinstance(mask, PersonMask)
    assert mask.grid == scene.grid and scene.grid.shape == tuple(scene.parts.shape)
    row, column = np.argwhere(mask.probability.numpy() > 0.9)[0]
    centre = mask.grid.centres_px()[row, column]
    assert mask.sample(centre) == pytest.approx(float(mask.probability[row, column]), abs=1e-3)


def test_uncut_people_are_uncut():
    views = ViewConfig(truncated_share=0.0)
    source = SceneSource(SceneConfig(views=views, grid_cells=64))
    for seed in range(5):
        view = source.body(source.rng(seed))
        points = view.camera.project(view.posed.vertices_m())
        limit = torch.tensor(view.camera.image_size)
        assert ((points > -1) & (points < limit + 1)).all()


def test_bad_pose_sets(tmp_path):
    people = PeopleConfig(poses=tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="does not exist"):
        SceneSource(SceneConfig(people=people)).scene(0)


def test_empty_splits(tmp_path, pose_set_path):
    people = PeopleConfig(poses=pose_set_path, split="test", prior_share=0.0)
    with pytest.raises(InputError, match="holds no poses of the test split"):
        SceneSource(SceneConfig(people=people)).scene(0)


def test_poses_of_a_set(pose_set_path):
    people = PeopleConfig(poses=pose_set_path, prior_share=0.0)
    source = SceneSource(SceneConfig(people=people, grid_cells=64))
    elbow = 18
    for seed in range(4):
        pose = source.people.pose(source.rng(seed))
        angle = torch.arccos(((pose[elbow].trace() - 1) / 2).clamp(-1, 1))
        # the only pose of the set, or its mirror image: one elbow bent by 1 rad
        assert float(angle) == pytest.approx(1.0, abs=1e-3) or float(angle) < 1e-3


def test_recorded_people_hold_their_limbs_straighter_where_they_are_asked_to(pose_set_path):
    elbow, angles = 18, []
    for straight in (False, True):
        people = PeopleConfig(poses=pose_set_path, prior_share=0.0, straight_limbs=straight)
        source = SceneSource(SceneConfig(people=people, grid_cells=64))
        poses = [source.people.pose(source.rng(seed)) for seed in range(4)]
        angles.append(
            [float(((pose[elbow].trace() - 1) / 2).clamp(-1, 1).acos()) for pose in poses]
        )
    assert max(angles[0]) > 0.5
    for before, after in zip(*angles, strict=True):
        assert after < before - 0.2 if before > 0.5 else after == pytest.approx(before, abs=1e-3)
