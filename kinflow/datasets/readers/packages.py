"""Packages that only some datasets need, and files that are read with them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kinflow.errors import InputError
from kinflow.files.mat5 import read_mat5
from kinflow.files.reading import check_file, guarded

MAX_BYTES = 4 << 30
_MAX_ARRAY_BYTES = 2 << 30


class MissingPackage(InputError):
    """Something has to be installed; no file is at fault."""


def package(name: str, purpose: str) -> Any:
    """A package out of the extra `datasets`.

    Raises:
        MissingPackage: it is not installed; `purpose` is what needs it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        top = name.partition(".")[0]
        raise MissingPackage(
            f"{purpose} needs the package '{top}': pip install 'kinflow[datasets]'."
        ) from error


def read_hdf5(path: Path, read: Callable[[Any], Any], what: str) -> Any:
    """What `read` takes from an open HDF5 file.

    Raises:
        InputError: the file cannot be read, or `read` says so; `what` is what it should be.
    """
    h5py = package("h5py", f"Reading {what}")
    check_file(path, MAX_BYTES)
    with guarded(path, what), h5py.File(path, "r") as file:
        return read(file)


def hdf5_array(file: Any, name: str, path: Path) -> np.ndarray:
    """An array of an HDF5 file.

    Raises:
        InputError: it is not there, no array of numbers, or too large.
    """
    entry = file.get(name)
    if entry is None or not hasattr(entry, "shape") or entry.dtype.kind not in "biuf":
        raise InputError(f"'{path}' has no array of numbers '{name}'.")
    if entry.size * entry.dtype.itemsize > _MAX_ARRAY_BYTES:
        raise InputError(f"'{path}': '{name}' is too large ({entry.shape}).")
    return np.asarray(entry[()])


def read_cdf(path: Path, name: str, what: str) -> np.ndarray:
    """A variable of a CDF file.

    Raises:
        InputError: the file cannot be read or has no such variable; `what` is what it should be.
    """
    cdflib = package("cdflib", f"Reading {what}")
    check_file(path, MAX_BYTES)
    with guarded(path, what):
        found = cdflib.CDF(path).varget(name)
        return np.asarray(found, np.float64)


def read_mat(path: Path, names: tuple[str, ...], what: str) -> dict[str, Any]:
    """Variables of a mat file of MATLAB 5 to 7.

    Raises:
        InputError: the file cannot be read; `what` is what it should be.
    """
    try:
        return read_mat5(path, names)
    except InputError as error:
        said = str(error).rstrip(".")
        raise InputError(f"{said}; it should be {what}.") from error
