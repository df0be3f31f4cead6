"""Fits bodies to the targets of people: the energy, the search, and what is read off the result."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.model import BodyModel
from kinflow.checks import nested
from kinflow.energy.body_energy import Energy, EnergyConfig, Targets
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.energy.vertex_model import VertexModel
from kinflow.fitting.gallery import PoseGallery
from kinflow.fitting.multistart import Candidates, MultistartConfig, fit
from kinflow.fitting.starts import hip_origin
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import ShapePrior
from kinflow.threads import lazy


@dataclass(frozen=True)
class FitConfig:
    """Energy and search of a single-view fit."""

    energy: EnergyConfig = field(default_factory=EnergyConfig)
    search: MultistartConfig = field(default_factory=MultistartConfig)

    def __post_init__(self) -> None:
        nested(self, energy=EnergyConfig, search=MultistartConfig)


@dataclass(frozen=True)
class Description:
    """What is read off solutions, on the CPU."""

    joints_m: Float[Tensor, "batch 22 3"]
    joint_std_m: Float[Tensor, "batch 22"]
    """Of each joint relative to the pelvis: root of the mean variance per axis."""
    root_std_m: Float[Tensor, "batch 3"]
    """Of the pelvis, along each camera axis."""
    energy: dict[str, Float[Tensor, " batch"]]
    """Per term, in nats."""


class PersonFitter:
    """Fits any number of people at once, each on their own.

    Args:
        body: the body; its vertices are not used.
        prior: pose prior to search in.
        shape_prior: shape prior to search in.
        names: keypoints, in the order of the points in the targets.
        config: energy and search.
        vertices: needed when targets are to have part matches.
    """

    def __init__(
        self,
        body: BodyModel,
        prior: PosePrior,
        shape_prior: ShapePrior,
        names: tuple[str, ...],
        config: FitConfig,
        vertices: VertexModel | None = None,
    ) -> None:
        self.names, self.config = names, config
        points = tuple(KEYPOINT_INDEX[name] for name in names)
        self.model = KeypointModel(body, prior, shape_prior, points)
        self.joint_model = KeypointModel(body, prior, shape_prior, (), with_joints=True)
        origin = hip_origin(names).to(body.rest_mean_m.device)
        self.energy = Energy(self.model, origin, config.energy, vertices)

    @lazy
    def gallery(self) -> PoseGallery:
        """Poses that fits start from."""
        return PoseGallery(self.model, self.config.search.gallery)

    def fit(self, targets: Targets) -> Candidates:
        """Distinct bodies for each row of `targets`, best first."""
        return fit(self.energy, targets, self.names, self.gallery, self.config.search)

    def joints_m(self, unknowns: Unknowns) -> Float[Tensor, "batch 22 3"]:
        """The 22 joints in the camera frame."""
        with torch.no_grad():
            return self.joint_model.evaluate(unknowns, with_jacobian=False).keypoints_cam_m

    def describe(self, unknowns: Unknowns, targets: Targets) -> Description:
        """Joints, energies and standard deviations of solutions, one row of `targets` each.

        Deviations are Laplace's approximation, from the inverse Gauss-Newton Hessian. They cover
        the neighbourhood of a solution; other solutions are the business of the hypotheses.
        """
        with torch.no_grad():
            terms = self.energy.terms(unknowns, targets, with_jacobian=True)
            J = torch.cat([t.jacobian for t in terms if t.jacobian is not None], 1)
            state = self.joint_model.evaluate(unknowns)
        assert state.jacobian is not None
        hessian = (J.mT @ J).cpu().double()  # not every device has float64
        eye = torch.eye(hessian.shape[-1], dtype=hessian.dtype)
        body = self.energy.layout.body
        covariance = torch.linalg.inv(hessian + 1e-6 * eye)[:, body, body]
        joints = state.jacobian.cpu().double()
        relative = joints - joints[:, :1]
        variance = torch.einsum("bjdu,buv,bjdv->bjd", relative, covariance, relative)
        root = torch.einsum("bdu,buv,bdv->bd", joints[:, 0], covariance, joints[:, 0])
        return Description(
            joints_m=state.keypoints_cam_m.cpu(),
            joint_std_m=variance.mean(-1).clamp_min(0).sqrt().float(),
            root_std_m=root.clamp_min(0).sqrt().float(),
            energy={term.name: term.energy().cpu() for term in terms},
        )
