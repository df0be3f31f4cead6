"""The energy terms of a fit, each as residuals with an analytic Jacobian.

An energy is E = 0.5 sum r^2 in nats: a residual of one is one standard deviation. Every term is a
plain function of tensors and differentiable by autograd as well, so that the same energies train
networks. Robust terms rescale a residual vector r by sqrt(rho(q) / q), q = |r|^2, with the
Geman-McClure kernel rho(q) = q / (1 + q / c^2): an outlier costs at most 0.5 c^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.energy.belief import Belief
from kinflow.energy.ground import FloorTarget, TrunkTarget
from kinflow.energy.layout import BlockName, TangentLayout
from kinflow.energy.rough_points import RoughPoints
from kinflow.energy.unknowns import Unknowns
from kinflow.geometry.pinhole import NEAR_M

_SHORT_M = 1e-3
"""A trunk that is shorter has no direction."""


@dataclass(frozen=True)
class Term:
    """Residuals of one energy term for a batch of bodies; the Jacobian is absent if not needed."""

    name: str
    residual: Float[Tensor, "batch residuals"]
    jacobian: Float[Tensor, "batch residuals unknowns"] | None

    def energy(self) -> Float[Tensor, " batch"]:
        """0.5 sum r^2, in nats."""
        return 0.5 * (self.residual * self.residual).sum(-1)


def robustify(
    r: Float[Tensor, "*batch d"],
    J: Float[Tensor, "*batch d unknowns"] | None,
    cutoff: float | Float[Tensor, "*batch 1"],
) -> tuple[Float[Tensor, "*batch d"], Float[Tensor, "*batch d unknowns"] | None]:
    """Geman-McClure residuals and their exact Jacobian; `cutoff` is c in standard deviations."""
    q = (r * r).sum(-1, keepdim=True) / cutoff**2
    scale = torch.rsqrt(1 + q)
    if J is None:
        return r * scale, None
    along = (r[..., None, :] @ J) / (cutoff**2 * (1 + q))[..., None]
    return r * scale, scale[..., None] * (J - r[..., None] * along)


def reprojection(
    points_cam_m: Float[Tensor, "batch points 3"],
    jacobian: Float[Tensor, "batch points 3 body"] | None,
    focal_px: Float[Tensor, " batch"],
    principal_px: Float[Tensor, "batch 2"],
    observed_px: Float[Tensor, "batch points 2"],
    inverse_std: Float[Tensor, "batch points"],
    cutoff: float,
    layout: TangentLayout,
) -> Term:
    """Projected minus observed keypoints in standard deviations (weight 0 leaves one out).

    Args:
        jacobian: of the points; its columns are the layout's `body`.
        layout: the unknowns of the term's own Jacobian.
    """
    z = points_cam_m[..., 2:].clamp_min(NEAR_M)
    ray = points_cam_m[..., :2] / z
    scale = inverse_std[..., None] * focal_px[:, None, None]
    r = ray * scale + (principal_px[:, None] - observed_px) * inverse_std[..., None]
    J = None
    if jacobian is not None:
        slope = scale[..., None] / z[..., None]
        J = slope * (jacobian[..., :2, :] - ray[..., None] * jacobian[..., 2:, :])
        if layout.has_focal:
            J = layout.columns(body=J, focal=(ray * scale)[..., None])
    r, J = robustify(r, J, cutoff)
    return Term("keypoints", r.flatten(1), None if J is None else J.flatten(1, 2))


def outline(
    points_cam_m: Float[Tensor, "batch points 3"],
    jacobian: Float[Tensor, "batch points 3 body"] | None,
    focal_px: Float[Tensor, " batch"],
    principal_px: Float[Tensor, "batch 2"],
    target_px: Float[Tensor, "batch points 2"],
    across: Float[Tensor, "batch points 2"],
    cutoff: float,
    layout: TangentLayout,
) -> Term:
    """Distance of projected points from lines in the image, in standard deviations.

    Args:
        target_px: a point of each line.
        across: normal of each line, as long as the inverse of the standard deviation (0 leaves a
            point out).
        jacobian, layout: as in `reprojection`.
    """
    z = points_cam_m[..., 2].clamp_min(NEAR_M)
    focal = focal_px[:, None]
    bearing = (across * points_cam_m[..., :2]).sum(-1) / z
    r = focal * bearing + (across * (principal_px[:, None] - target_px)).sum(-1)
    J = None
    if jacobian is not None:
        slope = torch.cat([across, -bearing[..., None]], -1) * (focal / z)[..., None]
        J = slope[..., None, :] @ jacobian
        if layout.has_focal:
            J = layout.columns(body=J, focal=(focal * bearing)[..., None, None])
    r, J = robustify(r[..., None], J, cutoff)
    return Term("parts", r.flatten(1), None if J is None else J.flatten(1, 2))


def rough_3d(
    points_cam_m: Float[Tensor, "batch points 3"],
    jacobian: Float[Tensor, "batch points 3 body"] | None,
    rough: RoughPoints,
    cutoff: float,
    layout: TangentLayout,
) -> Term:
    """3D keypoints against rough ones, up to the errors that these have in common.

    `jacobian` and `layout` are as in `reprojection`.
    """
    (own, common), by_body = rough.residual(points_cam_m, jacobian)
    own, own_J = robustify(own, None if by_body is None else by_body[0], cutoff)
    J = None
    if own_J is not None and by_body is not None:
        J = layout.columns(body=torch.cat([own_J.flatten(1, 2), by_body[1]], 1))
    return Term("hint_3d", torch.cat([own.flatten(1), common], 1), J)


def attitude(
    up_by_pose: Float[Tensor, "batch 3"],
    jacobian: Float[Tensor, "batch 3 body"] | None,
    up_cam: Float[Tensor, "batch 3"],
    inverse_std: Float[Tensor, "batch 3"],
    cutoff: Float[Tensor, " batch"],
    layout: TangentLayout,
) -> Term:
    """What is up by the pose (`kinflow.priors.attitude`) against what is up; both of length 1.

    `jacobian` and `layout` are as in `reprojection`.
    """
    r = (up_by_pose - up_cam) * inverse_std
    J = None
    if jacobian is not None:
        J = layout.columns(body=jacobian * inverse_std[..., None])
    r, J = robustify(r, J, cutoff[:, None])
    return Term("attitude", r, J)


def upright_trunk(
    points_cam_m: Float[Tensor, "batch points 3"],
    jacobian: Float[Tensor, "batch points 3 body"] | None,
    trunk: TrunkTarget,
    cutoff: float,
    layout: TangentLayout,
) -> Term:
    """The direction of the trunk against what is up, in standard deviations.

    `jacobian` and `layout` are as in `reprojection`.
    """
    along = torch.einsum("p,bpi->bi", trunk.weights, points_cam_m)
    length = along.norm(dim=-1, keepdim=True).clamp_min(_SHORT_M)
    direction = along / length
    inverse_std = trunk.inverse_std[:, None]
    r = (direction - trunk.up_cam) * inverse_std
    J = None
    if jacobian is not None:
        slope = torch.einsum("p,bpiu->biu", trunk.weights, jacobian) / length[..., None]
        across = slope - direction[..., None] * (direction[:, None] @ slope)
        J = layout.columns(body=across * inverse_std[..., None])
    r, J = robustify(r, J, cutoff)
    return Term("trunk", r, J)


def lowest(
    points_cam_m: Float[Tensor, "*#batch points 3"],
    flesh_m: Float[Tensor, " points"],
    up_cam: Float[Tensor, "*#batch 3"],
) -> tuple[Float[Tensor, "*batch"], Int[Tensor, "*batch"]]:
    """Height of the skin's lowest point along `up_cam`, and which of the points it belongs to.

    Args:
        points_cam_m: points of bodies.
        flesh_m: how deep they lie below the skin; -inf leaves a point out.
        up_cam: unit vectors.
    """
    height = (points_cam_m @ up_cam[..., None])[..., 0] - flesh_m
    return height.min(-1)


def contact(
    points_cam_m: Float[Tensor, "batch points 3"],
    jacobian: Float[Tensor, "batch points 3 body"] | None,
    floor: FloorTarget,
    cutoff: float,
    layout: TangentLayout,
) -> Term:
    """How far the lowest point of each body is from the floor, in standard deviations.

    `jacobian` and `layout` are as in `reprojection`.
    """
    height, row = lowest(points_cam_m, floor.flesh_m, floor.up_cam)
    r = ((height - floor.height_m) * floor.inverse_std)[:, None]
    J = None
    if jacobian is not None:
        touching = jacobian[torch.arange(len(row), device=row.device), row]
        slope = (floor.up_cam[:, None] @ touching) * floor.inverse_std[:, None, None]
        J = layout.columns(body=slope)
    r, J = robustify(r, J, cutoff)
    return Term("floor", r, J)


def believed(
    unknowns: Unknowns, belief: Belief, with_jacobian: bool, cutoff: float, layout: TangentLayout
) -> Term:
    """Deviation from what a network believes; as a whole it may be an outlier.

    Args:
        unknowns: of the bodies.
        belief: the network's.
        with_jacobian: whether derivatives are needed.
        cutoff: in standard deviations for each unknown.
        layout: as in `reprojection`.
    """
    r, blocks = belief.residual(unknowns, with_jacobian)
    J = None if blocks is None else layout.columns(**blocks)
    r, J = robustify(r, J, cutoff * r.shape[1] ** 0.5)
    return Term("belief", r, J)


def prior_term(
    name: str,
    residual: Float[Tensor, "batch rows"],
    jacobian: Float[Tensor, "batch rows columns"] | None,
    block: BlockName,
    layout: TangentLayout,
    weight: float | Float[Tensor, " batch"] = 1.0,
) -> Term:
    """Energy of one block of unknowns: 0.5 weight |residual|^2; the weight may be each body's."""
    root = torch.as_tensor(weight, dtype=residual.dtype, device=residual.device).sqrt()[..., None]
    if jacobian is None:
        return Term(name, root * residual, None)
    return Term(name, root * residual, layout.columns(**{block: root[..., None] * jacobian}))
