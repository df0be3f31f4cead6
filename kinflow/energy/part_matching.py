"""Which vertex of the body belongs where in the image, part by part.

A body in some pose is drawn once into the grid of the part labels (depth buffer: hidden parts do
not count), giving a part for every cell. Where that differs from what was seen, the outlines of the
two tell which way to go. For each part k:

- pull: cells on the outline of the part as it was seen, that the drawn part does not cover, pull
  the nearest visible point of the drawn part towards themselves;
- push: visible points on the outline of the drawn part, that lie where the part was not seen, are
  pushed to the nearest cell that may show it;
- hold: points where the two outlines agree are to stay there, lest what pulls elsewhere moves them.

Pull and push are distances, so they point the right way when nothing overlaps yet, and there are
outlines on both sides, so that they balance on the true outline. A match counts across the outline
only: along it nobody can tell which point of the body is seen.

Labels are sets (`evidence.types.PartLabels`): a part may lie wherever the set allows it, a cell
with several parts (clothes, a silhouette) pulls whichever of them is nearest, and unknown cells
neither pull nor push off what lies on them; being pushed into them counts little.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from kinflow.body.part_mesh import PartMesh
from kinflow.body.parts import BACKGROUND, NUM_PARTS, UNKNOWN
from kinflow.checks import positive, share, whole
from kinflow.energy.outlines import SetOutlines, nearest, neighbours, without_border
from kinflow.evidence.types import PartLabels
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rasterizer import rasterize
from kinflow.threads import lazy

OCCLUSION_M = 0.03
"""A neighbouring cell nearer to the camera than by this hides what is behind it."""

_Found = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Cells of the body, the cells they should move to, the sets of parts whose outline that is, and
the cells that tell how far to rely on it."""


@dataclass(frozen=True)
class MatchingConfig:
    """How outlines are sampled and what a match weighs."""

    samples_per_part: int = 40
    """Matches of each part and direction at most, evenly spread along the outline."""
    std: float = 0.01
    """Standard deviation of an outline, as a share of the person's size in the image."""
    unknown_weight: float = 0.1
    """Weight at most of what pushes a body off the background into cells of which nothing is
    known: hardly anybody ends where an occluder begins."""
    max_distance: float = 0.15
    """Matches farther apart than this share of the person's size are not made."""

    def __post_init__(self) -> None:
        whole(self, "samples_per_part", at_least=1, at_most=100_000)
        positive(self, "std", "max_distance")
        share(self, "unknown_weight")


@dataclass(frozen=True)
class PartMatches:
    """Lines in the image that chosen vertices should move to. A weight of 0 leaves a match out."""

    vertex: Int[Tensor, "batch matches"]
    target_px: Float[Tensor, "batch matches 2"]
    """A point of each line."""
    normal: Float[Tensor, "batch matches 2"]
    """Unit vector across each line; zero leaves a match out as well."""
    inverse_std_px: Float[Tensor, "batch matches"]

    def __getitem__(self, index) -> PartMatches:
        """Rows of the batch."""
        return replace(self, **{name: value[index] for name, value in vars(self).items()})

    def to(self, device: torch.device | str) -> PartMatches:
        """The same matches on another device."""
        return replace(self, **{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True)
class DrawnParts:
    """A posed body drawn into the grid of the labels."""

    part: Int[np.ndarray, "rows columns"]
    """Part of each cell, 0 where the body does not show."""
    face: Int[np.ndarray, "rows columns"]
    depth_m: Float[np.ndarray, "rows columns"]
    vertices_cells: Float[np.ndarray, "vertices 2"]
    """Projected vertices in grid coordinates."""

    @lazy
    def edge(self) -> tuple[Int[np.ndarray, "cells 2"], Int[np.ndarray, " cells"]]:
        """Cells of the body that differ from a neighbour, and their parts."""
        differs = np.zeros(self.part.shape, bool)
        for part in neighbours(self.part):
            differs |= part != self.part
        cells = np.argwhere(differs & (self.part > 0))
        return cells, self.part[tuple(cells.T)]

    @lazy
    def rim(self) -> Bool[np.ndarray, "rows columns"]:
        """Cells at the rim of their part, except where something in front hides the rest of it."""
        drawn = self.part > 0
        rim = np.zeros_like(drawn)
        for part, depth_m in zip(neighbours(self.part), neighbours(self.depth_m), strict=True):
            rim |= (part != self.part) & (depth_m >= self.depth_m - OCCLUSION_M)
        return without_border(rim & drawn)


class PartTarget:
    """Part labels of one person, prepared for matching.

    Args:
        labels: what was seen.
        camera: the camera of the image.
        mesh: the body's mesh.
        config: sampling.
    """

    def __init__(
        self, labels: PartLabels, camera: Camera, mesh: PartMesh, config: MatchingConfig
    ) -> None:
        self.mesh, self.config = mesh, config
        self.allowed = labels.allowed.cpu().numpy()
        self.sets = SetOutlines(self.allowed)
        self.shows = labels.shows().cpu().numpy()
        is_set = self.shows & (self.allowed & (self.allowed - 1) != 0)
        self.has_sets = bool(is_set.any())
        self._is_unknown = ~self.shows & (self.allowed != BACKGROUND)
        only_sets = self.has_sets and not (self.shows & ~is_set).any()
        # where a silhouette ends at something unknown it is as vague as elsewhere
        self._is_vague = is_set | self._is_unknown if only_sets else is_set
        self.confidence = labels.confidence.cpu().numpy()
        self.grid, self.grid_camera = labels.grid, labels.grid.camera(camera)
        seen = np.argwhere(self.shows)
        self.size_cells = float(np.ptp(seen, axis=0).max() + 1) if len(seen) else 1.0

    @lazy
    def outlines(self) -> dict[int, Int[np.ndarray, "cells 2"]]:
        """(row, column) of sampled outline cells of every set of parts that was seen."""
        rim = np.zeros_like(self.shows)
        for allowed in neighbours(self.allowed):
            rim |= allowed & self.allowed == 0
        cells = np.argwhere(without_border(rim & self.shows))
        sets = self.allowed[tuple(cells.T)]
        return {
            parts: self._thinned(cells[sets == parts], parts.bit_count())
            for parts in np.unique(sets).tolist()
        }

    def draw(self, vertices_cam_m: Float[np.ndarray, "vertices 3"]) -> DrawnParts:
        """The body's parts as they would be seen in the grid."""
        points = self.grid_camera.project(torch.from_numpy(vertices_cam_m)).numpy()
        raster = rasterize(
            points,
            vertices_cam_m[:, 2],
            self.mesh.faces,
            self.grid_camera.image_size,
            cull_back_faces=True,
        )
        part = np.where(raster.face >= 0, self.mesh.face_parts[raster.face], 0)
        return DrawnParts(part, raster.face, raster.depth, points)

    def matches(self, drawn: DrawnParts, set_weight: float = 1.0) -> PartMatches:
        """Pull, push and hold matches of one body (a batch of one).

        Args:
            drawn: the body.
            set_weight: weight of the outlines of sets of several parts.
        """
        found = [*self._pull(drawn), *self._push_and_hold(drawn)]
        on_body, aim, sets, told_by = (np.concatenate(c) for c in zip(*found, strict=True))
        normal, confidence = self.sets.normal(aim, sets), self.confidence[tuple(told_by.T)]
        vague, unknown = (grid[tuple(aim.T)] for grid in (self._is_vague, self._is_unknown))
        weight = confidence * np.where(vague, set_weight, 1.0)
        weight = np.where(unknown, weight.clip(max=self.config.unknown_weight), weight)
        return self._as_matches(drawn, on_body, aim, normal, weight)

    def part_iou(self, drawn: DrawnParts) -> Float32[np.ndarray, " 14"]:
        """Overlap of each part as drawn and as seen, among cells of which something is known.

        A cell that may show several parts counts for the one that is drawn there, so clothes and
        silhouettes are overlapped by whatever lies on them; NaN where a part neither shows nor was
        seen for certain.
        """
        known = self.allowed != UNKNOWN
        overlaps = []
        for part in range(1, NUM_PARTS + 1):
            bit = 1 << part
            mine = (drawn.part == part) & known
            both = np.count_nonzero(mine & (self.allowed & bit > 0))
            either = np.count_nonzero(mine | (self.allowed == bit))
            overlaps.append(both / either if either else np.nan)
        return np.array(overlaps, np.float32)

    def silhouette_iou(self, drawn: DrawnParts) -> float:
        """Overlap of the whole body with the cells that show the person."""
        mine = (drawn.part > 0) & (self.shows | (self.allowed == BACKGROUND))
        either = np.count_nonzero(mine | self.shows)
        return np.count_nonzero(mine & self.shows) / either if either else float("nan")

    def _pull(self, drawn: DrawnParts) -> Iterator[_Found]:
        edge, part_of_edge = drawn.edge
        for parts, cells in self.outlines.items():
            covering = edge[parts >> part_of_edge & 1 > 0]
            open_cells = cells[parts >> drawn.part[tuple(cells.T)] & 1 == 0]
            if not len(covering) or not len(open_cells):
                continue
            sets = np.full(len(open_cells), parts)
            yield nearest(open_cells, covering), open_cells, sets, open_cells

    def _push_and_hold(self, drawn: DrawnParts) -> Iterator[_Found]:
        rim = np.argwhere(drawn.rim)
        part_of_rim = drawn.part[tuple(rim.T)]
        of_parts = [rim[part_of_rim == part] for part in range(1, NUM_PARTS + 1)]
        thinned = [self._thinned(cells, 1) for cells in of_parts]
        cells = np.concatenate(thinned)
        bits = np.repeat(1 << np.arange(1, NUM_PARTS + 1), [len(some) for some in thinned])
        allowed = self.allowed[tuple(cells.T)] & bits > 0
        for bit in np.unique(bits[~allowed]).tolist():
            outside, way_in = cells[~allowed & (bits == bit)], self.sets.rim(bit)
            if len(way_in):
                aim = nearest(outside, way_in)
                yield outside, aim, np.full(len(aim), bit), outside
        agrees = allowed & self.shows[tuple(cells.T)] & self.sets.touches_outside(cells, bits)
        agreeing = cells[agrees]
        yield agreeing, agreeing, bits[agrees], agreeing

    def _thinned(self, cells: Int[np.ndarray, "cells 2"], parts: int) -> Int[np.ndarray, "some 2"]:
        """Evenly spread over the outline of so many parts."""
        count = min(len(cells), self.config.samples_per_part * parts)
        if count == len(cells):
            return cells
        return cells[np.linspace(0, len(cells) - 1, count).round().astype(int)]

    def _as_matches(
        self,
        drawn: DrawnParts,
        on_body: Int[np.ndarray, "matches 2"],
        aim: Int[np.ndarray, "matches 2"],
        normal: Float[np.ndarray, "matches 2"],
        weight: Float[np.ndarray, " matches"],
    ) -> PartMatches:
        """Move cells of the body to others: the nearest vertex makes the same step."""
        corners = self.mesh.faces[drawn.face[tuple(on_body.T)]]
        centre = on_body[:, ::-1] + 0.5
        gap = np.linalg.norm(drawn.vertices_cells[corners] - centre[:, None], axis=-1)
        vertex = np.take_along_axis(corners, gap.argmin(1)[:, None], 1)[:, 0]
        step = (aim - on_body)[:, ::-1]
        target_px = self.grid.to_px(drawn.vertices_cells[vertex] + step)
        near = np.linalg.norm(step, axis=-1) < self.config.max_distance * self.size_cells
        std_px = self.config.std * self.size_cells * self.grid.cell_px
        return PartMatches(
            torch.from_numpy(vertex.astype(np.int64))[None],
            torch.from_numpy(target_px.astype(np.float32))[None],
            torch.from_numpy(normal.astype(np.float32))[None],
            torch.from_numpy((np.sqrt(weight * near) / std_px).astype(np.float32))[None],
        )
