"""How far joints could really be elsewhere: spreads that hold for people whose truth is known.

Laplace's approximation describes one minimum of the energy under the energy's own assumptions. On
rendered people one joint in five lies within what it takes for the region of 90 %: other bodies
explain the image too, what a network believes has more room than the fit that follows it, and
noise is not what it is taken for. So what is stated is a regression on all of these,

    log std = a + b log laplace + c log(1 + others² / laplace²) + d unseen + e log network,

with coefficients for each group of joints, one set for people of whom a network believes something
and one for all others. `python benchmarks/uncertainty.py` prints them, and how many joints of
people that they were not fitted to are in the regions that follow (`kinflow.results.regions`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from kinflow.body.keypoints import BLAZEPOSE33, KEYPOINT_INDEX
from kinflow.body.sides import SIDES
from kinflow.body.skeleton import JOINT_NAMES, NUM_JOINTS
from kinflow.results.regions import group_rows

TEMPERATURE = 5.0
"""Of the weights exp(-energy / temperature) of bodies: energies take errors for independent."""

WITH_NETWORK: tuple[tuple[float, ...], ...] = (
    (0.20, 0.52, 0.10, 0.37, 0.24),
    (-1.14, 0.14, 0.10, 0.49, 0.27),
    (-0.77, 0.24, 0.10, 0.22, 0.29),
    (-0.95, 0.21, 0.10, 0.41, 0.26),
    (-1.30, 0.10, 0.10, 0.45, 0.38),
    (-0.14, 0.38, 0.10, 0.10, 0.27),
    (-0.55, 0.18, 0.10, 0.30, 0.33),
)
"""a, b, c, d, e of each group of joints (rows in the order of `JOINT_GROUPS`)."""
ALONE: tuple[tuple[float, ...], ...] = (
    (0.74, 0.97, 0.18, 0.50),
    (1.08, 1.04, 0.11, 0.39),
    (1.18, 1.13, 0.37, 0.00),
    (0.67, 0.95, 0.36, 0.08),
    (1.52, 1.13, 0.32, 0.35),
    (1.74, 1.30, 0.33, 0.12),
    (1.13, 1.09, 0.26, 0.04),
)
"""a, b, c, d where no network believes anything."""

OF_NETWORK: tuple[tuple[float, float, float], ...] = (
    (-0.47, 0.55, 0.88),
    (-0.63, 0.59, 0.79),
    (-0.49, 0.23, 0.91),
    (-0.90, 0.51, 0.79),
    (-0.01, 0.68, 0.96),
    (-0.46, 0.36, 0.86),
    (-0.20, 0.44, 1.04),
)
"""a, d, e of bodies that a network alone told: nobody searched, and there is no Laplace. `python
benchmarks/network_alone.py` prints them."""

ROOT_FACTOR, HEIGHT_FACTOR = 2.3, 1.4
"""By how much Laplace's spreads of the place and the height of rendered adults are too small. Who
is a child and was not known as one is further away from where they are stated."""
ROOT_FACTOR_WITH_NETWORK, HEIGHT_FACTOR_WITH_NETWORK = 3.7, 3.2
"""Likewise where a network says how far away people are and how tall."""

_LEAST_M, _MOST_M = 0.003, 0.6
"""Deviations are from nobody's reach of a joint to that of a leg to all sides."""


@dataclass(frozen=True)
class JointSigns:
    """What tells how far each joint of bodies may be elsewhere, relative to the pelvis."""

    laplace_m: Float[Tensor, "*batch 22"]
    """Laplace's approximation."""
    others_m: Float[Tensor, "*batch 22"]
    """Deviation of all bodies that were found from the one that is stated; 0 where that is not
    known."""
    unseen: Float[Tensor, "*batch 22"]
    """1 less the confidence of the joint's keypoints."""
    network_m: Float[Tensor, "*batch 22"]
    """Deviation of what a network believes from the body; NaN where there is no belief."""

    def features(self) -> Float[Tensor, "*batch 22 5"]:
        """What the regression is on; the last one is NaN where no network knows anything."""
        laplace_m = self.laplace_m.clamp(_LEAST_M, _MOST_M)
        return torch.stack(
            [
                torch.ones_like(laplace_m),
                laplace_m.log(),
                torch.log1p((self.others_m / laplace_m).square()),
                self.unseen,
                self.network_m.clamp(_LEAST_M, _MOST_M).log(),
            ],
            -1,
        )

    def std_m(self) -> Float[Tensor, "*batch 22"]:
        """Standard deviations as they are stated; 0 for the pelvis."""
        features, rows = self.features(), group_rows()
        alone = (features[..., :4] * torch.tensor(ALONE, dtype=torch.float32)[rows]).sum(-1)
        joint = (features * torch.tensor(WITH_NETWORK, dtype=torch.float32)[rows]).sum(-1)
        std_m = torch.where(joint.isnan(), alone, joint).exp().clamp(_LEAST_M, _MOST_M)
        return torch.cat([torch.zeros_like(std_m[..., :1]), std_m[..., 1:]], -1)


def std_of_network_m(
    network_m: Float[Tensor, "*batch 22"], unseen: Float[Tensor, "*batch 22"]
) -> Float[Tensor, "*batch 22"]:
    """Standard deviations of joints of bodies that a network alone told; 0 for the pelvis.

    Args:
        network_m: by how much the joints of its samples are elsewhere.
        unseen: 1 less the confidence of the joints' keypoints.
    """
    features = network_features(network_m, unseen)
    weight = torch.tensor(OF_NETWORK, dtype=torch.float32)[group_rows()]
    std_m = (features * weight).sum(-1).exp().clamp(_LEAST_M, _MOST_M)
    return torch.cat([torch.zeros_like(std_m[..., :1]), std_m[..., 1:]], -1)


def network_features(
    network_m: Float[Tensor, "*batch 22"], unseen: Float[Tensor, "*batch 22"]
) -> Float[Tensor, "*batch 22 3"]:
    """What that regression is on."""
    log_m = network_m.clamp(_LEAST_M, _MOST_M).log()
    return torch.stack([torch.ones_like(log_m), unseen, log_m], -1)


def deviation_m(
    joints_m: Float[Tensor, "*batch bodies 22 3"],
    body_m: Float[Tensor, "*batch 22 3"],
    weight: Float[Tensor, "*batch bodies"],
) -> Float[Tensor, "*batch 22"]:
    """Root of the mean square per axis by which bodies' joints, about the pelvis, are elsewhere.

    Args:
        joints_m: of the bodies.
        body_m: of the body that they differ from.
        weight: of the bodies; they sum up to 1.
    """
    own = (body_m - body_m[..., :1, :])[..., None, :, :]
    gap = joints_m - joints_m[..., :1, :] - own
    return (weight[..., None] * gap.square().mean(-1)).sum(-2).sqrt()


def place_factors(believed: Bool[Tensor, " batch"]) -> Float64[Tensor, "batch 2"]:
    """Factors on Laplace's spreads of place and height.

    Args:
        believed: of whom a network believes something.
    """
    alone = torch.tensor([ROOT_FACTOR, HEIGHT_FACTOR], dtype=torch.float64)
    joint = torch.tensor(
        [ROOT_FACTOR_WITH_NETWORK, HEIGHT_FACTOR_WITH_NETWORK], dtype=torch.float64
    )
    return torch.where(believed[:, None], joint, alone)


def weights(energy: Float[Tensor, " bodies"]) -> Float[Tensor, " bodies"]:
    """How much bodies of these energies count."""
    return torch.softmax(-energy / TEMPERATURE, 0)


def unseen(keypoints_px: Float[Tensor, "*batch 33 3"]) -> Float[Tensor, "*batch 22"]:
    """1 less the confidence of what shows each joint."""
    return 1 - keypoints_px[..., 2] @ shown_by().to(keypoints_px)


def shown_by() -> Float[Tensor, "33 22"]:
    """Weights of the keypoints that show each joint."""
    weight = torch.zeros(len(BLAZEPOSE33), NUM_JOINTS, dtype=torch.float32)
    for joint, name in enumerate(JOINT_NAMES):
        shown = _KEYPOINTS.get(name, (name,))
        weight[[KEYPOINT_INDEX[keypoint] for keypoint in shown], joint] = 1 / len(shown)
    return weight


def _pairs(*names: str) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for name in names for side in SIDES)


_TRUNK = _pairs("hip", "shoulder")
_KEYPOINTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("pelvis", "spine1", "spine2", "spine3"), _TRUNK),
    **dict.fromkeys(("neck", *_pairs("collar")), _pairs("shoulder")),
    "head": ("nose", *_pairs("ear")),
    **{f"{side}_foot": (f"{side}_big_toe",) for side in SIDES},
}
"""Of joints that no keypoint has its name from."""
