"""Batched Levenberg-Marquardt on a manifold: many independent problems advance together.

Each problem keeps its own damping and accepts or rejects its own steps; problems that have ended
leave the batch, so that the cost of an iteration follows what is still moving. What a step is, and
how it is solved for, is the business of the quadratic model (`dense` or `arrow`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.checks import not_negative, number, positive, whole

_MIN_DAMPING = 1e-7


class Status(IntEnum):
    """How a problem ended."""

    CONVERGED = 0
    NO_STEP = 1
    EXHAUSTED = 2
    NOT_FINITE = 3


STATUS_SENTENCES: dict[Status, str] = {
    Status.CONVERGED: "The last step that was taken hardly lowered the energy.",
    Status.NO_STEP: "No step lowered the energy, though its slope says that one should.",
    Status.EXHAUSTED: "The iterations were used up while the energy was still falling.",
    Status.NOT_FINITE: "The energy at the start is not a finite number.",
}


@runtime_checkable
class State(Protocol):
    """A batch of points on a manifold, one a problem."""

    def __len__(self) -> int:
        """How many problems there are."""
        ...

    def step(self, step: Any, /) -> State:
        """The points reached along a local step."""
        ...

    def __getitem__(self, rows: Any, /) -> State:
        """Some of the points."""
        ...

    def replaced(self, rows: Tensor, values: Any, /) -> State:
        """A copy in which some of the points are exchanged."""
        ...


@runtime_checkable
class QuadraticModel(Protocol):
    """The Gauss-Newton model of a batch of problems about their states."""

    @property
    def energy(self) -> Float[Tensor, " problems"]:
        """0.5 sum r^2 of each problem."""
        ...

    def step(self, damping: Float[Tensor, " problems"], max_step: float) -> Any:
        """The damped step, no longer than `max_step`; zero where it cannot be solved for."""
        ...

    def expected_gain(self, damping: Float[Tensor, " problems"]) -> Float[Tensor, " problems"]:
        """By how much the damped step would lower the energy if the model were right."""
        ...

    def __getitem__(self, rows: Any, /) -> QuadraticModel:
        """The models of some of the problems."""
        ...

    def replace(self, rows: Int[Tensor, " rows"], values: Any) -> None:
        """Exchange, in place, the models of some problems."""
        ...


StateT = TypeVar("StateT", bound=State)
Linearise = Callable[[Any, Int[Tensor, " problems"]], QuadraticModel]


@dataclass(frozen=True)
class LMConfig:
    """When to stop and how to damp."""

    max_iterations: int = 40
    relative_tolerance: float = 1e-3
    """A problem is done when an accepted step lowers its energy by less than this share."""
    absolute_tolerance: float = 1e-5
    """Nor does it matter how a problem whose energy is below this goes on."""
    initial_damping: float = 1e-2
    decrease: float = 0.3
    increase: float = 6.0
    max_damping: float = 1e4
    max_step: float = 6.0
    """Longest step in the local coordinates (standard deviations, mostly)."""

    def __post_init__(self) -> None:
        whole(self, "max_iterations", at_most=100_000)
        not_negative(self, "relative_tolerance", "absolute_tolerance")
        positive(self, "initial_damping", "max_damping", "max_step")
        number(self, "decrease", above=0, below=1)
        number(self, "increase", above=1)


@dataclass(frozen=True)
class LMResult(Generic[StateT]):
    """Where each problem ended."""

    state: StateT
    energy: Float[Tensor, " problems"]
    status: Int[Tensor, " problems"]
    """Values of `Status`."""
    iterations: int

    @property
    def converged(self) -> Bool[Tensor, " problems"]:
        """Which problems came to rest."""
        return self.status == Status.CONVERGED


def minimise(start: StateT, linearise: Linearise, config: LMConfig) -> LMResult[StateT]:
    """Minimise 0.5 sum r^2 for each problem of a batch.

    A trial point is evaluated with its Jacobian at once: in a batch some steps are always accepted,
    and a second evaluation of those would cost more than the Jacobians that are thrown away.

    Args:
        start: initial states.
        linearise: the model about given states of the problems whose indices are given.
        config: stopping and damping.
    """
    x: Any = start
    model = linearise(x, torch.arange(len(start)))
    energy = model.energy.clone()
    count, device = len(energy), energy.device
    damping = torch.full((count,), config.initial_damping, device=device, dtype=energy.dtype)
    status = torch.full((count,), int(Status.EXHAUSTED), device=device)
    status[~energy.isfinite()] = Status.NOT_FINITE
    status[energy < config.absolute_tolerance] = Status.CONVERGED
    moved = torch.zeros(count, dtype=torch.bool, device=device)
    iteration = 0
    while iteration < config.max_iterations:
        (active,) = torch.nonzero(status == Status.EXHAUSTED, as_tuple=True)
        if not len(active):
            break
        iteration += 1
        if len(active) == count:  # none need be copied
            trial = x.step(model.step(damping, config.max_step))
        else:
            trial = x[active].step(model[active].step(damping[active], config.max_step))
        trial_model = linearise(trial, active)
        previous, reached = energy[active], trial_model.energy
        better = reached < previous
        accepted = active[better]
        factor = torch.where(better, config.decrease, config.increase).to(damping)
        damping[active] = (damping[active] * factor).clamp(_MIN_DAMPING, 10 * config.max_damping)
        if len(accepted) == count:
            x, model = trial, trial_model
            energy[accepted] = reached
        elif len(accepted):
            x = x.replaced(accepted, trial[better])
            energy[accepted] = reached[better]
            model.replace(accepted, trial_model[better])
        if len(accepted):
            moved[accepted] = True
            gain = (previous - reached)[better] / previous[better].clamp_min(1e-12)
            done = (gain < config.relative_tolerance) | (
                energy[accepted] < config.absolute_tolerance
            )
            status[accepted[done]] = Status.CONVERGED
        stuck = active[
            (status[active] == Status.EXHAUSTED) & (damping[active] > config.max_damping)
        ]
        if len(stuck):
            status[stuck] = _at_rest(model[stuck], energy[stuck], moved[stuck], config)
    return LMResult(x, energy, status, iteration)


def _at_rest(
    model: QuadraticModel, energy: Tensor, moved: Tensor, config: LMConfig
) -> Int[Tensor, " problems"]:
    """The status of problems that no step improves any more.

    One that came here step by step has come to rest. One that never moved has only if it began at a
    minimum, where the model expects nothing of a step either.
    """
    gain = model.expected_gain(torch.full_like(energy, config.initial_damping))
    at_minimum = gain < config.relative_tolerance * energy
    rest = moved | at_minimum
    return torch.where(rest, int(Status.CONVERGED), int(Status.NO_STEP))
