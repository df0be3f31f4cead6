"""Whether what a detector saw is the person whose labels are known."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.body.keypoints import BLAZEPOSE33, LIMB_KEYPOINTS, MIRROR_KEYPOINTS

LEAST_SCORE, LEAST_SHOWN = 0.5, 4
"""Who is less certainly a person, or of whom fewer keypoints show, is left out."""
_SAME_PERSON = 0.15
_POINTS = [*LIMB_KEYPOINTS, BLAZEPOSE33.index("nose")]
_MIRRORED = [MIRROR_KEYPOINTS[i] for i in _POINTS]


def are_of(
    seen: Float[Tensor, "*people 33 3"],
    truth: Float[Tensor, "*people 33 2"],
    shows: Bool[Tensor, "*people 33"],
) -> Bool[Tensor, "*people"]:
    """Whether keypoints are those of these people, be it with sides exchanged.

    Args:
        seen: (x, y, confidence) by the detector, in any unit.
        truth: where they are, in the same unit.
        shows: those that nothing hides.
    """
    both = shows[..., _POINTS] & (seen[..., _POINTS, 2] > 0.3)
    size = (truth.amax(-2) - truth.amin(-2)).norm(dim=-1)
    gaps = []
    for rows in (_POINTS, _MIRRORED):
        gap = (seen[..., rows, :2] - truth[..., _POINTS, :]).norm(dim=-1)
        gaps.append(gap.masked_fill(~both, torch.nan).nanquantile(0.5, -1))
    return torch.minimum(*gaps) < _SAME_PERSON * size  # where nothing was seen, it is not
