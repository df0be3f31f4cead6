"""Figures of the comparison, and their picture."""

import io
import math

import numpy as np
import torch
from PIL import Image

import kinflow.priors
from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.evaluation.bar_chart import bar_chart_png
from kinflow.evaluation.prior_figures import (
    END_EFFECTORS,
    hinge_angles_rad,
    reaching_errors_mm,
    share_out_of_range,
)
from kinflow.priors.pose_space import log_haar_volume, rotvec_to_matrix


def bent(joint: str, rotvec: list[float]) -> torch.Tensor:
    pose = torch.zeros(19, 3)
    pose[FREE_JOINTS.index(JOINT_INDEX[joint])] = torch.tensor(rotvec)
    return rotvec_to_matrix(pose)


def test_hinges_count_as_positive_when_they_bend_the_natural_way():
    poses = [bent("left_knee", [0.5, 0, 0]), bent("right_elbow", [0, 0.7, 0])]
    angles = hinge_angles_rad(torch.stack([*poses, bent("left_elbow", [0, -0.2, 0])]))
    expected = torch.tensor([[0.5, 0, 0, 0], [0, 0, 0, 0.7], [0, 0, 0.2, 0]])
    torch.testing.assert_close(angles, expected, atol=1e-5, rtol=0)


def test_samples_outside_the_training_range_are_counted():
    training = torch.stack([bent("left_knee", [angle, 0, 0]) for angle in (0.0, 1.0)])
    samples = torch.stack([bent("left_knee", [angle, 0, 0]) for angle in (-0.2, 0.5, 1.05, 1.2)])
    assert share_out_of_range(samples, training, 0.1) == 0.5


def test_haar_measure_integrates_to_the_volume_of_the_rotation_group():
    """Over the ball of rotation vectors shorter than π the volume is 8π²."""
    theta = torch.linspace(1e-4, math.pi, 20_001, dtype=torch.float64)
    along_x = torch.stack([theta, 0 * theta, 0 * theta], -1)
    density = log_haar_volume(along_x[:, None]).exp()
    volume = torch.trapezoid(density * 4 * math.pi * theta**2, theta)
    assert math.isclose(volume.item(), 8 * math.pi**2, rel_tol=1e-4)


def test_the_best_of_ten_is_no_worse_than_the_likeliest():
    prior = kinflow.priors.load("gaussian")
    poses = prior.sample(4, torch.Generator().manual_seed(0))
    likeliest, central, best = reaching_errors_mm(prior, poses)
    assert 0 < best <= min(likeliest, central)
    assert "left_foot" in END_EFFECTORS and len(END_EFFECTORS) == 7


def test_bars_are_as_long_as_their_values():
    rows = {"one": {"a": 1.0, "b": -2.0}, "two": {"a": 2.0, "b": 2.0}}
    image = np.asarray(Image.open(io.BytesIO(bar_chart_png(rows, columns=2))).convert("RGB"))
    colors = ([0x3B, 0x78, 0xC4], [0xE0, 0x7B, 0x39])
    half = image.shape[1] // 2
    for panel, ratio in ((image[:, :half], 0.5), (image[:, half:], 1.0)):
        one, two = ((panel == color).all(-1).sum(1).max() for color in colors)
        assert math.isclose(one / two, ratio, abs_tol=0.02)
