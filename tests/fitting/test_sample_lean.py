"""Samples of bodies that lean count less where nobody saw legs, but for those that lie."""

import math

import pytest
import torch

from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.fitting.sample_lean import KnownUp, trunks, upright_weights
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.results import Gravity

UP = (0.0, -1.0, 0.0)


def leaning(degrees: torch.Tensor) -> torch.Tensor:
    """Trunks that lean away from a level camera."""
    angle = torch.deg2rad(degrees)
    return torch.stack([torch.zeros_like(angle), -angle.cos(), angle.sin()], -1)[None]


def known(std_deg: float) -> KnownUp:
    return KnownUp.of([Gravity(UP, std_deg)], [range(1)])


def test_a_trunk_follows_pelvis_and_vertebrae():
    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # a body before a level camera
    straight = torch.eye(3).repeat(19, 1, 1)
    torch.testing.assert_close(trunks(upright, straight), torch.tensor(UP))
    bent = straight.clone()
    for name in ("spine1", "spine2", "spine3"):
        rows = FREE_JOINTS.index(JOINT_INDEX[name])
        bent[rows] = rotvec_to_matrix(torch.tensor([math.radians(20.0), 0.0, 0.0]))
    lean = math.degrees(math.acos(float(trunks(upright, bent) @ torch.tensor(UP))))
    assert lean == pytest.approx(30.0, abs=0.5)  # the mean of 0, 20, 40 and 60 degrees


def test_upright_samples_count_more_the_better_up_is_known():
    trunk, counts = leaning(torch.linspace(0.0, 60.0, 61)), torch.ones(1, 61, dtype=torch.bool)
    means = []
    for std in (1.0, 30.0, 1000.0):
        weight = upright_weights(trunk, known(std), 20.0, counts)
        assert float(weight.sum()) == pytest.approx(61.0, rel=1e-4)
        assert bool((weight[0, 1:] <= weight[0, :-1] + 1e-6).all())
        means.append(float((weight[0] * torch.linspace(0.0, 60.0, 61)).sum() / 61))
    assert means[0] < 0.7 * means[2] and means[0] < means[1] < means[2]
    assert means[2] == pytest.approx(30.0, abs=0.1)


def test_samples_that_do_not_count_stay_out_and_people_who_lie_are_left_lying():
    counts = torch.arange(40)[None] % 2 == 0
    weight = upright_weights(leaning(torch.linspace(0.0, 40.0, 40)), known(5.0), 20.0, counts)
    assert bool((weight[~counts] == 0).all()) and float(weight.sum()) == pytest.approx(20.0)
    lying = upright_weights(leaning(torch.linspace(70.0, 110.0, 40)), known(5.0), 20.0, counts)
    assert 0.9 < float(lying[counts].min()) < float(lying[counts].max()) < 1.2


def test_where_hardly_a_sample_is_upright_all_count_alike():
    degrees = torch.full((40,), 70.0)
    degrees[0] = 0.0
    counts = torch.ones(1, 40, dtype=torch.bool)
    assert bool((upright_weights(leaning(degrees), known(5.0), 20.0, counts) == 1).all())
