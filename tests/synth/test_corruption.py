"""Clothes, occluders, and the errors of segmenters and detectors."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from kinflow.body.keypoints import BLAZEPOSE33, COCO17_ROWS
from kinflow.synth import occlusion, silhouettes
from kinflow.synth.detections import LIMBS, MIRROR_ROWS, KeypointNoiseConfig, detect
from kinflow.synth.occlusion import OcclusionConfig
from kinflow.synth.silhouettes import ClothingConfig, SegmenterConfig

NAKED = ClothingConfig((0.0, 0.0), (0.0, 0.0), 0.0, 0.0, (0.0, 0.0), 0.0, (0.0, 0.0), 0.0)
PERFECT_SEGMENTER = SegmenterConfig(
    closing_share=0.0, outline_std=0.0, wave_std=0.0, cut_share=0.0, doubt_share=0.0, leak_share=0.0
)
PERFECT_DETECTOR = KeypointNoiseConfig(
    level=0.0,
    astray_share=0.0,
    missing_share=0.0,
    point_missing_share=0.0,
    coco_share=0.0,
    swap_body_share=0.0,
    swap_limbs_share=0.0,
)
POINTS = np.random.default_rng(1).uniform(10, 80, (33, 2))
ALL = np.ones(33, bool)


def detected(config: KeypointNoiseConfig, rng, seen=ALL, inside=ALL) -> np.ndarray:
    return detect(POINTS, np.zeros(33), seen, inside, 60.0, config, rng).keypoints


def test_clothes_only_add(bodies, rng):
    for body in bodies:
        for _ in range(5):
            shown = silhouettes.dressed(body.labels, body.height_cells, ClothingConfig(), rng)
            assert shown[body.labels > 0].all()
        bare = silhouettes.dressed(body.labels, body.height_cells, NAKED, rng)
        np.testing.assert_array_equal(bare, body.labels > 0)


def test_loose_clothes_add_more(bodies, rng):
    def area(margin: float) -> int:
        clothing = replace(NAKED, tight=(margin, margin))
        return sum(
            silhouettes.dressed(b.labels, b.height_cells, clothing, rng).sum() for b in bodies
        )

    assert area(0.0) < area(0.015) < area(0.04)


def test_skirts_fill_the_room_between_the_legs(rng):
    labels = np.zeros((60, 60), np.uint8)
    labels[20:50, 15:22], labels[20:50, 38:45] = 9, 10
    clothing = replace(NAKED, skirt_share=1.0)
    filled = [silhouettes.dressed(labels, 60.0, clothing, rng)[35, 30] for _ in range(10)]
    assert all(filled)


def test_a_perfect_segmenter_is_right(bodies, rng):
    nobody = np.zeros_like(bodies[0].labels, bool)
    shown = bodies[0].labels > 0
    height = bodies[0].height_cells
    mask = silhouettes.segmented(shown, bodies[0].labels, nobody, height, PERFECT_SEGMENTER, rng)
    # only the soft edge is left
    core = cv2.erode(shown.astype(np.uint8), np.ones((5, 5))) > 0
    beyond = cv2.dilate(shown.astype(np.uint8), np.ones((7, 7))) == 0
    assert mask[core].min() > 0.75 and mask[beyond].max() < 0.05


@pytest.mark.parametrize("error", ["cut_share", "doubt_share", "leak_share"])
def test_segmenters_err(bodies, error):
    body = bodies[0]
    shown, nobody = body.labels > 0, np.zeros_like(body.labels, bool)

    def mask(config: SegmenterConfig) -> np.ndarray:
        rng = np.random.default_rng(5)
        return silhouettes.segmented(shown, body.labels, nobody, body.height_cells, config, rng)

    change = mask(replace(PERFECT_SEGMENTER, **{error: 1.0})) - mask(PERFECT_SEGMENTER)
    assert (change.max() > 0.1) if error == "leak_share" else (change.min() < -0.1)


def test_occluders_leave_something(bodies, rng):
    always = OcclusionConfig(shape_share=1.0, person_share=1.0, front_share=1.0)
    hits = 0
    for body in bodies:
        shown = body.labels > 0
        for _ in range(5):
            hidden = occlusion.shapes(shown, always, rng)
            other, front = occlusion.neighbour(shown, bodies[0].labels, always, rng)
            assert front
            hits += bool((hidden & shown).any()) + bool((other & shown).any())
            for cover in (hidden, other):
                assert (cover & shown).sum() <= 0.6 * shown.sum()
    assert hits > 10
    never = OcclusionConfig(0.0, 0.0)
    assert not occlusion.shapes(shown, never, rng).any()
    assert not occlusion.neighbour(shown, shown.astype(np.uint8), never, rng)[0].any()


def test_a_perfect_detector_is_right(rng):
    keypoints = detected(PERFECT_DETECTOR, rng)
    np.testing.assert_allclose(keypoints[:, :2], POINTS)
    assert (keypoints[:, 2] > 0.5).all()


def test_errors_grow_with_the_level(rng):
    def error(level: float) -> float:
        config = replace(PERFECT_DETECTOR, level=level)
        runs = [detected(config, rng)[:, :2] - POINTS for _ in range(50)]
        return float(np.std(runs))

    assert error(0.25) < error(0.5) < error(1.0)


def test_hidden_points_are_less_certain_and_outside_ones_unknown(rng):
    half = np.arange(33) % 2 == 0
    runs = np.stack([detected(PERFECT_DETECTOR, rng, seen=half)[:, 2] for _ in range(50)])
    assert runs[:, half].mean() > runs[:, ~half].mean() + 0.2
    assert (detected(PERFECT_DETECTOR, rng, inside=half)[~half, 2] == 0).all()


def test_exchanged_sides(rng):
    keypoints = detected(replace(PERFECT_DETECTOR, swap_body_share=1.0), rng)
    np.testing.assert_allclose(keypoints[:, :2], POINTS[MIRROR_ROWS])
    limbs = detected(replace(PERFECT_DETECTOR, swap_limbs_share=1.0), rng)[:, :2]
    left_knee, nose = BLAZEPOSE33.index("left_knee"), BLAZEPOSE33.index("nose")
    np.testing.assert_allclose(limbs[left_knee], POINTS[BLAZEPOSE33.index("right_knee")])
    np.testing.assert_allclose(limbs[nose], POINTS[nose])


def test_mirroring_is_an_involution():
    np.testing.assert_array_equal(MIRROR_ROWS[MIRROR_ROWS], np.arange(33))
    assert MIRROR_ROWS[BLAZEPOSE33.index("mouth_left")] == BLAZEPOSE33.index("mouth_right")
    left_arm, right_arm = LIMBS[:2]
    assert set(MIRROR_ROWS[left_arm]) == set(right_arm)


def test_missing_limbs_and_coco_only(rng):
    missing = detected(replace(PERFECT_DETECTOR, missing_share=1.0), rng)
    assert all((missing[limb, 2] <= 0.3).all() for limb in LIMBS)
    coco = detected(replace(PERFECT_DETECTOR, coco_share=1.0), rng)
    assert set(np.flatnonzero(coco[:, 2] == 0)) == set(range(33)) - set(COCO17_ROWS)


def test_rough_depths(rng):
    depth = np.linspace(-0.4, 0.4, 33)
    config = replace(PERFECT_DETECTOR, depth_known_share=1.0)
    runs = [detect(POINTS, depth, ALL, ALL, 60.0, config, rng).depth_m for _ in range(100)]
    assert all(run is not None for run in runs)
    assert np.corrcoef(np.mean(runs, axis=0), depth)[0, 1] > 0.95
    assert np.mean([np.abs(run - depth).mean() for run in runs]) > 0.03
    never = replace(config, depth_known_share=0.0)
    assert detect(POINTS, depth, ALL, ALL, 60.0, never, rng).depth_m is None
