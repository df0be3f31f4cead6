"""The cameras of Human3.6M, from its own `metadata.xml` or the `cameras.h5` of a re-packing.

Both hold, for each subject, where the four cameras were in a world whose z axis is up, millimetres,
and each camera's focal lengths, centre, and lens. What comes out is in metres and y up.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kinflow.datasets.amass import R_YUP_ZUP
from kinflow.datasets.bvh import axis_rotation
from kinflow.datasets.readers.packages import hdf5_array, read_hdf5
from kinflow.datasets.sample_parts import CalibratedCamera
from kinflow.errors import InputError
from kinflow.files.reading import guarded, read_text

CAMERAS: dict[str, tuple[int, int]] = {
    "54138969": (1000, 1002),
    "55011271": (1000, 1000),
    "58860488": (1000, 1000),
    "60457274": (1000, 1002),
}
"""Size of each camera's images, in the order in which calibrations and re-packings have them."""
Cameras = Mapping[tuple[str, str], CalibratedCamera]
"""By subject (`S1`) and number of the camera."""

_SUBJECTS = 11
_PLACES = 6 * _SUBJECTS * len(CAMERAS)
_MAX_XML_BYTES = 8 << 20
_WHAT_XML, _WHAT_H5 = "the metadata.xml of Human3.6M", "the cameras.h5 of Human3.6M"


def find_cameras(root: Path) -> Cameras | None:
    """The cameras that are somewhere in the dataset's folder; None if there are none.

    Raises:
        InputError: the file is there and cannot be read.
    """
    for pattern in ("metadata.xml", "*/metadata.xml", "*/*/metadata.xml"):
        for path in sorted(root.glob(pattern)):
            return _of_metadata(path)
    for pattern in ("cameras.h5", "*/cameras.h5"):
        for path in sorted(root.glob(pattern)):
            return read_hdf5(path, lambda file, path=path: _of_h5(file, path), _WHAT_H5)
    return None


def _of_metadata(path: Path) -> Cameras:
    text = read_text(path, _MAX_XML_BYTES)
    if "<!ENTITY" in text:
        raise InputError(f"'{path}' declares entities, which {_WHAT_XML} does not.")
    with guarded(path, _WHAT_XML):
        found = ElementTree.fromstring(text).findtext("w0")
        words = (found or "").strip().strip("[]").replace(",", " ").split()
        numbers = np.array([float(word) for word in words])
    if len(numbers) != _PLACES + 9 * len(CAMERAS) or not np.isfinite(numbers).all():
        raise InputError(f"'{path}' has no calibration: its w0 is not 300 numbers.")
    places = numbers[:_PLACES].reshape(len(CAMERAS), _SUBJECTS, 6)
    lenses = numbers[_PLACES:].reshape(len(CAMERAS), 9)
    cameras = {}
    for row, name in enumerate(CAMERAS):
        for subject in range(_SUBJECTS):
            angles_deg = np.degrees(places[row, subject, :3])
            X, Y, Z = (
                axis_rotation(a, np.asarray(v)) for a, v in zip("XYZ", angles_deg, strict=True)
            )
            place_mm = places[row, subject, 3:]
            cameras[f"S{subject + 1}", name] = _camera(name, X @ Y @ Z, place_mm, lenses[row])
    return cameras


def _of_h5(file: Any, path: Path) -> Cameras:
    cameras = {}
    for subject in range(1, _SUBJECTS + 1):
        for row, name in enumerate(CAMERAS, 1):
            above = f"subject{subject}/camera{row}"
            if above not in file:
                continue
            R, place, f, c, k, p = (
                hdf5_array(file, f"{above}/{part}", path).astype(np.float64)
                for part in ("R", "T", "f", "c", "k", "p")
            )
            lens = np.concatenate([part.reshape(-1) for part in (f, c, k, p)])
            if R.shape != (3, 3) or place.size != 3 or len(lens) != 9:
                raise InputError(f"'{path}': '{above}' is no camera.")
            # written by MATLAB, so column by column
            cameras[f"S{subject}", name] = _camera(name, R.T, place.reshape(3), lens)
    if not cameras:
        raise InputError(f"'{path}' holds no cameras.")
    return cameras


def _camera(name: str, R: np.ndarray, place_mm: np.ndarray, lens: np.ndarray) -> CalibratedCamera:
    """A camera of its turn and place in the world of the files, and of f, c, k and p."""
    f, c, k, p = lens[:2], lens[2:4], lens[4:7], lens[7:9]
    return CalibratedCamera(
        (float(f[0]), float(f[1])),
        (float(c[0]), float(c[1])),
        CAMERAS[name],
        (float(k[0]), float(k[1]), float(p[0]), float(p[1]), float(k[2])),
        (R @ R_YUP_ZUP.T).astype(np.float32),
        (-R @ place_mm / 1000).astype(np.float32),
    )
