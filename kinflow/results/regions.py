"""Regions in which joints are with a stated probability.

Errors of bodies seen from one side are no Gaussian's: they are mostly along the line of sight, and
now and then a limb is somewhere else altogether. On rendered people the distance between a joint
and where it is stated, both relative to the pelvis, is distributed as Weibull has it,

    P(distance < r) = 1 − exp(−(r / λ)^k),     3 std² = E distance² = λ² Γ(1 + 2 / k),

with a shape k for each group of joints. A Gaussian would have the 90 % of a region right and put
two thirds of the joints into its 50 %. `python benchmarks/uncertainty.py` prints the shapes.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.body.sides import SIDES
from kinflow.body.skeleton import JOINT_INDEX, NUM_JOINTS


def _of_both_sides(*names: str) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for side in SIDES for name in names)


JOINT_GROUPS: dict[str, tuple[str, ...]] = {
    "trunk and head": (
        *("spine1", "spine2", "spine3", "neck", "head"),
        *_of_both_sides("collar"),
    ),
    "shoulders": _of_both_sides("shoulder"),
    "elbows": _of_both_sides("elbow"),
    "wrists": _of_both_sides("wrist"),
    "hips": _of_both_sides("hip"),
    "knees": _of_both_sides("knee"),
    "ankles and feet": _of_both_sides("ankle", "foot"),
}
"""Joints whose errors are alike: all but the pelvis, which the others are relative to."""

SHAPES: dict[str, float] = {
    "trunk and head": 1.68,
    "shoulders": 1.62,
    "elbows": 1.5,
    "wrists": 1.38,
    "hips": 1.39,
    "knees": 1.62,
    "ankles and feet": 1.72,
}
"""The k of each group."""


def group_rows() -> Int[Tensor, "22"]:
    """Number of the group of each joint; the pelvis counts as trunk."""
    rows = torch.zeros(NUM_JOINTS, dtype=torch.long)
    for number, names in enumerate(JOINT_GROUPS.values()):
        rows[[JOINT_INDEX[name] for name in names]] = number
    return rows


def weibull_scale(shape: Float[Tensor, "*joints"]) -> Float[Tensor, "*joints"]:
    """λ of joints whose standard deviation is 1."""
    return (3 / torch.special.gammaln(1 + 2 / shape).exp()).sqrt()


def radius_m(std_m: Float[Tensor, "*batch 22"], share: float) -> Float[Tensor, "*batch 22"]:
    """Radius of the ball that each joint is in with a probability.

    Args:
        std_m: standard deviations (`Person.joint_std_m`).
        share: the probability, from 0 to less than 1.
    """
    shape = torch.tensor(list(SHAPES.values()), dtype=torch.float32)[group_rows()].to(std_m)
    return std_m * weibull_scale(shape) * (-math.log1p(-share)) ** (1 / shape)
