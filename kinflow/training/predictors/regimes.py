"""What a regime lets a training know of samples whose bodies are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.training.predictors.batches import Labelled, crop_points, seen_points
from kinflow.training.predictors.losses import PredictorLoss

Regime = Literal["fs", "ws", "ss", "mix"]


@torch.no_grad()
def as_known(
    batch: Labelled, regime: Regime, labels: float, generator: torch.Generator | None = None
) -> Labelled:
    """Samples of which only so much is known as the regime and the share of labels have it.

    Args:
        batch: samples with annotated keypoints (`annotated`).
        regime: see `TrainPredictorConfig`.
        labels: share of the bodies that are known.
        generator: of the CPU; decides whose are.
    """
    if regime == "ss":
        unknown = torch.zeros_like(batch.has_body)
        return replace(batch, has_body=unknown, points=seen_points(batch.looks.landmarks))
    kept = torch.rand(len(batch), generator=generator).to(batch.device) < labels
    known = batch.has_body & kept
    return batch[known] if regime == "fs" else replace(batch, has_body=known)


@torch.no_grad()
def annotated(
    batch: Labelled, shows: Bool[Tensor, "samples 33"], loss_of: PredictorLoss
) -> Labelled:
    """The same with the keypoints of known bodies as somebody would mark them in the image.

    Args:
        batch: samples.
        shows: keypoints that nothing hides.
        loss_of: knows where keypoints of bodies are.
    """
    rows = torch.arange(len(batch), device=batch.device)
    xy: list[Float[Tensor, "some 33 2"]] = [
        crop_points(loss_of.points_m(part.truth), part.looks)
        for part in (batch[some] for some in rows.split(1024))
    ]
    marked = torch.cat([torch.cat(xy), shows[..., None].to(batch.points)], -1)
    return replace(batch, points=torch.where(batch.has_body[:, None, None], marked, batch.points))
