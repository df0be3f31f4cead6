"""One person through frames as one problem: bodies in a chain that share a shape.

The energy is the sum of every frame's (`kinflow.energy.body_energy`) and what motion costs
(`kinflow.energy.motion`), solved in arrow form (`kinflow.optim.arrow`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.energy.body_energy import Energy, Targets
from kinflow.energy.dynamics import StepModel, dynamics_term
from kinflow.energy.motion import acceleration, sliding
from kinflow.energy.unknowns import Unknowns
from kinflow.optim import DenseModel, LMConfig, minimise
from kinflow.optim.arrow import ArrowModel, ArrowStep, ChainTerm


@dataclass(frozen=True)
class Chain:
    """What was seen of a person in frames, and what is known of them."""

    targets: Targets
    """One row a frame."""
    times_s: Float[Tensor, " frames"]
    shape: Float[Tensor, " shape"]
    """Mean of the latent shape before anything was seen."""
    shape_std: Float[Tensor, " shape"]
    settled: int = 0
    """So many of the first frames stay as they are; motion ties the others to them."""
    R_still_cam: Float[Tensor, "frames 3 3"] | None = None
    """From the camera's frame to that of one that stands still, where motion is what it is; None
    where the camera does."""


@dataclass(frozen=True)
class MotionCost:
    """What the motion of a chain's points costs."""

    inverse_std_acceleration: Float[Tensor, " points"]
    """In s²/m."""
    acceleration_cutoff: float
    inverse_std_sliding: Float[Tensor, "steps points"] | None
    """In s/m; None where nothing is known of contacts."""
    sliding_cutoff: float
    steps: StepModel | None = None
    """What the dynamics say; None where they have no say."""


@dataclass(frozen=True)
class _Bodies:
    """The bodies of all frames: a batch of one problem."""

    unknowns: Unknowns
    free: Float[Tensor, "frames 1"]
    """1 for frames that move, 0 for those that are settled."""

    def __len__(self) -> int:
        return 1

    def step(self, step: ArrowStep) -> _Bodies:
        """Every frame's own step and the common one."""
        frames = step.frames[0]
        delta = torch.cat([frames, step.shared.expand(len(frames), -1)], -1)
        return replace(self, unknowns=self.unknowns.step(self.free * delta.to(self.free)))

    def __getitem__(self, rows: Any) -> _Bodies:
        return self

    def replaced(self, rows: Tensor, values: _Bodies) -> _Bodies:
        """The others, which are all there is."""
        return values if len(rows) else self


def solve(
    energy: Energy, chain: Chain, start: Unknowns, cost: MotionCost, config: LMConfig
) -> Unknowns:
    """The bodies of all frames of one person, fitted together.

    Args:
        energy: of a frame; its shape prior is replaced by the chain's, which counts once.
        chain: what was seen.
        start: one row a frame; those that are not settled are of one shape.
        cost: of motion.
        config: stopping and damping.
    """
    of_frames = Energy(
        energy.model, energy.origin, replace(energy.config, shape_weight=0.0), energy.vertices
    )
    layout = of_frames.layout
    free = torch.ones_like(start.log_focal)[:, None]
    free[: chain.settled] = 0
    weight = energy.config.shape_weight**0.5 / chain.shape_std

    def linearise(bodies: _Bodies, rows: Tensor) -> ArrowModel:
        state = of_frames.model.evaluate(bodies.unknowns)
        r, J = of_frames.linearise(bodies.unknowns, chain.targets, state)
        J = J * free[..., None]
        terms = [ChainTerm(r[None], J[None, :, None, :, layout.frame], J[None, ..., layout.shared])]
        assert state.jacobian is not None
        points_m, own_J = state.keypoints_cam_m, state.jacobian * free[..., None, None]
        if chain.R_still_cam is not None:
            points_m = points_m @ chain.R_still_cam.mT
            own_J = chain.R_still_cam[:, None] @ own_J
        moved = (points_m, own_J, chain.times_s)
        if len(free) > 2:
            given = (cost.inverse_std_acceleration, cost.acceleration_cutoff)
            terms.append(acceleration(*moved, *given, layout))
        if cost.inverse_std_sliding is not None:
            terms.append(sliding(*moved, cost.inverse_std_sliding, cost.sliding_cutoff, layout))
        if cost.steps is not None:
            term = dynamics_term(bodies.unknowns, cost.steps, layout, chain.R_still_cam)
            kept = torch.stack([free[i : i + len(free) - 2, 0] for i in range(3)], 1)
            terms.append(replace(term, jacobian=term.jacobian * kept[None, ..., None, None]))
        own = (weight * (bodies.unknowns.s[-1:] - chain.shape)).double()
        prior = DenseModel.of(own, torch.diag(weight)[None].double())
        return ArrowModel.of(terms, prior)

    with torch.no_grad():
        return minimise(_Bodies(start, free), linearise, config).state.unknowns
