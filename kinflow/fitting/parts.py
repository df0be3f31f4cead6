"""Aligns a fitted body with the parts seen in the image, in rounds of matching and fitting.

Each round draws the body, matches its parts with the labels (`alignment/part_matching.py`) and
takes a few Levenberg-Marquardt steps on all terms together; the robust kernel of the matches
tightens from round to round.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.alignment.energy import Energy, Targets
from kinflow.alignment.keypoint_model import Unknowns
from kinflow.alignment.part_matching import DrawnParts, MatchingConfig, PartMesh, PartTarget
from kinflow.body.model import BodyModel
from kinflow.camera.pinhole import Camera
from kinflow.evidence.types import PartLabels
from kinflow.fitting.levenberg_marquardt import LMConfig
from kinflow.fitting.multistart import run


@dataclass(frozen=True)
class PartFitConfig:
    """How a body is aligned with part labels."""

    matching: MatchingConfig = field(default_factory=MatchingConfig)
    softening: tuple[float, ...] = (4.0, 2.0, 1.0, 1.0, 1.0, 1.0)
    """Factor on the robust cutoffs in each round."""
    steps: LMConfig = field(
        default_factory=lambda: LMConfig(max_iterations=2, relative_tolerance=1e-2)
    )


MESH_CUBE_M = 0.01
"""Drawn into a grid of a few hundred cells, a mesh of half the triangles looks the same."""


def part_body(device: torch.device | str = "cpu") -> BodyModel:
    """The bundled body as part alignment draws and moves it."""
    return BodyModel.load("full").coarsened(MESH_CUBE_M).to(device)


@dataclass(frozen=True)
class AlignedBody:
    """A body and how its parts lie on those that were seen."""

    unknowns: Unknowns
    targets: Targets
    """With the matches of this body."""
    part_iou: Float[Tensor, "14"]
    silhouette_iou: float
    energy: float
    """Of all terms together, in nats."""
    start: int = 0
    """Row of the body that was moved here."""


class PartAligner:
    """Aligns one body at a time.

    Args:
        energy: the terms of the fit; it has the vertices of the full body.
        config: rounds and sampling.
    """

    def __init__(self, energy: Energy, config: PartFitConfig) -> None:
        assert energy.vertices is not None, "part alignment needs vertices"
        self.energy, self.vertices, self.config = energy, energy.vertices, config
        self.mesh = PartMesh.of(self.vertices.body)

    def align(
        self, start: Unknowns, targets: Targets, labels: PartLabels, camera: Camera
    ) -> AlignedBody:
        """Move one body (a batch of one) until its parts lie on those that were seen."""
        seen = PartTarget(labels, camera, self.mesh, self.config.matching)
        unknowns = start
        for softening in self.config.softening:
            matched = self._with_matches(targets, seen, self._draw(unknowns, seen))
            energy = self.energy.softened(softening)
            unknowns = run(energy, matched, unknowns, self.config.steps).unknowns
        drawn = self._draw(unknowns, seen)
        matched = self._with_matches(targets, seen, drawn)
        with torch.no_grad():
            energy = sum(float(term.energy()) for term in self.energy.terms(unknowns, matched))
        iou = torch.from_numpy(seen.part_iou(drawn))
        return AlignedBody(unknowns, matched, iou, seen.silhouette_iou(drawn), energy)

    def align_best(
        self, starts: Unknowns, targets: Targets, labels: PartLabels, camera: Camera
    ) -> AlignedBody:
        """Align each of several bodies (rows) of one person; the one of least energy.

        Keypoints leave open which limb is bent towards the camera; who hides whom often tells.
        """
        rows = range(len(starts.z))
        aligned = [self.align(starts[i : i + 1], targets, labels, camera) for i in rows]
        best = min(rows, key=lambda i: aligned[i].energy)
        return replace(aligned[best], start=best)

    def _draw(self, unknowns: Unknowns, seen: PartTarget) -> DrawnParts:
        with torch.no_grad():
            state = self.energy.model.evaluate(unknowns, with_jacobian=False)
            vertices = self.vertices.all_vertices(state.motion)[0]
        return seen.draw(vertices.cpu().numpy())

    @staticmethod
    def _with_matches(targets: Targets, seen: PartTarget, drawn: DrawnParts) -> Targets:
        matches = seen.matches(drawn).to(targets.observed_px.device)
        return replace(targets, parts=matches)
