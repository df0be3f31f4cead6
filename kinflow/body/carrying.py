"""What our body knows of itself, carried over to another body that lies over it: keypoints, parts.

Files of the SMPL family name no keypoints. Ours are where annotators put them, so each of them is
looked up where the other body lies over our adult: it hangs on the same joint, at the same place.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.body.model import BodyModel
from kinflow.body.registration import Registration, our_adult
from kinflow.body.skeleton import NUM_JOINTS
from kinflow.geometry.meshes import nearest_rows

_NEIGHBOURS = 24
"""Vertices and joints around a point whose places say where it is in other shapes."""
_SOFT_M = 0.002
"""Of neighbours that are as near as that none counts more than the others."""


def with_our_points(theirs: BodyModel, registration: Registration) -> BodyModel:
    """The body with the keypoints and parts of ours."""
    ours = our_adult().shaped.body
    rows, shares, offset_m = _neighbours(theirs, registration)
    first = len(theirs.rest_mean_m) - theirs.num_vertices
    mean, basis = theirs.rest_mean_m, theirs.rest_basis_m
    points = (shares[..., None] * mean[rows]).sum(1) + offset_m
    directions = (shares[..., None] * basis[:, rows]).sum(2)
    return replace(
        theirs,
        rest_mean_m=torch.cat([mean[:NUM_JOINTS], points, mean[first:]]),
        rest_basis_m=torch.cat([basis[:, :NUM_JOINTS], directions, basis[:, first:]], 1),
        keypoint_mass=ours.keypoint_mass,
        keypoint_joint=ours.keypoint_joint,
        vertex_parts=_parts(theirs, registration),
    )


def _neighbours(
    theirs: BodyModel, registration: Registration
) -> tuple[
    Int[Tensor, "virtual neighbours"],
    Float[Tensor, "virtual neighbours"],
    Float[Tensor, "virtual 3"],
]:
    """For each of our virtual points rows of rest points around it, how much each counts, and where
    it is from there in the shape that lies over our adult."""
    adult = our_adult()
    shaped = theirs.with_shape(registration.shape_of(theirs))
    laid = shaped.with_pose(registration.pose, registration.t_root_m)
    joint = adult.shaped.body.keypoint_joint
    from_joint = adult.virtual_points_m() - laid.joints_m[joint]
    turned = (laid.R_joints[joint].mT @ from_joint[..., None])[..., 0]
    at_rest_m = shaped.rest_joints_m[joint] + turned
    places_m = torch.cat([shaped.rest_joints_m, shaped.rest_vertices_m])
    nearest = nearest_rows(at_rest_m, places_m, _NEIGHBOURS)
    apart_m = torch.linalg.vector_norm(at_rest_m[:, None] - places_m[nearest], dim=2)
    counts = (apart_m + _SOFT_M) ** -2
    shares = counts / counts.sum(1, keepdim=True)
    offset_m = at_rest_m - (shares[..., None] * places_m[nearest]).sum(1)
    # from rows of joints and vertices to those of all rest points
    virtual = len(theirs.rest_mean_m) - theirs.num_vertices - NUM_JOINTS
    return torch.where(nearest < NUM_JOINTS, nearest, nearest + virtual), shares, offset_m


def _parts(theirs: BodyModel, registration: Registration) -> Int[Tensor, " vertices"]:
    """Our part at each vertex; where no point of ours is its counterpart, that of its own rig."""
    points, trusted = registration.theirs_on_ours.points, registration.theirs_on_ours.trusted
    nearest = points.corners[torch.arange(len(trusted)), points.shares.argmax(1)]
    return torch.where(trusted, our_adult().shaped.body.vertex_parts[nearest], theirs.vertex_parts)
