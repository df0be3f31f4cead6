"""What a predictor is given: the detector's close looks at any number of people, as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from kinflow.evidence.types import (
    NUM_FEATURES,
    NUM_JOINT_FEATURES,
    NUM_MAP_FEATURES,
    CloseLook,
)
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import rotvec_to_matrix

VIEW = 7
"""Numbers that tell how a crop was taken."""
INPUT_SIZES = (NUM_FEATURES, 33 * 6, VIEW, 33 * NUM_JOINT_FEATURES, NUM_MAP_FEATURES)
"""Numbers of each group of inputs: of the whole crop, points, view, maps at points, whole maps."""
NUM_INPUTS = sum(INPUT_SIZES)
WORLD_SCALE = 3.0
"""Of rough 3D keypoints, among the inputs."""
_LANDMARK_SCALE = 2.0
_RELATIVE_SIDE = 0.6
"""A typical side of a region in focal lengths."""


@dataclass(frozen=True)
class Looks:
    """Close looks (see `CloseLook`) and the cameras they were taken with, a row for each person.

    Where no detector looked at the crops, there are no features, and landmarks are zero.
    """

    features: Float[Tensor, "people features"]
    joint_features: Float[Tensor, "people 33 joint_features"]
    """In any precision, as `map_features`: many looks take much memory."""
    map_features: Float[Tensor, "people map_features"]
    landmarks: Float[Tensor, "people 33 3"]
    world_m: Float[Tensor, "people 33 3"]
    region: Float[Tensor, "people 4"]
    """(x, y, side, roll) in pixels and radians."""
    focal_px: Float[Tensor, " people"]
    principal_px: Float[Tensor, "people 2"]
    crop: UInt8[Tensor, "people side side 3"] | None = None
    """The pixels of the regions, for networks that look at pictures."""

    def __len__(self) -> int:
        return len(self.region)

    @staticmethod
    def of(looks: Sequence[CloseLook], cameras: Sequence[Camera]) -> Looks:
        """Of people seen by these cameras; at least one. All have their crops, or none counts."""
        device = looks[0].features.device
        crops = [look.crop for look in looks if look.crop is not None]
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
            crop=torch.stack(crops) if len(crops) == len(looks) else None,
        )

    def in_mirror(self) -> Looks:
        """The same where looks are those at mirror images, whose regions are those of the pictures
        themselves: as a camera with the same principal point sees people in a mirror."""
        x, y, side, roll = self.region.unbind(1)
        region = torch.stack([2 * self.principal_px[:, 0] - x, y, side, -roll], 1)
        return replace(self, region=region)

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
        xy, confidence = self.landmarks[..., :2], self.landmarks[..., 2:]
        points = torch.cat(
            [
                (_LANDMARK_SCALE * xy).clamp(-3, 3),
                confidence,
                (WORLD_SCALE * self.world_m).clamp(-6, 6),
            ],
            -1,
        )
        known = (
            self.features,
            points.flatten(1),
            self.view(),
            self.joint_features.flatten(1),
            self.map_features,
        )
        # features may be kept in half precision
        return torch.cat([v.float() for v in known], 1)

    def view(self) -> Float[Tensor, "people 7"]:
        """How each crop was taken: the image's down and its axis as the crop sees them, and how
        large it is."""
        R = self.R_cam_view()
        relative = self.region[:, 2] / self.focal_px / _RELATIVE_SIDE
        return torch.cat([R[:, 1], R[:, 2], relative.log()[:, None]], 1)

    def each(self, change: Callable[[Tensor], Tensor]) -> Looks:
        """The same with all tensors changed."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return Looks(**{name: change(value) for name, value in given.items()})

    def tensors(self) -> list[Tensor]:
        """All that are there, always in one order."""
        return [value for value in vars(self).values() if value is not None]
