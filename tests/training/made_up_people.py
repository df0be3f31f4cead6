"""A studio and a detector that make things up: quick, and with something to learn from."""

from __future__ import annotations

import torch
from torch import Tensor

import kinflow.priors
from kinflow.body import BodyModel
from kinflow.body.skeleton import FREE_JOINTS
from kinflow.energy.unknowns import Unknowns
from kinflow.evidence.batched_blazepose import BatchedLooks
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.predictors.looks import Looks
from kinflow.priors.shape import ShapePrior
from kinflow.synth.studio import StudioBatch
from kinflow.training.predictors.batches import crop_points
from kinflow.training.predictors.live import LiveSource

FOCAL_PX, SIDE_PX = 500.0, 400.0
FREE = list(FREE_JOINTS)


class MadeUpPeople:
    """Samples of the prior before a camera, and landmarks that are nearly right.

    Args:
        seed: another one shows others.
        strangers: share of them in whose place the detector sees somebody else.
    """

    def __init__(self, seed: int, strangers: float = 0.0) -> None:
        self.seed, self.generator = seed, torch.Generator().manual_seed(seed)
        self.prior, self.shape_prior = kinflow.priors.load(), ShapePrior()
        self.body = BodyModel.load("joints")
        self.strangers = strangers
        self.shown: StudioBatch | None = None
        self.points_m = torch.zeros(0, 33, 3)

    def source(self, pictures: int) -> LiveSource:
        return LiveSource(self.draw, self.look, self.prior, self.shape_prior, pictures, self.seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator)

    def draw(self, count: int, generator: torch.Generator) -> StudioBatch:
        self.generator = generator
        pose = torch.eye(3).repeat(count, 22, 1, 1)
        turn = torch.zeros(count, 3)
        turn[:, 1] = self.normal(count)
        upright = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
        pose[:, 0] = upright @ rotvec_to_matrix(turn)
        s = self.normal(count, 6)
        s[::4, 1] = -4.0  # children
        phenotypes = self.shape_prior.decode(s)
        root = torch.tensor([0.0, 0.0, 3.0]) + 0.2 * self.normal(count, 3)
        z = self.normal(count, self.prior.latent_dim)
        pose[:, FREE] = self.prior.decode(z)
        posed = self.body.with_shape(phenotypes).with_pose(pose, root)
        self.points_m = posed.keypoints_m()[:, :33]
        centre = torch.tensor([320.0, 240.0]).repeat(count, 1)
        region = torch.cat([centre, torch.tensor([[SIDE_PX, 0.0]]).repeat(count, 1)], 1)
        truth = Unknowns(pose[:, 0], root, z, s, torch.zeros(count))
        crop = crop_points(self.points_m, _looks(truth, region, centre))
        shows = torch.rand(count, 33, generator=self.generator) < 0.9
        nothing = torch.zeros(count, 256, 256)
        self.shown = StudioBatch(
            rgb=nothing[..., None].expand(-1, -1, -1, 3).to(torch.uint8),
            parts=nothing.to(torch.uint8),
            dressed=nothing.bool(),
            other=nothing.bool(),
            inside=nothing.bool(),
            rotation=pose,
            phenotypes=phenotypes,
            root_cam_m=root,
            up_cam=torch.tensor([0.0, -1.0, 0.0]).repeat(count, 1),
            focal_px=torch.full((count,), FOCAL_PX),
            principal_px=centre,
            image_size=2 * centre,
            region=region,
            keypoints_px=(crop * SIDE_PX) + centre[:, None],
            keypoints_crop=crop,
            keypoint_shows=shows,
            keypoint_visible=shows,
        )
        return self.shown

    def look(self, rgb: Tensor) -> BatchedLooks:
        shown, count = self.shown, len(rgb)
        assert shown is not None
        xy = shown.keypoints_crop + 0.005 * self.normal(count, 33, 2)
        stranger = torch.rand(count, generator=self.generator) < self.strangers
        xy = xy + 2.0 * stranger[:, None, None]
        points = self.points_m - self.points_m[:, [23, 24]].mean(1, keepdim=True)
        depth = points[..., 2:].repeat(1, 1, 288)
        return BatchedLooks(
            landmarks=torch.cat([xy, torch.full((count, 33, 1), 0.9)], -1),
            world_m=points * torch.tensor([1.0, 1.0, 0.3]),
            features=shown.phenotypes.repeat(1, 192),
            joint_features=depth + 0.1 * self.normal(count, 33, 288),
            map_features=0.1 * self.normal(count, 4608),
            score=torch.full((count,), 0.9),
            mask=torch.zeros(count, 256, 256),
        )


def _looks(truth: Unknowns, region: Tensor, centre: Tensor) -> Looks:
    count = len(region)
    return Looks(
        features=torch.zeros(count, 1152),
        landmarks=torch.zeros(count, 33, 3),
        world_m=torch.zeros(count, 33, 3),
        region=region,
        focal_px=torch.full((count,), FOCAL_PX),
        principal_px=centre,
        joint_features=torch.zeros(count, 33, 288),
        map_features=torch.zeros(count, 4608),
    )
