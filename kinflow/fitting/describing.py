"""What a fit of one person comes to: the body on its parts, its code, spreads and alternatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.users_body import UsersBody
from kinflow.energy.body_energy import Targets
from kinflow.energy.unknowns import Unknowns
from kinflow.evidence.types import PersonEvidence
from kinflow.fitting.calibration import JointSigns, deviation_m, unseen, weights
from kinflow.fitting.doubt import MAX_DOUBT, doubt, stands_out
from kinflow.fitting.multistart import Candidates
from kinflow.fitting.parts import AlignedBody, PartAligner
from kinflow.fitting.plausibility import what_cannot_be_right
from kinflow.fitting.shape_spread import ShapeSigns
from kinflow.fitting.solver import PersonFitter
from kinflow.fitting.uncertainty import Description
from kinflow.fitting.verdict import is_ambiguous, judge, limbs_px
from kinflow.geometry.pinhole import Camera
from kinflow.results import Gravity, Hypothesis, Person, ResultCode


@dataclass(frozen=True)
class Describer:
    """Turns the bodies that were found for a person into a result."""

    fitter: PersonFitter
    aligner: PartAligner | None
    """Moves bodies onto body parts, where that is wanted."""
    max_hypotheses: int
    hypothesis_margin: float
    """In nats, within which an alternative is told."""
    users_body: UsersBody | None = None
    """What bodies are of, where that is not the bundled one."""

    def person(
        self,
        index: int,
        seen: PersonEvidence,
        camera: Camera,
        targets: Targets,
        found: Candidates,
    ) -> Person:
        """The body of one person: the best of what was found, on its parts where it has any.

        Args: those of `with_signs`.
        """
        return self.with_signs(index, seen, camera, targets, found)[0]

    def with_signs(
        self,
        index: int,
        seen: PersonEvidence,
        camera: Camera,
        targets: Targets,
        found: Candidates,
    ) -> tuple[Person, JointSigns, ShapeSigns | None]:
        """The body of one person, and what the deviations of its joints and its shape rest on.

        Args:
            index: number of the person.
            seen: what was seen of them.
            camera: what they were seen with.
            targets: one row, what bodies were fitted to.
            found: bodies of the person, best first.
        """
        ambiguous = is_ambiguous(found.energy)
        limbs = limbs_px(self.fitter.model, found.unknowns[:1], camera)[0]
        code = judge(limbs, seen, ambiguous)
        found = self._worth_telling(found)
        aligned = None
        if self.aligner is not None and seen.parts is not None:
            aligned, code = self.aligner.on_parts(found, targets, seen, camera, code)
        person, joints, shape = self._described(index, seen, camera, targets, found, code, aligned)
        return second_thoughts(person, doubt(person)), joints, shape

    def _worth_telling(self, found: Candidates) -> Candidates:
        close = found.energy - found.energy[0] < self.hypothesis_margin
        return found[torch.nonzero(close)[: self.max_hypotheses + 1, 0]]

    def _described(
        self,
        index: int,
        seen: PersonEvidence,
        camera: Camera,
        targets: Targets,
        found: Candidates,
        code: ResultCode,
        aligned: AlignedBody | None,
    ) -> tuple[Person, JointSigns, ShapeSigns | None]:
        """The result as the user gets it, on the CPU."""
        chosen, best, known = 0, found.unknowns[:1], None
        if aligned is not None:
            chosen, best, targets = aligned.start, aligned.unknowns, aligned.targets
            known = aligned.state
        description = self.fitter.describe(best, targets, known)
        body = self._hypothesis(best, float(found.energy[chosen]))
        rivals = [i for i in range(len(found.unknowns)) if i != chosen]
        signs = self._signs(description, found, seen)
        shape = None if description.shape is None else description.shape[0]
        person = Person(
            person=index,
            camera=camera,
            R_cam_root=body.R_cam_root,
            t_cam_root_m=body.t_cam_root_m,
            pose=body.pose,
            z=body.z,
            shape=body.shape,
            joints_cam_m=description.joints_m[0],
            joint_std_m=signs.std_m(),
            t_cam_root_std_m=description.root_std_m[0],
            height_std_m=float(description.height_std_m[0]),
            shape_std=None if shape is None else shape.std(),
            keypoints_px=seen.keypoints_px.cpu(),
            score=seen.score,
            code=code,
            energy={name: float(value[0]) for name, value in description.energy.items()},
            hypotheses=tuple(
                self._hypothesis(found.unknowns[i : i + 1], float(found.energy[i])) for i in rivals
            ),
            part_iou=None if aligned is None else aligned.part_iou,
            silhouette_iou=math.nan if aligned is None else aligned.silhouette_iou,
            start_source=found.source[chosen],
            users_body=self.users_body,
        )
        return person, signs, shape

    def _signs(
        self, description: Description, found: Candidates, seen: PersonEvidence
    ) -> JointSigns:
        """What tells how far the joints of the one body that is described may be elsewhere."""
        joints_m = self.fitter.joints_m(found.unknowns).cpu()
        weight = weights(found.energy).cpu()
        return JointSigns(
            laplace_m=description.joint_std_m[0],
            others_m=deviation_m(joints_m, description.joints_m[0], weight),
            unseen=unseen(seen.keypoints_px.cpu()),
            network_m=description.network_m[0],
        )

    def _hypothesis(self, unknowns: Unknowns, energy: float) -> Hypothesis:
        with torch.no_grad():
            pose = self.fitter.model.pose(unknowns)[0]
            shape = self.fitter.model.shape_prior.decode(unknowns.s)[0]
        return Hypothesis(
            R_cam_root=unknowns.R_cam_root[0].cpu(),
            t_cam_root_m=unknowns.t_cam_root_m[0].cpu(),
            pose=pose.cpu(),
            z=unknowns.z[0].cpu(),
            shape=shape.cpu(),
            energy=energy,
        )


def doubted(
    people: Sequence[Person], gravity: Gravity, above_floor_m: Float[Tensor, " people"]
) -> tuple[Person, ...]:
    """People of a photo, of whom nobody is `ok` who leans far or is off the floor.

    Args:
        people: with codes of their own.
        gravity: of the photo.
        above_floor_m: how far each is above its floor.
    """
    return tuple(
        replace(person, code="uncertain")
        if person.code == "ok" and stands_out(person, gravity.up_cam, above_m)
        else person
        for person, above_m in zip(people, above_floor_m.tolist(), strict=True)
    )


def second_thoughts(person: Person, doubted: float, at_most: float = MAX_DOUBT) -> Person:
    """The person with the code that goes with their numbers, whatever keypoints and parts say.

    Args:
        person: with the code by these.
        doubted: how likely the body is wrong (`doubt.py`).
        at_most: what that is of bodies that are `ok`.
    """
    if what_cannot_be_right(person):
        return replace(person, code="implausible")
    if person.code == "ok" and doubted > at_most:
        return replace(person, code="uncertain")
    return person
