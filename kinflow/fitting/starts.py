"""What starts of a fit have in common: how far away a person is, where, and how they lean."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.bones import BONES
from kinflow.energy.body_energy import Targets
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns

_SIDES = ("left", "right")

R_CAM_UPRIGHT = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float32))
"""An upright body (y up, facing +z) that faces a camera (y down, z forward)."""


def estimate_depth_m(
    observed_px: Float[Tensor, "people points 2"],
    visible: Float[Tensor, "people points"],
    rest_points_m: Float[Tensor, "points 3"],
    focal_px: Float[Tensor, " people"],
    names: tuple[str, ...],
) -> Float[Tensor, " people"]:
    """Distance at which bones of known length would look as long as they do.

    Foreshortening only makes a bone look shorter, so each visible pair gives an upper bound. The
    one a fifth of the way up from the smallest (the fourth of all fifteen) is taken, which a wrong
    keypoint or two do not move.
    """
    first, second = _bone_ends(names, observed_px.device)
    length_m = bone_lengths(rest_points_m, names)
    length_px = bone_lengths(observed_px, names).clamp_min(1.0)
    bound = focal_px[:, None] * length_m / length_px
    both = (visible[:, first] > 0) & (visible[:, second] > 0)
    bound = bound.masked_fill(~both, float("inf")).sort(1).values
    count = both.sum(1)
    index = torch.minimum(count // 5, (count - 1).clamp_min(0))
    depth = bound.gather(1, index[:, None])[:, 0]
    extent = _extent_px(observed_px, visible).clamp_min(4.0)
    # with no bone in view at all, take what is visible to span half a metre
    return torch.where(depth.isfinite(), depth, 0.5 * focal_px / extent)


def bone_lengths(
    points: Float[Tensor, "*batch points dim"], names: tuple[str, ...]
) -> Float[Tensor, "*batch bones"]:
    """Distances between the ends of BONES, in the unit of the points."""
    first, second = _bone_ends(names, points.device)
    return (points[..., first, :] - points[..., second, :]).norm(dim=-1)


def image_roll_rad(
    observed_px: Float[Tensor, "people points 2"],
    visible: Float[Tensor, "people points"],
    names: tuple[str, ...],
) -> Float[Tensor, " people"]:
    """Angle by which the trunk leans from image-up, clockwise; zero where it cannot be seen."""
    shoulder, shoulder_seen = _mean_of(observed_px, visible, names, "shoulder")
    hip, hip_seen = _mean_of(observed_px, visible, names, "hip")
    trunk = shoulder - hip
    roll = torch.atan2(trunk[:, 0], -trunk[:, 1])
    # a trunk seen end-on has no direction: it is short beside the shoulders' distance
    long_enough = trunk.norm(dim=1) > 0.25 * _extent_px(observed_px, visible)
    return torch.where(shoulder_seen & hip_seen & long_enough, roll, torch.zeros_like(roll))


def resting(model: KeypointModel, count: int, device: torch.device | str) -> Unknowns:
    """The prior's mode at the origin, for `count` bodies."""
    return Unknowns(
        torch.eye(3, device=device, dtype=torch.float32).expand(count, 3, 3),
        torch.zeros(count, 3, device=device, dtype=torch.float32),
        torch.zeros(count, model.prior.latent_dim, device=device, dtype=torch.float32),
        torch.zeros(count, model.shape_prior.size, device=device, dtype=torch.float32),
        torch.zeros(count, device=device, dtype=torch.float32),
    )


def place(
    points_root_m: Float[Tensor, "batch points 3"],
    R_cam_root: Float[Tensor, "batch 3 3"],
    depth_m: Float[Tensor, " batch"],
    targets: Targets,
) -> Float[Tensor, "batch 3"]:
    """Root position at which the visible points' centre is seen where it was observed."""
    weight = (targets.inverse_std_px > 0).float()
    weight = weight / weight.sum(1, keepdim=True).clamp_min(1)
    turned = torch.einsum("bij,bpj->bpi", R_cam_root, points_root_m)
    centre_m = torch.einsum("bp,bpi->bi", weight, turned)
    centre_px = torch.einsum("bp,bpi->bi", weight, targets.observed_px)
    lateral = (centre_px - targets.principal_px) / targets.focal_px[:, None] * depth_m[:, None]
    return torch.cat([lateral, depth_m[:, None]], -1) - torch.cat(
        [centre_m[:, :2], torch.zeros_like(centre_m[:, 2:])], -1
    )


def _bone_ends(names: tuple[str, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    pairs = [(names.index(a), names.index(b)) for a, b in BONES]
    first, second = torch.tensor(pairs, device=device).unbind(1)
    return first, second


def _extent_px(observed_px: Tensor, visible: Tensor) -> Tensor:
    seen = visible[..., None] > 0
    high = observed_px.masked_fill(~seen, -float("inf")).amax(1)
    low = observed_px.masked_fill(~seen, float("inf")).amin(1)
    return (high - low).norm(dim=-1).nan_to_num(0.0, posinf=0.0, neginf=0.0)


def _mean_of(
    observed_px: Tensor, visible: Tensor, names: tuple[str, ...], part: str
) -> tuple[Tensor, Tensor]:
    index = [names.index(f"{side}_{part}") for side in _SIDES]
    return observed_px[:, index].mean(1), (visible[:, index] > 0).all(1)


def trunk_weights(names: tuple[str, ...]) -> Float[Tensor, " points"]:
    """Weights of points of these names whose sum points from the hips to the shoulders."""
    up = torch.zeros(len(names), dtype=torch.float32)
    up[[names.index("left_shoulder"), names.index("right_shoulder")]] = 0.5
    return up - hip_origin(names)


def hip_origin(names: tuple[str, ...]) -> Float[Tensor, " points"]:
    """Weights of the middle of the hips among points of these names."""
    origin = torch.zeros(len(names), dtype=torch.float32)
    origin[[names.index("left_hip"), names.index("right_hip")]] = 0.5
    return origin
