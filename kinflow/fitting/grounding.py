"""What the people of photos share, as targets of their fits: what is up, and the floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.energy.body_energy import Targets
from kinflow.energy.ground import FloorTarget, TrunkTarget, UpTarget
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.fitting.gravity import GravityEstimator, Ground
from kinflow.fitting.multistart import Candidates
from kinflow.fitting.nearer import nearer
from kinflow.results import Gravity


def with_up(
    targets: Targets,
    estimator: GravityEstimator,
    gravity: Sequence[Gravity],
    rows: Sequence[range],
    legs: Float[Tensor, " people"],
) -> Targets:
    """Targets of all people, those of each photo with what is up there.

    Args:
        targets: of everybody, photo by photo.
        estimator: how closely poses keep to it.
        gravity: of each photo.
        rows: of the people of each photo.
        legs: how certain each person's surer knee is.
    """
    up = [
        estimator.target(known, legs[mine.start : mine.stop])
        for known, mine in zip(gravity, rows, strict=True)
    ]
    return replace(targets, up=UpTarget.concatenate(up))


def with_trunk(
    targets: Targets,
    estimator: GravityEstimator,
    gravity: Sequence[Gravity],
    rows: Sequence[range],
    legs: Float[Tensor, " people"],
    weights: Float[Tensor, " points"],
) -> Targets:
    """Targets of all people, whose trunks are as upright as is usual.

    Args:
        targets, estimator, gravity, rows, legs: as in `with_up`.
        weights: of the points of the fit, along the trunk.
    """
    trunk = [
        estimator.trunk_target(known, legs[mine.start : mine.stop], weights)
        for known, mine in zip(gravity, rows, strict=True)
    ]
    return replace(targets, trunk=TrunkTarget.concatenate(trunk))


def with_floor(
    targets: Targets, estimator: GravityEstimator, ground: Sequence[Ground], rows: Sequence[range]
) -> Targets:
    """Targets of all people, those of each photo with its floor.

    Args:
        targets, estimator, rows: as in `with_up`.
        ground: of each photo.
    """
    if not any(known.is_shared for known in ground):
        return targets
    floor = [
        estimator.floor_target(known, len(mine)) for known, mine in zip(ground, rows, strict=True)
    ]
    return replace(targets, floor=FloorTarget.concatenate(floor))


def with_nearer(
    found: Candidates,
    model: KeypointModel,
    best: Int[Tensor, " people"],
    ground: Sequence[Ground],
) -> Candidates:
    """Candidates and, of people whom the floor takes for children, the best one nearer.

    Args:
        found: bodies of everybody.
        model: of the fits.
        best: row of each person's best.
        ground: of each photo, in the order of people.
    """
    known = [one.distance for one in ground if one.distance is not None]
    if not known:
        return found
    distance = torch.cat(known)
    rows = torch.nonzero(distance < 1)[:, 0]
    if not len(rows):
        return found
    factor = distance[rows].to(found.energy)
    bodies = nearer(model, found.unknowns[best[rows]], factor)
    more = Candidates(
        bodies, found.energy[best[rows]], found.person[best[rows]], ("floor",) * len(rows)
    )
    return Candidates.concatenate([found, more])
