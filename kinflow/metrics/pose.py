"""Errors between 3D joint sets, in the units of their input (metres throughout kinflow)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.errors import InputError
from kinflow.geometry.rotations import nearest_rotation
from kinflow.tensors import check_axes


@dataclass(frozen=True)
class Similarity:
    """A rotation, a scale and a translation: x -> scale R (x - centre) + goal."""

    R: Float[Tensor, "*batch 3 3"]
    scale: Float[Tensor, "*batch"]
    centre: Float[Tensor, "*batch 1 3"]
    goal: Float[Tensor, "*batch 1 3"]

    def __call__(
        self, points: Float[Tensor, "*batch points 3"]
    ) -> Float[Tensor, "*batch points 3"]:
        """The points after it, which may be others than those that it was found on."""
        turned = (points - self.centre) @ self.R.mT
        return self.scale[..., None, None] * turned + self.goal


def rooted(
    points: Float[Tensor, "*batch points 3"], root: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch points 3"]:
    """Points relative to a root, which need not be one of them (mid-hip, a regressed pelvis)."""
    return points - root[..., None, :]


def mean_of(
    joints: Float[Tensor, "*batch joints 3"], indices: Sequence[int]
) -> Float[Tensor, "*batch 3"]:
    """The middle of some joints, such as both hips."""
    return joints[..., list(indices), :].mean(-2)


def distances(
    predicted: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch joints"]:
    """Distance of each joint from its truth, without any alignment."""
    _check(predicted, truth)
    return torch.linalg.vector_norm(predicted - truth, dim=-1)


def mpjpe(
    predicted: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch"]:
    """Mean per-joint position error after the first joint (the pelvis) is moved onto its truth."""
    _check(predicted, truth)
    aligned = predicted - predicted[..., :1, :] + truth[..., :1, :]
    return torch.linalg.vector_norm(aligned - truth, dim=-1).mean(-1)


def scaled(
    predicted: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch joints 3"]:
    """`predicted` times the one number that brings it closest to `truth` by least squares.

    The origin stays where it is, so both have to be relative to their roots before; then the mean
    distance that is left is the normalised MPJPE (Rhodin et al. 2018). A prediction whose points
    all lie in the root stays there.
    """
    _check(predicted, truth)
    return _ratio((predicted * truth).sum((-2, -1)), predicted)[..., None, None] * predicted


def similarity(
    predicted: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Similarity:
    """The similarity that brings `predicted` closest to `truth` by least squares (Umeyama 1991).

    Points that all lie in one place have no size: their scale is 0.
    """
    _check(predicted, truth)
    R = nearest_rotation(predicted, truth)
    centre, goal = predicted.mean(-2, keepdim=True), truth.mean(-2, keepdim=True)
    turned = (predicted - centre) @ R.mT
    scale = _ratio((turned * (truth - goal)).sum((-2, -1)), turned)
    return Similarity(R, scale, centre, goal)


def procrustes(
    predicted: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch joints 3"]:
    """`predicted` after the similarity transform (rotation, translation, scale) that brings it
    closest to `truth` in the least-squares sense (Umeyama 1991).
    """
    return similarity(predicted, truth)(predicted)


def pa_mpjpe(
    predicted: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch"]:
    """Mean per-joint position error after Procrustes alignment."""
    return torch.linalg.vector_norm(procrustes(predicted, truth) - truth, dim=-1).mean(-1)


def pck(distance: Float[Tensor, "*batch joints"], within: float) -> Float[Tensor, "*batch"]:
    """Share of joints that are nearer to their truth than a threshold (Mehta et al. 2017)."""
    return (distance < within).to(distance.dtype).mean(-1)


def pck_area(
    distance: Float[Tensor, "*batch joints"], thresholds: Sequence[float]
) -> Float[Tensor, "*batch"]:
    """Area under the curve of PCK: its mean over thresholds (MPI-INF-3DHP: 0, 5 ... 150 mm).

    Raises:
        InputError: there is no threshold.
    """
    if not thresholds:
        raise InputError("The area under the curve of PCK needs at least one threshold.")
    return torch.stack([pck(distance, within) for within in thresholds]).mean(0)


def best_of(errors: Float[Tensor, "rows samples"], count: int) -> Float[Tensor, " rows"]:
    """The smallest error among the first samples of each row; rows have to have as many.

    Raises:
        InputError: there are fewer samples.
    """
    if not 1 <= count <= errors.shape[1]:
        raise InputError(f"The best of {count} needs {count} samples; there are {errors.shape[1]}.")
    return errors[:, :count].amin(1)


def _ratio(product: Float[Tensor, "*batch"], points: Tensor) -> Float[Tensor, "*batch"]:
    """`product` over the summed squares of points; 0 where these vanish."""
    square = points.square().sum((-2, -1))
    none: Bool[Tensor, "*batch"] = square == 0
    return torch.where(none, torch.zeros_like(square), product / square.where(~none, square + 1))


def _check(predicted: Tensor, truth: Tensor) -> None:
    """InputError unless both are the same number of points."""
    check_axes(predicted, "predicted", (None, 3))
    check_axes(truth, "truth", (predicted.shape[-2], 3))
