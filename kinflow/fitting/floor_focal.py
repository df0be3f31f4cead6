"""The focal length of a photo that says nothing of its lens, by the floor that its people share.

Under a lens that is taken for a shorter one, people are too near to the camera and to each other,
and by their feet the floor between them is too steep for any camera: the farther ones float, or the
nearer ones sink. With another focal length f everybody is as much further away, the image being the
same, and for the right one there is a way up that lines, poses and the floor agree upon. Each f is
weighed by how likely all of these are together, whatever is up (the evidence of Bayes' rule).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from kinflow.fitting.floor import FloorConfig, guess_floor
from kinflow.fitting.stances import Stances
from kinflow.fitting.tilt import TiltConfig, TiltGrid
from kinflow.geometry.pinhole import Camera

FACTORS: tuple[float, ...] = tuple(2 ** (halves / 2) for halves in range(-1, 6))
"""Focal lengths that are tried, of the one that was assumed: from 0.7 to 5.7."""
LEAST_NATS = 1.0
"""How much likelier another one has to be than the one that bodies were fitted with."""

_USUAL_SHARE, _USUAL_LOG_STD = 0.75, 0.3
"""Lenses that are about the usual one; the others have any length from `FACTORS`."""
_BELOW_FLOOR_SHARE = 0.05
"""Of cameras, as before a stage."""
_STEP_DEG = 2.0
"""Between directions that may be up."""
_HOPELESS_NATS = 15.0
_MOST_PEOPLE = 10
"""Those whose legs are seen best tell; each costs time by the number of all."""


class FloorFocal:
    """Finds focal lengths.

    Args:
        tilt: what is known of cameras, lines and poses.
        floor: how closely people keep to floors.
    """

    def __init__(self, tilt: TiltConfig, floor: FloorConfig) -> None:
        self._grid, self._floor = TiltGrid(tilt, _STEP_DEG), floor

    def camera(
        self,
        assumed: Camera,
        fitted: Camera,
        lines_px: Float[Tensor, "lines 4"] | None,
        stances: Stances,
        child_log_odds: Float[Tensor, " people"],
    ) -> Camera:
        """The camera of the likeliest focal length, or the one that bodies were fitted with where
        no other one is clearly likelier.

        Args:
            assumed: of the usual focal length.
            fitted: with which bodies were fitted.
            lines_px: edges that may be upright.
            stances: of the bodies.
            child_log_odds: of those being children, NaN where nothing tells.
        """
        if len(stances) < 2:
            return fitted
        known = stances.legs.argsort(descending=True, stable=True)[:_MOST_PEOPLE].tolist()
        stances, odds = stances[known], child_log_odds[known]
        votes = self._grid.by_votes(stances.up_cam, stances.up_cov)
        before = fitted.focal_px / assumed.focal_px

        def nats_of(factor: float) -> float:
            camera, moved = _refocused(assumed, factor), stances.farther(factor / before)
            return _log_prior(factor) + self._evidence(camera, lines_px, votes, moved, odds)

        nats = {factor: nats_of(factor) for factor in {*FACTORS, before}}
        tried = [nats[factor] for factor in FACTORS]
        if max(tried) - nats[before] < LEAST_NATS:
            return fitted
        return _refocused(assumed, _peak(tried))

    def _evidence(
        self,
        camera: Camera,
        lines_px: Float[Tensor, "lines 4"] | None,
        votes: Float[Tensor, " directions"],
        stances: Stances,
        child_log_odds: Float[Tensor, " people"],
    ) -> float:
        """Log probability of lines, poses and the ground under people, over all directions."""
        log_prob = self._grid.log_prob(camera, lines_px) + votes
        likely = log_prob > log_prob.max() - _HOPELESS_NATS
        up_cam = self._grid.up_cam[likely].double()
        floor = guess_floor(stances, up_cam, self._floor, child_log_odds, self._grid.step_deg)
        seldom = (floor.height_m > 0) * math.log(_BELOW_FLOOR_SHARE)
        return float((log_prob[likely].double() + floor.log_likelihood + seldom).logsumexp(0))


def _refocused(camera: Camera, factor: float) -> Camera:
    return replace(camera, focal_px=camera.focal_px * factor)


def _log_prior(factor: float) -> float:
    """Of a focal length, over logarithms of factors."""
    log = math.log(factor)
    usual = math.exp(-0.5 * (log / _USUAL_LOG_STD) ** 2) / (_USUAL_LOG_STD * math.sqrt(2 * math.pi))
    any_other = 1 / math.log(FACTORS[-1] / FACTORS[0])
    return math.log(_USUAL_SHARE * usual + (1 - _USUAL_SHARE) * any_other)


def _peak(nats: Sequence[float]) -> float:
    """The likeliest factor, by a parabola through the best one and its neighbours."""
    best = max(range(len(nats)), key=nats.__getitem__)
    if best in (0, len(nats) - 1):
        return FACTORS[best]
    before, at, after = nats[best - 1 : best + 2]
    bend = before - 2 * at + after
    aside = 0.0 if bend > -1e-9 else 0.5 * (before - after) / bend
    return FACTORS[best] * (FACTORS[1] / FACTORS[0]) ** aside
