"""What the dynamics of people say of one person's frames (`kinflow.energy.dynamics`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
from kinflow.priors.dynamics import Dynamics, LatentMotion

UNEVEN = 0.2
"""Time steps that differ by a larger share are no steady ones."""
_MOST = 0.8
"""Share of the frames that have to have steady steps of a known length."""


@dataclass(frozen=True)
class TrackDynamicsConfig:
    """How much the dynamics of people have to say."""

    weight: float = 4.0
    """Of the energy of each frame; 0 leaves the dynamics out."""
    cutoff: float = 4.0
    """Of the weighted numbers of a step, for each: what people rarely do is no worse."""
    acceleration_widening: float = 2.0
    """Factor on the spread of accelerations where the dynamics have a say."""

    def __post_init__(self) -> None:
        not_negative(self, "weight")
        positive(self, "cutoff", "acceleration_widening")


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
    """The model of a track's steps about some bodies; None for frame rates it knows nothing of.

    The few frames that are unevenly apart, or by other times than the dynamics know, are left out.

    Args:
        dynamics: of the bodies' latents.
        track: its frames.
        bodies: of all frames, each in its own camera's frame.
        up_still: what is up for the camera that stands still.
    """
    step_s = torch.diff(track.times_s).to(bodies.z)
    dt_s = 0.5 * (step_s[1:] + step_s[:-1])
    steady = (step_s[1:] - step_s[:-1]).abs() < UNEVEN * dt_s
    usable = steady & dynamics.covers(dt_s)
    if float(usable.float().mean()) < _MOST:
        return None
    known_s = torch.where(usable, dt_s, dt_s[usable][0])
    about = step_coordinates(track.in_still(bodies), known_s, up_still)
    size = dynamics.network.config.step_dim
    e, slope = dynamics.gaussian(about[:, :size], about[:, size:], known_s)
    return StepModel(known_s, up_still, about, e, slope, config.weight * usable, config.cutoff)


def bridged(
    dynamics: Dynamics, track: TrackWindow, bodies: Unknowns, up_still: Float[Tensor, " 3"]
) -> Unknowns:
    """Bodies that go through gaps as people mostly do between the frames around them.

    Gaps that begin before the third frame stay as they are, and so do those of frame rates that
    the dynamics do not know.

    Args:
        dynamics, track, bodies, up_still: as in `steps_about`.
    """
    still, R_world_still = track.in_still(bodies), upright(up_still)
    motion = LatentMotion(
        still.z, R_world_still @ still.R_cam_root, still.t_cam_root_m @ R_world_still.mT
    )
    filled = still
    for gap in _gaps(track):
        past, goal = motion.frames(gap.start - 2, gap.start), motion.frames(gap.stop, gap.stop + 1)
        step_s = torch.diff(track.times_s[gap.start - 2 : gap.stop + 1])
        dt_s = step_s.mean().to(still.z)
        if not bool(dynamics.covers(dt_s)) or float(step_s.max()) > (1 + UNEVEN) * float(dt_s):
            continue
        way = dynamics.inbetween(past, goal, len(gap), dt_s)
        rows = torch.tensor(list(gap), device=still.z.device)
        filled = filled.replaced(
            rows,
            replace(
                still[rows],
                R_cam_root=R_world_still.mT @ way.R_root,
                t_cam_root_m=way.root_m @ R_world_still,
                z=way.z,
            ),
        )
    return track.in_own(filled)


def _gaps(track: TrackWindow) -> list[range]:
    """Rows of frames in a row that lack the person and are open, with two frames before."""
    gaps: list[range] = []
    begin = max(2, track.settled)
    for row in range(begin, len(track.seen)):
        if track.seen[row] is not None:
            if row > begin:
                gaps.append(range(begin, row))
            begin = row + 1
    return gaps


def upright(up: Float[Tensor, " 3"]) -> Float[Tensor, "3 3"]:
    """A rotation that takes up to the y axis."""
    y = torch.nn.functional.normalize(up, dim=0)
    across = torch.eye(3).to(y)[int(y.abs().argmin())]
    x = torch.nn.functional.normalize(torch.linalg.cross(y, across), dim=0)
    return torch.stack([x, y, torch.linalg.cross(x, y)])
