"""Simple models of motion, with which learned dynamics are compared.

Densities are Gaussians about a prediction of the step, with the full covariance of what is left in
training: of a person who stays (constant position), who goes on (constant velocity), and of a
vector autoregression of second order (VAR), fitted by least squares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.priors.dynamics.state import ROOT_DIM, LatentMotion, contexts, stepped
from kinflow.priors.pose_space import log_normal

Predicted = Callable[[Float[Tensor, "rows q"]], Float[Tensor, "rows x"]]
_RIDGE = 1e-5


@dataclass(frozen=True)
class GaussianSteps:
    """A Gaussian density of steps at one frame rate.

    Attributes:
        mean: of a step, as a function of its context.
        cholesky: of the covariance.
    """

    mean: Predicted
    cholesky: Float[Tensor, "x x"]

    @staticmethod
    def about(
        mean: Predicted,
        context: Float[Tensor, "rows q"],
        x: Float[Tensor, "rows x"],
        noise_std: Float[Tensor, " x"],
    ) -> GaussianSteps:
        """With the covariance of steps, to which independent noise will be added."""
        rest = x.double() - mean(context).double()
        covariance = rest.mT @ rest / len(rest) + torch.diag(noise_std.double().square())
        return GaussianSteps(mean, torch.linalg.cholesky(covariance))

    def log_prob(
        self, x: Float[Tensor, "rows x"], context: Float[Tensor, "rows q"]
    ) -> Float[Tensor, "rows"]:
        """Nats, by the units of steps."""
        rest = (x - self.mean(context)).double()
        e = torch.linalg.solve_triangular(self.cholesky, rest.mT, upper=False).mT
        return log_normal(e) - self.cholesky.diagonal().log().sum()


def staying(size: int) -> Predicted:
    """Constant position; `size` is that of the latent."""

    def mean(context: Tensor) -> Tensor:
        return torch.cat([context[:, :size], torch.zeros_like(context[:, :ROOT_DIM])], -1)

    return mean


def going_on(size: int, dt_s: float) -> Predicted:
    """Constant velocity of the latent and the root."""

    def mean(context: Tensor) -> Tensor:
        z = context[:, :size] + dt_s * context[:, size : 2 * size]
        return torch.cat([z, context[:, 2 * size : 2 * size + ROOT_DIM]], -1)

    return mean


def autoregression(context: Float[Tensor, "rows q"], x: Float[Tensor, "rows x"]) -> Predicted:
    """VAR(2): the linear function of the two frames before that fits steps best."""
    centre, spread = context.mean(0), context.std(0).clamp_min(1e-6)

    def features(q: Tensor) -> Tensor:
        q = (q - centre) / spread
        return torch.cat([q, torch.ones_like(q[:, :1])], -1)

    rows = features(context).double()
    gram = rows.mT @ rows / len(rows)
    gram += _RIDGE * torch.eye(len(gram), dtype=gram.dtype)
    weights = torch.linalg.solve(gram, rows.mT @ x.double() / len(rows)).float()
    return lambda q: features(q) @ weights


def rolled_out(mean: Predicted, past: LatentMotion, frames: int, dt_s: float) -> LatentMotion:
    """The motion in which every step is the predicted one."""
    dt = torch.tensor([dt_s])
    window, out = past.frames(-2), past.frames(-1)
    for _ in range(frames):
        x = mean(contexts(window, dt)[:, 0])
        window = window.frames(-1).then(stepped(window.frames(-1), x, dt))
        out = out.then(window.frames(-1))
    return out.frames(1)
