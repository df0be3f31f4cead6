"""Clips: everybody in view, on the floor, in the same clothes, before a camera that stands."""

import cv2
import numpy as np
import pytest
import torch

from kinflow.body import BodyModel
from kinflow.datasets.retarget import RetargetedMotion
from kinflow.errors import InputError
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.synth.camera_turns import CameraTurning
from kinflow.synth.clip_picture import ClipPainter
from kinflow.synth.clips import ClipConfig, before_camera, moving
from kinflow.synth.rendering import coarse_mesh

FRAMES = 12


@pytest.fixture(scope="module")
def coarse() -> BodyModel:
    return coarse_mesh(BodyModel.load()).body


def stroll() -> RetargetedMotion:
    """Somebody of other legs who walks 3 m with swinging arms, a metre above the origin."""
    a = np.linspace(0, 1, FRAMES, dtype=np.float32)
    rotvec = torch.zeros(FRAMES, 22, 3)
    rotvec[:, 16, 2] = torch.from_numpy(-1.2 + 0.4 * np.sin(6 * a))
    rotvec[:, 17, 2] = torch.from_numpy(1.2 + 0.4 * np.sin(6 * a))
    root = np.stack([3 * a, np.full_like(a, 1.1), 0 * a], 1)
    return RetargetedMotion(rotvec_to_matrix(rotvec).double().numpy(), root.astype(float), 1 / 30)


def person(coarse, shape=0.5):
    return moving(stroll(), torch.full((6,), shape), range(FRAMES), coarse)


def test_people_walk_on_the_floor_with_steps_of_their_own_length(coarse):
    small, large = (person(coarse, shape) for shape in (0.3, 0.7))
    for one in (small, large):
        lowest = one.posed(coarse).vertices_m()[..., 1].amin(-1)
        assert float(lowest.abs().max()) < 0.02
        assert torch.equal(one.root_m[0, [0, 2]], torch.zeros(2))
    reach = [float(one.root_m[-1, 0]) for one in (small, large)]
    heights = [float(one.root_m[0, 1]) for one in (small, large)]
    assert reach[0] / reach[1] == pytest.approx(heights[0] / heights[1], rel=0.03)


@pytest.mark.parametrize("seed", range(4))
def test_everybody_is_in_view_all_the_time(coarse, seed):
    rng = np.random.default_rng(seed)
    other = person(coarse).turned(1.0, torch.tensor([0.5, 0.0, 1.0]))
    clip = before_camera([person(coarse), other], ClipConfig(), rng, coarse)
    assert len(clip) == FRAMES
    for i in range(2):
        points = clip.seen(i).posed(coarse).vertices_m()
        px = clip.camera.project(points)
        assert float(px.min()) > 0 and bool((px < torch.tensor(clip.camera.image_size)).all())
        world = clip.people[i].posed(coarse).vertices_m()
        moved = world @ clip.R_cam_world.mT + clip.t_cam_world_m
        torch.testing.assert_close(points, moved, atol=1e-4, rtol=0)


def test_a_closer_camera_cuts_people_off(coarse):
    config = ClipConfig(closer=0.5)
    clip = before_camera([person(coarse)], config, np.random.default_rng(0), coarse)
    px = clip.camera.project(clip.seen(0).posed(coarse).vertices_m())
    assert bool(((px < 0) | (px > torch.tensor(clip.camera.image_size))).any())


def test_only_people_move_in_the_pictures(coarse):
    clip = before_camera([person(coarse)], ClipConfig(), np.random.default_rng(1), coarse)
    frames = list(ClipPainter.load().paint(clip, np.random.default_rng(1)))
    again = list(ClipPainter.load().paint(clip, np.random.default_rng(1)))
    assert len(frames) == FRAMES
    assert all(np.array_equal(a, b) for a, b in zip(frames, again, strict=True))
    shown = np.zeros(frames[0].shape[:2], bool)
    for points in clip.seen(0).posed(coarse).vertices_m():
        x, y = clip.camera.project(points).round().int().T.numpy()
        shown[y.clip(0, 479), x.clip(0, 639)] = True
    change = np.abs(frames[0].astype(int) - frames[-1]).max(-1)
    near = np.zeros_like(shown)
    for dy in range(-6, 7):
        for dx in range(-6, 7):
            near |= np.roll(shown, (dy, dx), (0, 1))
    assert change[~near].mean() < 8 < 2 * change[shown].mean()


def test_clothes_keep_their_colours(coarse):
    """The hue of the trunk hardly changes while somebody walks."""
    clip = before_camera([person(coarse)], ClipConfig(), np.random.default_rng(2), coarse)
    frames = list(ClipPainter.load().paint(clip, np.random.default_rng(2)))
    joints = clip.camera.project(clip.seen(0).posed(coarse).joints_m)
    colors = []
    for frame, px in zip(frames, joints, strict=True):
        x, y = ((px[3] + px[9]) / 2).round().int().tolist()
        colors.append(frame[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 3).mean(0))
    hues = np.stack(colors) / np.sum(colors, axis=1, keepdims=True)
    assert np.ptp(hues, axis=0).max() < 0.06


def test_frames_that_are_not_there_are_refused(coarse):
    with pytest.raises(InputError, match="no frames"):
        moving(stroll(), torch.full((6,), 0.5), range(FRAMES + 1), coarse)
    with pytest.raises(InputError, match="needs people"):
        before_camera([], ClipConfig(), np.random.default_rng(0), coarse)


SMALL = ClipConfig(
    (160, 120), turning=CameraTurning(lag_s=0.05, sway_deg=(6.0, 3.0, 4.0)), closer=0.7
)


def test_a_camera_that_turns_follows_people_and_sees_the_same_walls(coarse):
    rng = np.random.default_rng(3)
    clip = before_camera([person(coarse)], SMALL, rng, coarse)
    assert clip.R_cam_first is not None
    torch.testing.assert_close(clip.R_cam_first[0], torch.eye(3))
    seen, first = clip.seen(0), clip.in_first(0)
    turned = (clip.R_cam_first @ first.root_m[..., None])[..., 0]
    torch.testing.assert_close(seen.root_m, turned)
    torch.testing.assert_close(seen.pose[:, 0], clip.R_cam_first @ first.pose[:, 0])
    px = clip.camera.project(seen.root_m)
    assert float((px - torch.tensor([80.0, 60.0])).abs().max()) < 45

    frames = list(ClipPainter.load().paint(clip, np.random.default_rng(3)))
    K = np.diag([clip.camera.focal_px, clip.camera.focal_px, 1.0])
    K[:2, 2] = 79.5, 59.5
    later = 3
    H = K @ clip.R_cam_first[later].numpy() @ np.linalg.inv(K)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    back = cv2.warpPerspective(frames[later], H, (160, 120), flags=flags)
    both = cv2.warpPerspective(np.full((120, 160), 255, np.uint8), H, (160, 120), flags=flags) > 250
    for who in (clip.in_first(0), seen):
        points = who.posed(coarse).vertices_m()[[0, later]]
        if who is seen:  # where the later frame's body is when that frame is turned back
            points = points[1:] @ clip.R_cam_first[later]
        x, y = clip.camera.project(points.flatten(0, 1)).T.numpy()
        x0, x1 = (int(v) for v in (x.min() - 5, x.max() + 6))
        both[max(0, int(y.min()) - 5) : int(y.max()) + 6, max(0, x0) : max(0, x1)] = False
    assert both.sum() > 1000
    gap = np.abs(back.astype(int) - frames[0])[both].mean()
    still = np.abs(frames[later].astype(int) - frames[0])[both].mean()
    assert gap < 8
    assert gap < 0.7 * still
