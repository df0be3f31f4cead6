"""Faces and hair of rendered people."""

import numpy as np

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.parts import PART_INDEX
from kinflow.synth.faces import draw_face, face_radius_px
from kinflow.synth.silhouettes import ClothingConfig, dressed

SIDE = 120
PLACES = {
    "nose": (60, 62),
    "left_eye_inner": (66, 52),
    "left_eye": (70, 52),
    "left_eye_outer": (74, 52),
    "right_eye_inner": (54, 52),
    "right_eye": (50, 52),
    "right_eye_outer": (46, 52),
    "left_ear": (84, 56),
    "right_ear": (36, 56),
    "mouth_left": (68, 74),
    "mouth_right": (52, 74),
}


def face() -> tuple[np.ndarray, np.ndarray]:
    points = np.zeros((33, 2))
    for name, at in PLACES.items():
        points[KEYPOINT_INDEX[name]] = at
    y, x = np.ogrid[:SIDE, :SIDE]
    return points, np.hypot((x - 60) / 0.8, y - 60) < 36


def drawn(visible: np.ndarray) -> np.ndarray:
    points, on = face()
    image = np.full((SIDE, SIDE, 3), 180, np.float32)
    skin, hair = np.full(3, 180, np.float32), np.full(3, 60, np.float32)
    draw_face(image, on, points, visible, skin, hair)
    assert (image[~on] == 180).all()
    return (image != 180).any(-1)


def test_eyes_and_mouth_are_where_the_keypoints_are():
    changed = drawn(np.ones(33, bool))
    for name in ("left_eye", "right_eye", "mouth_left"):
        x, y = PLACES[name]
        assert changed[y - 2 : y + 3, x - 2 : x + 3].any()
    assert not changed[85:].any() and not changed[:34].any()


def test_what_is_hidden_is_not_drawn():
    visible = np.ones(33, bool)
    visible[KEYPOINT_INDEX["left_eye"]] = False
    changed = drawn(visible)
    assert not changed[46:56, 62:80].any() and changed[46:56, 44:56].any()
    assert not drawn(np.zeros(33, bool)).any()


def test_children_have_as_much_hair_for_their_heads():
    """The same head on a small and a large person gets the same hair."""
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[face()[1]] = PART_INDEX["head"]
    config = ClothingConfig(hair=(0.2, 0.2), long_hair_share=0.0, skirt_share=0.0, bag_share=0.0)
    areas = [
        dressed(labels, height, config, np.random.default_rng(0)).sum() for height in (300.0, 600.0)
    ]
    assert areas[0] == areas[1] > (labels > 0).sum()
    assert face_radius_px(labels > 0) > 25
