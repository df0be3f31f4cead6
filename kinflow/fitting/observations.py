"""How far what was seen is to be trusted: evidence of people in, targets of a fit out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.body.keypoints import BLAZEPOSE33, LIMB_KEYPOINTS
from kinflow.checks import flag, not_negative, number, numbers_of, positive, share
from kinflow.energy.body_energy import Targets
from kinflow.energy.rough_points import RoughPoints
from kinflow.evidence.types import PersonEvidence
from kinflow.fitting.starts import bone_lengths
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import rotvec_to_matrix

FITTED_KEYPOINTS: tuple[str, ...] = tuple(
    name for name in BLAZEPOSE33 if not name.endswith(("_inner", "_outer"))
)
"""Eye corners say nothing that eyes and ears do not."""

FITTED_ROWS = [BLAZEPOSE33.index(name) for name in FITTED_KEYPOINTS]
"""Where they are among BlazePose's, and among all keypoints."""


@dataclass(frozen=True)
class ObservationConfig:
    """How observations are weighed."""

    use_hint: bool = True
    """Use the detector's rough 3D landmarks, or what a predictor makes of them."""
    hint_std_m: tuple[float, float, float] = (0.07, 0.07, 0.12)
    """Each point's own error across the image and in depth, where it is seen for certain."""
    hint_widening: float = 3.0
    """Factor on that error for points of no confidence at all."""
    hint_scale_std: float = 0.3
    """Spread of the factor between an average adult's size and the landmarks'."""
    hint_tilt_std_deg: float = 14.0
    """How far the landmarks as a whole are turned about each axis of the image."""
    hint_lean_deg: float = 7.0
    """By how much they lean towards the camera on average."""
    keypoint_std_scale: float = 0.5
    """The detector's errors are alike within a person and a body takes up much of them, so that
    residuals are about half as large as errors; measured on real photos."""
    min_confidence: float = 0.15
    """Keypoints of less are left out."""
    cluster_weight: float = 0.5
    """Weight of keypoints that come in clusters (face, hands, feet), whose errors are alike."""

    def __post_init__(self) -> None:
        flag(self, "use_hint")
        numbers_of(self, "hint_std_m", count=3, above=0)
        positive(self, "keypoint_std_scale")
        not_negative(self, "hint_scale_std", "hint_tilt_std_deg")
        number(self, "hint_widening", at_least=1)
        number(self, "hint_lean_deg", at_least=-90, at_most=90)
        share(self, "min_confidence", "cluster_weight")


def observe(
    people: Sequence[PersonEvidence],
    cameras: Sequence[Camera],
    rest_points_m: Float[Tensor, "points 3"],
    config: ObservationConfig,
    hinted: Bool[Tensor, " people"] | None = None,
) -> Targets:
    """Targets of FITTED_KEYPOINTS, a row for each person, on the device of `rest_points_m`.

    Args:
        people: of one photo or of many; at least one.
        cameras: the camera that each was seen with.
        rest_points_m: an average adult's FITTED_KEYPOINTS.
        config: weights.
        hinted: whose rough 3D counts; None for everybody's.
    """
    people = [person.to(rest_points_m.device) for person in people]
    keypoints = torch.stack([p.keypoints_px for p in people])[:, FITTED_ROWS]
    std = torch.stack([p.keypoint_std_px for p in people])[:, FITTED_ROWS]
    std = std * config.keypoint_std_scale
    confidence = keypoints[..., 2]
    weight = confidence * _cluster_weights(config.cluster_weight, confidence.device)
    seen = confidence >= config.min_confidence
    targets = Targets(
        focal_px=keypoints.new_tensor([camera.focal_px for camera in cameras]),
        principal_px=keypoints.new_tensor([camera.principal_px for camera in cameras]),
        observed_px=keypoints[..., :2],
        inverse_std_px=torch.where(seen, weight.sqrt() / std, torch.zeros_like(std)),
    )
    known = keypoints.new_tensor([p.world_m is not None for p in people])
    if hinted is not None:
        known = known * hinted.to(known)
    if not config.use_hint or not bool(known.any()):
        return targets
    nothing = keypoints.new_zeros(len(BLAZEPOSE33), 3)
    hint = torch.stack([nothing if p.world_m is None else p.world_m for p in people])[
        :, FITTED_ROWS
    ]
    hint = hint * _hint_scale(hint, rest_points_m)[:, None, None]
    R_cam_view = view_rotation(targets, seen)
    # a person without rough 3D has no hint, whatever the others have
    widening = 1 + (config.hint_widening - 1) * (1 - confidence)
    hint_weight = _cluster_weights(config.cluster_weight, confidence.device).sqrt() / widening
    hint_weight = hint_weight * known[:, None]
    inverse_std_m = hint_weight[..., None] / hint.new_tensor(config.hint_std_m)
    lean = hint.new_tensor([-math.radians(config.hint_lean_deg), 0.0, 0.0])
    rough = RoughPoints.of(
        hint @ rotvec_to_matrix(lean).mT @ R_cam_view.mT,
        inverse_std_m,
        config.hint_scale_std,
        config.hint_tilt_std_deg,
    )
    return replace(targets, hint=rough)


def view_rotation(
    targets: Targets, seen: Bool[Tensor, "people points"]
) -> Float[Tensor, "people 3 3"]:
    """Rotation from axes along each person's line of sight to the camera's.

    A detector that looks at a crop reports 3D as if the person stood on the optical axis; for
    somebody near the edge of a wide image that is off by half the field of view.
    """
    weight = seen.to(targets.observed_px)
    centre = (targets.observed_px * weight[..., None]).sum(1) / weight.sum(1, keepdim=True).clamp(1)
    ray = (centre - targets.principal_px) / targets.focal_px[:, None]
    z = F.normalize(torch.cat([ray, torch.ones_like(ray[:, :1])], -1), dim=-1)
    down = torch.tensor([0.0, 1.0, 0.0], device=z.device, dtype=torch.float32).expand_as(z)
    x = F.normalize(torch.linalg.cross(down, z), dim=-1)
    return torch.stack([x, torch.linalg.cross(z, x), z], -1)


def _hint_scale(
    hint_m: Float[Tensor, "people points 3"], rest_points_m: Float[Tensor, "points 3"]
) -> Float[Tensor, " people"]:
    """Factor that gives the hint an average adult's bones.

    Detectors learn metric 3D from a population of their own (BlazePose's people are some 7 %
    smaller than ours), so a hint should say nothing about a person's size.
    """
    average = bone_lengths(rest_points_m, FITTED_KEYPOINTS)
    ratio = average / bone_lengths(hint_m, FITTED_KEYPOINTS).clamp_min(1e-3)
    return ratio.median(-1).values


def _cluster_weights(cluster_weight: float, device: torch.device) -> Float[Tensor, " points"]:
    limbs = {BLAZEPOSE33[i] for i in LIMB_KEYPOINTS}
    values = [1.0 if name in limbs else cluster_weight for name in FITTED_KEYPOINTS]
    return torch.tensor(values, device=device, dtype=torch.float32)
