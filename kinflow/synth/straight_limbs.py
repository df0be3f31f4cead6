"""Recorded poses with knees and elbows bent as far as those of people in photographs.

Actors bend their limbs, and markers make of straight knees bent ones. Angles of motion capture
are replaced by those that as many people in photographs have who are seen from the side
(`python benchmarks/trust bends`); limbs that are bent by more than a right angle stay.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.hinges import ELBOWS, KNEES, hinge_flexion_deg, unbent

KNEE_DEG = (
    (0.0, 16.0, 28.0, 37.0, 49.0, 65.0, 80.0, 90.0),
    (0.0, 2.0, 5.0, 13.0, 24.0, 48.0, 75.0, 90.0),
)
"""Angles of motion capture, of people who do not sit, and those of photographs."""
ELBOW_DEG = ((0.0, 23.0, 42.0, 65.0, 93.0), (0.0, 4.0, 20.0, 45.0, 93.0))
"""The same of elbows."""


def straightened_limbs(R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch 19 3 3"]:
    """Poses with straighter knees and elbows, and feet that stay where they were seen from hips.

    Args:
        R_free: local rotations of the free joints.
    """
    bent = hinge_flexion_deg(R_free)
    less = torch.zeros_like(bent)
    for limbs, (angles, photographed) in ((KNEES, KNEE_DEG), (ELBOWS, ELBOW_DEG)):
        mine = bent[..., limbs]
        within = (mine > 0) & (mine < angles[-1])
        less[..., limbs] = torch.where(within, mine - _between(mine, angles, photographed), 0.0)
    return unbent(R_free, less)


def _between(x: Tensor, at: tuple[float, ...], values: tuple[float, ...]) -> Tensor:
    """Values on the straight lines between points."""
    points, heights = x.new_tensor(at), x.new_tensor(values)
    right = torch.searchsorted(points, x.contiguous()).clamp(1, len(at) - 1)
    start, end = points[right - 1], points[right]
    share = (x - start) / (end - start)
    return torch.lerp(heights[right - 1], heights[right], share)
