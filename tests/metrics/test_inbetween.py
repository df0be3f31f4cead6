"""L2Q, L2P and NPSS."""

import numpy as np
import pytest
import torch

from kinflow.metrics.inbetween import alike, continuous, l2p, l2q, npss


def drawn(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def test_l2q_and_l2p_take_all_joints_together():
    truth = torch.zeros(2, 3, 4, 4)
    assert float(l2q(truth + 0.5, truth)) == pytest.approx(0.5 * 4)  # the root of 16 numbers
    points = torch.zeros(2, 3, 4, 3)
    moved = points + torch.tensor([0.1, 0.2, 0.2])
    std = torch.tensor([0.1, 0.2, 0.2]).expand(4, 3)
    assert float(l2p(moved, points, std)) == pytest.approx(12**0.5)


def test_npss_is_as_lafan1_computes_it():
    truth, found = drawn(3, 8, 5).numpy(), drawn(3, 8, 5, seed=1).numpy()
    powers = [np.square(np.real(np.fft.fft(x, axis=1))) for x in (truth, found)]
    shares = [np.cumsum(p / p.sum(1)[:, None], axis=1) for p in powers]
    emd = np.linalg.norm(shares[1] - shares[0], ord=1, axis=1)
    expected = np.average(emd, weights=powers[0].sum(1))
    assert float(npss(torch.tensor(found), torch.tensor(truth))) == pytest.approx(expected, 1e-5)


def test_npss_notices_a_wrong_rhythm_and_not_what_is_right():
    t = torch.arange(32) / 32
    slow, fast = (torch.cos(2 * torch.pi * f * t)[None, :, None] for f in (2, 6))
    assert float(npss(slow, slow)) == 0.0
    assert float(npss(fast, slow)) > 1.0


def test_signs_of_quaternions_follow_the_truth_and_time():
    truth = torch.nn.functional.normalize(drawn(1, 1, 3, 4).expand(2, 9, 3, 4), dim=-1)
    flipped = truth * torch.where(drawn(2, 9, 3, 1, seed=1) < 0, -1.0, 1.0)
    assert not torch.equal(flipped, truth)
    assert torch.equal(alike(flipped, truth), truth)
    steady = continuous(flipped)
    assert torch.equal(steady, steady[:, :1].expand_as(steady))
