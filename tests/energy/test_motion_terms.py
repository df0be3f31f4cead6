"""What motion costs: nothing where nothing speeds up or slides, with exact derivatives."""

import pytest
import torch

from kinflow.energy.layout import TangentLayout
from kinflow.energy.motion import acceleration, sliding

LAYOUT = TangentLayout(3, 2)
UNEVEN_S = torch.tensor([0.0, 0.03, 0.07, 0.1, 0.2]).double()


def some(frames=5, points=4):
    g = torch.Generator().manual_seed(1)
    x = torch.randn(frames, points, 3, generator=g).double()
    J = torch.randn(frames, points, 3, LAYOUT.size, generator=g).double()
    return x, J


def terms(x, J, times_s, cutoff=3.0):
    spread = torch.tensor([0.02, 0.05, 0.0, 0.1]).double()
    steps = torch.rand(len(times_s) - 1, 4, generator=torch.Generator().manual_seed(2)).double()
    return (
        acceleration(x, J, times_s, spread, cutoff, LAYOUT),
        sliding(x, J, times_s, steps, cutoff, LAYOUT),
    )


def test_even_motion_costs_nothing_at_uneven_times():
    start, velocity = torch.randn(4, 3).double(), torch.randn(4, 3).double()
    x = start + velocity * UNEVEN_S[:, None, None]
    speeds_up, slides = terms(x, None, UNEVEN_S)
    assert float(speeds_up.residuals.abs().max()) < 1e-9
    assert float(slides.residuals.abs().max()) > 0.1
    _, still = terms(start.expand(5, 4, 3), None, UNEVEN_S)
    assert not still.residuals.any()


def test_a_constant_acceleration_is_measured_in_its_deviation():
    x = torch.zeros(4, 1, 3).double()
    times = torch.arange(4).double() / 30
    x[:, 0, 1] = 0.5 * 9.81 * times**2
    term = acceleration(x, None, times, torch.tensor([1 / 9.81]).double(), 1e6, LAYOUT)
    torch.testing.assert_close(term.residuals[0, :, 1], torch.ones(2).double())


def test_the_energy_of_a_second_does_not_depend_on_the_frame_rate():
    energies = []
    for rate in (30, 120):
        times = torch.arange(2 * rate + 1).double() / rate
        x = torch.sin(2 * times)[:, None, None].expand(-1, 1, 3)
        term = acceleration(x, None, times, torch.ones(1).double(), 1e6, LAYOUT)
        energies.append(float(term.residuals.square().sum()))
    assert energies[0] == pytest.approx(energies[1], rel=0.03)


@pytest.mark.parametrize("kind", [0, 1], ids=["acceleration", "sliding"])
def test_derivatives_match_finite_differences(kind):
    x, J = some()
    g = torch.Generator().manual_seed(3)
    step = torch.randn(5, LAYOUT.frame.stop, generator=g).double()
    common = torch.randn(2, generator=g).double()
    delta = torch.cat([step, common.expand(5, 2)], 1)
    moved = torch.einsum("fpcu,fu->fpc", J, delta)
    h = 1e-6
    ahead, behind = (
        terms(x + sign * h * moved, None, UNEVEN_S)[kind].residuals for sign in (1, -1)
    )
    term = terms(x, J, UNEVEN_S)[kind]
    links, span = term.jacobian.shape[1:3]
    along = torch.einsum("lrs,s->lr", term.shared[0], common)
    for i in range(span):
        along = along + torch.einsum("lru,lu->lr", term.jacobian[0, :, i], step[i : i + links])
    torch.testing.assert_close(along, (ahead - behind)[0] / (2 * h), atol=1e-6, rtol=1e-5)


def test_a_jump_costs_no_more_than_its_cutoff():
    x = torch.zeros(3, 4, 3).double()
    x[1] = 100.0
    for term in terms(x, None, UNEVEN_S[:3], cutoff=2.0):
        points = term.residuals.unflatten(-1, (4, 3)).square().sum(-1) / 2
        assert float(points.max()) <= 0.5 * 2.0**2 + 1e-9
