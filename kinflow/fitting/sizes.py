"""Who is a child: two signs of it, as a target of the shape, and where to start.

Among adults the shape prior's `age` changes next to nothing, so no descent leads from an adult to a
child. Somebody whose head and face are both too large for an adult is fitted anew from the same
poses with a child's shape, as much nearer to the camera as it is smaller, and held near the age
that the signs tell. `python benchmarks/trust children` prints the numbers below, measured on
rendered people; the threshold is such that few adults in photos reach it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.part_mesh import PartMesh
from kinflow.checks import flag, number
from kinflow.energy.body_energy import ShapeTarget
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.energy.vertex_model import VertexModel
from kinflow.evidence.types import PersonEvidence
from kinflow.fitting.multistart import Candidates
from kinflow.fitting.size_signs import FittedAdult, SizeSigns, says_something, signs
from kinflow.geometry.pinhole import Camera
from kinflow.priors.shape import ShapePrior

ADULT_HEAD, ADULT_FACE = (0.040, 0.045), (-0.173, 0.101)
"""Mean and spread of both signs of adults."""
FARTHEST = 2.5
"""Standard deviations beyond which a sign says no more: one alone makes nobody a child."""
AGE, AGE_PER_HEAD, AGE_PER_FACE, AGE_STD = 0.37, -0.030, -0.022, 0.12
"""A child's phenotype `age`: at adults' signs, by standard deviation of each sign, its spread."""
_YOUNGEST = 0.05
_AGE = 1
"""Which number of the shape prior is that of the age."""


@dataclass(frozen=True)
class SizeConfig:
    """How far signs of a child are believed."""

    estimate: bool = True
    """Whether people may be children at all."""
    least_score: float = 4.0
    """Sum of both signs, in standard deviations of adults', from which somebody is a child."""

    def __post_init__(self) -> None:
        flag(self, "estimate")
        number(self, "least_score", at_least=-2 * FARTHEST, at_most=2 * FARTHEST)


def standardised(found: SizeSigns) -> tuple[float, float]:
    """Both signs in standard deviations of adults', no farther than says something."""
    head = (found.head - ADULT_HEAD[0]) / ADULT_HEAD[1]
    face = (found.face - ADULT_FACE[0]) / ADULT_FACE[1]
    return (
        min(max(head, -FARTHEST), FARTHEST),
        min(max(face, -FARTHEST), FARTHEST),
    )


def age_of_child(found: SizeSigns) -> float:
    """The phenotype `age` of somebody with these signs, should it be a child."""
    head, face = standardised(found)
    return max(_YOUNGEST, AGE + AGE_PER_HEAD * head + AGE_PER_FACE * face)


class SizeEstimator:
    """Tells children from adults, given the adults that explain keypoints best.

    Args:
        model: gives the points of bodies.
        vertices: their vertices.
        config: how far signs are believed.
    """

    def __init__(self, model: KeypointModel, vertices: VertexModel, config: SizeConfig) -> None:
        self.model, self.vertices, self.config = model, vertices, config
        self.mesh = PartMesh.of(vertices.body)

    def signs(
        self, adults: Unknowns, people: Sequence[PersonEvidence], cameras: Sequence[Camera]
    ) -> list[SizeSigns | None]:
        """The signs of each person, None of whom nothing can be said; one fitted body for each."""
        with torch.no_grad():
            state = self.model.evaluate(adults, with_jacobian=False)
            vertices = self.vertices.all_vertices(state.motion).cpu().numpy()
        points = state.keypoints_cam_m.cpu().numpy()
        return [
            signs(seen, FittedAdult(vertices[i], points[i]), camera, self.mesh)
            if says_something(seen)
            else None
            for i, (seen, camera) in enumerate(zip(people, cameras, strict=True))
        ]

    def target(
        self, adults: Unknowns, people: Sequence[PersonEvidence], cameras: Sequence[Camera]
    ) -> ShapeTarget | None:
        """Which shapes people have, where some of them are children; None where nobody is."""
        found = dict(enumerate(self.signs(adults, people, cameras)))
        ages = {
            row: age_of_child(one)
            for row, one in found.items()
            if one is not None and sum(standardised(one)) >= self.config.least_score
        }
        if not ages:
            return None
        rows = torch.tensor(list(ages))
        number, slope = number_of_age(self.model.shape_prior, torch.tensor(list(ages.values())))
        centre, inverse_std = torch.zeros_like(adults.s), torch.ones_like(adults.s)
        centre[rows, _AGE], inverse_std[rows, _AGE] = (
            number.to(centre),
            (slope / AGE_STD).to(centre),
        )
        return ShapeTarget(centre, inverse_std)

    def as_children(self, found: Candidates, shape: ShapeTarget) -> Candidates:
        """The same bodies, those of children in a child's shape and nearer to the camera."""
        centre = shape.centre[found.person]
        small = replace(found.unknowns, s=centre)
        with torch.no_grad():
            ratio = _extent_m(self.model, small) / _extent_m(self.model, found.unknowns)
        small = replace(small, t_cam_root_m=found.unknowns.t_cam_root_m * ratio[:, None])
        rows = torch.nonzero(centre[:, _AGE])[:, 0]
        return replace(found, unknowns=found.unknowns.replaced(rows, small[rows]))


def number_of_age(
    prior: ShapePrior, age: Float[Tensor, " people"]
) -> tuple[Float[Tensor, " people"], Float[Tensor, " people"]]:
    """The number of the shape prior that decodes to a phenotype `age`, and the slope there."""
    phenotypes = prior.decode(torch.zeros(len(age), prior.size))
    phenotypes[:, _AGE] = age
    s = prior.encode(phenotypes)
    return s[:, _AGE], prior.decode_with_slope(s)[1][:, _AGE]


def _extent_m(model: KeypointModel, unknowns: Unknowns) -> Float[Tensor, " bodies"]:
    """Root mean square distance of the points from their mean."""
    points = model.evaluate(unknowns, with_jacobian=False).keypoints_cam_m
    return (points - points.mean(1, keepdim=True)).square().sum(-1).mean(-1).sqrt()
