"""Fits bodies to the targets of people: the energy, the search and where it starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.model import BodyModel
from kinflow.checks import flag, nested
from kinflow.energy.body_energy import Energy, EnergyConfig, Targets
from kinflow.energy.keypoint_model import KeypointModel, KeypointState
from kinflow.energy.unknowns import Unknowns
from kinflow.energy.vertex_model import VertexModel
from kinflow.fitting.beliefs import BelievedStarts
from kinflow.fitting.facing import FacingStart
from kinflow.fitting.gallery import GalleryConfig, PoseGallery
from kinflow.fitting.initialisers import Initialiser, Proposals
from kinflow.fitting.multistart import Candidates, MultistartConfig, fit, polish
from kinflow.fitting.starts import hip_origin
from kinflow.fitting.uncertainty import Description, describe
from kinflow.priors.attitude import AttitudePrior
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import LatentShapes
from kinflow.threads import lazy


@dataclass(frozen=True)
class FitConfig:
    """Energy, starts and search of a single-view fit."""

    energy: EnergyConfig = field(default_factory=EnergyConfig)
    gallery: GalleryConfig = field(default_factory=GalleryConfig)
    search: MultistartConfig = field(default_factory=MultistartConfig)
    gallery_besides_belief: bool = False
    """Whether the gallery proposes starts also for people of whom a network believes something."""

    def __post_init__(self) -> None:
        nested(self, energy=EnergyConfig, gallery=GalleryConfig, search=MultistartConfig)
        flag(self, "gallery_besides_belief")


class PersonFitter:
    """Fits any number of people at once, each on their own.

    Args:
        body: the body; its vertices are not used.
        prior: pose prior to search in.
        shape_prior: shape prior to search in.
        names: keypoints, in the order of the points in the targets.
        config: energy, starts and search.
        vertices: needed when targets are to have part matches.
        further: sources of starts besides the gallery and the facing pose.
        attitude: needed when targets are to say what is up.
    """

    def __init__(
        self,
        body: BodyModel,
        prior: PosePrior,
        shape_prior: LatentShapes,
        names: tuple[str, ...],
        config: FitConfig,
        vertices: VertexModel | None = None,
        further: tuple[Initialiser, ...] = (),
        attitude: AttitudePrior | None = None,
    ) -> None:
        self.names, self.config = names, config
        points = tuple(KEYPOINT_INDEX[name] for name in names)
        self.model = KeypointModel(body, prior, shape_prior, points, attitude=attitude)
        self.joint_model = KeypointModel(body, prior, shape_prior, (), with_joints=True)
        origin = hip_origin(names).to(body.rest_mean_m.device)
        self.energy = Energy(self.model, origin, config.energy, vertices)
        self._further = further

    @lazy
    def gallery(self) -> PoseGallery:
        """Poses that fits start from."""
        return PoseGallery(self.model, self.config.gallery)

    def fit(self, targets: Targets) -> Candidates:
        """Distinct bodies for each row of `targets`, best first."""
        with torch.no_grad():
            proposals = list(self._proposals(targets))
        return fit(self.energy, targets, proposals, self.config.search)

    def _proposals(self, targets: Targets) -> Iterator[Proposals]:
        """Of all sources; of the gallery only for those of whom no network believes anything."""
        rows = torch.arange(len(targets.focal_px), device=targets.focal_px.device)
        if targets.belief is not None:
            yield BelievedStarts().propose(targets, self.names)
            if not self.config.gallery_besides_belief:
                rows = rows[~targets.belief.says_something()]
        if len(rows):
            found = self.gallery.propose(targets[rows], self.names)
            yield replace(found, person=rows[found.person])
        for source in (FacingStart(self.model), *self._further):
            yield source.propose(targets, self.names)

    def polish(self, found: Candidates, targets: Targets) -> Candidates:
        """Found bodies fitted to other targets of the same people, best first."""
        return polish(self.energy, targets, found, self.config.search)

    def joints_m(self, unknowns: Unknowns) -> Float[Tensor, "batch 22 3"]:
        """The 22 joints in the camera frame."""
        with torch.no_grad():
            return self.joint_model.evaluate(unknowns, with_jacobian=False).keypoints_cam_m

    def describe(
        self, unknowns: Unknowns, targets: Targets, known: KeypointState | None = None
    ) -> Description:
        """What is read off solutions, one row of `targets` each (see `uncertainty.describe`)."""
        return describe(self.energy, self.joint_model, unknowns, targets, known)
