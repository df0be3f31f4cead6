"""What the dynamics of people say of one person's frames (`kinflow.energy.dynamics`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

import kinflow.priors
from kinflow.checks import not_negative, positive
from kinflow.energy.dynamics import StepModel, step_coordinates
from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.track_targets import TrackWindow
from kinflow.predictors.predictor import weights_sha256
from kinflow.priors.base import PosePrior
from kinflow.priors.dynamics import Dynamics

_UNEVEN = 0.2
"""Time steps that differ by a larger share are no steady ones."""


@dataclass(frozen=True)
class TrackDynamicsConfig:
    """How much the dynamics of people have to say."""

    weight: float = 1.0
    """Of the energy of each frame; 0 leaves the dynamics out."""
    cutoff: float = 4.0
    """In standard deviations for each number of a step: what people rarely do is no worse."""

    def __post_init__(self) -> None:
        not_negative(self, "weight")
        positive(self, "cutoff")


def dynamics_for(prior: PosePrior, config: TrackDynamicsConfig) -> Dynamics | None:
    """The shipped dynamics, if they have a say and their latents are those of this prior."""
    if config.weight == 0:
        return None
    dynamics, own = Dynamics.load(), kinflow.priors.load()
    if prior.family != own.family or prior.latent_dim != own.latent_dim:
        return None
    return dynamics if weights_sha256(prior) == weights_sha256(own) else None


def steps_about(
    dynamics: Dynamics,
    track: TrackWindow,
    bodies: Unknowns,
    up_still: Float[Tensor, " 3"],
    config: TrackDynamicsConfig,
) -> StepModel | None:
    """The model of a track's steps about some bodies; None where there is nothing to be said.

    Frames that are unevenly apart, or by other times than the dynamics know, are left out.

    Args:
        dynamics: of the bodies' latents.
        track: its frames.
        bodies: of all frames, each in its own camera's frame.
        up_still: what is up for the camera that stands still.
    """
    step_s = torch.diff(track.times_s).to(bodies.z)
    dt_s = 0.5 * (step_s[1:] + step_s[:-1])
    steady = (step_s[1:] - step_s[:-1]).abs() < _UNEVEN * dt_s
    usable = steady & dynamics.covers(dt_s)
    if not bool(usable.any()):
        return None
    known_s = torch.where(usable, dt_s, dt_s[usable][0])
    about = step_coordinates(track.in_still(bodies), known_s, up_still)
    size = dynamics.network.config.step_dim
    e, slope = dynamics.gaussian(about[:, :size], about[:, size:], known_s)
    return StepModel(known_s, up_still, about, e, slope, config.weight * usable, config.cutoff)
