"""Errors between 3D joint sets, in the units of their input (metres throughout kinflow)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.geometry.rotations import nearest_rotation
from kinflow.tensors import check_axes


def mpjpe(
    predicted: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch"]:
    """Mean per-joint position error after the first joint (the pelvis) is moved onto its truth."""
    _check(predicted, truth)
    aligned = predicted - predicted[..., :1, :] + truth[..., :1, :]
    return torch.linalg.vector_norm(aligned - truth, dim=-1).mean(-1)


def procrustes(
    predicted: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch joints 3"]:
    """`predicted` after the similarity transform (rotation, translation, scale) that brings it
    closest to `truth` in the least-squares sense (Umeyama 1991).
    """
    _check(predicted, truth)
    R = nearest_rotation(predicted, truth)
    centred = predicted - predicted.mean(-2, keepdim=True)
    truth_centre = truth.mean(-2, keepdim=True)
    turned = centred @ R.mT
    scale = (turned * (truth - truth_centre)).sum((-2, -1)) / (turned * turned).sum((-2, -1))
    return scale[..., None, None] * turned + truth_centre


def pa_mpjpe(
    predicted: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch"]:
    """Mean per-joint position error after Procrustes alignment."""
    return torch.linalg.vector_norm(procrustes(predicted, truth) - truth, dim=-1).mean(-1)


def _check(predicted: Tensor, truth: Tensor) -> None:
    """InputError unless both are the same number of points."""
    check_axes(predicted, "predicted", (None, 3))
    check_axes(truth, "truth", (predicted.shape[-2], 3))
