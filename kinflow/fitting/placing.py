"""Where bodies of known pose and size have to be to lie on the keypoints that were seen.

Of a point P about the root that is seen at u, with the slope m = (u - c) / f, the projection is off
by f ((P + t)_xy - m (P + t)_z) / (P + t)_z pixels: linear in t but for the depth that it is divided
by. So t comes from a few rounds of weighted least squares with three unknowns, in which keypoints
that are far off lose their weight. What is believed of t counts as one more equation.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.energy.body_energy import Targets
from kinflow.geometry.pinhole import NEAR_M

_ROUNDS = 5
_CUTOFF_STD = 6.0
"""Keypoints that are further off, in standard deviations, hardly count."""


def placed(
    points_m: Float[Tensor, "bodies points 3"],
    targets: Targets,
    t_cam_root_m: Float[Tensor, "bodies 3"],
    log_depth_std: Float[Tensor, " bodies"],
) -> Float[Tensor, "bodies 3"]:
    """Positions of roots, in the camera's frame.

    Args:
        points_m: the keypoints about the root, in the camera's axes.
        targets: where they were seen, a row for each body.
        t_cam_root_m: where the roots are believed to be.
        log_depth_std: spread of the logarithm of the depth of that.
    """
    seen = targets.inverse_std_px
    slope = (targets.observed_px - targets.principal_px[:, None]) / targets.focal_px[:, None, None]
    belief = (t_cam_root_m[:, 2].clamp_min(NEAR_M) * log_depth_std).square().reciprocal()
    t = t_cam_root_m
    for _ in range(_ROUNDS):
        depth = (points_m[..., 2] + t[:, None, 2]).clamp_min(NEAR_M)
        off_m = (points_m + t[:, None])[..., :2] - slope * depth[..., None]
        per_m = seen * targets.focal_px[:, None] / depth
        squared = (per_m[..., None] * off_m).square().sum(-1)
        weight = (per_m / (1 + squared / _CUTOFF_STD**2)).square()
        normal, right = _equations(points_m, slope, weight)
        eye = torch.eye(3, dtype=t.dtype, device=t.device)
        normal, right = normal + belief[:, None, None] * eye, right + belief[:, None] * t_cam_root_m
        t = torch.linalg.solve(normal, right)
        t = torch.cat([t[:, :2], t[:, 2:].clamp_min(NEAR_M)], 1)
    return t


def _equations(
    points_m: Float[Tensor, "bodies points 3"],
    slope: Float[Tensor, "bodies points 2"],
    weight: Float[Tensor, "bodies points"],
) -> tuple[Float[Tensor, "bodies 3 3"], Float[Tensor, "bodies 3"]]:
    """Normal equations of min sum of weight |(XY + t_xy) - slope (Z + t_z)|²."""
    gap = slope * points_m[..., 2:] - points_m[..., :2]
    sloped = (weight[..., None] * slope).sum(1)
    normal = torch.zeros_like(points_m[:, :3, :3])
    normal[:, 0, 0] = normal[:, 1, 1] = weight.sum(1)
    normal[:, :2, 2] = normal[:, 2, :2] = -sloped
    normal[:, 2, 2] = (weight * slope.square().sum(-1)).sum(1)
    across = (weight[..., None] * gap).sum(1)
    along = -(weight * (slope * gap).sum(-1)).sum(1)
    return normal, torch.cat([across, along[:, None]], 1)
