"""Priors move between devices with everything that was baked from their weights."""

import pytest
import torch

import kinflow.priors
from kinflow.priors.devices import on_device


def tensors_of(value, seen=None) -> list[torch.Tensor]:
    seen = set() if seen is None else seen
    if id(value) in seen:
        return []
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, torch.nn.Module):
        return [*value.parameters(), *value.buffers()]
    if isinstance(value, tuple | list):
        return [t for item in value for t in tensors_of(item, seen)]
    if isinstance(value, dict):
        return [t for item in value.values() for t in tensors_of(item, seen)]
    if type(value).__module__.startswith("kinflow.") and hasattr(value, "__dict__"):
        return [t for item in vars(value).values() for t in tensors_of(item, seen)]
    return []


@pytest.mark.parametrize("name", ["realnvp", "gaussian", "gmm"])
def test_every_tensor_moves_and_the_original_stays(name):
    prior = kinflow.priors.load(name)
    moved = on_device(prior, "meta")
    assert len(tensors_of(moved)) > 2
    assert {t.device.type for t in tensors_of(moved)} == {"meta"}
    assert {t.device.type for t in tensors_of(prior)} == {"cpu"}


@pytest.mark.parametrize("name", ["realnvp", "gaussian", "gmm", "vae"])
def test_what_a_moved_prior_computes_stays_on_its_device(name):
    """Meta tensors hold nothing and mix with no others: a stray CPU tensor is an error here."""
    moved = on_device(kinflow.priors.load(name), "meta")
    z = torch.zeros(3, moved.latent_dim, device="meta")
    values = (*moved.decode_with_jacobian(z), *moved.residual_with_jacobian(z), moved.decode(z))
    assert {value.device.type for value in values} == {"meta"}


def test_a_moved_prior_works(prior):
    copy = on_device(prior, "cpu")
    z = torch.randn(3, prior.latent_dim, generator=torch.Generator().manual_seed(0))
    for a, b in zip(copy.decode_with_jacobian(z), prior.decode_with_jacobian(z), strict=True):
        assert torch.equal(a, b)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_decodes_on_cuda(prior):
    z = torch.randn(3, prior.latent_dim)
    R = on_device(prior, "cuda").decode(z.cuda())
    torch.testing.assert_close(R.cpu(), prior.decode(z), atol=1e-4, rtol=0)
