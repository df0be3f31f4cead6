"""The walk of a few sines: on the floor, with feet that stand, as far as legs of that length go."""

import pytest
import torch

from kinflow.body import BodyModel
from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.synth.rendering import coarse_mesh
from kinflow.synth.walks import walking

RATE_HZ = 30.0
SOLES = [KEYPOINT_INDEX[f"{s}_{p}"] for s in ("left", "right") for p in ("heel", "big_toe")]


@pytest.fixture(scope="module")
def coarse() -> BodyModel:
    return coarse_mesh(BodyModel.load()).body


@pytest.mark.parametrize("turn", [0.0, 0.7])
def test_one_foot_stands_at_any_time(coarse, turn):
    walk = walking(torch.full((6,), 0.5), 45, RATE_HZ, coarse, turn)
    posed = walk.posed(coarse)
    assert float(posed.vertices_m()[..., 1].amin(-1).abs().max()) < 1e-4
    soles = posed.keypoints_m()[:, SOLES][..., (0, 2)]
    speed = (soles[1:] - soles[:-1]).norm(dim=-1) * RATE_HZ
    assert float(speed.amin(1).max()) < 0.02
    pace = float((walk.root_m[-1] - walk.root_m[0]).norm()) / (44 / RATE_HZ)
    assert 0.8 < pace < 1.8  # m/s


def test_those_of_longer_legs_get_further(coarse):
    short, tall = (
        float(
            walking(torch.tensor([0.5, 0.8, 0.5, 0.5, height, 0.5]), 30, RATE_HZ, coarse).root_m[
                -1, 2
            ]
        )
        for height in (0.2, 0.8)
    )
    assert tall > 1.05 * short > 0
