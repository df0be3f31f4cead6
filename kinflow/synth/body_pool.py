"""A pool of rendered bodies on disk, from which training draws again and again.

Rendering a body costs more than dressing, hiding, turning and cutting it, so bodies are rendered
once and observed anew each time. The pool grows in files of `BODIES_PER_FILE`, each written at
once; body number i is always the one of seed i, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from kinflow.errors import InputError
from kinflow.files.atomic import write_bytes
from kinflow.synth.rendering import RenderedBody
from kinflow.synth.scene import SceneSource

BODIES_PER_FILE = 100
_SCALARS = ("keypoints_cells", "keypoint_depth_m", "keypoint_seen", "height_cells")


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
    arrays |= {name: np.stack([getattr(body, name) for body in bodies]) for name in _SCALARS}
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _read(path: Path, grid_cells: int) -> list[RenderedBody]:
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = [file[name] for name in _SCALARS]
            labels, normals = (
                [file[f"{name}_{i}"] for i in range(len(columns[0]))]
                for name in ("labels", "normals")
            )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}); delete it and start again.") from error
    if len(labels) != BODIES_PER_FILE or max(labels[0].shape) != grid_cells:
        raise InputError(
            f"{path} was made with other settings; delete its folder or choose another."
        )
    rows = zip(labels, normals, *columns, strict=True)
    return [RenderedBody(m, n, k, d, s, float(h)) for m, n, k, d, s, h in rows]
