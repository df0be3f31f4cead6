"""A conditional coupling flow: a density over vectors whose shape depends on what was seen.

A network's features shift and scale the coordinates first, then blocks of a learned mixing and an
affine coupling, whose conditioner reads the features too (Winkler et al. 2019; for poses Kolotouros
et al. 2021, ProHMR), bend what is left. Both directions take one pass.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.priors.flow_network import LinearMixing
from kinflow.priors.pose_space import log_normal

_MAX_LOG_SCALE = 1.5


class ConditionalFlow(nn.Module):
    """Density over vectors given a context.

    Args:
        size: of the vectors.
        context: size of the context.
        blocks: number of (mixing, coupling) blocks.
        hidden: width of the conditioning networks.
        dropout: in them.
    """

    def __init__(self, size: int, context: int, blocks: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.size, self._kept = size, size // 2
        self.mixings = nn.ModuleList(LinearMixing(size) for _ in range(blocks))
        self.conditioners = nn.ModuleList(
            _conditioner(self._kept + context, hidden, 2 * (size - self._kept), dropout)
            for _ in range(blocks)
        )

    def encode(
        self, x: Float[Tensor, "*batch size"], context: Float[Tensor, "*batch context"]
    ) -> tuple[Float[Tensor, "*batch size"], Float[Tensor, "*batch"]]:
        """Latent of vectors, and log |det d latent / d x|."""
        log_det = x.new_zeros(x.shape[:-1])
        for mixing, network in zip(self.mixings, self.conditioners, strict=True):
            matrix, bias = _affine(mixing)
            x = x @ matrix.mT + bias
            kept, moved = x.split([self._kept, self.size - self._kept], -1)
            shift, log_scale = self._coupling(network, kept, context)
            x = torch.cat([kept, moved * log_scale.exp() + shift], -1)
            log_det = log_det + log_scale.sum(-1) + _log_det(mixing)
        return x, log_det

    def decode(
        self, u: Float[Tensor, "*batch size"], context: Float[Tensor, "*#batch context"]
    ) -> Float[Tensor, "*batch size"]:
        """Vectors of latents; inverts `encode`. Latents may share a context (an axis of 1)."""
        pairs = list(zip(self.mixings, self.conditioners, strict=True))
        for mixing, network in reversed(pairs):
            kept, moved = u.split([self._kept, self.size - self._kept], -1)
            shift, log_scale = self._coupling(network, kept, context)
            u = torch.cat([kept, (moved - shift) * (-log_scale).exp()], -1)
            matrix, bias = _affine(mixing)
            unmix = torch.linalg.inv(matrix.double()).to(matrix)  # single is not enough for it
            u = (u - bias) @ unmix.mT
        return u

    def log_prob(
        self, x: Float[Tensor, "*batch size"], context: Float[Tensor, "*batch context"]
    ) -> Float[Tensor, "*batch"]:
        """Log density in nats."""
        u, log_det = self.encode(x, context)
        return log_normal(u) + log_det

    def _coupling(self, network: nn.Module, kept: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(network, nn.Sequential)
        first = network[0]
        assert isinstance(first, nn.Linear)
        of_kept, of_context = first.weight.split([self._kept, context.shape[-1]], 1)
        # what many samples of one person share is multiplied once
        hidden = nn.functional.linear(kept, of_kept)
        hidden = hidden + nn.functional.linear(context, of_context, first.bias)
        shift, raw = network[1:](hidden).chunk(2, -1)
        return shift, _MAX_LOG_SCALE * torch.tanh(raw / _MAX_LOG_SCALE)


def _conditioner(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    """Its zero last layer makes the untrained coupling the identity."""
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.SiLU(),
        nn.Dropout(dropout),
        last,
    )


def _affine(mixing: nn.Module) -> tuple[Tensor, Tensor]:
    assert isinstance(mixing, LinearMixing)
    return mixing.matrix(), mixing.bias


def _log_det(mixing: nn.Module) -> Tensor:
    assert isinstance(mixing, LinearMixing)
    return mixing.packed_lu.diagonal().abs().log().sum()
