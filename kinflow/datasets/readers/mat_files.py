"""Arrays of MATLAB's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinflow.errors import InputError
from kinflow.files.mat5 import read_mat5

_MAX_BYTES = 256 << 20


def read_array(path: Path, name: str) -> np.ndarray:
    """A numeric array of a MAT file.

    Raises:
        InputError: the file is damaged or of version 7.3 (HDF5), has no such array, or the array
            holds other things than numbers.
    """
    content = read_mat5(path, (name,), _MAX_BYTES)
    if name not in content:
        raise InputError(f"'{path}' has no array '{name}'; take that of the release.")
    array = content[name]
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise InputError(f"'{name}' of '{path}' holds other things than numbers.")
    return array
