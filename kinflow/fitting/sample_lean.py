"""How far the trunks of bodies lean, by which a network's samples count where nobody saw legs.

What such a body stands or sits on is not in the picture, and the network lets it lean by as much as
the line of sight leaves open. But people lean little, and the camera says what is about up
before anybody is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.results import Gravity

_SPINE = [FREE_JOINTS.index(JOINT_INDEX[name]) for name in ("spine1", "spine2", "spine3")]
_LYING = 0.05
"""Added to the density of leans, 1 where it is highest: some people lie, and all leans are alike
then."""
_LEAST_SAMPLES = 12.0
"""Effective number of samples; where fewer would count, all count alike."""


@dataclass(frozen=True)
class KnownUp:
    """What is up for each of some people, as far as it is known before they are fitted."""

    up_cam: Float[Tensor, "people 3"]
    std_deg: Float[Tensor, " people"]

    @staticmethod
    def of(gravity: Sequence[Gravity], rows: Sequence[range]) -> KnownUp:
        """Of the people of photos.

        Args:
            gravity: of each photo.
            rows: of the people of each photo.
        """
        each = [known for known, mine in zip(gravity, rows, strict=True) for _ in mine]
        return KnownUp(
            torch.tensor([known.up_cam for known in each], dtype=torch.float32),
            torch.tensor([known.std_deg for known in each], dtype=torch.float32),
        )

    def __getitem__(self, people) -> KnownUp:
        """Those of some of the people."""
        return KnownUp(self.up_cam[people], self.std_deg[people])


def trunks(
    R_cam_root: Float[Tensor, "*batch 3 3"], R_free: Float[Tensor, "*batch 19 3 3"]
) -> Float[Tensor, "*batch 3"]:
    """The way from pelvis to neck, of length 1, by how pelvis and vertebrae are turned."""
    turned, along = R_cam_root, R_cam_root[..., 1]
    for joint in _SPINE:
        turned = turned @ R_free[..., joint, :, :]
        along = along + turned[..., 1]
    return torch.nn.functional.normalize(along, dim=-1)


def upright_weights(
    trunk: Float[Tensor, "people samples 3"],
    known: KnownUp,
    lean_std_deg: float,
    counts: Bool[Tensor, "people samples"],
) -> Float[Tensor, "people samples"]:
    """How much samples count, 1 on average of those that do, by a normal distribution of leans.

    Args:
        trunk: of each sample.
        known: what is up.
        lean_std_deg: spread of trunks.
        counts: samples that count at all.
    """
    cosine = (trunk @ known.up_cam.to(trunk)[..., None])[..., 0]
    lean = torch.rad2deg(cosine.clamp(-1, 1).acos())
    variance = lean_std_deg**2 + known.std_deg.to(trunk)[:, None].square()
    chance = ((-0.5 * lean.square() / variance).exp() + _LYING) * counts
    chance = chance / chance.sum(1, keepdim=True)
    enough = chance.square().sum(1, keepdim=True) * _LEAST_SAMPLES < 1
    return torch.where(enough, chance * counts.sum(1, keepdim=True), counts.to(chance))
