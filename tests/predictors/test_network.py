"""The evidence network: it hears everything it is given, and learns everywhere."""

from dataclasses import replace

import pytest
import torch
from random_looks import SMALL, looks_of

from kinflow.errors import InputError
from kinflow.predictors import Predictor, PredictorInfo
from kinflow.predictors.network import NetworkConfig


def fresh() -> Predictor:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Predictor(SMALL, PredictorInfo())


@pytest.mark.parametrize(
    "name", ["features", "joint_features", "map_features", "landmarks", "world_m", "region"]
)
def test_all_that_was_seen_counts(predictor, name):
    seen = looks_of(2)
    changed = getattr(seen, name).clone()
    changed[0] += 0.5
    one, other = (predictor(looks).guess for looks in (seen, replace(seen, **{name: changed})))
    assert not torch.equal(one.centre[0], other.centre[0])
    torch.testing.assert_close(one.centre[1], other.centre[1])


def test_whose_joint_is_where_matters(predictor):
    seen = looks_of(1)
    order = torch.arange(33).roll(1)
    turned = replace(seen, joint_features=seen.joint_features[:, order])
    gap = predictor(seen).guess.points_m - predictor(turned).guess.points_m
    assert float(gap.abs().max()) > 1e-4


def test_points_are_about_the_hips(predictor):
    points_m = predictor(looks_of(3)).guess.points_m
    hips = points_m[:, [23, 24]].mean(1)
    torch.testing.assert_close(hips, torch.zeros(3, 3), atol=1e-6, rtol=0)


def test_every_weight_learns():
    network = fresh().train()
    posterior = network(looks_of(3))
    vector = posterior.guess.centre.detach() + 0.1
    loss = -posterior.log_prob_of_vector(vector).sum() + posterior.point().z.square().sum()
    (loss + posterior.guess.R_view_base.sum() + posterior.guess.points_m.square().sum()).backward()
    gradients = {name: weight.grad for name, weight in network.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None] == []
    assert all(bool(g.isfinite().all()) for g in gradients.values() if g is not None)


def test_only_training_spoils_what_is_seen():
    network, seen = fresh(), looks_of(4)
    network.eval()
    assert torch.equal(network(seen).guess.centre, network(seen).guess.centre)
    network.train()
    assert not torch.equal(network(seen).guess.centre, network(seen).guess.centre)


def test_a_trunk_in_half_precision_says_about_the_same():
    network, seen = fresh().eval(), looks_of(3)
    exact = network(seen).guess
    network.network.trunk_dtype = torch.bfloat16
    rough = network(seen).guess
    assert rough.centre.dtype == rough.context.dtype == torch.float32
    torch.testing.assert_close(rough.R_view_base, exact.R_view_base, atol=0.03, rtol=0)
    torch.testing.assert_close(rough.points_m, exact.points_m, atol=0.02, rtol=0)


def test_inputs_in_half_precision_are_as_good(predictor):
    seen = looks_of(2)
    single = replace(
        seen,
        joint_features=seen.joint_features.float(),
        map_features=seen.map_features.float(),
    )
    assert torch.equal(predictor(seen).guess.centre, predictor(single).guess.centre)


def test_the_shipped_size_is_within_bounds():
    count = sum(p.numel() for p in Predictor(NetworkConfig(42), PredictorInfo()).parameters())
    assert count <= 7_000_000


@pytest.mark.parametrize("change", [{"heads": 5}, {"layers": 0}, {"readout": 0}, {"dropout": 1.5}])
def test_options_out_of_range_are_refused(change):
    with pytest.raises(InputError):
        NetworkConfig(**change)
