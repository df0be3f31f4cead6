"""Rendered people that were fitted as the product does, with their truth and all that was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from rich.progress import track
from torch import Tensor

from kinflow.evaluation.world_sets import SeenWorld
from kinflow.evidence.types import PersonEvidence
from kinflow.fitting.calibration import JointSigns
from kinflow.fitting.multistart import Candidates
from kinflow.fitting.photo import PhotoFitter
from kinflow.fitting.shape_spread import ShapeSigns
from kinflow.geometry.pinhole import Camera
from kinflow.results import Person
from kinflow.synth.world import WorldPerson

_BATCH = 8


@dataclass(frozen=True)
class FittedPerson:
    """One person, as they are and as they were fitted."""

    world: int
    """Number of the picture."""
    camera: Camera
    truth: WorldPerson
    evidence: PersonEvidence
    found: Candidates
    """Bodies that explain the keypoints, best first."""
    joints_m: Float[Tensor, "bodies 22 3"]
    """Of these bodies."""
    half_log_det: Float[Tensor, " bodies"]
    """Half the logarithm of the determinant of the energy's Hessian at each body."""
    person: Person
    """What came out, on its parts where it has any."""
    signs: JointSigns
    shape_signs: ShapeSigns | None


def fitted_people(seen: Sequence[SeenWorld], fitter: PhotoFitter) -> list[FittedPerson]:
    """Everybody who was found, in the order of the pictures."""
    people: list[FittedPerson] = []
    for first in track(range(0, len(seen), _BATCH), "fits"):
        shown = [one for one in seen[first : first + _BATCH] if one.evidence.people]
        if shown:
            people += _fitted(shown, fitter)
    return people


@torch.no_grad()
def _fitted(seen: Sequence[SeenWorld], fitter: PhotoFitter) -> list[FittedPerson]:
    cameras = [one.world.camera for one in seen]
    found = fitter.found_bodies([one.evidence for one in seen], cameras)
    people = []
    for one, camera, rows in zip(seen, cameras, found.rows, strict=True):
        for truth, row in zip(one.world.people, one.found, strict=True):
            if row is None:
                continue
            targets, bodies = found.of(rows.start + row)
            evidence = one.evidence.people[row]
            person, signs, shape_signs = fitter.describer.with_signs(
                row, evidence, camera, targets, bodies
            )
            each = targets[torch.zeros(len(bodies.energy), dtype=torch.long)]
            _, J = fitter.fitter.energy.linearise(bodies.unknowns, each)
            J = J.double()
            hessian = J.mT @ J + 1e-6 * torch.eye(J.shape[-1], dtype=J.dtype)
            people.append(
                FittedPerson(
                    world=one.number,
                    camera=camera,
                    truth=truth,
                    evidence=evidence,
                    found=bodies,
                    joints_m=fitter.fitter.joints_m(bodies.unknowns),
                    half_log_det=torch.linalg.slogdet(hessian).logabsdet / 2,
                    person=person,
                    signs=signs,
                    shape_signs=shape_signs,
                )
            )
    return people
