"""What the part parser learns from: cross entropy, and the overlap of each part."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.evidence.part_network import NUM_LABELS
from kinflow.training.parts.pictures import IGNORED

_NEVER = 1000.0
_EMPTY = 0.02
"""Probability in the mask below which a cell of the background is far from any outline."""


def cell_weights(
    target: Int[Tensor, "batch rows columns"],
    mask: Float[Tensor, "batch rows columns"],
    empty_share: float,
    border_weight: float,
) -> Float[Tensor, "batch rows columns"]:
    """How much each cell counts in the cross entropy.

    Args:
        target: labels, `IGNORED` where nothing is known.
        mask: probability that a cell shows the person.
        empty_share: weight of the empty background, which has little to teach.
        border_weight: what cells beside another part of the body count more.
    """
    weight = torch.where((target == 0) & (mask < _EMPTY), empty_share, 1.0)
    weight = weight * (target != IGNORED)
    return weight + border_weight * between_parts(target)


def between_parts(target: Int[Tensor, "batch rows columns"]) -> Float[Tensor, "batch rows columns"]:
    """1 in cells of the body one of whose eight neighbours shows another part of it."""
    part = (target != IGNORED) & (target > 0)
    labels = target.float()
    highest = F.max_pool2d(labels.where(part, -_NEVER), 3, 1, 1)
    lowest = -F.max_pool2d(-labels.where(part, _NEVER), 3, 1, 1)
    return (part & (highest != lowest)).float()


def part_loss(
    scores: Float[Tensor, "batch labels rows columns"],
    target: Int[Tensor, "batch rows columns"],
    weight: Float[Tensor, "batch rows columns"],
    overlap_weight: float,
) -> Float[Tensor, ""]:
    """Weighted mean of the cross entropy, plus one minus the soft Dice of the parts.

    Dice (Milletari et al. 2016) weighs a hand as much as a torso; it is taken over the whole batch,
    so that parts that a sample does not show do no harm.
    """
    known = target != IGNORED
    labels = target.where(known, 0)
    log_p = scores.float().log_softmax(1)
    log_p_true = log_p.gather(1, labels[:, None])[:, 0]
    entropy = -(log_p_true * weight).sum() / weight.sum().clamp_min(1.0)
    counts = known.to(log_p.dtype)
    # sums over the cells of each label, without a one-hot copy of the target
    sums = torch.stack([log_p_true.exp() * counts, counts]).flatten(1)
    per_label = sums.new_zeros(2, NUM_LABELS).index_add(1, labels.flatten(), sums)
    both, true = per_label
    total = (log_p.exp() * counts[:, None]).sum((0, 2, 3)) + true
    dice = (2 * both[1:] + 1) / (total[1:] + 1)
    return overlap_weight * (1 - dice.mean()) + entropy
