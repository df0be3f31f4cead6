"""Aligns a fitted body with the parts seen in the image, in rounds of matching and fitting.

Each round draws the body, matches its parts with the labels (`energy/part_matching.py`) and
takes a few Levenberg-Marquardt steps on all terms together; the robust kernel of the matches
tightens from round to round. Which of several bodies are tried, and whether what came out is to be
used, is decided here too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.model import BodyModel
from kinflow.body.part_mesh import PartMesh
from kinflow.checks import nested, not_negative, numbers_of, whole
from kinflow.energy.body_energy import Energy, Targets
from kinflow.energy.keypoint_model import KeypointState
from kinflow.energy.part_matching import DrawnParts, MatchingConfig, PartTarget
from kinflow.energy.unknowns import Unknowns
from kinflow.evidence.part_labels import usable
from kinflow.evidence.types import PartLabels, PersonEvidence
from kinflow.fitting.multistart import Candidates
from kinflow.fitting.verdict import (
    LIMB_ROWS,
    judge,
    limb_error,
    limbs_px,
    parts_belong,
    without_parts,
)
from kinflow.geometry.pinhole import Camera
from kinflow.optim import DenseModel, LMConfig, minimise
from kinflow.results import ResultCode


@dataclass(frozen=True)
class PartFitConfig:
    """How a body is aligned with part labels."""

    matching: MatchingConfig = field(default_factory=MatchingConfig)
    softening: tuple[float, ...] = (4.0, 2.0, 1.0)
    """Factor on the robust cutoffs in each of the first rounds."""
    more_rounds: int = 4
    """Further rounds at most, while each still adds `worthwhile_iou` to what overlaps."""
    worthwhile_iou: float = 0.004
    clothes_weight: float = 0.01
    """Weight of the outlines of sets of several parts, clothes and silhouettes, which say little
    about where the skin begins; while cutoffs are soft it grows with their square."""
    skin_iou: float = 0.93
    """Nobody's skin fills the outline of clothes: a body that overlaps with what was seen as much
    as this wears none that matter, and sets weigh as much as single parts."""
    max_aligned: int = 3
    aligned_margin: float = 4.0
    """Of the bodies whose energy is higher than the least by no more than this (nats), so many are
    aligned, and parts choose among these. What keypoints rule out more firmly stays ruled out."""
    trial_rounds: int = 1
    """Rounds that each of several bodies gets before one is chosen."""
    steps: LMConfig = field(
        default_factory=lambda: LMConfig(max_iterations=2, relative_tolerance=1e-2)
    )

    def __post_init__(self) -> None:
        nested(self, matching=MatchingConfig, steps=LMConfig)
        numbers_of(self, "softening", above=0)
        whole(self, "max_aligned", at_least=1, at_most=1000)
        whole(self, "more_rounds", "trial_rounds", at_most=1000)
        not_negative(self, "worthwhile_iou", "clothes_weight", "skin_iou", "aligned_margin")


MESH_CUBE_M = 0.01
"""Drawn into a grid of a few hundred cells, a mesh of half the triangles looks the same."""


def part_body(device: torch.device | str = "cpu", body: BodyModel | None = None) -> BodyModel:
    """A body, the bundled one unless another is given, as part alignment draws and moves it.

    Pose blend shapes are left out: parts are matched with outlines, which they move by millimetres.
    """
    return (_bundled_coarse() if body is None else _coarse(body)).to(device)


@cache
def _bundled_coarse() -> BodyModel:
    return _coarse(BodyModel.load("full"))


def _coarse(body: BodyModel) -> BodyModel:
    return replace(body.coarsened(MESH_CUBE_M), pose_basis_m=None)


@dataclass(frozen=True)
class _Body:
    """A body (one row) and what the energy's model makes of it, which most of a step's time goes
    into: from round to round only the matches change, so it is kept."""

    unknowns: Unknowns
    state: KeypointState


@dataclass(frozen=True)
class AlignedBody:
    """A body and how its parts lie on those that were seen."""

    unknowns: Unknowns
    state: KeypointState
    """What the energy's model makes of the body."""
    targets: Targets
    """With the matches of this body."""
    part_iou: Float[Tensor, "14"]
    silhouette_iou: float
    start: int
    """Row of the body that was moved here."""


class PartAligner:
    """Aligns one person at a time.

    Args:
        energy: the terms of the fit; it has the vertices of the full body.
        config: rounds and sampling.
    """

    def __init__(self, energy: Energy, config: PartFitConfig) -> None:
        assert energy.vertices is not None, "part alignment needs vertices"
        self.energy, self.vertices, self.config = energy, energy.vertices, config
        self.mesh = PartMesh.of(self.vertices.body)

    def on_parts(
        self,
        found: Candidates,
        targets: Targets,
        seen: PersonEvidence,
        camera: Camera,
        code: ResultCode,
    ) -> tuple[AlignedBody | None, ResultCode]:
        """The body of a person that fits their parts best once it is moved onto them, None where
        these cannot be used, and the result code that goes with it.

        Args:
            found: bodies of the person, best first.
            targets: one row, what they were fitted to.
            seen: what was seen of the person, parts among it.
            camera: what it was seen with.
            code: that of the first body as it is.
        """
        assert seen.parts is not None
        if usable(seen.parts, seen.keypoints_px):
            aligned = self.align(self._rivals(found), targets, seen.parts, camera)
            limbs = camera.project(aligned.state.keypoints_cam_m[0, LIMB_ROWS]).cpu()
            before = limbs_px(self.energy.model, found.unknowns[:1], camera)[0]
            aligned_code = judge(limbs, seen, ambiguous=code == "ambiguous")
            errors = limb_error(before, seen), limb_error(limbs, seen)
            if parts_belong(*errors, aligned.silhouette_iou):
                return aligned, aligned_code
        return None, without_parts(code)

    def _rivals(self, found: Candidates) -> Unknowns:
        """The bodies that parts may choose among."""
        near = found.energy - found.energy[0] < self.config.aligned_margin
        return found.unknowns[: min(self.config.max_aligned, int(near.sum()))]

    @torch.no_grad()
    def align(
        self, starts: Unknowns, targets: Targets, labels: PartLabels, camera: Camera
    ) -> AlignedBody:
        """Move a body of one person until its parts lie on those that were seen.

        Of several bodies (rows) all make the first rounds and the one of least energy the others.
        Keypoints leave open which limb is bent towards the camera; who hides whom often tells.
        """
        seen = PartTarget(labels, camera, self.mesh, self.config.matching)
        worn = self.config.clothes_weight
        rounds = self.config.softening
        tried = self.config.trial_rounds if len(starts.z) > 1 else 0
        bodies = [self._body(starts[i : i + 1]) for i in range(len(starts.z))]
        bodies = [self._moved(body, targets, seen, rounds[:tried], worn) for body in bodies]
        start = self._best(bodies, targets, seen) if tried else 0
        body, drawn = self._finished(bodies[start], targets, seen, rounds[tried:], worn)
        if seen.has_sets:
            bare = self._finished(body, targets, seen, rounds, 1.0)
            if seen.silhouette_iou(bare[1]) >= self.config.skin_iou:
                (body, drawn), worn = bare, 1.0
        matched = self._with_matches(targets, seen, drawn, worn)
        iou = torch.from_numpy(seen.part_iou(drawn))
        overlap = seen.silhouette_iou(drawn)
        return AlignedBody(body.unknowns, body.state, matched, iou, overlap, start)

    def _moved(
        self,
        body: _Body,
        targets: Targets,
        seen: PartTarget,
        rounds: tuple[float, ...],
        set_weight: float,
    ) -> _Body:
        """The body after rounds of these cutoffs."""
        for softening in rounds:
            weight = min(1.0, set_weight * softening**2)
            matched = self._with_matches(targets, seen, self._draw(body, seen), weight)
            body = self._stepped(self.energy.softened(softening), matched, body)
        return body

    def _finished(
        self,
        body: _Body,
        targets: Targets,
        seen: PartTarget,
        rounds: tuple[float, ...],
        set_weight: float,
    ) -> tuple[_Body, DrawnParts]:
        """The body after these rounds and as many of the final cutoffs as are worth it."""
        body = self._moved(body, targets, seen, rounds, set_weight)
        drawn = self._draw(body, seen)
        for _ in range(self.config.more_rounds):
            before = seen.silhouette_iou(drawn)
            matched = self._with_matches(targets, seen, drawn, set_weight)
            body = self._stepped(self.energy, matched, body)
            drawn = self._draw(body, seen)
            if not seen.silhouette_iou(drawn) > before + self.config.worthwhile_iou:
                break
        return body, drawn

    def _body(self, unknowns: Unknowns) -> _Body:
        return _Body(unknowns, self.energy.model.evaluate(unknowns))

    def _stepped(self, energy: Energy, targets: Targets, body: _Body) -> _Body:
        """The body after a few steps on all terms."""
        best, least = body, float("inf")

        def linearise(x: Unknowns, _: Tensor) -> DenseModel:
            nonlocal best, least
            trial = body if x is body.unknowns else self._body(x)
            model = DenseModel.of(*energy.linearise(x, targets, trial.state))
            # a step is taken where the energy falls, so that of least energy is where it ends
            if float(model.energy) < least:
                best, least = trial, float(model.energy)
            return model

        minimise(body.unknowns, linearise, self.config.steps)
        return best

    def _best(self, bodies: list[_Body], targets: Targets, seen: PartTarget) -> int:
        """Which body has the least energy of all terms together."""
        worn = self.config.clothes_weight
        energies = []
        for body in bodies:
            matched = self._with_matches(targets, seen, self._draw(body, seen), worn)
            terms = self.energy.terms(body.unknowns, matched, state=body.state)
            energies.append(sum(float(term.energy()) for term in terms))
        return min(range(len(bodies)), key=energies.__getitem__)

    def _draw(self, body: _Body, seen: PartTarget) -> DrawnParts:
        vertices = self.vertices.all_vertices(body.state.motion)[0]
        return seen.draw(vertices.cpu().numpy())

    @staticmethod
    def _with_matches(
        targets: Targets, seen: PartTarget, drawn: DrawnParts, set_weight: float
    ) -> Targets:
        matches = seen.matches(drawn, set_weight).to(targets.observed_px.device)
        return replace(targets, parts=matches)
