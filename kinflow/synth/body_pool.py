"""A pool of rendered bodies on disk, from which training draws again and again.

Rendering a body costs more than dressing, hiding, turning and cutting it, so bodies are rendered
once and observed anew each time. The pool grows in files of `BODIES_PER_FILE`, each written at
once; body number i is always the one of seed i, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from kinflow.body.parts import NUM_PARTS
from kinflow.errors import InputError
from kinflow.files.atomic import write_bytes
from kinflow.files.npz_files import read_npz
from kinflow.files.reading import guarded
from kinflow.synth.rendering import RenderedBody
from kinflow.synth.scene import SceneSource

BODIES_PER_FILE = 100
_MAX_BYTES = 256 << 20
_COLUMNS: dict[str, tuple[tuple[int, ...], str]] = {
    "keypoints_cells": ((33, 2), "f"),
    "keypoint_depth_m": ((33,), "f"),
    "keypoint_seen": ((33,), "b"),
    "height_cells": ((), "f"),
}
"""Shape of each body's row, and the kind of its numbers."""


class BodyPool:
    """Bodies in memory, backed by a folder.

    Attributes:
        bodies: those there are so far; the list grows in place.
    """

    def __init__(self, folder: Path, source: SceneSource) -> None:
        self._folder, self._source = folder, source
        self.bodies: list[RenderedBody] = []
        folder.mkdir(parents=True, exist_ok=True)
        while (path := self._path(len(self.bodies))).exists():
            self.bodies += _read(path, source.config.grid_cells)
        self._saved = len(self.bodies)

    def grow(self) -> None:
        """Add one body."""
        rng = self._source.rng(len(self.bodies))
        self.bodies.append(self._source.body(rng).render)
        if len(self.bodies) - self._saved == BODIES_PER_FILE:
            write_bytes(self._path(self._saved), _packed(self.bodies[self._saved :]))
            self._saved = len(self.bodies)

    def _path(self, first: int) -> Path:
        return self._folder / f"bodies_{first:06d}.npz"


def _packed(bodies: list[RenderedBody]) -> bytes:
    arrays = {f"labels_{i}": body.labels for i, body in enumerate(bodies)}
    arrays |= {f"normals_{i}": body.normals for i, body in enumerate(bodies)}
    arrays |= {name: np.stack([getattr(body, name) for body in bodies]) for name in _COLUMNS}
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _read(path: Path, grid_cells: int) -> list[RenderedBody]:
    try:
        with guarded(path, "a pool of bodies"):
            arrays = read_npz(path, what="a pool of bodies", at_most=_MAX_BYTES)
            bodies = [_body(arrays, row) for row in range(BODIES_PER_FILE)]
    except InputError as error:
        reason = str(error).rstrip(".")
        raise InputError(f"'{path}' is damaged ({reason}); delete it and start again.") from error
    if any(max(body.labels.shape) != grid_cells for body in bodies):
        raise InputError(
            f"'{path}' was made with other settings; delete its folder or choose another."
        )
    return bodies


def _body(arrays: dict[str, np.ndarray], row: int) -> RenderedBody:
    """One body of a file; `InputError` for what cannot be right."""
    columns = {}
    for name, (shape, kind) in _COLUMNS.items():
        column = arrays.get(name)
        if column is None or column.shape != (BODIES_PER_FILE, *shape) or column.dtype.kind != kind:
            raise InputError(f"'{name}' is missing or of another shape or type")
        columns[name] = column[row]
        if kind == "f" and not np.isfinite(column[row]).all():
            raise InputError(f"'{name}' holds NaN or infinity")
    labels, normals = (arrays.get(f"{name}_{row}") for name in ("labels", "normals"))
    if labels is None or labels.dtype != np.uint8 or labels.ndim != 2 or not labels.size:
        raise InputError(f"'labels_{row}' is missing or of another shape or type")
    if normals is None or normals.dtype != np.int8 or normals.shape != (*labels.shape, 3):
        raise InputError(f"'normals_{row}' is missing or of another shape or type")
    if labels.max() > NUM_PARTS or columns["height_cells"] <= 0:
        raise InputError("it holds labels that are no part's, or a body without height")
    height = float(columns.pop("height_cells"))
    return RenderedBody(labels, normals, **columns, height_cells=height)
