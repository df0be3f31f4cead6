"""Spreads of phenotypes hold what they say, and are no larger than people differ."""

import math

import pytest
import torch

from kinflow.body.shape import PHENOTYPES
from kinflow.fitting.shape_spread import (
    ALONE,
    LEAST,
    MOST,
    OF_NETWORK,
    WITH_NETWORK,
    ShapeSigns,
    std_of_network,
)
from kinflow.priors.shape import ShapePrior

NORMAL = {0.5: 0.6745, 0.9: 1.6449}


def inside(gap: torch.Tensor, std: torch.Tensor) -> dict[float, torch.Tensor]:
    return {share: (gap.abs() < half * std).float().mean(0) for share, half in NORMAL.items()}


@pytest.mark.parametrize("factors", [ALONE, WITH_NETWORK, OF_NETWORK])
def test_scaled_spreads_cover_what_they_say(factors):
    """Of people whose deviations are too small by the factors, as many as should are within; of
    the deviations as they are, fewer, or more where these are too large."""
    generator = torch.Generator().manual_seed(0)
    # from hardly anything to all that may be stated
    share = 0.1 + 0.85 * torch.rand(20_000, len(PHENOTYPES), generator=generator)
    true_std = share * torch.tensor(MOST)
    gap = true_std * torch.randn(true_std.shape, generator=generator)
    sign = true_std / torch.tensor(factors)
    known = torch.full((len(sign),), factors is WITH_NETWORK)
    std = std_of_network(sign) if factors is OF_NETWORK else ShapeSigns(sign, known).std()
    for wanted, found in inside(gap, std).items():
        torch.testing.assert_close(found, torch.full((6,), wanted), atol=0.015, rtol=0)
    for wanted, found in inside(gap, sign).items():
        assert ((found < wanted - 0.03) == (torch.tensor(factors) > 1.15)).all()


@pytest.mark.parametrize("known", [True, False])
def test_what_is_stated_is_between_nothing_and_people(known):
    signs = torch.tensor([0.0, 1e-9, 0.01, 0.02, 1e3, math.inf])[:, None].expand(-1, 6)
    for std in (ShapeSigns(signs, torch.tensor([known] * 6)).std(), std_of_network(signs)):
        assert std.isfinite().all() and (std >= LEAST).all()
        assert (std.diff(dim=0) >= 0).all() and (std[2] < std[3]).all()
        torch.testing.assert_close(std[-1], torch.tensor(MOST))
    assert (torch.tensor(MOST) < 0.5).all() and min(MOST) > 10 * LEAST


def test_each_person_has_factors_of_their_own():
    signs = ShapeSigns(torch.full((2, 6), 0.02), torch.tensor([True, False]))
    believed, alone = signs.std()
    assert (believed > alone).all()
    torch.testing.assert_close(signs[1].std(), alone)


def test_a_fit_tells_how_surely_phenotypes_are_known(fitter, make_scene, camera):
    """What was seen narrows the prior, and never widens it."""
    scene = make_scene((20.0,))
    prior = ShapePrior()
    with torch.no_grad():
        found = fitter.found_bodies((scene.evidence,), (camera,))
        targets, bodies = found.of(0)
        person, _, signs = fitter.describer.with_signs(
            0, scene.evidence.people[0], camera, targets, bodies
        )
        best = bodies.unknowns[:1]
        described = fitter.fitter.describe(best, targets)
        slope = prior.decode_with_slope(best.s)[1]
    assert signs is not None and not bool(signs.believed)
    assert person.shape_std is not None and person.shape_std.shape == person.shape.shape
    torch.testing.assert_close(person.shape_std, signs.std())
    assert described.shape is not None
    narrowed = described.shape.laplace / slope
    assert (narrowed > 0).all() and (narrowed < 1 + 1e-4).all()
    assert narrowed[0, PHENOTYPES.index("height")] < 0.99
