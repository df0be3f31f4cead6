"""Body measurements a tailor or a doctor would take, from the rest mesh.

Height is the extent of the T-pose, in which the legs are straight. Weight is the volume of the
closed mesh (divergence theorem) times the density of a living body. A girth is the length of a tape
around a horizontal cut of the trunk, i.e. the perimeter of the convex hull of the cut. By Cauchy's
formula that is the integral of the cut's width over all directions, which needs no hull.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.body.model import ShapedBody
from kinflow.body.parts import PART_INDEX
from kinflow.body.skeleton import JOINT_INDEX, NUM_JOINTS

DENSITY_KG_M3 = 985.0
"""Whole-body density of an adult at a normal breath, air in the lungs included."""

_CUTS = 9
_DIRECTIONS = 60


@dataclass(frozen=True)
class BodyMeasures:
    """Measures of one body. Girths are what a taut tape around the trunk would read."""

    height_m: float
    """Standing height, head to sole."""
    weight_kg: float
    """Volume times `DENSITY_KG_M3`: an estimate, since fat and muscle differ in density."""
    volume_m3: float
    chest_girth_m: float
    """Largest girth around the level of the breasts, arms left out."""
    waist_girth_m: float
    """Smallest girth between the ribs and the hips."""
    hip_girth_m: float
    """Largest girth around the buttocks."""


def measure(shaped: ShapedBody) -> BodyMeasures:
    """Measure one person.

    Args:
        shaped: a single person (no batch axes) with all vertices of the mesh.

    Raises:
        ValueError: the body has no faces (a vertex subset) or is a batch.
    """
    body = shaped.body
    if len(body.faces) == 0 or shaped.rest_vertices_m.ndim != 2:
        raise ValueError("measure() needs a single person of a full body: BodyModel.load('full').")
    vertices_m, faces = _array(shaped.rest_vertices_m), _array(body.faces)
    trunk = _part_faces(shaped, ("torso",))
    trunk_and_thighs = _part_faces(shaped, ("torso", "left_upper_leg", "right_upper_leg"))
    y = {name: float(shaped.rest_joints_m[index, 1]) for name, index in JOINT_INDEX.items()}
    hip, waist, chest = y["left_hip"], y["spine2"], y["spine3"]
    to_shoulder = max(y["left_shoulder"] - chest, 0.0)
    quarter = (waist - hip) / 4
    volume = mesh_volume(vertices_m, faces)
    return BodyMeasures(
        height_m=_standing_height(shaped),
        weight_kg=volume * DENSITY_KG_M3,
        volume_m3=volume,
        chest_girth_m=max(_girths(vertices_m, trunk, chest - to_shoulder, chest + to_shoulder / 2)),
        waist_girth_m=min(_girths(vertices_m, trunk, waist - quarter, chest)),
        hip_girth_m=max(_girths(vertices_m, trunk_and_thighs, hip - quarter, hip + 2 * quarter)),
    )


def mesh_volume(
    vertices_m: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> float:
    """Volume inside a closed, outward-facing mesh: a sixth of the sum of triple products."""
    a, b, c = (vertices_m[faces[:, corner]].astype(np.float64) for corner in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def cut_girth(
    vertices_m: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], height_m: float
) -> float:
    """Perimeter of the convex hull of the mesh's cut with the plane y = `height_m`; 0 if it misses
    the mesh."""
    a, b, c = ((vertices_m[:, 1] > height_m)[faces[:, corner]] for corner in range(3))
    cut = faces[(a != b) | (b != c)]
    ends = np.concatenate([cut[:, [0, 1]], cut[:, [1, 2]], cut[:, [2, 0]]])
    a, b = vertices_m[ends[:, 0]], vertices_m[ends[:, 1]]
    crosses = (a[:, 1] > height_m) != (b[:, 1] > height_m)
    a, b = a[crosses], b[crosses]
    if len(a) == 0:
        return 0.0
    points = a + (b - a) * ((height_m - a[:, 1]) / (b[:, 1] - a[:, 1]))[:, None]
    angle = np.arange(_DIRECTIONS) * (math.pi / _DIRECTIONS)
    along = points[:, [0, 2]] @ np.stack([np.cos(angle), np.sin(angle)])
    return float(math.pi * np.ptp(along, axis=0).mean())


def _standing_height(shaped: ShapedBody) -> float:
    rotations = torch.eye(3).to(shaped.rest_joints_m).expand(NUM_JOINTS, 3, 3)
    y = shaped.with_pose(rotations, shaped.rest_joints_m[0]).vertices_m()[:, 1]
    return float(y.max() - y.min())


def _girths(vertices_m: np.ndarray, faces: np.ndarray, low_m: float, high_m: float) -> list[float]:
    """Girths at evenly spaced heights; a plane that misses the faces has none."""
    y = vertices_m[:, 1][faces]
    faces = faces[(y.max(1) >= low_m) & (y.min(1) <= high_m)]
    girths = [cut_girth(vertices_m, faces, y) for y in np.linspace(low_m, high_m, _CUTS)]
    return [girth for girth in girths if girth > 0] or [0.0]


def _part_faces(shaped: ShapedBody, parts: tuple[str, ...]) -> np.ndarray:
    """Triangles whose corners all belong to these parts."""
    body = shaped.body
    chosen = np.isin(_array(body.vertex_parts), [PART_INDEX[part] for part in parts])
    faces = _array(body.faces)
    return faces[chosen[faces].all(1)]


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
