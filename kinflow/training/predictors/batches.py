"""Samples as predictors and losses take them: looks, true bodies, which of both there are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.body.skeleton import FREE_JOINTS
from kinflow.datasets.samples import Samples
from kinflow.energy.unknowns import Unknowns
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.predictors.looks import Looks
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import ShapePrior

_FARTHEST_LATENT, _FARTHEST_SHAPE = 6.0, 5.0
"""Poses and shapes that the priors hardly know have latents without bounds."""


@dataclass(frozen=True)
class Labelled:
    """Samples with their truth as unknowns; zero where there is none."""

    looks: Looks
    truth: Unknowns
    has_body: Bool[Tensor, " samples"]
    points: Float[Tensor, "samples 33 3"]
    """(x, y, weight) of keypoints in the axes of the crop: annotated or, where nobody did, seen."""

    def __len__(self) -> int:
        return len(self.looks)

    def __getitem__(self, rows: Tensor | slice) -> Labelled:
        """Some of them."""
        looks = Looks(**{name: value[rows] for name, value in vars(self.looks).items()})
        return Labelled(looks, self.truth[rows], self.has_body[rows], self.points[rows])


@torch.no_grad()
def labelled(samples: Samples, prior: PosePrior, shape_prior: ShapePrior) -> Labelled:
    """Samples with pose and shape in the latent spaces of the priors."""
    rotation = rotvec_to_matrix(samples.rotvec)
    z = prior.encode(rotation[:, list(FREE_JOINTS)])
    z = z * (_FARTHEST_LATENT / z.abs().clamp_min(_FARTHEST_LATENT))
    s = shape_prior.encode(samples.phenotypes.clamp(0.01, 0.99))
    s = s.clamp(-_FARTHEST_SHAPE, _FARTHEST_SHAPE)
    known = samples.has_body[:, None].float()
    return Labelled(
        looks=looks_of(samples),
        truth=Unknowns(
            rotation[:, 0], samples.root_cam_m, z * known, s * known, torch.zeros(len(samples))
        ),
        has_body=samples.has_body,
        points=seen_points(samples.landmarks),
    )


def seen_points(landmarks: Float[Tensor, "samples 33 3"]) -> Float[Tensor, "samples 33 3"]:
    """What the detector saw, as keypoints to learn from: the unsure count for little."""
    xy, confidence = landmarks.split([2, 1], -1)
    return torch.cat([xy, confidence.square()], -1)


def looks_of(samples: Samples) -> Looks:
    """What a predictor is given of samples."""
    return Looks(
        features=samples.features.float(),
        joint_features=samples.joint_features,
        map_features=samples.map_features,
        landmarks=samples.landmarks,
        world_m=samples.world_m,
        region=samples.region,
        focal_px=samples.camera[:, 0],
        principal_px=samples.camera[:, 1:3],
    )


def crop_points(
    points_cam_m: Float[Tensor, "people points 3"], looks: Looks
) -> Float[Tensor, "people points 2"]:
    """Where points are seen, in the axes of each crop."""
    depth = points_cam_m[..., 2:].clamp_min(0.05)
    px = looks.focal_px[:, None, None] * points_cam_m[..., :2] / depth
    offset = (px + looks.principal_px[:, None] - looks.region[:, None, :2]) / looks.region[
        :, None, 2:3
    ]
    cosine, sine = looks.region[:, 3].cos()[:, None], looks.region[:, 3].sin()[:, None]
    x, y = offset.unbind(-1)
    return torch.stack([cosine * x + sine * y, cosine * y - sine * x], -1)
