"""What runs of all kinds of predictors have in common: how they step, and which are the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from kinflow.body.model import BodyModel
from kinflow.files.tensor_files import checksum
from kinflow.predictors.coordinates import ROTATION, ViewFrame
from kinflow.predictors.predictor import Predictor
from kinflow.training.loop import LoopConfig
from kinflow.training.predictors.batches import Labelled
from kinflow.training.predictors.run_options import StepOptions
from kinflow.training.schedules import warm_up_and_cosine
from kinflow.version import __version__

STANDARDISED_BY = 4096
"""Samples that tell how large inputs and targets are."""
VALIDATION_SEED = 1_000_003
"""Of the studio that shows the people who choose the weights."""


def loop_config(config: StepOptions, device: str) -> LoopConfig:
    """How a run steps."""
    return LoopConfig(
        steps=config.steps,
        eval_every=config.eval_every,
        learning_rate=warm_up_and_cosine(config.learning_rate, config.steps),
        max_gradient_norm=5.0,
        seed=config.seed,
        device=device,
        minutes=config.minutes,
        eval_seconds=config.eval_seconds,
    )


def optimizer(network: nn.Module, config: StepOptions) -> torch.optim.AdamW:
    """AdamW that lets matrices decay and nothing else."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    fused = matrices[0].is_cuda
    return torch.optim.AdamW(groups, config.learning_rate, betas=(0.9, 0.98), fused=fused)


def run_key(settings: Mapping[str, Any], data: Any, body: BodyModel, prior_sha256: str) -> str:
    """What must be the same when a run goes on, by the words of a refusal.

    Args:
        settings: options of the run but those that may change.
        data: what tells the samples from others.
        body: of the losses.
        prior_sha256: of the pose prior whose latent is predicted.
    """
    parts = ("rest_mean_m", "rest_basis_m", "Q_rest", "keypoint_mass")
    key = {
        "version of kinflow": __version__,
        "body": checksum({name: getattr(body, name).cpu() for name in parts}, {}),
        "pose prior": prior_sha256,
        "data": data,
        **{f"value of '{name}'": value for name, value in settings.items()},
    }
    return json.dumps(key, default=str)


@torch.no_grad()
def standardise_targets(predictor: Predictor, batch: Labelled, latent_size: int) -> None:
    """Targets of about unit size; as they were where no body of the batch is known."""
    frame = ViewFrame.of(batch.looks, latent_size)
    upright = torch.eye(3, device=batch.device).expand(len(batch), 3, 3)
    known = frame.to_vector(batch.truth, upright)[batch.has_body, ROTATION.stop :]
    if len(known):
        predictor.network.target_mean.copy_(known.mean(0))
        predictor.network.target_std.copy_(known.std(0).clamp(0.1, 3.0))
