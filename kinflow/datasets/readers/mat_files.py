"""Arrays of MATLAB's files, whose sizes are looked at before anything is unpacked."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from kinflow.datasets.readers.packages import package
from kinflow.errors import InputError
from kinflow.files.reading import check_file, guarded

_MAX_BYTES = 256 << 20
_MAX_VALUES = 1 << 26
_HDF5 = b"\x89HDF"


def read_array(path: Path, name: str) -> np.ndarray:
    """A numeric array of a MAT file.

    Raises:
        InputError: the file is damaged or of version 7.3 (HDF5), has no such array, the array is
            too large or holds other things than numbers, or scipy is not installed.
    """
    array = _read(path, name)
    if array.dtype.kind not in "fiub":
        raise InputError(f"'{name}' of '{path}' holds other things than numbers.")
    return array


def _read(path: Path, name: str) -> np.ndarray:
    io = package("scipy.io", "Reading MATLAB's files")
    check_file(path, _MAX_BYTES)
    with guarded(path, "a MAT file"):
        with open(path, "rb") as stream:
            head = stream.read(516)
        if head.startswith((_HDF5, b"MATLAB 7.3")) or _HDF5 in head:
            raise InputError(
                f"'{path}' is a MAT file of version 7.3; the original release has version 5."
            )
        shapes = {found: shape for found, shape, _ in io.whosmat(path)}
        if name not in shapes:
            held = ", ".join(sorted(shapes)[:5]) or "nothing"
            raise InputError(f"'{path}' has no array '{name}', but {held}.")
        if math.prod(shapes[name]) > _MAX_VALUES:
            raise InputError(f"'{name}' of '{path}' is too large to be what is wanted.")
        return np.asarray(io.loadmat(path, variable_names=[name])[name])
