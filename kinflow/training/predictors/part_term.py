"""How far bodies are from the part labels of pictures, as a loss of the predictor's best guesses.

The alignment of Zanfir et al. 2020, section 3.3 (`kinflow.energy.part_loss`), in the axes of crops,
with a few hundred vertices. A vertex counts where the surface faces the camera; what other limbs
hide is left to the robust kernel.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int16
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.asset import load_bundled
from kinflow.datasets.samples import PART_CELLS
from kinflow.energy.keypoint_model import Motion
from kinflow.energy.part_loss import PartLossTarget, part_alignment_loss
from kinflow.energy.vertex_model import VertexModel
from kinflow.evidence.types import PartLabels
from kinflow.geometry.image_grid import ImageGrid
from kinflow.predictors.looks import Looks
from kinflow.synth.rendering import vertex_normals
from kinflow.training.predictors.batches import crop_points

_EVERY = 5
"""Of the 1,200 vertices that spread over the body."""
_CELLS = 96
"""Cells that are compared, of each picture."""
_GRID = ImageGrid((-0.5, -0.5), 1 / PART_CELLS, (PART_CELLS, PART_CELLS))
_DISTANCE, _CUTOFF = 0.02, 0.1
"""Sides of the crop: what counts as one unit, and where the robust kernel turns."""


class PartTerm:
    """Part alignment of posed bodies.

    Args:
        device: where they are.
    """

    def __init__(self, device: torch.device) -> None:
        full = BodyModel.load()
        chosen = load_bundled().fit_vertices[::_EVERY]
        rest = full.rest_mean_m[-full.num_vertices :].numpy()
        normals = torch.from_numpy(vertex_normals(rest, full.faces.numpy()))
        self._normals = normals[chosen].to(device)
        self._body = full.select_vertices(chosen).to(device)
        self._vertices = VertexModel(self._body)

    def __call__(
        self, motion: Motion, looks: Looks, parts: Int16[Tensor, "people cells cells"]
    ) -> Float[Tensor, " people"]:
        """Distance of each body from its labels.

        Args:
            motion: how the bodies stand.
            looks: whose crops.
            parts: bit sets of cells.
        """
        vertices_m = self._vertices.all_vertices(motion)
        labels = [PartLabels(one, torch.ones(one.shape), _GRID) for one in parts.int().cpu()]
        target = PartLossTarget.of(labels, _CELLS)
        target = PartLossTarget(*(t.to(vertices_m.device) for t in vars(target).values()))
        crop = crop_points(vertices_m, looks)
        scale = torch.full_like(crop[:, 0, 0], 1.0)
        squared = part_alignment_loss(
            crop, self._body.vertex_parts, self._faces(motion, vertices_m), target, scale, _CUTOFF
        )
        return (squared + 1e-8).sqrt() / _DISTANCE

    @torch.no_grad()
    def _faces(self, motion: Motion, vertices_m: Tensor) -> Bool[Tensor, "people vertices"]:
        """Which vertices the camera sees from outside."""
        turns = self._body.skin_weights @ (motion.G @ self._body.Q_rest).flatten(-2)
        normals = (turns.unflatten(-1, (3, 3)) @ self._normals[..., None])[..., 0]
        return (normals * vertices_m).sum(-1) < 0
