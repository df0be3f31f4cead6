"""Who is a child: signs of it, as a target of the shape, and where to start.

Among adults the shape prior's `age` changes next to nothing, so no descent leads from an adult to a
child. A logistic regression on the signs says how likely somebody is one. Whoever is likely enough
is fitted anew from the same poses with a child's shape, as much nearer to the camera as it is
smaller, and held near the age that the signs tell. `python benchmarks/trust children` prints the
numbers below, measured on rendered people of training subjects; the threshold is such that few
adults of other subjects and of photos reach it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.part_mesh import PartMesh
from kinflow.checks import flag, number, whole
from kinflow.energy.body_energy import ShapeTarget
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.energy.vertex_model import VertexModel
from kinflow.evidence.types import PersonEvidence
from kinflow.fitting.multistart import Candidates
from kinflow.fitting.sample_kinds import CHILD_BELOW_AGE
from kinflow.fitting.size_signs import FittedAdult, SizeSigns, says_something, signs
from kinflow.geometry.pinhole import Camera
from kinflow.priors.shape import AGE, ShapePrior

ADULT_HEAD, ADULT_FACE = (0.032, 0.058), (-0.202, 0.150)
"""Mean and spread of both signs of proportions of adults."""
FARTHEST = 2.5
"""Standard deviations beyond which such a sign says no more: one alone makes nobody a child."""
LOG_ODDS, LOG_ODDS_ALONE = (0.50, 0.49, 0.24, 0.75), (-0.95, 0.75, 0.50)
"""Of being a child: at an adult's signs, for each standard deviation of head and face, for each of
the network's; and without a network."""
CHILD_AGE, CHILD_AGE_ALONE = (0.295, -0.040, 0.022, -0.039), (0.361, -0.057, 0.003)
CHILD_AGE_UNSEEN = 0.19
"""A child's phenotype `age` where the network alone speaks."""
CHILD_AGE_STD = 0.10
"""A child's phenotype `age`, by the same, and its spread."""
_YOUNGEST = 0.05


@dataclass(frozen=True)
class SizeConfig:
    """How far signs of a child are believed."""

    estimate: bool = True
    """Whether people may be children at all."""
    least_log_odds: float = 0.95
    """From which somebody is a child."""
    least_network_log_odds: float = 0.6
    """By the network, from which somebody is a child of whom no proportions were seen."""
    clip_frames: int = 5
    """Frames of a person of a clip that have a say in that."""

    def __post_init__(self) -> None:
        flag(self, "estimate")
        number(self, "least_log_odds", at_least=-100, at_most=100)
        number(self, "least_network_log_odds", at_least=-100, at_most=100)
        whole(self, "clip_frames", at_least=1, at_most=1000)


def standardised(found: SizeSigns) -> tuple[float, ...]:
    """The head and the face in standard deviations of adults', no farther than says something, and
    what the network says, if it does."""
    head = (found.head - ADULT_HEAD[0]) / ADULT_HEAD[1]
    face = (found.face - ADULT_FACE[0]) / ADULT_FACE[1]
    said = () if found.network is None else (found.network,)
    return (
        min(max(head, -FARTHEST), FARTHEST),
        min(max(face, -FARTHEST), FARTHEST),
        *said,
    )


def child_log_odds(found: SizeSigns) -> float:
    """Of somebody with these signs being a child."""
    return _told(found, LOG_ODDS_ALONE if found.network is None else LOG_ODDS)


def age_of_child(found: SizeSigns) -> float:
    """The phenotype `age` of somebody with these signs, should it be a child."""
    return max(_YOUNGEST, _told(found, CHILD_AGE_ALONE if found.network is None else CHILD_AGE))


def _told(found: SizeSigns, weights: tuple[float, ...]) -> float:
    pairs = zip(weights[1:], standardised(found), strict=True)
    return weights[0] + sum(weight * sign for weight, sign in pairs)


class SizeEstimator:
    """Tells children from adults, given the adults that explain keypoints best.

    Args:
        model: gives the points of bodies.
        vertices: their vertices; without them there are no signs of proportions.
        config: how far signs are believed.
    """

    def __init__(
        self, model: KeypointModel, vertices: VertexModel | None, config: SizeConfig
    ) -> None:
        self.model, self.vertices, self.config = model, vertices, config
        self.mesh = None if vertices is None else PartMesh.of(vertices.body)

    def signs(
        self,
        adults: Unknowns,
        people: Sequence[PersonEvidence],
        cameras: Sequence[Camera],
        network: Float[Tensor, " people"] | None,
    ) -> list[SizeSigns | None]:
        """The signs of each person, None of whom nothing can be said.

        Args:
            adults: one fitted body for each.
            people: what was seen of them.
            cameras: what they were seen with.
            network: log odds of being a child by a network, NaN of whom it knows nothing.
        """
        if self.vertices is None or self.mesh is None:
            return [None] * len(people)
        with torch.no_grad():
            state = self.model.evaluate(adults, with_jacobian=False)
            vertices = self.vertices.all_vertices(state.motion).cpu().numpy()
        points = state.keypoints_cam_m.cpu().numpy()
        told = [math.nan] * len(people) if network is None else network.tolist()
        return [
            signs(
                seen,
                FittedAdult(vertices[i], points[i]),
                camera,
                self.mesh,
                None if math.isnan(told[i]) else told[i],
            )
            if says_something(seen)
            else None
            for i, (seen, camera) in enumerate(zip(people, cameras, strict=True))
        ]

    def target(
        self, found: Sequence[SizeSigns | None], network: Float[Tensor, " people"] | None
    ) -> ShapeTarget | None:
        """Which shapes people with these signs have; None where nobody is a child.

        Args:
            found: the signs of each person.
            network: as in `signs`; its word stands alone where there are none.
        """
        told = [math.nan] * len(found) if network is None else network.tolist()
        ages = [self._age(*one) for one in zip(found, told, strict=True)]
        return self._of_ages(torch.tensor(ages, dtype=torch.float32))

    def _age(self, found: SizeSigns | None, network: float) -> float:
        """The phenotype `age` of a child, NaN of an adult."""
        if found is None:
            sure = network >= self.config.least_network_log_odds
            return CHILD_AGE_UNSEEN if sure else math.nan
        sure = child_log_odds(found) >= self.config.least_log_odds
        return age_of_child(found) if sure else math.nan

    def common_target(self, found: Sequence[SizeSigns | None]) -> ShapeTarget | None:
        """The shape of one person who showed these signs at several times; None for an adult."""
        known = [one for one in found if one is not None]
        if not known:
            return None
        log_odds = sum(child_log_odds(one) for one in known) / len(known)
        if log_odds < self.config.least_log_odds:
            return None
        age = sum(age_of_child(one) for one in known) / len(known)
        return self._of_ages(torch.tensor([age], dtype=torch.float32))

    def target_again(self, s: Float[Tensor, "people 6"]) -> ShapeTarget | None:
        """The same of people whose latent shapes are known; None where nobody is a child."""
        age = self.model.shape_prior.decode(s)[:, AGE].cpu()
        return self._of_ages(torch.where(age < CHILD_BELOW_AGE, age, torch.nan))

    def as_children(self, found: Candidates, shape: ShapeTarget) -> Candidates:
        """The same bodies, those of children in a child's shape and nearer to the camera."""
        centre = shape.centre[found.person]
        rows = torch.nonzero(centre[:, AGE])[:, 0]
        small = self.smaller(found.unknowns[rows], centre[rows])
        return replace(found, unknowns=found.unknowns.replaced(rows, small))

    def smaller(self, bodies: Unknowns, s: Float[Tensor, "bodies 6"]) -> Unknowns:
        """The same bodies in another latent shape, nearer so that they look as large."""
        small = replace(bodies, s=s)
        with torch.no_grad():
            ratio = _extent_m(self.model, small) / _extent_m(self.model, bodies)
        return replace(small, t_cam_root_m=bodies.t_cam_root_m * ratio[:, None])

    def _of_ages(self, age: Float[Tensor, " people"]) -> ShapeTarget | None:
        """A child's shape for each phenotype `age`, an adult's where it is NaN."""
        rows = torch.nonzero(~age.isnan())[:, 0]
        if not len(rows):
            return None
        prior = ShapePrior()  # children are of the bundled body alone
        number, slope = number_of_age(prior, age[rows])
        centre = torch.zeros(len(age), prior.size, dtype=torch.float32)
        inverse_std = torch.ones_like(centre)
        centre[rows, AGE], inverse_std[rows, AGE] = number, slope / CHILD_AGE_STD
        device = self.model.points_at_rest_m.device
        return ShapeTarget(centre.to(device), inverse_std.to(device))


def number_of_age(
    prior: ShapePrior, age: Float[Tensor, " people"]
) -> tuple[Float[Tensor, " people"], Float[Tensor, " people"]]:
    """The number of the shape prior that decodes to a phenotype `age`, and the slope there."""
    phenotypes = prior.decode(torch.zeros(len(age), prior.size, dtype=torch.float32))
    phenotypes[:, AGE] = age
    s = prior.encode(phenotypes)
    return s[:, AGE], prior.decode_with_slope(s)[1][:, AGE]


def _extent_m(model: KeypointModel, unknowns: Unknowns) -> Float[Tensor, " bodies"]:
    """Root mean square distance of the points from their mean."""
    points = model.evaluate(unknowns, with_jacobian=False).keypoints_cam_m
    return (points - points.mean(1, keepdim=True)).square().sum(-1).mean(-1).sqrt()
