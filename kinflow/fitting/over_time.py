"""What a network makes of the people of several frames together: one motion each, not one by one.

    along = Along(identities, times_s, R_still_cam)
    posterior = over_time(sequence, predictor, looks, along)

The best guesses of the frame network over time are those of a temporal network; its density is
about these then. Where bodies lie on keypoints frame by frame, the way there trembles as keypoints
do: it is averaged over a moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.energy.unknowns import Unknowns
from kinflow.predictors import Looks, Posterior, Predictor
from kinflow.predictors.sequence_predictor import SequencePredictor, refined
from kinflow.predictors.words import words_of

_MOMENT_S = 0.1


@dataclass(frozen=True)
class Along:
    """Of bodies of several frames: who they are, when, and how the camera was turned."""

    identities: tuple[int, ...]
    """Those of one person are in the order of time."""
    times_s: Float[Tensor, " bodies"]
    R_still_cam: Float[Tensor, "bodies 3 3"]
    """From each frame's camera to one at the same place that stands still."""

    def __getitem__(self, rows: Sequence[int]) -> Along:
        """Some of them."""
        chosen = tuple(self.identities[row] for row in rows)
        return Along(chosen, self.times_s[list(rows)], self.R_still_cam[list(rows)])

    def to(self, device: torch.device | str) -> Along:
        """The same on another device."""
        return Along(self.identities, self.times_s.to(device), self.R_still_cam.to(device))

    def people(self) -> Iterator[Int[Tensor, " rows"]]:
        """The rows of each person."""
        numbers = torch.tensor(self.identities)
        for identity in dict.fromkeys(self.identities):
            yield torch.nonzero(numbers == identity)[:, 0].to(self.times_s.device)


@torch.no_grad()
def over_time(
    sequence: SequencePredictor,
    predictor: Predictor,
    looks: Looks,
    along: Along,
    causal: bool = False,
) -> Posterior:
    """Densities of people in frames, by all frames of each person.

    Args:
        sequence: the temporal network.
        predictor: the frame network that it is of.
        looks: of each body.
        along: whose they are.
        causal: whether frames know nothing of later ones.
    """
    seen = torch.ones_like(along.times_s, dtype=torch.bool)
    words = words_of(predictor, looks, along.times_s, seen, along.R_still_cam)
    parts, order = [], []
    for rows in along.people():
        found = sequence.through(words.each(lambda v, rows=rows: v[rows]), causal)
        parts.append((found.bodies, found.log_std))
        order.append(rows)
    back = torch.cat(order).argsort()
    bodies = Unknowns.concatenate([body for body, _ in parts])[back]
    return refined(predictor, words, bodies, torch.cat([std for _, std in parts])[back])


def averaged(values: Float[Tensor, "bodies *size"], along: Along) -> Float[Tensor, "bodies *size"]:
    """Something of each body, averaged over a moment of the same person."""
    mean = torch.empty_like(values)
    for rows in along.people():
        apart = along.times_s[rows][:, None] - along.times_s[rows]
        weight = torch.softmax(-0.5 * (apart / _MOMENT_S).square(), 1)
        mean[rows] = torch.tensordot(weight, values[rows], 1)
    return mean


def steadied(
    placed_m: Float[Tensor, "bodies 3"], believed_m: Float[Tensor, "bodies 3"], along: Along
) -> Float[Tensor, "bodies 3"]:
    """Places on keypoints, the way there from the believed ones averaged over a moment.

    Args:
        placed_m: positions of roots in each frame's camera.
        believed_m: the same, as they go evenly.
        along: whose they are.
    """
    far = believed_m.norm(dim=1, keepdim=True)
    # farther away by a share, and aside by an angle: both are alike wherever somebody goes
    way = along.R_still_cam @ ((placed_m - believed_m) / far)[..., None]
    return believed_m + (along.R_still_cam.mT @ averaged(way, along))[..., 0] * far
