"""Recordings whose clock is wrong: who falls too fast, who walks too fast."""

import math

import pytest
import torch

from kinflow.datasets.timing import GRAVITY_M_S2, fall_m_s2, timing_fault, walking


def jump(rate_hz: float, label_hz: float | None = None) -> torch.Tensor:
    """The root of somebody who stands, jumps up 0.5 m and stands; recorded at `rate_hz`."""
    t = torch.arange(round(2 * rate_hz)) / rate_hz
    up = math.sqrt(2 * GRAVITY_M_S2 * 0.5)
    height = (up * (t - 0.5) - 0.5 * GRAVITY_M_S2 * (t - 0.5) ** 2).clamp_min(0)
    return torch.stack([torch.zeros_like(t), 0.95 + height, torch.zeros_like(t)], -1)


def walk(cadence_hz: float, step_m: float, rate_hz: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A root and its ankles, straight ahead along z."""
    t = torch.arange(round(6 * rate_hz)) / rate_hz
    way = cadence_hz * step_m * t
    root = torch.stack([torch.zeros_like(t), torch.full_like(t, 0.95), way], -1)
    swing = 0.5 * step_m * torch.cos(math.pi * cadence_hz * t + 0.1)
    ankles = torch.stack([root, root], 1)
    ankles[:, 0, 2] += swing
    ankles[:, 1, 2] -= swing
    return root, ankles


def test_a_jump_falls_with_gravity():
    assert fall_m_s2(jump(30.0), 30.0) == pytest.approx(GRAVITY_M_S2, rel=0.1)


def test_twice_the_rate_makes_four_times_the_fall():
    root = jump(30.0)
    assert timing_fault(root, root[:, None].expand(-1, 2, -1), 30.0) is None
    fault = timing_fault(root, root[:, None].expand(-1, 2, -1), 60.0)
    assert fault is not None and "falls" in fault


def test_cadence_and_length_of_steps():
    found = walking(*walk(1.9, 0.7, 30.0), 30.0)
    assert found is not None
    assert found[0] == pytest.approx(1.9, abs=0.3) and found[1] == pytest.approx(0.7, abs=0.1)
    standing = torch.zeros(200, 3)
    assert walking(standing, standing[:, None].expand(-1, 2, -1), 30.0) is None


def test_who_walks_at_twice_the_pace_is_found_and_who_runs_is_not():
    assert timing_fault(*walk(1.9, 0.65, 30.0), 30.0) is None
    assert "walks" in str(timing_fault(*walk(1.9, 0.65, 30.0), 60.0))
    assert timing_fault(*walk(3.0, 1.2, 30.0), 30.0) is None
