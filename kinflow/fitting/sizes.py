"""Who is a child: signs of it, as a target of the shape, and where to start.

Among adults the shape prior's `age` changes next to nothing, so no descent leads from an adult to a
child. Logistic regressions on the signs, one for whichever are there, say how likely somebody is
one; how old the face looks is added to that. Whoever is likely enough is fitted anew from the same
poses with a child's shape, as much nearer to the camera as it is smaller, and held near the age
that the signs tell.
`python benchmarks/trust children` prints the numbers below, of rendered people of training subjects
and of people in photographs told apart by eye.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.part_mesh import PartMesh
from kinflow.checks import flag, number, whole
from kinflow.energy.body_energy import ShapeTarget
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.energy.vertex_model import VertexModel
from kinflow.evidence.types import FaceAge, PersonEvidence
from kinflow.fitting.multistart import Candidates
from kinflow.fitting.sample_kinds import CHILD_BELOW_AGE
from kinflow.fitting.size_signs import FittedAdult, SizeSigns, signs
from kinflow.geometry.pinhole import Camera
from kinflow.priors.shape import AGE, ShapePrior

ADULT_HEAD, ADULT_FACE = (0.032, 0.058), (-0.202, 0.150)
ADULT_OUTLINE = (0.214, 0.111)
"""Mean and spread of the signs of proportions of adults."""
FACE_AT_EVEN, FACE_WEIGHT = 4.5, 1.8
"""Log odds that a face adds whose own are even, and more for each of its own; as many as are above
zero, for faces that are drawn or odd look old as well."""
_SOFTER = 1e-3
"""Added to the network's probabilities: it is not as sure as it says."""
FLOOR_WEIGHT = 0.4
"""How far the floor is believed: it is no plane, and those on it are fitted alike wrongly."""
FARTHEST = 2.5
"""Standard deviations beyond which such a sign says no more: one alone makes nobody a child."""


@dataclass(frozen=True)
class Regression:
    """A number by standardised signs: at an adult's, and more for each unit of each sign."""

    at_adult: float
    head: float
    face: float
    network: float
    outline: float = 0.0

    def of(self, found: SizeSigns) -> float:
        """By the signs of a person; what is not there counts as an adult's."""
        head, face, network, outline = standardised(found)
        told = self.head * head + self.face * face + self.network * network
        return self.at_adult + told + self.outline * outline


# by which of head, outline and network are known: log odds of being a child, and a child's
# phenotype `age`
LOG_ODDS = {
    (True, True, True): Regression(-0.88, 0.32, 0.16, 0.93, 0.57),
    (False, True, True): Regression(-0.70, 0.0, 0.28, 0.98, 0.65),
    (True, False, True): Regression(-0.42, 0.56, 0.29, 0.97),
    (False, False, True): Regression(-0.05, 0.0, 0.48, 1.08),
    # no network: somebody else's keypoints, whose faces may be off; so a little less, for neither
    # proportion to be enough
    (True, False, False): Regression(-2.6, 0.72, 0.80, 0.0),
}
LOG_ODDS_UNSEEN = Regression(-0.92, 0.0, 0.0, 0.84)
"""By the network alone, of bodies whose legs nobody saw."""
LOG_ODDS_UNKNOWN = -1.9
"""Of people in photographs of whom nothing is known but a face."""
CHILD_AGE = {
    (True, True, True): Regression(0.309, 0.002, 0.018, -0.043, -0.037),
    (False, True, True): Regression(0.310, 0.0, 0.018, -0.043, -0.036),
    (True, False, True): Regression(0.291, -0.016, 0.009, -0.044),
    (False, False, True): Regression(0.281, 0.0, 0.008, -0.045),
    (True, False, False): Regression(0.351, -0.047, -0.003, 0.0),
}
CHILD_AGE_UNSEEN = 0.19
"""The same by the network alone."""
CHILD_AGE_STD = 0.05
"""Spread of a child's phenotype `age`."""
YEARS = (0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0)
AGE_OF_YEARS = (0.05, 0.063, 0.12, 0.195, 0.257, 0.31, 0.385, 0.485)
"""Phenotypes `age` of which bodies are as tall as children of so many years: medians of boys and
girls by the WHO's Child Growth Standards (2006) and growth reference (2007)."""
_YOUNGEST = 0.05


@dataclass(frozen=True)
class SizeConfig:
    """How far signs of a child are believed."""

    estimate: bool = True
    """Whether people may be children at all."""
    least_log_odds: float = 0.0
    """From which somebody is a child, as likely as children are in photographs."""
    clip_frames: int = 5
    """Frames of a person of a clip that have a say in that."""
    faces: bool = True
    """Whether it counts how old faces look."""

    def __post_init__(self) -> None:
        flag(self, "estimate", "faces")
        number(self, "least_log_odds", at_least=-100, at_most=100)
        whole(self, "clip_frames", at_least=1, at_most=1000)

    @property
    def reads_faces(self) -> bool:
        """Whether anybody asks how old faces look."""
        return self.estimate and self.faces


def standardised(found: SizeSigns) -> tuple[float, float, float, float]:
    """The head, the face, what the network says, and the outline; proportions in standard
    deviations of adults', no farther than says something. 0 for what is not there."""
    return (
        _deviation(found.head, *ADULT_HEAD),
        _deviation(found.face, *ADULT_FACE),
        0.0 if found.network is None else found.network,
        _deviation(found.outline, *ADULT_OUTLINE),
    )


def _deviation(value: float | None, mean: float, std: float) -> float:
    return 0.0 if value is None else min(max((value - mean) / std, -FARTHEST), FARTHEST)


def child_log_odds(found: SizeSigns) -> float:
    """Of somebody with these signs being a child."""
    own = _log_odds_by_body(found) + FLOOR_WEIGHT * (found.floor or 0.0)
    return own if found.face_age is None else own + added_by_face(found.face_age)


def added_by_face(face: FaceAge) -> float:
    """To log odds by everything else, by how old a face looks."""
    return max(0.0, FACE_AT_EVEN + FACE_WEIGHT * face_log_odds(face))


def looks_young(face: FaceAge | None) -> bool:
    """Whether a face makes a child likelier."""
    return face is not None and added_by_face(face) > 0


def child_log_odds_of(found: Sequence[SizeSigns | None]) -> Float[Tensor, " people"]:
    """The same of several people, NaN where nothing tells."""
    return torch.tensor([math.nan if one is None else child_log_odds(one) for one in found])


def _log_odds_by_body(found: SizeSigns) -> float:
    if found.face is not None:
        return LOG_ODDS[_given(found)].of(found)
    return LOG_ODDS_UNKNOWN if found.network is None else LOG_ODDS_UNSEEN.of(found)


def face_log_odds(face: FaceAge) -> float:
    """Of being a child, by the face alone and as the network says it."""
    return math.log((face.child + _SOFTER) / (1 - face.child + _SOFTER))


def age_of_child(found: SizeSigns) -> float:
    """The phenotype `age` of somebody with these signs, should it be a child: that of the face as
    far as it is a child's, else that of the body."""
    by_body = CHILD_AGE_UNSEEN
    if found.face is not None:
        by_body = max(_YOUNGEST, CHILD_AGE[_given(found)].of(found))
    if found.face_age is None:
        return by_body
    child = found.face_age.child
    return child * age_of_years(found.face_age.years) + (1 - child) * by_body


def age_of_years(years: float) -> float:
    """The phenotype `age` of a child of so many years, that of twelve beyond."""
    return float(np.interp(years, YEARS, AGE_OF_YEARS))


def _given(found: SizeSigns) -> tuple[bool, bool, bool]:
    # without a network the outline is not asked: it may be the user's own, and as sharp as can be
    head, network = found.head is not None, found.network is not None
    return head, network and found.outline is not None, network


class SizeEstimator:
    """Tells children from adults, given the adults that explain keypoints best.

    Args:
        model: gives the points of bodies.
        vertices: their vertices; without them there is no sign of heads.
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
        with torch.no_grad():
            state = self.model.evaluate(adults, with_jacobian=False)
            points = state.keypoints_cam_m.cpu().numpy()
            vertices = points[:, :0]
            if self.vertices is not None:
                vertices = self.vertices.all_vertices(state.motion).cpu().numpy()
        told = [math.nan] * len(people) if network is None else network.tolist()
        return [
            signs(
                seen,
                FittedAdult(vertices[i], points[i]),
                camera,
                self.mesh,
                None if math.isnan(told[i]) else told[i],
                self.config.faces,
            )
            for i, (seen, camera) in enumerate(zip(people, cameras, strict=True))
        ]

    def target(self, found: Sequence[SizeSigns | None]) -> ShapeTarget | None:
        """Which shapes people with these signs have; None where nobody is a child."""
        ages = [math.nan if one is None else self._age(one) for one in found]
        return self._of_ages(torch.tensor(ages, dtype=torch.float32))

    def _age(self, found: SizeSigns) -> float:
        """The phenotype `age` of a child, NaN of an adult."""
        sure = child_log_odds(found) >= self.config.least_log_odds
        return age_of_child(found) if sure else math.nan

    def common_target(self, found: Sequence[SizeSigns | None]) -> ShapeTarget | None:
        """The shape of one person who showed these signs at several times; None for an adult, and
        for whom neither proportions nor a young face were seen.

        How old the face looks is to be the same in all signs, and so counts once.
        """
        there = [one for one in found if one is not None]
        known = [one for one in there if one.face is not None]
        known = known or [one for one in there if looks_young(one.face_age)]
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
