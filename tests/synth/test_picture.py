"""Pictures of scenes: what they show is what the truth says, and they are the same every time."""

from dataclasses import replace

import numpy as np
import pytest

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.parts import PART_INDEX
from kinflow.synth.outfits import Outfit, dress
from kinflow.synth.picture import Painter, View, paint
from kinflow.synth.textures import clutter, fabric, folds

SIDE = 64


def arm_view() -> View:
    """A lower arm from left to right in the middle of the picture, in a wide sleeve."""
    part = np.zeros((SIDE, SIDE), np.uint8)
    part[28:36, 8:56] = PART_INDEX["left_lower_arm"]
    normal = np.zeros((SIDE, SIDE, 3), np.float32)
    normal[part > 0] = (0, 0, -1)
    dressed = np.zeros((SIDE, SIDE), bool)
    dressed[24:40, 6:58] = True
    keypoints_px = np.zeros((33, 2))
    keypoints_px[BLAZEPOSE33.index("left_elbow")] = (8, 32)
    keypoints_px[BLAZEPOSE33.index("left_wrist")] = (56, 32)
    nothing = np.zeros((SIDE, SIDE), bool)
    return View(part, normal, dressed, nothing, nothing, keypoints_px, np.ones(33, bool), 200.0)


def test_a_picture_is_that_of_its_seed():
    one, same, other = (paint(arm_view(), np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one.shape == (SIDE, SIDE, 3) and one.dtype == np.uint8
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("seed", range(5))
def test_sleeves_end_along_the_arm(seed):
    """Skin only beyond some point towards the hand, and nowhere before it."""
    view = arm_view()
    worn = np.full((SIDE, SIDE), PART_INDEX["left_lower_arm"], np.uint8)
    rng = np.random.default_rng(seed)
    colors, skin = dress(worn, view.keypoints_px, view.visible, 200.0, rng)
    assert colors.shape == (SIDE, SIDE, 3) and np.isfinite(colors).all()
    share = skin[28:36].mean(0)
    near, far = share[12:24].mean(), share[40:52].mean()
    assert far >= near


def test_outfits_are_alike_on_both_sides():
    for seed in range(20):
        outfit = Outfit.random(np.random.default_rng(seed))
        for stem in ("upper_arm", "lower_arm", "hand", "upper_leg", "lower_leg", "foot"):
            rows = [PART_INDEX[f"{side}_{stem}"] for side in ("left", "right")]
            for values in (outfit.near, outfit.far, outfit.border):
                assert values[rows[0]] == values[rows[1]]


def test_occluders_and_neighbours_cover():
    view = arm_view()
    hidden = np.zeros((SIDE, SIDE), bool)
    hidden[:, 32:] = True
    alone = paint(view, np.random.default_rng(0)).astype(int)
    covered = paint(replace(view, hidden=hidden), np.random.default_rng(0)).astype(int)
    beside = paint(replace(view, neighbour=hidden), np.random.default_rng(0)).astype(int)
    assert np.abs(alone - covered)[:, 40:].mean() > 5
    assert np.abs(alone - beside)[:20, 40:].mean() > 5


def test_an_empty_view_is_background():
    view = arm_view()
    nobody = np.zeros_like(view.dressed)
    picture = paint(
        replace(view, part=np.zeros_like(view.part), dressed=nobody), np.random.default_rng(0)
    )
    assert picture.shape == (SIDE, SIDE, 3)


def test_textures(rng):
    color = np.array((100.0, 50, 20), np.float32)
    for _ in range(20):
        cloth = fabric((40, 30), 100.0, color, rng)
        assert cloth.shape == (40, 30, 3) and cloth.min() >= 0 and cloth.max() <= 255
        assert clutter((40, 30), rng).shape == (40, 30, 3)
        light = folds((40, 30), 100.0, rng)
        assert light.min() > 0.2 and light.max() < 2


def test_scenes_are_painted_at_the_size_of_their_image(scenes):
    painter = Painter.load()
    for scene in scenes[:3]:
        picture = painter.paint(scene, np.random.default_rng(1))
        assert picture.shape == (*scene.camera.image_size[::-1], 3)
        np.testing.assert_array_equal(picture, painter.paint(scene, np.random.default_rng(1)))
