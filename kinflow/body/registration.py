"""Two bodies of different topology, laid over each other once, so that each knows its points on the
other.

Nothing is known beforehand of which vertex of a user's body is which point of ours, so it is found
from the two surfaces:

1. our average adult stands in the T-pose; the other body begins in its own, with its mean shape;
2. joints (roughly: rigs disagree by centimetres of where a hip is) and nearest points of the
   surfaces pull on its shape and all its rotations, again and again with new nearest points
   (iterated closest points). A nearest point has to face the same way and prefers the same body
   part, and pulls along its normal more than sideways, since it may be off sideways;
3. every vertex of each mesh is given its nearest point on the other, a triangle and barycentric
   coordinates, and every joint of theirs its place relative to ours.

All of that is geometry of one standing person: it holds for others as far as two rigs bend alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.body.model import BodyModel, PosedBody
from kinflow.body.point_fit import PointTargets, PosedShapes, ShapeFreedom, fit_points
from kinflow.body.skeleton import NUM_JOINTS
from kinflow.errors import InputError
from kinflow.geometry.meshes import (
    SurfacePoints,
    nearest_on_triangles,
    nearest_rows,
    vertex_normals,
)
from kinflow.optim import LMConfig

_ROUNDS = 15
_FITTED_VERTICES = 1200
_ALONG_STD_M, _SIDEWAYS_STD_M = 0.004, 0.02
"""Of a nearest point: along the normal and across it, in the last round."""
_FIRST_STD_M = 0.03
"""Of both in the first round."""
_JOINT_STD_M = 0.03
_FACING_M = 0.06
"""What a normal that faces the other way counts as, in distance."""
_PART_M = 0.03
"""What another body part counts as."""
_FACES_THE_SAME = 0.4
"""Least cosine between the normals of a point and of its counterpart."""
_MOST_M = 0.05
"""Counterparts that are further away are none."""
_CANDIDATES = 3
"""Nearest vertices whose triangles are looked at."""
_LEAST_TRUSTED = 0.5
"""Part of the vertices that need a counterpart for bodies to lie over each other."""


@dataclass(frozen=True)
class Counterparts:
    """Where each vertex of a body is on another body."""

    points: SurfacePoints
    trusted: Bool[Tensor, " vertices"]
    """False where the surfaces are apart there, or face different ways."""


@dataclass(frozen=True)
class Registration:
    """A user's body over ours, both as they stand there."""

    theirs_on_ours: Counterparts
    ours_on_theirs: Counterparts
    """Of all vertices of our full mesh."""
    joint_gap_m: Float[Tensor, "22 3"]
    """From our joints to theirs, in the T-pose."""
    shape: Float[Tensor, " betas"]
    """Of the user's body, as it was laid over our average adult."""
    pose: Float[Tensor, "22 3 3"]
    """Of it, likewise: how its rest differs from our T-pose."""
    t_root_m: Float[Tensor, "3"]

    def shape_of(self, theirs: BodyModel) -> Float[Tensor, " betas"]:
        """The shape, of as many coefficients as the body is read with."""
        shape = theirs.shape_space.neutral()
        size = min(len(shape), len(self.shape))
        return torch.cat([self.shape[:size], shape[size:]])


@cache
@torch.inference_mode(False)
def our_adult() -> PosedBody:
    """Our average adult in the T-pose, the full mesh."""
    body = BodyModel.load()
    return body.with_shape(body.shape_space.neutral()).with_pose(
        torch.eye(3, dtype=torch.float32).expand(NUM_JOINTS, 3, 3),
        torch.zeros(3, dtype=torch.float32),
    )


def register(theirs: BodyModel) -> Registration:
    """Lay a body over ours.

    Args:
        theirs: a body with faces, whose rest is a T-pose, and with shape coefficients that are
            standard normal among people.

    Raises:
        InputError: it does not come to lie over ours.
    """
    ours = our_adult()
    surface = _Surface.of(ours)
    fitted = _icp(theirs, ours, surface)
    laid = fitted.posed(theirs)
    laid = theirs.with_shape(fitted.shape[0]).with_pose(fitted.pose[0, 0], fitted.t_root_m[0, 0])
    their_surface = _Surface.of(laid)
    theirs_on_ours = counterparts(their_surface, surface)
    if float(theirs_on_ours.trusted.float().mean()) < _LEAST_TRUSTED:
        raise InputError(
            "its surface does not come to lie over a standing adult, so it is no body in the "
            "T-pose (metres, y up, facing +z)."
        )
    return Registration(
        theirs_on_ours=theirs_on_ours,
        ours_on_theirs=counterparts(surface, their_surface),
        joint_gap_m=laid.joints_m - ours.joints_m,
        shape=fitted.shape[0],
        pose=fitted.pose[0, 0],
        t_root_m=fitted.t_root_m[0, 0],
    )


@dataclass(frozen=True)
class _Surface:
    """A posed mesh, and for each vertex the triangles around it."""

    vertices_m: Float[Tensor, "vertices 3"]
    normals: Float[Tensor, "vertices 3"]
    parts: Int[Tensor, " vertices"]
    faces: Int[Tensor, "faces 3"]
    around: Int[Tensor, "all_vertices most"]
    """Rows of faces; -1 where there are fewer."""

    @staticmethod
    def of(posed: PosedBody) -> _Surface:
        body, vertices_m = posed.shaped.body, posed.vertices_m()
        faces = body.faces.long()
        normals = vertex_normals(vertices_m.numpy(), faces.numpy())
        return _Surface(
            vertices_m,
            torch.from_numpy(normals),
            body.vertex_parts,
            faces,
            _faces_around(faces, len(vertices_m)),
        )

    def features(self) -> Float[Tensor, "vertices dims"]:
        """Positions, normals and parts such that distances say how well two points go together."""
        parts = torch.nn.functional.one_hot(self.parts, int(max(self.parts.max() + 1, 15)))
        parts = parts.to(self.vertices_m)
        return torch.cat(
            [self.vertices_m, self.normals * (_FACING_M / 2), parts * (_PART_M / 2**0.5)], 1
        )

    def chosen(self, rows: Tensor) -> _Surface:
        return _Surface(
            self.vertices_m[rows], self.normals[rows], self.parts[rows], self.faces, self.around
        )


def _faces_around(faces: Int[Tensor, "faces 3"], vertices: int) -> Int[Tensor, "vertices most"]:
    corner = faces.flatten()
    order = corner.argsort(stable=True)
    owner = corner[order]
    counts = torch.bincount(corner, minlength=vertices)
    first = torch.cumsum(counts, 0) - counts
    around = torch.full((vertices, max(int(counts.max()), 1)), -1)
    around[owner, torch.arange(len(owner)) - first[owner]] = order // 3
    return around


def counterparts(source: _Surface, target: _Surface) -> Counterparts:
    """For each vertex of one surface the nearest point of the other that faces the same way."""
    rows = nearest_rows(source.features(), target.features(), _CANDIDATES)
    corners, shares = [], []
    for part, vertices in zip(rows.split(2048), source.vertices_m.split(2048), strict=True):
        triangles = target.around[part].flatten(1)
        around = target.faces[triangles.clamp_min(0)]
        best, share = nearest_on_triangles(vertices, target.vertices_m[around], triangles >= 0)
        corners.append(around[torch.arange(len(best)), best])
        shares.append(share)
    points = SurfacePoints(torch.cat(corners), torch.cat(shares))
    apart_m = torch.linalg.vector_norm(points.of(target.vertices_m) - source.vertices_m, dim=1)
    facing = (points.of(target.normals) * source.normals).sum(1)
    return Counterparts(points, (apart_m < _MOST_M) & (facing > _FACES_THE_SAME))


def spread_rows(
    points_m: Float[Tensor, "points 3"], allowed: Bool[Tensor, " points"], count: int
) -> Int[Tensor, " chosen"]:
    """Some of the allowed points, evenly spread: each the farthest from those before it."""
    candidates = allowed.nonzero()[:, 0]
    if len(candidates) <= count:
        return candidates
    places = points_m[candidates].numpy()
    chosen = np.zeros(count, np.int64)
    nearest = np.full(len(places), np.inf)
    for i in range(1, count):
        nearest = np.minimum(nearest, ((places - places[chosen[i - 1]]) ** 2).sum(1))
        chosen[i] = nearest.argmax()
    return candidates[torch.from_numpy(chosen)]


def _icp(theirs: BodyModel, ours: PosedBody, surface: _Surface) -> PosedShapes:
    size = len(theirs.shape_space.names)
    at_rest = theirs.with_shape(theirs.shape_space.neutral())
    everywhere = torch.ones(theirs.num_vertices, dtype=torch.bool)
    rows = spread_rows(at_rest.rest_vertices_m, everywhere, _FITTED_VERTICES)
    few = theirs.select_vertices(rows)
    freedom = ShapeFreedom(
        torch.zeros(size, dtype=torch.float32), torch.ones(size, dtype=torch.float32)
    )
    state = PosedShapes(
        torch.eye(3, dtype=torch.float32).expand(1, 1, NUM_JOINTS, 3, 3),
        ours.joints_m[None, None, 0],
        torch.zeros(1, size, dtype=torch.float32),
        freedom,
    )
    lm = LMConfig(max_iterations=3, initial_damping=1e-4, max_step=3.0)
    features = surface.features()
    for round_ in range(_ROUNDS):
        laid = theirs.with_shape(state.shape[0]).with_pose(state.pose[0, 0], state.t_root_m[0, 0])
        moving = _Surface.of(laid).chosen(rows)
        nearest = nearest_rows(moving.features(), features)[:, 0]
        facing = (surface.normals[nearest] * moving.normals).sum(1) > _FACES_THE_SAME
        # in the first rounds counterparts are wrong by centimetres
        early = max(0.0, 1 - 2 * round_ / _ROUNDS)
        std_m = [late + early * (_FIRST_STD_M - late) for late in (_ALONG_STD_M, _SIDEWAYS_STD_M)]
        targets = PointTargets(
            surface.vertices_m[nearest][None, None],
            ours.joints_m[None, None],
            (_pulls(surface.normals[nearest], *std_m) * facing[:, None, None])[None],
            _JOINT_STD_M,
        )
        state = fit_points(few, state, targets, lm).state
    return state


def _pulls(
    normals: Float[Tensor, "points 3"], along_std_m: float, sideways_std_m: float
) -> Float[Tensor, "points 3 3"]:
    outer = normals[:, :, None] * normals[:, None]
    return outer / along_std_m + (torch.eye(3).to(outer) - outer) / sideways_std_m
