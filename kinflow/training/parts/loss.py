"""What the part parser learns from: cross entropy, and the overlap of each part."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.evidence.part_network import NUM_LABELS
from kinflow.synth.part_samples import IGNORED


def part_loss(
    scores: Float[Tensor, "*cells labels"], target: Int[Tensor, "*cells"], overlap_weight: float
) -> Float[Tensor, ""]:
    """Cross entropy over the cells that count, plus one minus the soft Dice of the parts.

    Dice (Milletari et al. 2016) weighs a hand as much as a torso; it is taken over the whole batch,
    so that parts that a sample does not show do no harm.
    """
    counts = (target != IGNORED).flatten()
    labels = target.flatten()[counts]
    log_p = scores.flatten(0, -2)[counts].log_softmax(-1)
    p = log_p.exp()
    log_p_true = log_p.gather(1, labels[:, None])[:, 0]
    # sums over the cells of each label, without a one-hot copy of the target
    both = p.new_zeros(NUM_LABELS).index_add(0, labels, log_p_true.exp())
    total = p.sum(0) + torch.bincount(labels, minlength=NUM_LABELS)
    dice = (2 * both[1:] + 1) / (total[1:] + 1)
    return overlap_weight * (1 - dice.mean()) - log_p_true.mean()
