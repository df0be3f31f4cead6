"""Samples as predictors and losses take them: looks, true bodies, which of both there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int16
from torch import Tensor

from kinflow.body.skeleton import FREE_JOINTS
from kinflow.datasets.look_labels import shows_parts
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
    has_pose: Bool[Tensor, " samples"]
    """Of whom the pose is known, whatever else is."""
    has_root: Bool[Tensor, " samples"]
    """Of whom it is known how the root is turned."""
    points: Float[Tensor, "samples 33 3"]
    """(x, y, weight) of labelled keypoints in the axes of the crop."""
    joints_cam_m: Float[Tensor, "samples 33 4"]
    """(x, y, z, weight) of labelled joints, by the keypoints of their names."""
    parts: Int16[Tensor, "samples 32 32"]
    """Bit sets of the parts that cells of the crop may show; all zero where nobody says."""

    def __len__(self) -> int:
        return len(self.looks)

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self.points.device

    def __getitem__(self, rows: Tensor | slice) -> Labelled:
        """Some of them."""
        return self.each(lambda value: value[rows])

    def each(self, change: Callable[[Tensor], Tensor]) -> Labelled:
        """The same with all tensors changed."""
        return Labelled(
            self.looks.each(change),
            Unknowns(**{name: change(value) for name, value in vars(self.truth).items()}),
            change(self.has_body),
            change(self.has_pose),
            change(self.has_root),
            change(self.points),
            change(self.joints_cam_m),
            change(self.parts),
        )

    @staticmethod
    def concatenate(parts: Sequence[Labelled]) -> Labelled:
        """Samples one after another; at least one part."""
        columns = iter([torch.cat(c) for c in zip(*(p.tensors() for p in parts), strict=True)])
        return parts[0].each(lambda _: next(columns))

    def tensors(self) -> list[Tensor]:
        """All tensors, always in one order."""
        known = (self.has_body, self.has_pose, self.has_root)
        labels = (*known, self.points, self.joints_cam_m, self.parts)
        return [*self.looks.tensors(), *vars(self.truth).values(), *labels]

    @property
    def in_space(self) -> Bool[Tensor, " samples"]:
        """Of whom something in space is known."""
        return self.has_body | self.has_pose | self.has_root | self.has_joints

    @property
    def has_joints(self) -> Bool[Tensor, " samples"]:
        """Of whom joints in space are known."""
        return (self.joints_cam_m[..., 3] > 0).any(1)

    @property
    def in_picture(self) -> Bool[Tensor, " samples"]:
        """Of whom something in the picture is known."""
        return (self.points[..., 2] > 0).any(1) | shows_parts(self.parts)


@torch.no_grad()
def labelled(samples: Samples, prior: PosePrior, shape_prior: ShapePrior) -> Labelled:
    """Samples with pose and shape in the latent spaces of the priors, on the prior's device."""
    samples = samples.to(prior.one_of_its_numbers().device)
    pose = rotvec_to_matrix(samples.rotvec)
    truth = bodies(pose, samples.phenotypes, samples.root_cam_m, prior, shape_prior)
    posed = (samples.has_body | samples.has_pose)[:, None].float()
    known = samples.has_body[:, None].float()
    return replace(unencoded(samples), truth=replace(truth, z=truth.z * posed, s=truth.s * known))


def unencoded(samples: Samples) -> Labelled:
    """Samples without their bodies: all that tells what is known of them."""
    nothing = samples.region.new_zeros(len(samples), 0)
    empty = nothing.new_zeros
    return Labelled(
        looks=looks_of(samples),
        truth=Unknowns(
            empty(len(samples), 3, 3), empty(len(samples), 3), nothing, nothing, empty(len(samples))
        ),
        has_body=samples.has_body,
        has_pose=samples.has_body | samples.has_pose,
        has_root=samples.has_body | samples.has_root,
        points=samples.keypoints,
        joints_cam_m=samples.joints_cam_m,
        parts=samples.parts,
    )


@torch.no_grad()
def bodies(
    pose: Float[Tensor, "people 22 3 3"],
    phenotypes: Float[Tensor, "people 6"],
    root_cam_m: Float[Tensor, "people 3"],
    prior: PosePrior,
    shape_prior: ShapePrior,
) -> Unknowns:
    """Bodies as unknowns; poses and shapes that the priors hardly know as far as they may go."""
    z = prior.encode(pose[:, list(FREE_JOINTS)])
    z = z * (_FARTHEST_LATENT / z.abs().clamp_min(_FARTHEST_LATENT))
    s = shape_prior.encode(phenotypes.clamp(0.01, 0.99))
    s = s.clamp(-_FARTHEST_SHAPE, _FARTHEST_SHAPE)
    return Unknowns(pose[:, 0], root_cam_m, z, s, torch.zeros_like(root_cam_m[:, 0]))


def seen_points(landmarks: Float[Tensor, "samples 33 3"]) -> Float[Tensor, "samples 33 3"]:
    """What the detector saw, as keypoints to learn from: the unsure count for little."""
    xy, confidence = landmarks.split([2, 1], -1)
    return torch.cat([xy, confidence.square()], -1)


def looks_of(samples: Samples) -> Looks:
    """What a predictor is given of samples."""
    return Looks(
        features=samples.features,
        landmarks=samples.landmarks,
        world_m=samples.world_m,
        region=samples.region,
        focal_px=samples.camera[:, 0],
        principal_px=samples.camera[:, 1:3],
        joint_features=samples.joint_features,
        map_features=samples.map_features,
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
