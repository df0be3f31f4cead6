"""What a predictor makes of a person and of their mirror image, as one.

It errs in both, and not alike: the middle of its two best guesses is better than either.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool

from kinflow.energy.unknowns import Unknowns
from kinflow.predictors.coordinates import ROTATION
from kinflow.predictors.posterior import Posterior
from kinflow.priors.interface import PoseDistribution
from kinflow.priors.pose_space import MIRROR_FREE

FACING_APART_DEG = 90.0
"""From which angle between the orientations of both on, what the mirror shows does not count: one
of them takes the front for the back, and the middle of both would be neither."""


def of_both_sides(
    own: Posterior, other: Posterior, has: Bool[torch.Tensor, " people"], prior: PoseDistribution
) -> Posterior:
    """The own posteriors about the middle of both best guesses.

    Args:
        own: of people as they are.
        other: of their mirror images (`Looks.in_mirror`); any where there was none.
        has: who has a mirror image.
        prior: of the poses.
    """
    there = own.frame.to_vector(mirrored(other.point(), prior), own.guess.R_view_base)
    gap = there - own.guess.centre
    counts = has & (gap[:, ROTATION].norm(dim=-1).rad2deg() < FACING_APART_DEG)
    return own.about(own.guess.centre + 0.5 * gap * counts[:, None])


def mirrored(bodies: Unknowns, prior: PoseDistribution) -> Unknowns:
    """The mirror images of bodies in the plane through the camera in which x is zero; an
    involution but for what the prior's latent cannot express."""
    flip = bodies.R_cam_root.new_tensor([-1.0, 1.0, 1.0])
    both = flip[:, None] * flip
    R_free = prior.decode(bodies.z)[..., MIRROR_FREE, :, :] * both
    return replace(
        bodies,
        R_cam_root=bodies.R_cam_root * both,
        t_cam_root_m=bodies.t_cam_root_m * flip,
        z=prior.encode(R_free),
    )
