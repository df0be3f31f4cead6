"""How well a part network labels pictures whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.body.parts import PART_INDEX, PART_NAMES
from kinflow.evidence.part_network import NUM_LABELS, PartInput
from kinflow.training.parts.pictures import IGNORED
from kinflow.training.parts.views import PartBatch

CHILD_AGE = 0.4
"""Phenotype below which a body is a child under ten."""
Network = Callable[[PartInput], Float[Tensor, "batch 15 96 96"]]
_HEAD = PART_INDEX["head"]
_LEAST_HEAD = 20.0
"""Cells of a head whose size can be told."""


@dataclass(frozen=True)
class Scores:
    """Figures over all cells of all pictures together that count."""

    confusion: Int[Tensor, "labels labels"]
    """Cells by true label and answer."""
    borders: Float[Tensor, " 4"]
    """Border cells found, those of them that are right; true ones, those of them that were found.
    """
    heads: Float[Tensor, "2 2"]
    """Sum of the logarithms of the heads' areas relative to the truth, and their number; of
    children under ten, and of everybody else."""

    def figures(self) -> dict[str, float]:
        """By name; what never occurred is no number."""
        iou = intersection_over_union(self.confusion.cpu().numpy())
        found, right, true, met = self.borders.tolist()
        precision, recall = right / max(found, 1), met / max(true, 1)
        outline = self.confusion.cpu()
        both, either = outline[1:, 1:].sum(), outline.sum() - outline[0, 0]
        named = {
            "miou": mean_of_parts(iou),
            "border_f": 2 * precision * recall / max(precision + recall, 1e-9),
            "silhouette": float(both / either.clamp_min(1)),
        }
        for name, (log_area, count) in zip(
            ("child_head", "head"), self.heads.tolist(), strict=True
        ):
            named[name] = float(np.exp(log_area / count)) if count else float("nan")
        return named

    def iou(self) -> dict[str, float]:
        """Intersection over union of the labels that occur, by name."""
        values = intersection_over_union(self.confusion.cpu().numpy())
        named = zip(PART_NAMES, values, strict=True)
        return {f"iou_{name}": float(value) for name, value in named if not np.isnan(value)}


@torch.no_grad()
def scores(
    network: Network, batches: Iterable[tuple[PartBatch, Float[Tensor, " batch"]]]
) -> Scores:
    """Figures of a network on views and the ages of the people in them."""
    confusion: Tensor | float = 0
    borders: Tensor | float = 0.0
    heads: Tensor | float = 0.0
    for batch, age in batches:
        found, target = network(batch.input()).argmax(1), batch.target
        counts = target != IGNORED
        pairs = (NUM_LABELS * target + found)[counts]
        square = torch.bincount(pairs, minlength=NUM_LABELS**2).unflatten(0, (NUM_LABELS, -1))
        confusion = confusion + square
        borders = borders + _border_counts(found, target)
        heads = heads + _head_sums(found, target, age)
    assert isinstance(confusion, Tensor)
    assert isinstance(borders, Tensor)
    assert isinstance(heads, Tensor)
    return Scores(confusion, borders, heads)


def borders_of(labels: Int[Tensor, "batch rows columns"]) -> Bool[Tensor, "batch rows columns"]:
    """Cells of the body whose right or lower neighbour shows another part of it."""
    part = (labels > 0) & (labels != IGNORED)
    beside = torch.zeros_like(part)
    right, below = labels[:, :, 1:], labels[:, 1:]
    beside[:, :, :-1] = part[:, :, 1:] & part[:, :, :-1] & (right != labels[:, :, :-1])
    beside[:, :-1] |= part[:, 1:] & part[:, :-1] & (below != labels[:, :-1])
    return beside


def _border_counts(found: Tensor, target: Tensor) -> Float[Tensor, " 4"]:
    """As `Scores.borders`; right is what lies within one cell. Borders that touch a cell of which
    nothing is known do not count."""
    unknown = _grown(target == IGNORED)
    answer, truth = borders_of(found) & ~unknown, borders_of(target) & ~unknown
    counts = (answer, answer & _grown(truth), truth, truth & _grown(answer))
    return torch.stack([cells.sum() for cells in counts]).float()


def _grown(cells: Tensor) -> Bool[Tensor, "batch rows columns"]:
    return F.max_pool2d(cells[:, None].float(), 3, 1, 1)[:, 0] > 0


def _head_sums(found: Tensor, target: Tensor, age: Tensor) -> Float[Tensor, "2 2"]:
    true = (target == _HEAD).sum((1, 2))
    # heads beside anything unknown may go on there
    whole = ~(_grown(target == _HEAD) & (target == IGNORED)).flatten(1).any(1)
    answer = ((found == _HEAD) & (target != IGNORED)).sum((1, 2)).clamp_min(1)
    log_ratio = (answer / true.clamp_min(1)).log()
    child = age < CHILD_AGE
    rows = [(true >= _LEAST_HEAD) & whole & group for group in (child, ~child)]
    return torch.stack([torch.stack([(log_ratio * r).sum(), r.float().sum()]) for r in rows])


def mean_of_parts(iou: Float[np.ndarray, " labels"]) -> float:
    """Mean over the parts that occur; 0 if none does."""
    parts = iou[1:][~np.isnan(iou[1:])]
    return float(parts.mean()) if len(parts) else 0.0


def intersection_over_union(
    confusion: Int[np.ndarray, "labels labels"],
) -> Float[np.ndarray, " labels"]:
    """IoU of each label from counts by (truth, answer); NaN for labels that never occur."""
    both = np.diag(confusion)
    either = confusion.sum(0) + confusion.sum(1) - both
    return np.divide(both, either, out=np.full(len(both), np.nan), where=either > 0)
