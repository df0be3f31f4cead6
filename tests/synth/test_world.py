"""Worlds: people on one floor under one gravity; what is in front hides what is behind."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from kinflow.body import BodyModel
from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.errors import InputError
from kinflow.geometry.pinhole import Camera
from kinflow.synth.postures import turn
from kinflow.synth.rendering import coarse_mesh
from kinflow.synth.world import Box, World, WorldConfig
from kinflow.synth.world_depth import covered, draw, draw_boxes
from kinflow.synth.world_picture import WorldPainter
from kinflow.synth.world_source import WorldSource

CONFIG = WorldConfig(count=(2, 3), postures=(0.5, 0.3, 0.2), image_sizes=((160, 120),))
LEGS = [
    KEYPOINT_INDEX[f"{side}_{name}"] for name in ("knee", "ankle") for side in ("left", "right")
]
UPPER = [KEYPOINT_INDEX[f"{side}_shoulder"] for side in ("left", "right")]


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    source = WorldSource(CONFIG)
    return [source.world(seed) for seed in range(6)]


def test_a_seed_is_a_world(worlds):
    again, other = WorldSource(CONFIG).world(2), WorldSource(replace(CONFIG, seed=1)).world(2)
    for one, same in zip(worlds[2].people, again.people, strict=True):
        assert torch.equal(one.pose, same.pose) and torch.equal(one.shape, same.shape)
        assert torch.equal(one.t_cam_root_m, same.t_cam_root_m)
    assert worlds[2].boxes == again.boxes and worlds[2].camera == again.camera
    assert not torch.equal(other.t_cam_world_m, again.t_cam_world_m)


def test_everybody_is_on_the_floor(worlds):
    """The lowest vertex of the whole mesh, which placement does not look at, is at height 0."""
    body = BodyModel.load()
    for world in worlds:
        for person in world.people:
            heights = world.height_above_floor_m(person.posed(body).vertices_m())
            assert abs(float(heights.min())) < 0.02
            assert float(heights.max()) > 0.1


def test_gravity_agrees_with_the_camera(worlds):
    for world in worlds:
        R, position = world.R_cam_world, -(world.R_cam_world.mT @ world.t_cam_world_m)
        assert world.camera_height_m == pytest.approx(float(position[1]), abs=1e-4)
        # a plumb line's two ends, in the world and through the camera
        foot = position + torch.tensor([0.3, -1.0, -4.0])
        ends = torch.stack([foot, foot + torch.tensor([0.0, 0.5, 0.0])]) @ R.mT
        ends = ends + world.t_cam_world_m
        assert torch.allclose((ends[1] - ends[0]) / 0.5, world.up_cam, atol=1e-5)
        gained_m = world.height_above_floor_m(ends).diff()
        assert float(gained_m) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("pitch_deg", [-35.0, 0.0, 30.0])
def test_a_camera_of_positive_pitch_looks_down(pitch_deg):
    config = replace(CONFIG, pitch_deg=(pitch_deg, pitch_deg), roll_std_deg=0.0)
    up = WorldSource(config).world(0).up_cam
    radians = math.radians(pitch_deg)
    assert torch.allclose(
        up, torch.tensor([0.0, -math.cos(radians), -math.sin(radians)]), atol=1e-5
    )


def test_postures_are_what_they_are_called(worlds):
    source = WorldSource(replace(CONFIG, count=(1, 1)))
    for posture, low, high in (("standing", 0, 50), ("sitting", 0, 50), ("lying", 60, 130)):
        shares = tuple(float(posture == name) for name in ("standing", "sitting", "lying"))
        for seed in range(4):
            world = WorldSource(replace(source.config, postures=shares)).world(seed)
            person = world.people[0]
            joints = person.joints_cam_m
            trunk = joints[JOINT_INDEX["neck"]] - joints[JOINT_INDEX["pelvis"]]
            cosine = float(trunk @ world.up_cam / trunk.norm())
            assert person.posture == posture
            assert low <= math.degrees(math.acos(cosine)) <= high
            hips, knees = (
                world.height_above_floor_m(
                    joints[[JOINT_INDEX[f"{s}_{n}"] for s in ("left", "right")]]
                )
                for n in ("hip", "knee")
            )
            if posture == "sitting":  # thighs are nearer to level than to upright
                assert float((hips - knees).abs().max()) < 0.3


@pytest.mark.parametrize("hiding", ["furniture", "person", "edge"])
def test_legs_that_are_to_be_hidden_are(hiding):
    world = WorldSource(
        replace(CONFIG, count=(1, 1), postures=(1.0, 0.0, 0.0), hiding=hiding)
    ).world(3)
    first = world.people[0]
    assert int(first.keypoint_uncovered[LEGS].sum()) <= 1
    assert first.keypoint_uncovered[UPPER].all()
    assert (first.keypoint_uncovered | ~first.keypoint_visible).all()


def test_what_is_in_front_hides_and_what_is_behind_does_not():
    camera = Camera.from_fov((200, 200), 60.0)
    R, t = torch.diag(torch.tensor([1.0, -1.0, -1.0])), torch.tensor([0.0, 1.0, 4.0])
    mesh = coarse_mesh(BodyModel.load())
    pose = torch.eye(3).repeat(22, 1, 1)
    pose[0] = R
    shaped = mesh.body.with_shape(mesh.body.shape_space.neutral())
    posed = shaped.with_pose(pose, R @ torch.tensor([0.0, 0.95, 0.0]) + t)
    own = draw(posed.vertices_m(), mesh.faces, camera)
    keypoints_m = posed.keypoints_m()[:33]
    before, behind = (Box((0.0, 0.35, z), (2.0, 0.7, 0.3), 0.0) for z in (0.6, -0.6))
    free, _ = covered(keypoints_m, camera, own, [draw_boxes([behind], R, t, camera)])
    hidden, _ = covered(keypoints_m, camera, own, [draw_boxes([before], R, t, camera)])
    assert free.all()
    assert not hidden[[KEYPOINT_INDEX[f"{side}_ankle"] for side in ("left", "right")]].any()
    assert hidden[UPPER].all()


def test_a_box_faces_outwards():
    """Turned about the vertical, and its triangles counter-clockwise from outside."""
    from kinflow.synth.world_depth import BOX_FACES

    corners = Box((0.0, 0.0, 0.0), (1.0, 2.0, 3.0), 0.4).corners_m()
    assert torch.allclose(corners.norm(dim=1), torch.full((8,), math.sqrt(14) / 2))
    assert torch.allclose(corners[1] - corners[0], turn("y", 0.4) @ torch.tensor([1.0, 0.0, 0.0]))
    a, b, c = (corners[BOX_FACES[:, k]] for k in range(3))
    outward = torch.linalg.cross(b - a, c - a)
    assert ((outward * (a + b + c)).sum(1) > 0).all()


def test_the_picture_shows_the_nearer_one(worlds):
    """A picture is that of its seed, and furniture covers the legs in it."""
    painter = WorldPainter.load()
    config = replace(
        CONFIG, count=(1, 1), postures=(1.0, 0.0, 0.0), hiding="furniture", furniture=0
    )
    world = WorldSource(config).world(1)
    bare = replace(world, boxes=())
    one, same = (painter.paint(world, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert one.shape == (120, 160, 3) and one.dtype == np.uint8
    uncovered = painter.paint(bare, np.random.default_rng(5))
    assert (uncovered != one).any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": (0, 1)},
        {"postures": (0.0, 0.0, 0.0)},
        {"child_share": 2.0},
        {"pitch_deg": (-90.0, 0.0)},
    ],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(InputError):
        WorldConfig(**wrong)
