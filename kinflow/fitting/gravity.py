"""Which way is up in a photo and where its floor is: everybody shares both, and fits keep to them.

Before anybody is fitted, cameras and upright lines say what is up (`tilt.py`), and each person is
fitted with that and with how well it is known. Then everybody votes by their pose, the ground under
several people has to be one floor (`floor.py`), and bodies are fitted on with the common answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from kinflow.checks import flag, nested, not_negative, positive
from kinflow.energy.ground import FloorTarget, TrunkTarget, UpTarget
from kinflow.energy.terms import lowest
from kinflow.fitting.floor import FloorConfig, guess_floor
from kinflow.fitting.stances import Stances
from kinflow.fitting.tilt import TiltConfig, TiltGrid
from kinflow.geometry.pinhole import Camera
from kinflow.results import Floor, Gravity

_HOPELESS_NATS = 30.0
"""Directions that are by so much less likely to be up are not asked for their floor."""


@dataclass(frozen=True)
class GravityConfig:
    """How well poses tell what is up, and what else does."""

    attitude_std_deg: float = 5.0
    """Of what is up by a fitted pose: on motion capture the error is 5 degrees on average."""
    hidden_reach: float = 1.0
    """How much further bodies are kept upright whose legs are not seen at all."""
    trunk_std_deg: float = 5.0
    """How far trunks lean of whom nobody saw the legs."""
    seen_trunk_std_deg: float = 20.0
    """The same of people whose legs are seen, who do all kinds of things."""
    shared_floor: bool = True
    """Whether people of a photo are taken to be on one floor, as far as they can be."""
    tilt: TiltConfig = field(default_factory=TiltConfig)
    floor: FloorConfig = field(default_factory=FloorConfig)

    def __post_init__(self) -> None:
        positive(self, "attitude_std_deg", "trunk_std_deg", "seen_trunk_std_deg")
        not_negative(self, "hidden_reach")
        flag(self, "shared_floor")
        nested(self, tilt=TiltConfig, floor=FloorConfig)


@dataclass(frozen=True)
class Ground:
    """What the people of a photo share."""

    gravity: Gravity
    floor: Floor | None = None
    """None where nobody told how high it is."""
    distance: Float64[Tensor, " people"] | None = None
    """Of each person who is on it: 1, or less for who seems to be a child nearer than they were
    fitted; NaN for others."""
    std_m: Float64[Tensor, " people"] | None = None
    """Of the floor where each person is, relative to the others, with that of a body on it."""

    @property
    def is_shared(self) -> bool:
        """Whether several people are on the floor."""
        return self.distance is not None and int(self.distance.isfinite().sum()) > 1


class GravityEstimator:
    """Estimates what is up in a photo, and where its floor is.

    Args:
        flesh_m: how deep the points of the fits lie below the skin (`stances.flesh_m`).
        config: spreads.
    """

    def __init__(self, flesh_m: Float[Tensor, " points"], config: GravityConfig) -> None:
        self.flesh_m, self.config = flesh_m, config
        self._grid = TiltGrid(config.tilt)

    def by_picture(
        self, camera: Camera, lines_px: Float[Tensor, "lines 4"] | None
    ) -> Float[Tensor, " directions"]:
        """Log probability of directions by the camera and the photo's lines, for what follows."""
        return self._grid.log_prob(camera, lines_px)

    def without_people(self, picture: Float[Tensor, " directions"]) -> Gravity:
        """By the picture alone.

        Args:
            picture: what `by_picture` says of it.
        """
        return self._grid.best(picture)

    def with_people(
        self,
        picture: Float[Tensor, " directions"],
        stances: Stances,
        child_log_odds: Float[Tensor, " people"] | None = None,
    ) -> Ground:
        """By the picture and the fitted bodies in it, one row a person.

        Args:
            picture: what `by_picture` says of it.
            stances: of the bodies.
            child_log_odds: of those being children, by all but the floor; NaN where nothing tells.
        """
        log_prob = picture + self._grid.by_votes(stances.up_cam, stances.up_cov)
        if not self.config.shared_floor:
            return Ground(self._grid.best(log_prob))
        told = (self.config.floor, child_log_odds, self._grid.step_deg)
        if len(stances) > 1:
            likely = log_prob > log_prob.max() - _HOPELESS_NATS
            guess = guess_floor(stances, self._grid.up_cam[likely].double(), *told)
            log_prob = torch.where(likely, log_prob, -torch.inf)
            log_prob[likely] += guess.log_likelihood.float()
        gravity = self._grid.best(log_prob)
        up = torch.tensor([gravity.up_cam], dtype=torch.float64)
        guess = guess_floor(stances, up, *told)
        floor = Floor(float(guess.height_m), float(guess.std_m))
        distance = torch.full((len(stances),), torch.nan, dtype=torch.float64)
        distance[guess.on_it[:, 0] > 0.5] = 1.0
        child = guess.nearer[:, 0] > 0.5
        distance[child] = guess.distance[child, 0]
        return Ground(gravity, floor, distance, self._std_m(gravity, stances, distance.isfinite()))

    def _std_m(
        self, gravity: Gravity, stances: Stances, on_floor: Bool[Tensor, " people"]
    ) -> Float64[Tensor, " people"]:
        """What tilts by some degrees rises or falls the more the further away it is."""
        places = stances.points_cam_m.mean(1)
        away = places - places[on_floor if bool(on_floor.any()) else ...].mean(0)
        tilt_m = math.radians(gravity.std_deg) * (away - _along(away, gravity)).norm(dim=1)
        hidden_m = self.config.floor.hidden_std_m * (1 - stances.legs)
        body_m = torch.hypot(hidden_m, torch.full_like(tilt_m, self.config.floor.std_m))
        return torch.hypot(tilt_m, body_m)

    def floor_under(
        self, ground: Ground, points_cam_m: Float[Tensor, "people points 3"]
    ) -> Floor | None:
        """The floor of a photo at the height where its people came to stand on it at last.

        Args:
            ground: by the fits before.
            points_cam_m: of the final bodies.
        """
        if ground.floor is None or ground.distance is None:
            return None
        on_it = ground.distance.isfinite()
        if not bool(on_it.any()) or ground.floor.std_m > self.config.floor.unknown_std_m:
            return None
        up = torch.tensor([ground.gravity.up_cam]).to(points_cam_m)
        height, _ = lowest(points_cam_m, self.flesh_m.to(points_cam_m), up)
        return Floor(float(height.cpu()[on_it].median()), ground.floor.std_m)

    def above_floor_m(
        self, ground: Ground, floor: Floor | None, points_cam_m: Float[Tensor, "people points 3"]
    ) -> Float[Tensor, " people"]:
        """How far above the floor of their photo people are, zero where nobody knows of one.

        Args:
            ground: by the fits before.
            floor: of the photo.
            points_cam_m: of the final bodies.
        """
        if floor is None:
            return torch.zeros(len(points_cam_m))
        up = torch.tensor([ground.gravity.up_cam]).to(points_cam_m)
        height, _ = lowest(points_cam_m, self.flesh_m.to(points_cam_m), up)
        return height.cpu().flatten() - floor.height_m

    def target(self, gravity: Gravity, leg_confidence: Float[Tensor, " people"]) -> UpTarget:
        """What is up for the people of a photo.

        Whose legs are seen may well lie; bodies whose legs nobody saw are kept upright further.

        Args:
            gravity: of the photo.
            leg_confidence: how certain a person's surer knee is.
        """
        up = torch.tensor(gravity.up_cam, device=self.flesh_m.device, dtype=torch.float32)
        std = math.radians(math.hypot(self.config.attitude_std_deg, gravity.std_deg))
        people = len(leg_confidence)
        reach = 1 + self.config.hidden_reach * (1 - leg_confidence.to(up))
        return UpTarget(up.expand(people, 3), up.new_full((people, 3), 1 / std), reach)

    def trunk_target(
        self,
        gravity: Gravity,
        leg_confidence: Float[Tensor, " people"],
        weights: Float[Tensor, " points"],
    ) -> TrunkTarget:
        """How upright the people of a photo are taken to be.

        Args:
            gravity: of the photo.
            leg_confidence: how certain a person's surer knee is.
            weights: of the points of a fit, along the trunk.
        """
        legs = leg_confidence.to(weights)
        up = weights.new_tensor(gravity.up_cam)
        own = self.config.trunk_std_deg + legs * (
            self.config.seen_trunk_std_deg - self.config.trunk_std_deg
        )
        std = torch.deg2rad(torch.hypot(own, torch.full_like(own, gravity.std_deg)))
        return TrunkTarget(up.expand(len(legs), 3), 1 / std, weights)

    def floor_target(self, ground: Ground, people: int) -> FloorTarget:
        """The floor that the people of a photo are held to, if several are on it.

        All of them are: whoever is elsewhere is an outlier of that term as well.
        """
        up = torch.tensor(ground.gravity.up_cam, device=self.flesh_m.device, dtype=torch.float32)
        height, inverse_std = up.new_zeros(people), up.new_zeros(people)
        if ground.floor is not None and ground.std_m is not None and ground.is_shared:
            height += ground.floor.height_m
            inverse_std += 1 / ground.std_m.to(up)
        return FloorTarget(up.expand(people, 3), height, inverse_std, self.flesh_m)


def _along(vectors: Float64[Tensor, "people 3"], gravity: Gravity) -> Float64[Tensor, "people 3"]:
    """The vertical part of vectors."""
    up = vectors.new_tensor(gravity.up_cam)
    return (vectors @ up)[:, None] * up
