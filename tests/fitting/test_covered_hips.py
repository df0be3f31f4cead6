"""Hips count less where nobody saw the knees, and as before for everybody else."""

from dataclasses import replace

import pytest
import torch

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.evidence.region import Region
from kinflow.evidence.types import (
    NUM_FEATURES,
    NUM_JOINT_FEATURES,
    NUM_MAP_FEATURES,
    CloseLook,
)
from kinflow.fitting.observations import (
    FITTED_KEYPOINTS,
    ObservationConfig,
    observe,
    with_covered_hips,
)

HIPS = [FITTED_KEYPOINTS.index(f"{side}_hip") for side in ("left", "right")]
OTHERS = [i for i in range(len(FITTED_KEYPOINTS)) if i not in HIPS]
KNEES = [KEYPOINT_INDEX[f"{side}_knee"] for side in ("left", "right")]
LOOK = CloseLook(
    Region((100.0, 100.0), 200.0),
    torch.zeros(33, 3),
    torch.zeros(33, 3),
    torch.zeros(NUM_FEATURES),
    torch.zeros(33, NUM_JOINT_FEATURES).half(),
    torch.zeros(NUM_MAP_FEATURES).half(),
)


@pytest.fixture
def factor(fitter, make_scene, camera):
    """What becomes of the weights of hips by how certain knees are; nothing else changes."""
    (person,) = make_scene((0.0,)).evidence.people

    def of(knees: float, looked_at: bool = True) -> float:
        keypoints = person.keypoints_px.clone()
        keypoints[KNEES, 2] = knees
        seen = replace(person, keypoints_px=keypoints, look=LOOK if looked_at else None)
        config = ObservationConfig()
        targets = observe([seen], [camera], fitter.fitter.model.points_at_rest_m, config)
        told = with_covered_hips(targets, [seen], config)
        ratio = told.inverse_std_px[0] / targets.inverse_std_px[0]
        assert torch.nan_to_num(ratio[OTHERS], 1.0).eq(1).all()
        assert ratio[HIPS[0]] == ratio[HIPS[1]]
        return float(ratio[HIPS[0]])

    return of


def test_hips_count_the_less_the_less_of_the_knees_was_seen(factor):
    assert factor(1.0) == 1
    assert factor(1.0) > factor(0.7) > factor(0.3) > factor(0.0)
    assert factor(0.0) == pytest.approx(1 / ObservationConfig().covered_hip_widening)


def test_keypoints_that_the_detector_did_not_draw_stay_as_they_are(factor):
    assert factor(0.0, looked_at=False) == 1
