"""What is read off a solution: joints, energies, and how far each joint could be elsewhere.

Deviations are Laplace's approximation, from the inverse Gauss-Newton Hessian. They cover the
neighbourhood of a solution under the energy's own assumptions; what is stated to the user follows
from them and from more (`calibration.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.energy.belief import Belief
from kinflow.energy.body_energy import Energy, Targets
from kinflow.energy.keypoint_model import KeypointModel, KeypointState
from kinflow.energy.unknowns import Unknowns
from kinflow.evidence.types import PersonEvidence
from kinflow.fitting.calibration import JointSigns, deviation_m, place_factors, unseen
from kinflow.fitting.height import height_with_slope_m
from kinflow.fitting.shape_spread import ShapeSigns
from kinflow.priors.shape import ShapePrior

_DRAWN = 16
"""Bodies that are drawn from a belief; what is stated is no better for twice as many."""


@dataclass(frozen=True)
class Description:
    """What is read off solutions, on the CPU."""

    joints_m: Float[Tensor, "batch 22 3"]
    joint_std_m: Float[Tensor, "batch 22"]
    """Of each joint relative to the pelvis: root of the mean variance per axis."""
    network_m: Float[Tensor, "batch 22"]
    """By how much joints of bodies that a network believes in are elsewhere, likewise; NaN where
    there is no belief."""
    root_std_m: Float[Tensor, "batch 3"]
    """Of the pelvis, along each camera axis, as it is stated."""
    height_std_m: Float[Tensor, " batch"]
    """Of the standing height, as it is stated."""
    shape: ShapeSigns | None
    """Of the phenotypes; None for another body, whose shapes are no phenotypes."""
    energy: dict[str, Float[Tensor, " batch"]]
    """Per term, in nats."""


def describe(
    energy: Energy,
    joint_model: KeypointModel,
    unknowns: Unknowns,
    targets: Targets,
    known: KeypointState | None = None,
) -> Description:
    """Joints, energies and standard deviations of solutions, one row of `targets` each.

    Args:
        energy: the terms that were minimised.
        joint_model: the energy's model with the 22 joints for its points.
        known: what the energy's model makes of the solutions, with derivatives, where that is
            known already.
    """
    with torch.no_grad():
        known = known or energy.model.evaluate(unknowns)
        terms = energy.terms(unknowns, targets, with_jacobian=True, state=known)
        J = torch.cat([t.jacobian for t in terms if t.jacobian is not None], 1)
        state = joint_model.moved(known.motion)
    assert state.jacobian is not None
    J = J.cpu().double()  # in single precision the product may be indefinite
    hessian = J.mT @ J
    eye = torch.eye(hessian.shape[-1], dtype=hessian.dtype)
    body = energy.layout.body
    covariance = torch.linalg.inv(hessian + 1e-6 * eye)[:, body, body]
    joints = state.jacobian.cpu().double()
    relative = joints - joints[:, :1]
    variance = torch.einsum("bjdu,buv,bjdv->bjd", relative, covariance, relative)
    root = torch.einsum("bdu,buv,bdv->bd", joints[:, 0], covariance, joints[:, 0])
    # a body with vertices is another one than the bundled, which comes without
    model = energy.model
    ends = model.body.to("cpu") if model.body.num_vertices else None
    slope = height_with_slope_m(model.shape_prior, unknowns.s, ends)[1].double()
    of_shape = covariance[:, energy.layout.shape, energy.layout.shape]
    height = torch.einsum("bu,buv,bv->b", slope, of_shape, slope)
    believed = torch.zeros(len(root), dtype=torch.bool)
    if targets.belief is not None:
        believed = targets.belief.says_something().cpu()
    wider = place_factors(believed)
    of_phenotypes = None
    if isinstance(model.shape_prior, ShapePrior):
        slope = model.shape_prior.decode_with_slope(unknowns.s)[1].cpu()
        in_latent = of_shape.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt().float()
        of_phenotypes = ShapeSigns(slope * in_latent, believed)
    return Description(
        joints_m=state.keypoints_cam_m.cpu(),
        joint_std_m=variance.mean(-1).clamp_min(0).sqrt().float(),
        network_m=_from_network_m(
            joint_model, state.keypoints_cam_m, unknowns, targets.belief
        ).cpu(),
        root_std_m=(wider[:, :1] * root.clamp_min(0).sqrt()).float(),
        height_std_m=(wider[:, 1] * height.clamp_min(0).sqrt()).float(),
        shape=of_phenotypes,
        energy={term.name: term.energy().cpu() for term in terms},
    )


def std_of_frames_m(
    described: Description, seen: Sequence[PersonEvidence | None]
) -> Float[Tensor, "batch 22"]:
    """What is stated of joints in frames of a clip, of which nobody asks what other bodies there
    are.

    Args:
        described: of the body in each frame.
        seen: what was seen of it in each frame, None where it was missed.
    """
    nothing = torch.zeros(len(BLAZEPOSE33), 3, dtype=torch.float32)
    keypoints = [nothing if person is None else person.keypoints_px.cpu() for person in seen]
    return JointSigns(
        laplace_m=described.joint_std_m,
        others_m=torch.zeros_like(described.joint_std_m),
        unseen=unseen(torch.stack(keypoints)),
        network_m=described.network_m,
    ).std_m()


def _from_network_m(
    joint_model: KeypointModel,
    joints_m: Float[Tensor, "batch 22 3"],
    unknowns: Unknowns,
    belief: Belief | None,
) -> Float[Tensor, "batch 22"]:
    """Deviation of what a network believes from the solutions."""
    lacking = torch.full_like(joints_m[..., 0], torch.nan)
    if belief is None:
        return lacking
    with torch.no_grad():
        drawn = belief.drawn(_DRAWN, unknowns)
        points = joint_model.evaluate(drawn, with_jacobian=False).keypoints_cam_m
    weight = points.new_full((len(joints_m), _DRAWN), 1 / _DRAWN)
    deviation = deviation_m(points.unflatten(0, (-1, _DRAWN)), joints_m, weight)
    return torch.where(belief.says_something()[:, None], deviation, lacking)
