"""A recurrent regressor of motion with Gaussian noise, with which learned dynamics are compared.

A gated recurrent unit (Cho et al. 2014) reads contexts frame by frame and corrects constant
velocity. It is trained as forecasts use it: from the third frame on it sees its own predictions
(Martinez et al. 2017). The density of a step is a Gaussian about the mean after one context, with
the covariance of what is left in training (`GaussianSteps`), so that it knows what the others know.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.checks import positive, whole
from kinflow.evaluation.motion_models import autoregression, going_on
from kinflow.priors.dynamics.state import LatentMotion, contexts, stepped, steps
from kinflow.training.priors.dynamics_data import Recorded, Steps


@dataclass(frozen=True)
class RecurrentConfig:
    """How the regressor is made and trained.

    Attributes:
        hidden: numbers of its state.
        frames: of a window, two of which are given.
        batch: windows a step.
        steps: of Adam.
        rate: of learning, at first; it falls to nothing by a cosine.
        asked: after so many steps it is asked how good it is; the best one stays.
        seed: of weights and windows.
    """

    hidden: int = 256
    frames: int = 14
    batch: int = 64
    steps: int = 1200
    rate: float = 2e-3
    asked: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        whole(self, "hidden", "batch", "steps", "asked", at_least=1)
        whole(self, "frames", at_least=3, at_most=46)
        positive(self, "rate")


class Recurrent(nn.Module):
    """The regressor of steps at one frame rate.

    Args:
        training: steps that tell the spread of contexts and of what constant velocity leaves.
        size: of the latent.
        dt_s: time of a step.
        hidden: numbers of its state.
    """

    def __init__(self, training: Steps, size: int, dt_s: float, hidden: int) -> None:
        super().__init__()
        q = training.context
        self._goes_on, self._dt_s = going_on(size, dt_s), dt_s
        self._centre, self._spread = q.mean(0), q.std(0).clamp_min(1e-6)
        self._scale = (training.x - self._goes_on(q)).std(0)
        self.cell = nn.GRUCell(q.shape[-1], hidden)
        self.head = nn.Linear(hidden, training.x.shape[-1])
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self, context: Float[Tensor, "rows q"], state: Float[Tensor, "rows h"] | None = None
    ) -> tuple[Float[Tensor, "rows x"], Float[Tensor, "rows h"]]:
        """The mean of the next step, and the state after this context."""
        after = self.cell((context - self._centre) / self._spread, state)
        return self._goes_on(context) + self._scale * self.head(after), after

    def mean(self, context: Float[Tensor, "rows q"]) -> Float[Tensor, "rows x"]:
        """Of the next step, of somebody of whom two frames are known."""
        return self(context)[0]

    def steps_ahead(
        self, past: LatentMotion, frames: int
    ) -> tuple[LatentMotion, Float[Tensor, "rows frames x"]]:
        """The motion in which every step is the predicted one, and these steps."""
        dt = torch.tensor([self._dt_s])
        window, state, out, xs = past.frames(-2), None, [], []
        for _ in range(frames):
            x, state = self(contexts(window, dt)[:, 0], state)
            window = window.frames(-1).then(stepped(window.frames(-1), x, dt))
            out.append(window.frames(-1))
            xs.append(x)
        motion = out[0]
        for frame in out[1:]:
            motion = motion.then(frame)
        return motion, torch.stack(xs, 1)


def fitted(
    recorded: Sequence[Recorded],
    training: Steps,
    asked: Steps,
    dt_s: float,
    config: RecurrentConfig = RecurrentConfig(),
) -> Recurrent:
    """A regressor that is trained.

    Args:
        recorded: frames of the people to learn from.
        training: their steps.
        asked: steps of others, whose errors choose the weights.
        dt_s: time of a step; that of the recordings.
        config: how.
    """
    torch.manual_seed(config.seed)
    size = recorded[0].motion.z.shape[-1]
    model = Recurrent(training, size, dt_s, config.hidden)
    whiten = _whitening(training)
    optimiser = torch.optim.Adam(model.parameters(), config.rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: 0.5 + 0.5 * math.cos(math.pi * step / config.steps)
    )
    best, weights = math.inf, model.state_dict()
    with torch.enable_grad():
        for step in range(1, config.steps + 1):
            part = recorded[step % len(recorded)]
            rows = torch.multinomial(part.inner_weight[1], config.batch, replacement=True)
            frames = part.inner[1][rows][:, None] + torch.arange(-1, config.frames - 1)
            motion = part.motion_at(frames)
            truth = steps(motion, torch.tensor([dt_s]))[:, 1:]
            _, x = model.steps_ahead(motion.frames(0, 2), config.frames - 2)
            loss = ((x - truth) @ whiten).square().mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            if step % config.asked == 0 or step == config.steps:
                with torch.no_grad():
                    error = ((model.mean(asked.context) - asked.x) @ whiten).square().mean()
                if float(error) < best:
                    best = float(error)
                    weights = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(weights)
    return model


def _whitening(training: Steps) -> Float[Tensor, "x x"]:
    """Takes errors of steps to those that a linear model finds equally surprising."""
    rest = training.x - autoregression(training.context, training.x)(training.context)
    covariance = rest.double().mT @ rest.double() / len(rest)
    return torch.linalg.inv(torch.linalg.cholesky(covariance)).mT.float()
