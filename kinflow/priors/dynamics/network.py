"""The density of a step given its context: a linear-Gaussian model, corrected by a flow.

The linear prediction (a vector autoregression whose coefficients are polynomials of the logarithm
of the time step) and the covariance of its residuals are fitted by least squares and stay fixed. A
network turns the context into a correction of mean and scale, and conditional affine couplings
(Dinh et al. 2017, with the context as in Winkler et al. 2019) bend what is left onto a standard
normal. Untrained, the density is the linear-Gaussian one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.priors.dynamics.state import CONTEXT_ROOT_DIM, ROOT_DIM
from kinflow.priors.pose_space import log_normal

ORDER = 3
"""Powers of the log of the time step that the linear model knows: as many as trained rates."""
_FASTEST_S, _SLOWEST_S = 1 / 30, 1 / 10
_FARTHEST = 8.0
"""Contexts further off than so many standard deviations are brought in."""


@dataclass(frozen=True)
class StepConfig:
    """Shape of the density.

    Attributes:
        latent: size of the pose latent.
        hidden: width of the network of the context.
        depth: number of its hidden layers.
        couplings: number of coupling layers.
        coupling_hidden: width of their networks.
        dropout: while training.
        max_log_scale: bound on the logs of all scales.
    """

    latent: int = 42
    hidden: int = 224
    depth: int = 3
    couplings: int = 4
    coupling_hidden: int = 64
    dropout: float = 0.1
    max_log_scale: float = 2.5

    @property
    def step_dim(self) -> int:
        return self.latent + ROOT_DIM

    @property
    def context_dim(self) -> int:
        return 2 * self.latent + CONTEXT_ROOT_DIM


def log_time(dt_s: Tensor) -> Tensor:
    """0 at 30 and 1 at 10 frames a second, linear in the logarithm."""
    return torch.log(dt_s / _FASTEST_S) / math.log(_SLOWEST_S / _FASTEST_S)


class StepDensity(nn.Module):
    """p(x | context, dt) with an exact log density and exact sampling.

    Args:
        config: its shape.
    """

    context_mean: Tensor
    context_std: Tensor
    linear: Tensor
    log_std: Tensor
    cholesky: Tensor
    mixings: Tensor

    def __init__(self, config: StepConfig) -> None:
        super().__init__()
        self.config = config
        dim, context = config.step_dim, config.context_dim
        self.register_buffer("context_mean", torch.zeros(context))
        self.register_buffer("context_std", torch.ones(context))
        self.register_buffer("linear", torch.zeros(ORDER * (context + 1), dim))
        self.register_buffer("log_std", torch.zeros(ORDER, dim))
        self.register_buffer("cholesky", torch.eye(dim))
        self.register_buffer("mixings", _mixings(config.couplings, dim))
        widths = [context + 1] + [config.hidden] * config.depth
        self.layers = nn.ModuleList(
            nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True)
        )
        self.head = _zeroed(nn.Linear(config.hidden, 2 * dim))
        half, width = dim // 2, config.coupling_hidden
        self.couplings = nn.ModuleList(
            nn.ModuleDict(
                {
                    "context": nn.Linear(config.hidden, width),
                    "first": nn.Linear(half, width, bias=False),
                    "second": nn.Linear(width, width),
                    "last": _zeroed(nn.Linear(width, 2 * (dim - half))),
                }
            )
            for _ in range(config.couplings)
        )

    def normal_context(self, context: Float[Tensor, "*batch q"]) -> Float[Tensor, "*batch q"]:
        """Of mean 0 and spread 1, far values brought in."""
        q = (context - self.context_mean) / self.context_std
        return _FARTHEST * torch.tanh(q / _FARTHEST)

    def _features(
        self, context: Tensor, dt_s: Tensor, noise: float = 0.0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Linear mean, spread about it, and the network's reading of the context."""
        q, tau = self.normal_context(context), log_time(dt_s)
        mean, log_std = linear_features(q, tau) @ self.linear, powers(tau) @ self.log_std
        h = torch.cat([q, 2 * tau - 1], -1)
        if noise > 0:
            h = h + noise * torch.randn_like(h)
        for index, layer in enumerate(self.layers):
            out = F.silu(layer(h))
            out = F.dropout(out, self.config.dropout, self.training)
            h = out if index == 0 else h + out
        return mean, log_std.exp(), h

    def _correction(self, h: Tensor) -> tuple[Tensor, Tensor]:
        shift, raw = self.head(h).chunk(2, -1)
        return shift, self._bounded(raw)

    def _bounded(self, raw: Tensor) -> Tensor:
        bound = self.config.max_log_scale
        return raw / (1 + raw.abs() / bound)

    def log_prob(
        self,
        x: Float[Tensor, "*batch x"],
        context: Float[Tensor, "*batch q"],
        dt_s: Float[Tensor, "*#batch 1"],
        context_noise: float = 0.0,
    ) -> Float[Tensor, "*batch"]:
        """Nats by the units of x: latents, rad/s, m/s.

        `context_noise` blurs what the network sees, for training; the linear model sees all.
        """
        e, log_det = self.normalised(x, context, dt_s, context_noise)
        return log_normal(e) + log_det

    def normalised(
        self, x: Tensor, context: Tensor, dt_s: Tensor, context_noise: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """The standard normal numbers of a step, and the log-determinant of the way there."""
        dt_s = dt_s.expand(*context.shape[:-1], 1)
        mean, std, h = self._features(context, dt_s, context_noise)
        r = torch.linalg.solve_triangular(
            self.cholesky, ((x - mean) / std).reshape(-1, x.shape[-1]).mT, upper=False
        ).mT.reshape(x.shape)
        log_det = -std.log().sum(-1) - self.cholesky.diagonal().log().sum()
        shift, log_scale = self._correction(h)
        e = (r - shift) * torch.exp(-log_scale)
        log_det = log_det - log_scale.sum(-1)
        for index, coupling in enumerate(self.couplings):
            e = e @ self.mixings[index]
            a, b = e[..., : self._half], e[..., self._half :]
            shift, log_scale = self._coupled(coupling, a, h)
            e = torch.cat([a, (b - shift) * torch.exp(-log_scale)], -1)
            log_det = log_det - log_scale.sum(-1)
        return e, log_det

    def step(
        self,
        e: Float[Tensor, "*batch x"],
        context: Float[Tensor, "*batch q"],
        dt_s: Float[Tensor, "*#batch 1"],
    ) -> Float[Tensor, "*batch x"]:
        """The step of standard normal numbers; the inverse of `normalised`."""
        dt_s = dt_s.expand(*context.shape[:-1], 1)
        mean, std, h = self._features(context, dt_s)
        for index in reversed(range(len(self.couplings))):
            a, b = e[..., : self._half], e[..., self._half :]
            shift, log_scale = self._coupled(self.couplings[index], a, h)
            e = torch.cat([a, b * torch.exp(log_scale) + shift], -1) @ self.mixings[index].mT
        shift, log_scale = self._correction(h)
        return mean + std * ((e * torch.exp(log_scale) + shift) @ self.cholesky.mT)

    @torch.no_grad()
    def gaussian(
        self,
        x: Float[Tensor, "batch x"],
        context: Float[Tensor, "batch q"],
        dt_s: Float[Tensor, "batch 1"],
    ) -> tuple[Float[Tensor, "batch x"], Float[Tensor, "batch x coordinates"]]:
        """The density without its couplings, about given steps and contexts, for least squares.

        It is a Gaussian whose mean moves with the context as the linear model's does. What the
        network adds to mean and scale is that of the given contexts, and stays.

        Returns:
            The steps in standard deviations, decorrelated, and their derivatives with respect to
            the step and to the context, side by side.
        """
        mean, std, h = self._features(context, dt_s)
        shift, log_scale = self._correction(h)
        narrow = torch.exp(-log_scale)
        eye = torch.eye(x.shape[-1]).to(x)
        decorrelated = torch.linalg.solve_triangular(self.cholesky, eye, upper=False)
        by_step = narrow[:, :, None] * decorrelated / std[:, None]
        e = (by_step @ (x - mean)[..., None])[..., 0] - narrow * shift
        powers_of_time = powers(log_time(dt_s))
        linear = self.linear.unflatten(0, (ORDER, -1))[:, :-1]
        inwards = 1 - (self.normal_context(context) / _FARTHEST).square()  # of tanh
        slope = torch.einsum("bo,oqx->bxq", powers_of_time, linear)
        slope = slope * (inwards / self.context_std)[:, None]
        return e, torch.cat([by_step, -by_step @ slope], -1)

    @property
    def _half(self) -> int:
        return self.config.step_dim // 2

    def _coupled(self, coupling: nn.Module, a: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(coupling, nn.ModuleDict)
        hidden = F.silu(coupling["first"](a) + coupling["context"](h))
        shift, raw = coupling["last"](F.silu(coupling["second"](hidden))).chunk(2, -1)
        return shift, self._bounded(raw)


def powers(tau: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*batch order"]:
    """1, tau, tau²."""
    return torch.cat([torch.ones_like(tau), tau, tau * tau], -1)


def linear_features(
    q: Float[Tensor, "*batch q"], tau: Float[Tensor, "*batch 1"]
) -> Float[Tensor, "*batch features"]:
    """What the linear model's coefficients stand before."""
    one = torch.cat([q, torch.ones_like(q[..., :1])], -1)
    return (powers(tau)[..., :, None] * one[..., None, :]).flatten(-2)


def _mixings(count: int, dim: int) -> Float[Tensor, "count dim dim"]:
    """Rotations between couplings, always the same."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(count, dim, dim, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(drawn)[0].float()


def _zeroed(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
