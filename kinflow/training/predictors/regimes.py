"""What a regime lets a training know of samples, whatever is known of them.

After Zanfir et al. 2020, section 4. `fs` learns from what is known in space and leaves the other
samples out; `ws` also from keypoints and parts in the picture; `ss` from nothing but what the
detector itself saw; `mix` from all of it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from kinflow.training.predictors.batches import Labelled, seen_points
from kinflow.training.predictors.sources import ALL_LABELS, LookLabel

Regime = Literal["fs", "ws", "ss", "mix"]


@torch.no_grad()
def as_known(
    batch: Labelled,
    regime: Regime,
    in_space: Bool[Tensor, " samples"],
    use: Collection[LookLabel] = ALL_LABELS,
) -> Labelled:
    """Samples of which no more is known than a regime and a source allow.

    Args:
        batch: samples with all of their labels.
        regime: which labels are used.
        in_space: of whom labels in space may be used.
        use: labels that the source allows.
    """

    def only(label: LookLabel, values: Tensor, where: Tensor | None = None) -> Tensor:
        """Labels, zero where they are not to be used."""
        if label not in use or regime == "ss":
            return torch.zeros_like(values)
        if where is None:
            return values
        return values * where.view(-1, *[1] * (values.dim() - 1)).to(values.dtype)

    points = only("keypoints", batch.points)
    if regime in ("ss", "mix") and "seen" in use:
        labelled = (points[..., 2:] > 0).any(1, keepdim=True)
        points = torch.where(labelled, points, seen_points(batch.looks.landmarks))
    parts = only("parts", batch.parts)
    return replace(
        batch,
        has_body=only("body", batch.has_body, in_space),
        has_pose=only("pose", batch.has_pose, in_space),
        has_root=only("pose", batch.has_root, in_space),
        joints_cam_m=only("joints", batch.joints_cam_m, in_space),
        points=points,
        parts=torch.zeros_like(parts) if regime == "fs" else parts,
    )


def is_used(batch: Labelled, regime: Regime) -> Bool[Tensor, " samples"]:
    """From whom there is something to learn, of samples of which no more is known than allowed."""
    return batch.in_space if regime == "fs" else batch.in_space | batch.in_picture
