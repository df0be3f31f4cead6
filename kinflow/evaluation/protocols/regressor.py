"""Joints regressed from meshes, as 3DPW and Human3.6M are reported: one matrix for everybody.

The matrices of the field (`J_regressor_h36m.npy` above all) may not be passed on, so whoever has
one saves it with its names: `np.savez("h36m.npz", regressor=J, joint_names=[...], name="h36m")`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from kinflow.datasets.person_rows import PersonRows
from kinflow.errors import InputError
from kinflow.files.npz_files import read_npz
from kinflow.files.reading import guarded

_WHAT = "a joint regressor"
_FIELDS = ("regressor", "joint_names", "name")
_CHUNK = 256
_ROW_SUM = 0.02
"""A joint is a mean of vertices: rows sum to 1 but for rounding."""


@dataclass(frozen=True)
class Regressor:
    """A matrix from vertices to joints."""

    name: str
    """What joints of it are called: `mesh:` and this name."""
    joint_names: tuple[str, ...]
    matrix: Float[np.ndarray, "joints vertices"]

    @property
    def source(self) -> str:
        """Origin of its joints, as protocols call it."""
        return f"mesh:{self.name}"

    @staticmethod
    def read(path: Path | str) -> Regressor:
        """The regressor of a file.

        Raises:
            InputError: it is damaged, or something else.
        """
        with guarded(path, _WHAT):
            arrays = read_npz(path, _FIELDS, what=_WHAT)
            if missing := [name for name in _FIELDS if name not in arrays]:
                raise InputError(f"'{path}' is not {_WHAT}: it has no {', '.join(missing)}.")
            matrix, names, name = (arrays[field] for field in _FIELDS)
            if matrix.ndim != 2 or matrix.dtype.kind != "f" or names.shape != matrix.shape[:1]:
                raise InputError(
                    f"'{path}' is not {_WHAT}: regressor is {matrix.shape} for joint_names of "
                    f"{names.shape}; it has to be joints by vertices."
                )
            if names.dtype.kind != "U" or name.dtype.kind != "U" or name.ndim:
                raise InputError(f"'{path}' is not {_WHAT}: joint_names and name have to be text.")
            if not np.isfinite(matrix).all() or (np.abs(matrix.sum(1) - 1) > _ROW_SUM).any():
                raise InputError(f"'{path}' is not {_WHAT}: its rows do not sum to 1.")
            return Regressor(str(name), tuple(names.tolist()), matrix.astype(np.float64))

    def joints_of(self, rows: PersonRows) -> PersonRows:
        """The rows with joints regressed from their vertices, in place of those they have.

        Raises:
            InputError: they have no vertices, or those of another mesh.
        """
        if "vertices_m" not in rows:
            raise InputError(f"'{rows.name}' has no vertices_m to regress joints from.")
        vertices = rows["vertices_m"]
        if vertices.shape[-2] != self.matrix.shape[1]:
            raise InputError(
                f"'{rows.name}' has {vertices.shape[-2]} vertices, the regressor '{self.name}' "
                f"takes {self.matrix.shape[1]}."
            )
        joints = [
            self.matrix @ vertices[begin : begin + _CHUNK].astype(np.float64)
            for begin in range(0, len(rows), _CHUNK)
        ]
        arrays = {
            n: a for n, a in rows.arrays.items() if n not in ("joint_valid", "joints_world_m")
        }
        arrays |= {
            "joints_m": np.concatenate(joints),
            "joint_names": np.array(self.joint_names),
            "joint_source": np.array(self.source),
        }
        return PersonRows(rows.name, arrays)
