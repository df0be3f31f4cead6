"""What a predictor is given: the detector's close looks at any number of people, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinflow.evidence.types import (
    NUM_FEATURES,
    NUM_JOINT_FEATURES,
    NUM_MAP_FEATURES,
    CloseLook,
)
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import rotvec_to_matrix

INPUT_SIZES = (NUM_FEATURES, 33 * 6, 7, 33 * NUM_JOINT_FEATURES, NUM_MAP_FEATURES)
"""Numbers of each group of inputs: of the whole crop, points, view, maps at points, whole maps."""
NUM_INPUTS = sum(INPUT_SIZES)
WORLD_SCALE = 3.0
"""Of rough 3D keypoints, among the inputs."""
_LANDMARK_SCALE = 2.0
_RELATIVE_SIDE = 0.6
"""A typical side of a region in focal lengths."""


@dataclass(frozen=True)
class Looks:
    """Close looks (see `CloseLook`) and the cameras they were taken with, a row for each person."""

    features: Float[Tensor, "people 1152"]
    joint_features: Float[Tensor, "people 33 288"]
    """In any precision, as `map_features`: many looks take much memory."""
    map_features: Float[Tensor, "people 4608"]
    landmarks: Float[Tensor, "people 33 3"]
    world_m: Float[Tensor, "people 33 3"]
    region: Float[Tensor, "people 4"]
    """(x, y, side, roll) in pixels and radians."""
    focal_px: Float[Tensor, " people"]
    principal_px: Float[Tensor, "people 2"]

    def __len__(self) -> int:
        return len(self.features)

    @staticmethod
    def of(looks: Sequence[CloseLook], cameras: Sequence[Camera]) -> Looks:
        """Of people seen by these cameras; at least one."""
        device = looks[0].features.device
        regions = [(*k.region.center_px, k.region.size_px, k.region.roll) for k in looks]
        return Looks(
            features=torch.stack([look.features for look in looks]),
            joint_features=torch.stack([look.joint_features for look in looks]),
            map_features=torch.stack([look.map_features for look in looks]),
            landmarks=torch.stack([look.landmarks for look in looks]),
            world_m=torch.stack([look.world_m for look in looks]),
            region=torch.tensor(regions, device=device, dtype=torch.float32),
            focal_px=torch.tensor([c.focal_px for c in cameras], device=device).float(),
            principal_px=torch.tensor([c.principal_px for c in cameras], device=device).float(),
        )

    def R_cam_view(self) -> Float[Tensor, "people 3 3"]:
        """From axes along each person's line of sight, upright in their crop, to the camera's.

        A detector that looks at a crop sees people as if they stood on the optical axis and the
        crop were the image.
        """
        ray = (self.region[:, :2] - self.principal_px) / self.focal_px[:, None]
        z = F.normalize(torch.cat([ray, torch.ones_like(ray[:, :1])], -1), dim=-1)
        down = z.new_tensor([0.0, 1.0, 0.0]).expand_as(z)
        x = F.normalize(torch.linalg.cross(down, z), dim=-1)
        level = torch.stack([x, torch.linalg.cross(z, x), z], -1)
        roll = torch.zeros_like(z)
        roll[:, 2] = self.region[:, 3]
        return level @ rotvec_to_matrix(roll)

    def inputs(self) -> Float[Tensor, "people inputs"]:
        """All that is known, as one row of numbers of about unit size for each person."""
        R = self.R_cam_view()
        relative = self.region[:, 2] / self.focal_px / _RELATIVE_SIDE
        xy, confidence = self.landmarks[..., :2], self.landmarks[..., 2:]
        points = torch.cat(
            [
                (_LANDMARK_SCALE * xy).clamp(-3, 3),
                confidence,
                (WORLD_SCALE * self.world_m).clamp(-6, 6),
            ],
            -1,
        )
        view = [
            R[:, 1],  # the image's down and, next, its axis, as the crop sees them
            R[:, 2],
            relative.log()[:, None],
        ]
        maps = [self.joint_features.flatten(1), self.map_features]
        # features may be kept in half precision
        return torch.cat([v.float() for v in (self.features, points.flatten(1), *view, *maps)], 1)
