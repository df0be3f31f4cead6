"""How a body's standing height follows from its latent shape."""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.model import BodyModel
from kinflow.body.skeleton import NUM_JOINTS
from kinflow.priors.shape import LatentShapes

_CANDIDATES = 40
"""Vertices at either end of an average adult among which the ends of any body are."""


def height_with_slope_m(
    shape_prior: LatentShapes, s: Float[Tensor, "batch shape"], ends: BodyModel | None = None
) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch shape"]]:
    """Standing heights, as `body.measure` has them, and their derivatives, on the CPU.

    Args:
        shape_prior: decodes latent shapes.
        s: those.
        ends: another body than the bundled one, with the vertices of crown and soles
            (`ends_of`).
    """
    with torch.enable_grad():
        s = s.detach().cpu().requires_grad_()
        shaped = (ends or _ends()).with_shape(shape_prior.decode(s))
        upright = torch.eye(3).expand(len(s), NUM_JOINTS, 3, 3)
        y = shaped.with_pose(upright, torch.zeros(len(s), 3)).vertices_m()[..., 1]
        height = y.amax(-1) - y.amin(-1)
        (slope,) = torch.autograd.grad(height.sum(), s)
    return height.detach(), slope


@cache
def _ends() -> BodyModel:
    """The bundled body with the vertices of its crown and its soles alone."""
    return ends_of(BodyModel.load())


def ends_of(body: BodyModel) -> BodyModel:
    """A body with the vertices of its crown and its soles alone."""
    upright = torch.eye(3).expand(NUM_JOINTS, 3, 3)
    shaped = body.with_shape(body.shape_space.neutral())
    y = shaped.with_pose(upright, torch.zeros(3)).vertices_m()[:, 1]
    top, bottom = (y.topk(_CANDIDATES, largest=largest).indices for largest in (True, False))
    return body.select_vertices(torch.cat([top, bottom]))
