"""How a camera is tilted: the probability of every pitch and roll, by all that speaks of it.

Cameras are held about level; upright edges of walls and poles meet where up (or down) is seen, the
vertical vanishing point; people's poses tell what is up for them. Each is a log likelihood on one
grid of directions, so that several answers may stand side by side until one of them wins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import positive, share
from kinflow.geometry.pinhole import Camera
from kinflow.results import Gravity

_STEP_DEG = 1.0
_MAX_PITCH_DEG, _MAX_ROLL_DEG = 60.0, 30.0


@dataclass(frozen=True)
class TiltConfig:
    """What is known of cameras, lines and poses."""

    pitch_std_deg: float = 10.0
    """Of cameras that are held about level."""
    steep_share: float = 0.35
    steep_std_deg: float = 25.0
    """Of the others, which look up or down on purpose, and how many they are."""
    roll_std_deg: float = 4.0
    line_std_deg: float = 1.2
    """Of an upright line's direction in the image."""
    line_share: float = 0.25
    """Of the lines that may be upright, so many are; the others have any direction."""
    line_weight: float = 0.6
    """Lines of one wall err alike."""
    vote_std_deg: float = 12.0
    """Of what is up by the pose of a fitted person."""
    vote_cutoff: float = 2.5
    """Standard deviations beyond which a person lies, or is wrong."""
    min_std_deg: float = 1.5
    """Nothing is known better than this."""

    def __post_init__(self) -> None:
        stds = ("pitch_std_deg", "steep_std_deg", "roll_std_deg", "line_std_deg", "vote_std_deg")
        positive(self, *stds, "min_std_deg", "vote_cutoff", "line_weight")
        share(self, "line_share", "steep_share")


class TiltGrid:
    """Directions that up may have in the camera frame, and what is held of them."""

    def __init__(self, config: TiltConfig) -> None:
        self.config = config
        pitch, roll = (
            torch.arange(-most, most + 0.5, _STEP_DEG, dtype=torch.float32)
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
        self,
        camera: Camera,
        lines_px: Float[Tensor, "lines 4"] | None = None,
        votes: Float[Tensor, "people 3"] | None = None,
    ) -> Float[Tensor, " directions"]:
        """Log probability of each direction, up to a constant.

        Args:
            camera: of the photo.
            lines_px: edges that may be upright.
            votes: what is up by people's poses.
        """
        total = self._level
        if lines_px is not None and len(lines_px):
            total = total + self._by_lines(camera, lines_px)
        if votes is not None:
            total = total + self._by_votes(votes)
        return total

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

    def _by_votes(self, votes: Float[Tensor, "people 3"]) -> Float[Tensor, " directions"]:
        cosine = (self.up_cam @ votes.cpu().T).clamp(-1, 1)
        q = (torch.rad2deg(cosine.acos()) / self.config.vote_std_deg).square()
        return -0.5 * (q / (1 + q / self.config.vote_cutoff**2)).sum(-1)

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
