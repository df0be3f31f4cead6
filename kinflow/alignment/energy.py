"""The energy of a body given what was seen of it: the sum of the terms in `terms.py`.

    E = keypoints + hint_3d + pose prior 0.5 |z|^2 + shape prior 0.5 |s|^2      (nats)

after Zanfir et al. 2020, eq. 9, with 3D landmarks of the detector as an optional weak term.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.alignment.keypoint_model import LATENT_START, KeypointModel, Unknowns
from kinflow.alignment.terms import Term, reprojection, root_relative, standard_normal


@dataclass(frozen=True)
class Targets:
    """What each body of a batch should explain. A weight (inverse std) of 0 leaves a point out."""

    focal_px: Float[Tensor, " batch"]
    principal_px: Float[Tensor, "batch 2"]
    observed_px: Float[Tensor, "batch points 2"]
    inverse_std_px: Float[Tensor, "batch points"]
    hint_m: Float[Tensor, "batch points 3"] | None = None
    """Rough 3D keypoints relative to the middle of the hips, camera axes."""
    hint_inverse_std_m: Float[Tensor, "batch points 3"] | None = None

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


class Energy:
    """Evaluates the terms for bodies of a `KeypointModel`.

    Args:
        model: gives the points that targets are ordered by.
        origin: weights of the points whose mean the 3D hint is relative to (the hips).
        config: weights.
    """

    def __init__(
        self, model: KeypointModel, origin: Float[Tensor, " points"], config: EnergyConfig
    ) -> None:
        self.model, self.origin, self.config = model, origin, config
        # the latents are unknowns themselves: their derivatives are rows of the identity
        latents = torch.eye(model.num_unknowns, device=origin.device)[LATENT_START:]
        self._latent_columns = latents.split([model.prior.latent_dim, model.shape_prior.size])

    def terms(
        self, unknowns: Unknowns, targets: Targets, with_jacobian: bool = False
    ) -> tuple[Term, ...]:
        """Residuals of every term, weighted."""
        config, model = self.config, self.model
        state = model.evaluate(unknowns, with_jacobian)
        points, jacobian = state.keypoints_cam_m, state.jacobian
        terms = [
            reprojection(
                points,
                jacobian,
                targets.focal_px,
                targets.principal_px,
                targets.observed_px,
                targets.inverse_std_px,
                config.keypoint_cutoff,
            )
        ]
        if targets.hint_m is not None and targets.hint_inverse_std_m is not None:
            terms.append(
                root_relative(
                    points,
                    jacobian,
                    self.origin,
                    targets.hint_m,
                    targets.hint_inverse_std_m,
                    config.hint_cutoff,
                )
            )
        z_columns, s_columns = self._latent_columns if with_jacobian else (None, None)
        terms.append(standard_normal("pose_prior", unknowns.z, z_columns, config.prior_weight))
        terms.append(standard_normal("shape_prior", unknowns.s, s_columns, config.shape_weight))
        return tuple(terms)

    def residuals(self, unknowns: Unknowns, targets: Targets) -> Float[Tensor, "batch residuals"]:
        """All residuals side by side."""
        return torch.cat([t.residual for t in self.terms(unknowns, targets)], 1)

    def linearise(
        self, unknowns: Unknowns, targets: Targets
    ) -> tuple[Float[Tensor, "batch residuals"], Float[Tensor, "batch residuals unknowns"]]:
        """All residuals and their Jacobian with respect to a local step."""
        terms = self.terms(unknowns, targets, with_jacobian=True)
        jacobians = [t.jacobian for t in terms if t.jacobian is not None]
        return torch.cat([t.residual for t in terms], 1), torch.cat(jacobians, 1)
