"""Which way is up in a photo, which everybody in it shares, and how fits keep to it.

Before anybody is fitted, cameras and upright lines say what is up (`tilt.py`), and each person is
fitted with that and with how well it is known. Then everybody votes by their pose, and bodies are
fitted on with the common answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import nested, not_negative, positive
from kinflow.energy.body_energy import UpTarget
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.tilt import TiltConfig, TiltGrid
from kinflow.geometry.pinhole import Camera
from kinflow.results import Gravity


@dataclass(frozen=True)
class GravityConfig:
    """How well poses tell what is up, and what else does."""

    attitude_std_deg: float = 8.0
    """Of what is up by a fitted pose: on motion capture the error is 5 degrees on average."""
    hidden_reach: float = 1.0
    """How much further bodies are kept upright whose legs are not seen at all."""
    tilt: TiltConfig = field(default_factory=TiltConfig)

    def __post_init__(self) -> None:
        positive(self, "attitude_std_deg")
        not_negative(self, "hidden_reach")
        nested(self, tilt=TiltConfig)


class GravityEstimator:
    """Estimates what is up in a photo.

    Args:
        model: of the fits; has an attitude prior.
        config: spreads.
    """

    def __init__(self, model: KeypointModel, config: GravityConfig) -> None:
        self.model, self.config = model, config
        self._grid = TiltGrid(config.tilt)

    def without_people(self, camera: Camera, lines_px: Float[Tensor, "lines 4"] | None) -> Gravity:
        """By the camera and the photo's lines alone."""
        return self._grid.best(self._grid.log_prob(camera, lines_px))

    def with_people(
        self, camera: Camera, lines_px: Float[Tensor, "lines 4"] | None, bodies: Unknowns
    ) -> Gravity:
        """By camera, lines and the fitted bodies of the photo, one row a person."""
        with torch.no_grad():
            votes = self.model.evaluate(bodies, with_jacobian=False).up_cam
        assert votes is not None, "a model without an attitude prior knows of no up"
        return self._grid.best(self._grid.log_prob(camera, lines_px, votes))

    def target(self, gravity: Gravity, leg_confidence: Float[Tensor, " people"]) -> UpTarget:
        """What the people of a photo are fitted to.

        Whose legs are seen may well lie; bodies whose legs nobody saw are kept upright further.

        Args:
            gravity: of the photo.
            leg_confidence: how certain a person's surer knee is.
        """
        device = self.model.body.rest_mean_m.device
        up = torch.tensor(gravity.up_cam, device=device, dtype=torch.float32)
        std = math.radians(math.hypot(self.config.attitude_std_deg, gravity.std_deg))
        people = len(leg_confidence)
        reach = 1 + self.config.hidden_reach * (1 - leg_confidence.to(up))
        return UpTarget(up.expand(people, 3), up.new_full((people, 3), 1 / std), reach)
