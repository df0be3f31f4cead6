"""Errors over the vertices of a mesh: of posed bodies, and of body shape alone.

PVE is the mean distance of vertices with the roots put on each other. Shape alone is compared in
the T-pose; because one view cannot tell a small person nearby from a tall one far away, the error
after the best common scale (PVE-T-SC; Sengupta et al. 2020) stands beside the plain one.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.model import BodyModel
from kinflow.metrics.pose import scaled
from kinflow.tensors import check_axes


def pve(
    vertices_m: Float[Tensor, "*batch vertices 3"],
    root_m: Float[Tensor, "*batch 3"],
    true_vertices_m: Float[Tensor, "*batch vertices 3"],
    true_root_m: Float[Tensor, "*batch 3"],
) -> Float[Tensor, "*batch"]:
    """Mean distance of vertices relative to the root, in the unit of the vertices."""
    check_axes(vertices_m, "vertices_m", (None, 3))
    check_axes(true_vertices_m, "true_vertices_m", (vertices_m.shape[-2], 3))
    own = vertices_m - root_m[..., None, :]
    true = true_vertices_m - true_root_m[..., None, :]
    return (own - true).norm(dim=-1).mean(-1)


def t_pose_pve(
    body: BodyModel,
    shape: Float[Tensor, "*batch shape"],
    true_shape: Float[Tensor, "*batch shape"],
    scale_corrected: bool = False,
) -> Float[Tensor, "*batch"]:
    """PVE of two shapes in the T-pose, in metres; optionally after the best common scale."""
    own, true = t_pose_vertices_m(body, shape), t_pose_vertices_m(body, true_shape)
    return shape_error(own, true, scale_corrected)


def shape_error(
    vertices_m: Float[Tensor, "*batch vertices 3"],
    true_vertices_m: Float[Tensor, "*batch vertices 3"],
    scale_corrected: bool = False,
) -> Float[Tensor, "*batch"]:
    """PVE of vertices in the T-pose, whose roots are at the origin; optionally after the best
    common scale about it (PVE-T-SC)."""
    check_axes(vertices_m, "vertices_m", (None, 3))
    check_axes(true_vertices_m, "true_vertices_m", (vertices_m.shape[-2], 3))
    own = scaled(vertices_m, true_vertices_m) if scale_corrected else vertices_m
    return (own - true_vertices_m).norm(dim=-1).mean(-1)


def t_pose_vertices_m(
    body: BodyModel, shape: Float[Tensor, "*batch shape"]
) -> Float[Tensor, "*batch vertices 3"]:
    """Vertices in the T-pose with the root joint at the origin."""
    rest = torch.eye(3).to(shape).expand(*shape.shape[:-1], len(body.Q_rest), 3, 3)
    return (
        body.with_shape(shape).with_pose(rest, shape.new_zeros(*shape.shape[:-1], 3)).vertices_m()
    )
