"""The energy of a body given what was seen of it: the sum of the terms in `terms.py`.

    E = keypoints + hint_3d + attitude + trunk + floor + parts + 0.5 |z|^2 + 0.5 |s|^2      (nats)

after Zanfir et al. 2020, eq. 9, with 3D landmarks of the detector as an optional weak term.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import not_negative, positive
from kinflow.energy.belief import Belief
from kinflow.energy.ground import FloorTarget, TrunkTarget, UpTarget
from kinflow.energy.keypoint_model import KeypointModel, KeypointState, Motion
from kinflow.energy.part_matching import PartMatches
from kinflow.energy.rough_points import RoughPoints
from kinflow.energy.terms import (
    Term,
    attitude,
    believed,
    contact,
    outline,
    prior_term,
    reprojection,
    rough_3d,
    upright_trunk,
)
from kinflow.energy.unknowns import Unknowns
from kinflow.energy.vertex_model import VertexModel


@dataclass(frozen=True)
class ShapeTarget:
    """Which shape each person is taken to have, in place of an average adult's."""

    centre: Float[Tensor, "batch 6"]
    """In the numbers of the shape prior."""
    inverse_std: Float[Tensor, "batch 6"]

    def __getitem__(self, index) -> ShapeTarget:
        """Rows of the batch."""
        return ShapeTarget(self.centre[index], self.inverse_std[index])

    @staticmethod
    def concatenate(parts: Sequence[ShapeTarget]) -> ShapeTarget:
        """Join along the batch."""
        names = ("centre", "inverse_std")
        return ShapeTarget(**{n: torch.cat([getattr(part, n) for part in parts]) for n in names})


@dataclass(frozen=True)
class Targets:
    """What each body of a batch should explain. A weight (inverse std) of 0 leaves a point out."""

    focal_px: Float[Tensor, " batch"]
    principal_px: Float[Tensor, "batch 2"]
    observed_px: Float[Tensor, "batch points 2"]
    inverse_std_px: Float[Tensor, "batch points"]
    hint: RoughPoints | None = None
    """Rough 3D keypoints."""
    up: UpTarget | None = None
    """What is up."""
    trunk: TrunkTarget | None = None
    """How upright their trunks are taken to be."""
    floor: FloorTarget | None = None
    """What they stand on."""
    belief: Belief | None = None
    """What a network believes."""
    shape: ShapeTarget | None = None
    """How large people are; None where all are taken for adults."""
    parts: PartMatches | None = None
    """On which lines of the image vertices of the mesh should be seen."""

    @staticmethod
    def concatenate(parts: Sequence[Targets]) -> Targets:
        """Join along the batch; what one of them lacks, all have to lack."""
        joined: dict[str, Any] = {}
        for name, first in vars(parts[0]).items():
            values = [getattr(part, name) for part in parts]
            if first is None:
                assert all(value is None for value in values), f"only some targets have {name}"
                joined[name] = None
            elif isinstance(first, Tensor):
                joined[name] = torch.cat(values)
            else:
                joined[name] = type(first).concatenate(values)
        return Targets(**joined)

    def __getitem__(self, index) -> Targets:
        """Rows of the batch."""
        rows = {k: None if v is None else v[index] for k, v in vars(self).items()}
        return replace(self, **rows)


@dataclass(frozen=True)
class EnergyConfig:
    """Weights and robust cutoffs of the terms."""

    prior_weight: float = 1.0
    shape_weight: float = 1.0
    keypoint_cutoff: float = 10.0
    """Standard deviations beyond which a keypoint counts as an outlier."""
    hint_cutoff: float = 4.0
    part_cutoff: float = 3.0
    up_cutoff: float = 2.5
    """Whoever lies or tumbles has another up than their pose suggests."""
    trunk_cutoff: float = 4.0
    """Trunks that lean by more on purpose do so freely."""
    floor_cutoff: float = 8.0
    """Of the distance to the floor."""
    belief_cutoff: float = 6.0
    """Standard deviations for each unknown, beyond which a belief counts as wrong."""
    focal_log_std: float = 0.0
    """Standard deviation of the log of the focal length about the assumed one; 0 keeps it fixed."""

    def __post_init__(self) -> None:
        not_negative(self, "prior_weight", "shape_weight", "focal_log_std")
        positive(self, "keypoint_cutoff", "hint_cutoff", "part_cutoff", "up_cutoff")
        positive(self, "belief_cutoff", "floor_cutoff", "trunk_cutoff")


class Energy:
    """Evaluates the terms for bodies of a `KeypointModel`.

    Args:
        model: gives the points that targets are ordered by.
        origin: weights of the points whose mean bodies are compared about (the hips).
        config: weights.
        vertices: gives the vertices that targets with part matches are about.
    """

    def __init__(
        self,
        model: KeypointModel,
        origin: Float[Tensor, " points"],
        config: EnergyConfig,
        vertices: VertexModel | None = None,
    ) -> None:
        self.model, self.origin, self.config, self.vertices = model, origin, config, vertices
        self.layout = replace(model.layout, has_focal=config.focal_log_std > 0)
        self._shape_columns = torch.eye(
            model.shape_prior.size, device=origin.device, dtype=torch.float32
        )[None]

    def softened(self, factor: float) -> Energy:
        """The same energy with robust cutoffs `factor` times as far out."""
        config = replace(
            self.config,
            keypoint_cutoff=self.config.keypoint_cutoff * factor,
            hint_cutoff=self.config.hint_cutoff * factor,
            part_cutoff=self.config.part_cutoff * factor,
            up_cutoff=self.config.up_cutoff * factor,
            trunk_cutoff=self.config.trunk_cutoff * factor,
            floor_cutoff=self.config.floor_cutoff * factor,
            belief_cutoff=self.config.belief_cutoff * factor,
        )
        return Energy(self.model, self.origin, config, self.vertices)

    def terms(
        self,
        unknowns: Unknowns,
        targets: Targets,
        with_jacobian: bool = False,
        state: KeypointState | None = None,
    ) -> tuple[Term, ...]:
        """Residuals of every term, weighted.

        Args:
            unknowns: of the bodies.
            targets: one row a body.
            with_jacobian: whether derivatives are needed.
            state: what the model makes of these unknowns, where that is known already.
        """
        config, model = self.config, self.model
        if state is None:
            state = model.evaluate(unknowns, with_jacobian)
        points, jacobian = state.keypoints_cam_m, state.jacobian
        focal_px = targets.focal_px
        if self.layout.has_focal:
            focal_px = focal_px * unknowns.log_focal.exp()
        terms = [
            reprojection(
                points,
                jacobian,
                focal_px,
                targets.principal_px,
                targets.observed_px,
                targets.inverse_std_px,
                config.keypoint_cutoff,
                self.layout,
            )
        ]
        if targets.hint is not None:
            terms.append(rough_3d(points, jacobian, targets.hint, config.hint_cutoff, self.layout))
        if targets.up is not None:
            assert state.up_cam is not None, "a model without an attitude prior knows of no up"
            terms.append(
                attitude(
                    state.up_cam,
                    state.up_jacobian,
                    targets.up.up_cam,
                    targets.up.inverse_std,
                    config.up_cutoff * targets.up.reach,
                    self.layout,
                )
            )
        if targets.trunk is not None:
            cutoff = config.trunk_cutoff
            terms.append(upright_trunk(points, jacobian, targets.trunk, cutoff, self.layout))
        if targets.floor is not None:
            terms.append(contact(points, jacobian, targets.floor, config.floor_cutoff, self.layout))
        if targets.parts is not None:
            terms.append(self._part_term(state.motion, focal_px, targets, targets.parts))
        if targets.belief is not None:
            terms.append(
                believed(unknowns, targets.belief, with_jacobian, config.belief_cutoff, self.layout)
            )
        return (*terms, *self._prior_terms(unknowns, targets, with_jacobian))

    def _part_term(
        self, motion: Motion, focal_px: Tensor, targets: Targets, matches: PartMatches
    ) -> Term:
        assert self.vertices is not None, "an energy without vertices cannot match parts"
        state = self.vertices.evaluate(motion, matches.vertex)
        return outline(
            state.vertices_cam_m,
            state.jacobian,
            focal_px,
            targets.principal_px,
            matches.target_px,
            matches.normal * matches.inverse_std_px[..., None],
            self.config.part_cutoff,
            self.layout,
        )

    def _prior_terms(self, unknowns: Unknowns, targets: Targets, with_jacobian: bool) -> list[Term]:
        config, layout = self.config, self.layout
        left = 1.0 if targets.belief is None else targets.belief.prior_weight
        pose, pose_columns = self.model.prior.residual_with_jacobian(unknowns.z)
        shape, shape_columns = unknowns.s, self._shape_columns.expand(len(unknowns.s), -1, -1)
        if targets.shape is not None:
            shape = (shape - targets.shape.centre) * targets.shape.inverse_std
            shape_columns = torch.diag_embed(targets.shape.inverse_std)
        kept = (pose_columns, shape_columns) if with_jacobian else (None, None)
        terms = [
            prior_term("pose_prior", pose, kept[0], "latent", layout, left * config.prior_weight),
            prior_term("shape_prior", shape, kept[1], "shape", layout, config.shape_weight),
        ]
        if layout.has_focal:
            deviation = unknowns.log_focal[:, None] / config.focal_log_std
            column = torch.ones_like(deviation)[..., None] / config.focal_log_std
            terms.append(
                prior_term(
                    "focal_prior", deviation, column if with_jacobian else None, "focal", layout
                )
            )
        return terms

    def residuals(self, unknowns: Unknowns, targets: Targets) -> Float[Tensor, "batch residuals"]:
        """All residuals side by side."""
        return torch.cat([t.residual for t in self.terms(unknowns, targets)], 1)

    def linearise(
        self, unknowns: Unknowns, targets: Targets, state: KeypointState | None = None
    ) -> tuple[Float[Tensor, "batch residuals"], Float[Tensor, "batch residuals unknowns"]]:
        """All residuals and their Jacobian with respect to a local step.

        Args:
            unknowns, targets, state: as in `terms`.
        """
        terms = self.terms(unknowns, targets, True, state)
        jacobians = [t.jacobian for t in terms if t.jacobian is not None]
        return torch.cat([t.residual for t in terms], 1), torch.cat(jacobians, 1)
