"""How a body's standing height follows from its latent shape."""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.model import BodyModel
from kinflow.body.skeleton import NUM_JOINTS
from kinflow.priors.shape import ShapePrior

_CANDIDATES = 40
"""Vertices at either end of an average adult among which the ends of any body are."""


def height_with_slope_m(
    shape_prior: ShapePrior, s: Float[Tensor, "batch 6"]
) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch 6"]]:
    """Standing heights, as `body.measure` has them, and their derivatives, on the CPU."""
    with torch.enable_grad():
        s = s.detach().cpu().requires_grad_()
        shaped = _ends().with_shape(shape_prior.decode(s))
        upright = torch.eye(3).expand(len(s), NUM_JOINTS, 3, 3)
        y = shaped.with_pose(upright, torch.zeros(len(s), 3)).vertices_m()[..., 1]
        height = y.amax(-1) - y.amin(-1)
        (slope,) = torch.autograd.grad(height.sum(), s)
    return height.detach(), slope


@cache
def _ends() -> BodyModel:
    """The bundled body with the vertices of its crown and its soles alone."""
    body = BodyModel.load()
    upright = torch.eye(3).expand(NUM_JOINTS, 3, 3)
    shaped = body.with_shape(body.shape_space.neutral())
    y = shaped.with_pose(upright, torch.zeros(3)).vertices_m()[:, 1]
    top, bottom = (y.topk(_CANDIDATES, largest=largest).indices for largest in (True, False))
    return body.select_vertices(torch.cat([top, bottom]))
