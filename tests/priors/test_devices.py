"""Priors move between devices and precisions with everything that was baked from their weights."""

import copy

import pytest
import torch

import kinflow.priors
from kinflow.priors.coordinates import SPACES
from kinflow.priors.families import FLOW_FAMILIES, flow_config, make_flow
from kinflow.priors.flow import FlowPrior
from kinflow.priors.interface import PriorInfo
from kinflow.priors.pose_space import Whitening
from kinflow.tensors import on_device

SHIPPED = ("realnvp", "gaussian", "gmm", "vae")
FLOWS = tuple(f"{family} {space}" for family in FLOW_FAMILIES for space in ("rotvec", "sixd"))
KEPT = 9


def prior_of(name: str) -> kinflow.priors.PosePrior:
    """A shipped prior, or a small flow of any family over either kind of coordinates."""
    if name in SHIPPED:
        return kinflow.priors.load(name)
    family, space = name.split()
    dim = SPACES[space].dim
    torch.manual_seed(0)
    flow = make_flow(flow_config(family, KEPT, blocks=2, hidden=8, depth=1, dropout=0.5))
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    basis = torch.linalg.qr(torch.randn(dim, dim))[0]
    whitening = Whitening(torch.rand(dim), basis, torch.linspace(0.3, 0.1, dim), KEPT)
    return FlowPrior(flow, whitening, PriorInfo(noise_rad=0.02), space)


def tensors_of(value, seen=None) -> list[torch.Tensor]:
    """Every tensor that can be reached from a value, whether it is registered or not."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return []
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, tuple | list):
        return [t for item in value for t in tensors_of(item, seen)]
    if isinstance(value, dict):
        return [t for item in value.values() for t in tensors_of(item, seen)]
    ours = type(value).__module__.startswith("kinflow.") or isinstance(value, torch.nn.Module)
    if ours and hasattr(value, "__dict__"):
        return [t for item in vars(value).values() for t in tensors_of(item, seen)]
    return []


def latents(prior: kinflow.priors.PosePrior) -> torch.Tensor:
    return torch.randn(3, prior.latent_dim, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", [*SHIPPED, *FLOWS])
def test_every_tensor_moves_and_a_copy_stays(name):
    prior = prior_of(name)
    moved = copy.deepcopy(prior).to("meta")
    assert len(tensors_of(moved)) > 2
    assert {t.device.type for t in tensors_of(moved)} == {"meta"}
    assert {t.device.type for t in tensors_of(prior)} == {"cpu"}


@pytest.mark.parametrize("name", [*SHIPPED, *FLOWS])
def test_what_a_moved_prior_computes_stays_on_its_device(name):
    """Meta tensors hold nothing and mix with no others: a stray CPU tensor is an error here."""
    moved = prior_of(name).to("meta")
    z = torch.zeros(3, moved.latent_dim, device="meta")
    R_free = moved.decode(z)
    values = (
        R_free,
        *moved.decode_with_jacobian(z),
        *moved.residual_with_jacobian(z),
        moved.encode(R_free),
        moved.energy(z),
    )
    assert {value.device.type for value in values} == {"meta"}


@pytest.mark.parametrize("name", ["realnvp", "gaussian", "vae", "iaf rotvec", "spline sixd"])
def test_samples_of_a_moved_prior_are_on_its_device(name):
    assert prior_of(name).to("meta").sample(2).device.type == "meta"


@pytest.mark.parametrize("name", [*SHIPPED, *FLOWS])
def test_double_precision_is_that_of_the_whole_prior(name):
    """It is the prior that doubled weights make: nothing rounded to single precision is left."""
    single, double = prior_of(name), prior_of(name).double()
    tensors, settings = single.state()
    tensors = {k: v.double() if v.is_floating_point() else v for k, v in tensors.items()}
    made = type(single).from_state(tensors, settings, single.info)
    assert {t.dtype for t in tensors_of(double) if t.is_floating_point()} == {torch.float64}
    z = latents(single)
    for a, b in zip(
        single.decode_with_jacobian(z), double.decode_with_jacobian(z.double()), strict=True
    ):
        assert b.dtype == torch.float64
        torch.testing.assert_close(a.double(), b, atol=2e-4, rtol=1e-3)
    decoded = double.decode_with_jacobian(z.double()), made.decode_with_jacobian(z.double())
    for a, b in zip(*decoded, strict=True):
        assert torch.equal(a, b)
    assert double.sample(2, torch.Generator().manual_seed(0)).dtype == torch.float64


@pytest.mark.parametrize("name", [*SHIPPED, *FLOWS])
def test_there_and_back_is_the_same_prior(name):
    prior, back = prior_of(name), prior_of(name).double().float()
    assert back.state()[0].keys() == prior.state()[0].keys()
    z = latents(prior)
    for a, b in zip(back.decode_with_jacobian(z), prior.decode_with_jacobian(z), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", [*SHIPPED, *FLOWS])
def test_a_prior_decodes_by_the_weights_that_it_was_given_last(name):
    prior = prior_of(name)
    other = copy.deepcopy(prior)
    with torch.no_grad():
        for value in other.state_dict().values():
            if value.is_floating_point():
                value.mul_(1.01)
    other.load_state_dict(prior.state_dict())
    z = latents(prior)
    for a, b in zip(other.decode_with_jacobian(z), prior.decode_with_jacobian(z), strict=True):
        assert torch.equal(a, b)


def test_a_prior_stays_finished_in_a_network_that_is_trained():
    prior = prior_of("glow rotvec")
    torch.nn.ModuleList([prior]).train()
    assert not any(module.training for module in prior.modules())
    R_free = prior.decode(latents(prior))
    assert torch.equal(prior.log_prob(R_free), prior.log_prob(R_free))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_decodes_on_cuda(prior):
    z = torch.randn(3, prior.latent_dim)
    moved = copy.deepcopy(prior).to("cuda")
    torch.testing.assert_close(moved.decode(z.cuda()).cpu(), prior.decode(z), atol=1e-4, rtol=0)
    assert moved.sample(2).is_cuda
    completed = moved.complete(moved.decode(z.cuda()), ["left_knee", "neck"])
    assert completed.is_cuda


def test_a_network_is_itself_where_it_is_and_a_copy_elsewhere():
    network = torch.nn.Linear(2, 2)
    assert on_device(network, "cpu") is network
    elsewhere = on_device(network, "meta")
    assert elsewhere.weight.device.type == "meta" and network.weight.device.type == "cpu"
