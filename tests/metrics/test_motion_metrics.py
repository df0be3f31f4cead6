"""Errors of motion: their definitions on motions whose answer is known, and what they ignore."""

import math

import pytest
import torch

from kinflow.errors import InputError
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.metrics.motion import (
    acceleration_error_m_s2,
    foot_sliding_m_s,
    jitter,
    root_translation_error,
    world_mpjpe,
)

RATE_HZ = 25.0


def walk(frames=60, points=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    still = torch.randn(points, 3, generator=g)
    path = torch.cumsum(0.05 * torch.randn(frames, 1, 3, generator=g), 0)
    return still + path + 0.1 * torch.randn(frames, points, 3, generator=g)


def test_acceleration_of_a_fall_and_of_an_even_drift():
    times = torch.arange(20) / RATE_HZ
    still = torch.zeros(20, 3, 3)
    fall = still.clone()
    fall[..., 1] = 0.5 * 9.81 * times[:, None] ** 2
    error = acceleration_error_m_s2(fall, still, RATE_HZ)
    assert float(error) == pytest.approx(9.81, rel=1e-3)
    drift = still + times[:, None, None]
    assert float(acceleration_error_m_s2(drift, still, RATE_HZ)) < 0.01


def test_jitter_is_the_third_derivative_over_ten():
    times = torch.arange(20).double() / RATE_HZ
    points = torch.zeros(20, 2, 3).double()
    points[..., 0] = times[:, None] ** 3
    assert float(jitter(points, RATE_HZ)) == pytest.approx(0.6, rel=1e-6)


def test_feet_slide_only_while_the_true_ones_stand():
    truth = torch.zeros(11, 1, 3)
    truth[5:, 0, 0] = torch.arange(6) * 0.2  # stands for five steps, then walks
    slow = torch.zeros(11, 1, 3)
    slow[:, 0, 0] = torch.arange(11) * 0.02
    assert float(foot_sliding_m_s(slow, truth, RATE_HZ)) == pytest.approx(0.5, rel=1e-4)
    assert math.isnan(foot_sliding_m_s(slow, slow * 100, RATE_HZ))


@pytest.mark.parametrize("align", ["whole", "first"])
def test_errors_in_the_world_ignore_where_the_world_is(align):
    truth = walk()
    R = rotvec_to_matrix(torch.tensor([0.3, -1.0, 0.4]))
    moved = 1.3 * truth @ R.mT + torch.tensor([5.0, 1.0, -2.0])
    assert float(world_mpjpe(moved, truth, align)) < 1e-4


def test_a_drift_shows_more_when_only_the_first_frames_are_aligned():
    truth = walk(frames=100)
    drift = truth + torch.linspace(0, 1, 100)[:, None, None] * torch.tensor([1.0, 0, 0])
    whole, first = (float(world_mpjpe(drift, truth, by)) for by in ("whole", "first"))
    assert first > 1.5 * whole > 0.1
    # chunks start anew
    assert float(world_mpjpe(drift, truth, "first", chunk=10)) < first / 3


def test_the_roots_error_is_a_share_of_its_path():
    truth = torch.zeros(11, 3)
    truth[:, 2] = torch.arange(11) * 0.1
    wave = truth.clone()
    wave[::2, 0] += 0.01
    wave[1::2, 0] -= 0.01
    assert float(root_translation_error(wave, truth)) == pytest.approx(0.01, rel=0.05)
    larger = 1.1 * truth
    assert float(root_translation_error(larger, truth)) > 0.02  # a scale is an error


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(InputError, match="3 frames"):
        acceleration_error_m_s2(torch.zeros(2, 4, 3), torch.zeros(2, 4, 3), RATE_HZ)
    with pytest.raises(InputError, match="2 frames"):
        world_mpjpe(torch.zeros(1, 4, 3), torch.zeros(1, 4, 3), "whole")
    with pytest.raises(InputError, match="frame rate"):
        jitter(torch.zeros(5, 4, 3), 0.0)
