"""Bodies of another size that look the same: a child nearby in place of an adult far away."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.priors.shape import AGE

_STEPS = 32
_YOUNGEST = -4.4
"""The latent age of babies."""


def nearer(model: KeypointModel, bodies: Unknowns, factor: Float[Tensor, " bodies"]) -> Unknowns:
    """The bodies at `factor` times their distance, younger so that they measure as much less.

    Where nobody is that small, the youngest stands in.
    """
    age = bodies.s[:, AGE]
    share = torch.linspace(0, 1, _STEPS, device=age.device)
    ages = age[:, None] + share * (_YOUNGEST - age[:, None]).clamp(max=0)
    tried = bodies.s[:, None].repeat(1, _STEPS, 1)
    tried[..., AGE] = ages
    size_m = _size_m(model, tried.flatten(0, 1)).unflatten(0, (len(age), _STEPS))
    ratio = size_m / size_m[:, :1]
    nearest = (ratio - factor[:, None]).abs().argmin(1, keepdim=True)
    s = bodies.s.clone()
    s[:, AGE] = ages.gather(1, nearest)[:, 0]
    return replace(bodies, s=s, t_cam_root_m=bodies.t_cam_root_m * ratio.gather(1, nearest))


def _size_m(model: KeypointModel, s: Float[Tensor, "bodies 6"]) -> Float[Tensor, " bodies"]:
    """How far the points of a standing body are apart."""
    count = len(s)
    upright = torch.eye(3).to(s).expand(count, 3, 3)
    standing = Unknowns(
        upright,
        s.new_zeros(count, 3),
        s.new_zeros(count, model.prior.latent_dim),
        s,
        s.new_zeros(count),
    )
    with torch.no_grad():
        points = model.evaluate(standing, with_jacobian=False).keypoints_cam_m
    return (points.amax(1) - points.amin(1)).norm(dim=-1)
