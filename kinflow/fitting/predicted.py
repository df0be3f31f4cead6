"""What a network alone says of people: bodies, samples about them, and what these spread over."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.calibration import deviation_m, std_of_network_m, unseen
from kinflow.fitting.height import height_with_slope_m
from kinflow.fitting.shape_spread import std_of_network
from kinflow.fitting.stances import Stances
from kinflow.priors.shape import LatentShapes
from kinflow.results import Person


@dataclass(frozen=True)
class Bodies:
    """Bodies and what is asked of each, in the camera's frame."""

    unknowns: Unknowns
    points_m: Float[Tensor, "bodies points 3"]
    """FITTED_KEYPOINTS."""
    joints_m: Float[Tensor, "bodies 22 3"]
    up_cam: Float[Tensor, "bodies 3"]
    """What is up by the pose."""

    def __getitem__(self, rows: slice) -> Bodies:
        """Some of them."""
        return Bodies(
            self.unknowns[rows], self.points_m[rows], self.joints_m[rows], self.up_cam[rows]
        )

    def moved(self, by_m: Float[Tensor, "bodies 3"]) -> Bodies:
        """The same elsewhere."""
        t = self.unknowns.t_cam_root_m + by_m
        return Bodies(
            replace(self.unknowns, t_cam_root_m=t),
            self.points_m + by_m[:, None],
            self.joints_m + by_m[:, None],
            self.up_cam,
        )


@dataclass(frozen=True)
class Predicted:
    """Bodies by the network, on their keypoints, and samples about each."""

    body: Bodies
    samples: Bodies
    """By person, then by draw."""
    count: int
    """Samples of each person."""

    def moved(self, by_m: Float[Tensor, "people 3"]) -> Predicted:
        """Bodies elsewhere, and their samples with them."""
        of_samples = by_m.repeat_interleave(self.count, 0)
        return Predicted(self.body.moved(by_m), self.samples.moved(of_samples), self.count)

    def covariance(
        self, of_body: Float[Tensor, "people *rest size"], of_samples: Tensor
    ) -> Float[Tensor, "people *rest size size"]:
        """Mean square gap between what samples and bodies have of some vectors."""
        gap = of_samples.unflatten(0, (-1, self.count)) - of_body[:, None]
        return torch.einsum("ps...i,ps...j->p...ij", gap, gap) / self.count

    def joint_deviation_m(self) -> Float[Tensor, "people 22"]:
        """By how much joints of samples, about the pelvis, are elsewhere."""
        joints_m = self.samples.joints_m.unflatten(0, (-1, self.count))
        alike = torch.full_like(joints_m[..., 0, 0], 1 / self.count)
        return deviation_m(joints_m, self.body.joints_m, alike).cpu()

    def shape_deviation(self, shape_prior: LatentShapes) -> Float[Tensor, "people shape"]:
        """By how much phenotypes of samples are others."""
        of_samples = shape_prior.decode(self.samples.unknowns.s).unflatten(0, (-1, self.count))
        gap = of_samples - shape_prior.decode(self.body.unknowns.s)[:, None]
        return gap.square().mean(1).sqrt().cpu()


@dataclass(frozen=True)
class Spread:
    """How far samples are from bodies, as it is stated; on the CPU."""

    joint_std_m: Float[Tensor, "people 22"]
    root_std_m: Float[Tensor, "people 3"]
    height_std_m: Float[Tensor, " people"]
    shape_std: Float[Tensor, "people 6"]

    @staticmethod
    def of(
        predicted: Predicted, model: KeypointModel, keypoints_px: Float[Tensor, "people 33 3"]
    ) -> Spread:
        """Of some people, whose keypoints were seen like this."""
        body, samples = predicted.body, predicted.samples
        root = predicted.covariance(body.unknowns.t_cam_root_m, samples.unknowns.t_cam_root_m)
        of_shape = predicted.covariance(body.unknowns.s, samples.unknowns.s).cpu()
        slope = height_with_slope_m(model.shape_prior, body.unknowns.s)[1]
        height = torch.einsum("pi,pij,pj->p", slope, of_shape, slope)
        return Spread(
            std_of_network_m(predicted.joint_deviation_m(), unseen(keypoints_px)),
            root.diagonal(dim1=-2, dim2=-1).sqrt().cpu(),
            height.clamp_min(0).sqrt(),
            std_of_network(predicted.shape_deviation(model.shape_prior)),
        )


@dataclass(frozen=True)
class Told:
    """The people of several photos."""

    rows: tuple[range, ...]
    """Of each photo."""
    people: list[Person]
    _stances: Stances | None
    _points_m: Float[Tensor, "people points 3"] | None

    @property
    def stances(self) -> Stances:
        """What they say of up and of the floor; there has to be somebody."""
        assert self._stances is not None, "there is nobody"
        return self._stances

    @property
    def points_m(self) -> Float[Tensor, "people points 3"]:
        """Their FITTED_KEYPOINTS in the camera's frame; there has to be somebody."""
        assert self._points_m is not None, "there is nobody"
        return self._points_m

    def of(self, rows: range) -> tuple[Person, ...]:
        """Those of a photo, numbered from 0."""
        return tuple(replace(self.people[row], person=i) for i, row in enumerate(rows))
