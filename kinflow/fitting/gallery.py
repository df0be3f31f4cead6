"""Poses to start from: samples of the prior, seen from all sides, looked up by their keypoints.

Single-view fitting has many local minima, and a descent only reaches the nearest. So a fixed
gallery of the prior's samples is projected once, and for every person the views are looked up that
match the keypoints best up to a similarity transform of the image (Procrustes analysis in closed
form, two matrix products for the whole gallery). The best are taken within each sector of
headings, because the best overall would all be alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.checks import positive, refuse, whole
from kinflow.energy.body_energy import Targets
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.initialisers import Proposals
from kinflow.fitting.starts import R_CAM_UPRIGHT, estimate_depth_m, place, resting
from kinflow.geometry.rotations import rotvec_to_matrix


@dataclass(frozen=True)
class GalleryConfig:
    """Size of the gallery, what a good match is, and how many are proposed."""

    poses: int = 1024
    views: int = 16
    """Headings that each pose is seen from."""
    headings: int = 8
    """Sectors of headings; matches are looked up in each."""
    per_heading: int = 4
    """Matches proposed from each sector."""
    temperature: float = 0.8
    """Spread of the latents. Below 1, for typical poses are better starts than odd ones."""
    misfit_std: float = 0.01
    """Misfit, as a share of the person's extent, that weighs as much as one standard deviation
    of a latent."""
    seed: int = 0

    def __post_init__(self) -> None:
        whole(self, "poses", at_least=1, at_most=1_000_000)
        whole(self, "views", at_least=1, at_most=3600)
        whole(self, "headings", at_least=1, at_most=3600)
        if self.views % self.headings:
            refuse(
                f"headings has to be a divisor of the gallery's {self.views} views, "
                f"not {self.headings}."
            )
        in_sector = self.poses * (self.views // self.headings)
        whole(self, "per_heading", at_least=1, at_most=in_sector)
        positive(self, "temperature", "misfit_std")
        whole(self, "seed")


@dataclass(frozen=True)
class _Similarities:
    """Closed-form 2D alignments of every view with every person."""

    misfit: Float[Tensor, "views people"]
    """Mean squared distance left over, as a share of the person's mean squared extent."""
    roll_rad: Float[Tensor, "views people"]
    px_per_m: Float[Tensor, "views people"]


class PoseGallery:
    """Samples of a model's prior, as orthographic views of its keypoints.

    Args:
        model: gives the prior and the points that targets are ordered by.
        config: size.
    """

    def __init__(self, model: KeypointModel, config: GalleryConfig) -> None:
        self._config = config
        device = model.points_at_rest_m.device
        generator = torch.Generator().manual_seed(config.seed)
        size = (config.poses, model.prior.latent_dim)
        z = torch.randn(size, generator=generator, dtype=torch.float32)
        z = config.temperature * z
        z[0] = 0
        self._bodies = replace(resting(model, config.poses, device), z=z.to(device))
        with torch.no_grad():
            self._points_m = model.evaluate(self._bodies, with_jacobian=False).keypoints_cam_m
        view = torch.arange(config.views, device=device, dtype=torch.float32)
        yaw = view * (2 * math.pi / config.views)
        zero = torch.zeros_like(yaw)
        turn = rotvec_to_matrix(torch.stack([zero, yaw, zero], -1))
        self._R_cam_root = R_CAM_UPRIGHT.to(device) @ turn
        seen = torch.einsum("vij,npj->vnpi", self._R_cam_root[:, :2], self._points_m)
        self._views = seen.flatten(0, 1).flatten(1)  # (views * poses, points * 2)
        self._squares = seen.flatten(0, 1).square().sum(-1)  # (views * poses, points)

    @property
    def latents(self) -> Float[Tensor, "poses latent"]:
        """Latents of the poses; the first is the prior's centre."""
        return self._bodies.z

    def propose(self, targets: Targets, names: tuple[str, ...]) -> Proposals:
        """The best matches of each sector of headings."""
        headings, per_heading = self._config.headings, self._config.per_heading
        person = torch.arange(len(targets.focal_px), device=targets.observed_px.device)
        person = person.repeat_interleave(headings * per_heading)
        return Proposals(
            self.starts(targets, names, headings, per_heading), person, source="gallery"
        )

    def starts(
        self, targets: Targets, names: tuple[str, ...], sectors: int, per_sector: int
    ) -> Unknowns:
        """The best matches of each sector of headings; people * sectors * per_sector rows.

        Args:
            targets: one row a person.
            names: keypoint names, the order of the points in `targets`.
            sectors: number of ranges of headings; a divisor of the number of views.
            per_sector: matches taken from each.
        """
        poses, device = self._config.poses, targets.observed_px.device
        people = len(targets.focal_px)
        match = self._align(targets)
        energy = 0.5 * match.misfit / self._config.misfit_std**2
        energy = energy.view(-1, poses, people) + self._prior_energy()[:, None]
        by_sector = energy.permute(2, 0, 1).reshape(people, sectors, -1)
        within = by_sector.topk(per_sector, -1, largest=False).indices
        first = torch.arange(sectors, device=device)[:, None] * by_sector.shape[-1]
        view = (first + within).flatten(1)
        person = torch.arange(people, device=device)[:, None].expand_as(view)
        return self._placed(match, view.flatten(), person.flatten(), targets, names)

    def _prior_energy(self) -> Float[Tensor, " poses"]:
        return 0.5 * self._bodies.z.square().sum(-1)

    def _align(self, targets: Targets) -> _Similarities:
        """Weighted 2D Procrustes alignment of all views with all people.

        With centred observations y the translation drops out of every product with them; in
        complex numbers the best factor is <x, y> / <x, x>.
        """
        weight = targets.inverse_std_px.square()
        weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-12)
        centre = (weight[..., None] * targets.observed_px).sum(1, keepdim=True)
        y = targets.observed_px - centre
        extent = (weight[..., None] * y.square()).sum((1, 2)).clamp_min(1e-6)
        wy = weight[..., None] * y
        quarter_turn = torch.stack([wy[..., 1], -wy[..., 0]], -1)
        zero = torch.zeros_like(weight)
        in_x, in_y = torch.stack([weight, zero], -1), torch.stack([zero, weight], -1)
        products = torch.cat([wy, quarter_turn, in_x, in_y]).flatten(1)
        along, across, mean_x, mean_y = (self._views @ products.mT).chunk(4, 1)
        spread = self._squares @ weight.mT - mean_x.square() - mean_y.square()
        spread = spread.clamp_min(1e-6)
        explained = (along.square() + across.square()) / (spread * extent)
        return _Similarities(
            misfit=(1 - explained).clamp_min(0),
            roll_rad=torch.atan2(across, along),
            px_per_m=(along.square() + across.square()).sqrt() / spread,
        )

    def _placed(
        self,
        match: _Similarities,
        view: Int[Tensor, " rows"],
        person: Int[Tensor, " rows"],
        targets: Targets,
        names: tuple[str, ...],
    ) -> Unknowns:
        """Bodies of chosen views, turned and placed as their alignment says."""
        heading, pose = view // self._config.poses, view % self._config.poses
        roll = match.roll_rad[view, person]
        zero = torch.zeros_like(roll)
        R_roll = rotvec_to_matrix(torch.stack([zero, zero, roll], -1))
        R = R_roll @ self._R_cam_root[heading]
        depth = targets.focal_px[person] / match.px_per_m[view, person].clamp_min(1e-6)
        # too few keypoints have no reliable extent
        expected = estimate_depth_m(
            targets.observed_px,
            targets.inverse_std_px,
            self._points_m[0],
            targets.focal_px,
            names,
        )[person]
        depth = torch.minimum(torch.maximum(depth, 0.5 * expected), 2 * expected)
        t = place(self._points_m[pose], R, depth, targets[person])
        return replace(self._bodies[pose], R_cam_root=R, t_cam_root_m=t)
