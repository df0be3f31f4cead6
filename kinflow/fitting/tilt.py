"""How a camera is tilted: the probability of every pitch and roll, by all that speaks of it.

Cameras are held about level; upright edges of walls and poles meet where up (or down) is seen, the
vertical vanishing point; people's poses tell what is up for them, and the floor that they share
how it lies (`floor.py`). Each is a log likelihood on one grid of directions, so that several
answers may stand side by side until one of them wins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from kinflow.checks import not_negative, positive, share
from kinflow.geometry.pinhole import Camera
from kinflow.results import Gravity

_STEP_DEG = 1.0
_MAX_PITCH_DEG, _MAX_ROLL_DEG = 60.0, 30.0


@dataclass(frozen=True)
class TiltConfig:
    """What is known of cameras, lines and poses."""

    pitch_std_deg: float = 10.0
    """Of cameras that are held about level."""
    steep_share: float = 0.6
    steep_std_deg: float = 22.0
    """Of the others, which look up or down on purpose, and how many they are."""
    roll_std_deg: float = 4.0
    line_std_deg: float = 1.2
    """Of an upright line's direction in the image."""
    line_share: float = 0.25
    """Of the lines that may be upright, so many are; the others have any direction."""
    line_weight: float = 0.6
    """Lines of one wall err alike."""
    line_doubt: float = 0.1
    """How often the lines of a photo are no upright ones at all."""
    vote_std_deg: float = 5.0
    """Of what is up by the true pose of a person."""
    pose_std_scale: float = 2.5
    """Factor on what the spread of the fitted pose adds to that, which the fit states too small."""
    lying_share: float = 0.3
    """Of people whose up may be anywhere, whatever their pose says."""
    min_std_deg: float = 1.5
    """Nothing is known better than this."""

    def __post_init__(self) -> None:
        stds = ("pitch_std_deg", "steep_std_deg", "roll_std_deg", "line_std_deg", "vote_std_deg")
        positive(self, *stds, "min_std_deg", "line_weight")
        not_negative(self, "pose_std_scale")
        share(self, "line_share", "steep_share", "line_doubt", "lying_share")


class TiltGrid:
    """Directions that up may have in the camera frame, and what is held of them.

    Args:
        config: what is known of cameras, lines and poses.
        step_deg: between directions.
    """

    def __init__(self, config: TiltConfig, step_deg: float = _STEP_DEG) -> None:
        self.config, self.step_deg = config, step_deg
        pitch, roll = (
            torch.arange(-most, most + 0.5 * step_deg, step_deg, dtype=torch.float32)
            for most in (_MAX_PITCH_DEG, _MAX_ROLL_DEG)
        )
        pitch_deg, roll_deg = (v.flatten() for v in torch.meshgrid(pitch, roll, indexing="ij"))
        p, r = torch.deg2rad(pitch_deg), torch.deg2rad(roll_deg)
        self.up_cam: Float[Tensor, "directions 3"] = torch.stack(
            [r.sin(), -r.cos() * p.cos(), -r.cos() * p.sin()], -1
        )
        level = (1 - config.steep_share) * _normal(pitch_deg, config.pitch_std_deg)
        steep = config.steep_share * _normal(pitch_deg, config.steep_std_deg)
        self._level = (level + steep).log() - 0.5 * (roll_deg / config.roll_std_deg).square()

    def log_prob(
        self, camera: Camera, lines_px: Float[Tensor, "lines 4"] | None = None
    ) -> Float[Tensor, " directions"]:
        """Log probability of each direction by the camera and lines, up to a constant.

        Args:
            camera: of the photo.
            lines_px: edges that may be upright.
        """
        if lines_px is None or not len(lines_px):
            return self._level
        return self._level + self._doubted(self._by_lines(camera, lines_px))

    def _doubted(self, gain: Float[Tensor, " directions"]) -> Float[Tensor, " directions"]:
        """What lines say if they may have nothing to do with what is up, and as many of them
        point somewhere by chance."""
        if not self.config.line_doubt:
            return gain
        by_chance = torch.logsumexp(self._level + gain, 0) - torch.logsumexp(self._level, 0)
        doubt = self.config.line_doubt
        return torch.logaddexp(gain + math.log1p(-doubt), by_chance + math.log(doubt))

    def by_votes(
        self, up_cam: Float64[Tensor, "people 3"], up_cov: Float64[Tensor, "people 3 3"]
    ) -> Float[Tensor, " directions"]:
        """Log likelihood of each direction by people's poses, some of whom lie.

        Args:
            up_cam: what is up by the poses.
            up_cov: their covariances, as far as they come from the poses.
        """
        config = self.config
        own = math.radians(config.vote_std_deg) ** 2 * torch.eye(3, dtype=up_cov.dtype)
        covariance = config.pose_std_scale**2 * up_cov + own
        gap = self.up_cam.double() - up_cam[:, None]
        q = ((gap @ torch.linalg.inv(covariance)) * gap).sum(-1)
        # a Gaussian in the plane across the vote, with the mean spread of all three axes
        area = 2 * math.pi * (torch.logdet(covariance) / 3).exp()
        upright = (-0.5 * q).exp() / area[:, None]
        lying = config.lying_share / (4 * math.pi)
        return ((1 - config.lying_share) * upright + lying).log().sum(0).float()

    def _by_lines(
        self, camera: Camera, lines_px: Float[Tensor, "lines 4"]
    ) -> Float[Tensor, " directions"]:
        config = self.config
        principal = lines_px.new_tensor(camera.principal_px)
        middle = (lines_px[:, :2] + lines_px[:, 2:]) / 2 - principal
        step = lines_px[:, 2:] - lines_px[:, :2]
        length = step.norm(dim=-1)
        along = step / length[:, None].clamp_min(1e-6)  # a point has no direction, and no weight
        # towards the vanishing point (f x / z, f y / z), times z
        x, y, z = (v[:, None] for v in self.up_cam.to(lines_px).unbind(-1))
        to_x = camera.focal_px * x - z * middle[:, 0]
        to_y = camera.focal_px * y - z * middle[:, 1]
        sine = (along[:, 0] * to_y - along[:, 1] * to_x) / torch.hypot(to_x, to_y).clamp_min(1e-6)
        away_deg = torch.rad2deg(sine.abs().clamp(max=1).asin())
        # half a Gaussian against any direction from 0 to 90 degrees
        peak = 90 / (config.line_std_deg * math.sqrt(math.pi / 2))
        upright = (
            config.line_share * peak * (-0.5 * (away_deg / config.line_std_deg).square()).exp()
        )
        gain = (upright + 1 - config.line_share).log()
        # a line of a tenth of the image counts once
        diagonal = math.hypot(*camera.image_size)
        weight = config.line_weight * (length / (0.1 * diagonal)).clamp(max=1.5)
        return (gain @ weight).cpu()

    def best(self, log_prob: Float[Tensor, " directions"]) -> Gravity:
        """The likeliest direction, and how far up is from there."""
        chosen = self.up_cam[int(log_prob.argmax())]
        weight = torch.softmax(log_prob, 0)
        cosine = (self.up_cam @ chosen).clamp(-1, 1)
        away_deg, order = torch.rad2deg(cosine.acos()).sort()
        # the angle within which up is as often as within one deviation of a Gaussian in the plane
        inside = int((weight[order].cumsum(0) < 1 - math.exp(-0.5)).sum())
        x, y, z = torch.nn.functional.normalize(chosen.double(), dim=0).tolist()
        std_deg = max(self.config.min_std_deg, float(away_deg[min(inside, len(order) - 1)]))
        return Gravity((x, y, z), std_deg)


def _normal(value: Tensor, std: float) -> Tensor:
    return (-0.5 * (value / std).square()).exp() / std
