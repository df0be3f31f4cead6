"""What is read off a solution: joints, energies, and how far each joint could be elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.energy.body_energy import Energy, Targets
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.height import height_with_slope_m


@dataclass(frozen=True)
class Description:
    """What is read off solutions, on the CPU."""

    joints_m: Float[Tensor, "batch 22 3"]
    joint_std_m: Float[Tensor, "batch 22"]
    """Of each joint relative to the pelvis: root of the mean variance per axis."""
    root_std_m: Float[Tensor, "batch 3"]
    """Of the pelvis, along each camera axis."""
    height_std_m: Float[Tensor, " batch"]
    """Of the standing height: what the evidence and the shape prior leave open."""
    energy: dict[str, Float[Tensor, " batch"]]
    """Per term, in nats."""


def describe(
    energy: Energy, joint_model: KeypointModel, unknowns: Unknowns, targets: Targets
) -> Description:
    """Joints, energies and standard deviations of solutions, one row of `targets` each.

    Deviations are Laplace's approximation, from the inverse Gauss-Newton Hessian. They cover
    the neighbourhood of a solution; other solutions are the business of the hypotheses.

    Args:
        energy: the terms that were minimised.
        joint_model: the energy's model with the 22 joints for its points.
    """
    with torch.no_grad():
        terms = energy.terms(unknowns, targets, with_jacobian=True)
        J = torch.cat([t.jacobian for t in terms if t.jacobian is not None], 1)
        state = joint_model.evaluate(unknowns)
    assert state.jacobian is not None
    hessian = (J.mT @ J).cpu().double()  # not every device has float64
    eye = torch.eye(hessian.shape[-1], dtype=hessian.dtype)
    body = energy.layout.body
    covariance = torch.linalg.inv(hessian + 1e-6 * eye)[:, body, body]
    joints = state.jacobian.cpu().double()
    relative = joints - joints[:, :1]
    variance = torch.einsum("bjdu,buv,bjdv->bjd", relative, covariance, relative)
    root = torch.einsum("bdu,buv,bdv->bd", joints[:, 0], covariance, joints[:, 0])
    slope = height_with_slope_m(energy.model.shape_prior, unknowns.s)[1].double()
    of_shape = covariance[:, energy.layout.shape, energy.layout.shape]
    height = torch.einsum("bu,buv,bv->b", slope, of_shape, slope)
    return Description(
        joints_m=state.keypoints_cam_m.cpu(),
        joint_std_m=variance.mean(-1).clamp_min(0).sqrt().float(),
        root_std_m=root.clamp_min(0).sqrt().float(),
        height_std_m=height.clamp_min(0).sqrt().float(),
        energy={term.name: term.energy().cpu() for term in terms},
    )
