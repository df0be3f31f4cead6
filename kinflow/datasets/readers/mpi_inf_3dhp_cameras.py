"""Cameras of MPI-INF-3DHP: its calibration files, and the two cameras of its test set.

The world's y axis is up and lengths are millimetres, in both.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinflow.datasets.sample_parts import CalibratedCamera
from kinflow.errors import InputError
from kinflow.files.reading import guarded, read_text

_HEAD = "Skeletool Camera Calibration File V1.0"
_MAX_BYTES = 1 << 20
_WHAT = "a camera.calibration of MPI-INF-3DHP"


def read_calibration(path: Path) -> dict[int, CalibratedCamera]:
    """The cameras of a training sequence, by number.

    Raises:
        InputError: the file cannot be read, is of another version, or no calibration.
    """
    lines = read_text(path, _MAX_BYTES).splitlines()
    if not lines or not lines[0].startswith("Skeletool Camera Calibration File"):
        raise InputError(f"'{path}' is not {_WHAT}.")
    if lines[0].strip() != _HEAD:
        raise InputError(f"'{path}' is of another version ({lines[0].strip()[-10:]}) than V1.0.")
    cameras: dict[int, CalibratedCamera] = {}
    given: dict[str, list[float]] = {}
    with guarded(path, _WHAT):
        for line in lines[1:]:
            key, *words = line.split() or [""]
            if key:
                given[key] = [float(word) for word in words]
            if key == "radial":
                cameras[int(given["name"][0])] = _camera(given)
                given = {}
        if not cameras or given:
            raise InputError(f"'{path}' is cut off: its last camera is not complete.")
    return cameras


def _camera(given: dict[str, list[float]]) -> CalibratedCamera:
    K = np.array(given["intrinsic"]).reshape(4, 4)
    E = np.array(given["extrinsic"]).reshape(4, 4)
    width, height = (int(side) for side in given["size"])
    return CalibratedCamera(
        (float(K[0, 0]), float(K[1, 1])),
        (float(K[0, 2]), float(K[1, 2])),
        (width, height),
        R_cam_world=E[:3, :3].astype(np.float32),
        t_cam_world_m=(E[:3, 3] / 1000).astype(np.float32),
    )


def camera_of_test(sequence: str) -> CalibratedCamera | None:
    """The camera of a test sequence; None of names that are none.

    Numbers of the dataset's `test_util/camera_calibration`, whose format gives the sensor's size
    and the focal length in millimetres and the camera's axes in the world.
    """
    if sequence in ("TS1", "TS2", "TS3", "TS4"):
        return _of_sensor(
            sensor_mm=(10.0, 10.0),
            size=(2048, 2048),
            focal_mm=7.32506,
            pixel_aspect=1.00044,
            offset_mm=(-0.0322884, 0.0929296),
            distortion=(0.0, 0.0, 0.0, 0.0, 0.0),
            place_mm=(3427.28, 1387.86, 309.42),
            up=(-0.208215, 0.976233, 0.06014),
            right=(0.000575281, 0.0616098, -0.9981),
        )
    if sequence in ("TS5", "TS6"):
        return _of_sensor(
            sensor_mm=(10.0, 5.625),
            size=(1920, 1080),
            focal_mm=8.770747185,
            pixel_aspect=0.993236423,
            offset_mm=(-0.104908645, 0.104899704),
            distortion=(-0.276859611, 0.131125256, -0.000360494, -0.001149441, -0.049318332),
            place_mm=(-2104.3074, 1038.6707, -4596.6367),
            up=(0.025272345, 0.995038509, 0.096227370),
            right=(-0.939647257, -0.009210289, 0.342020929),
        )
    return None


def _of_sensor(
    sensor_mm: tuple[float, float],
    size: tuple[int, int],
    focal_mm: float,
    pixel_aspect: float,
    offset_mm: tuple[float, float],
    distortion: tuple[float, float, float, float, float],
    place_mm: tuple[float, float, float],
    up: tuple[float, float, float],
    right: tuple[float, float, float],
) -> CalibratedCamera:
    per_mm = (size[0] / sensor_mm[0], size[1] / sensor_mm[1] * pixel_aspect)
    centre = tuple(
        (sensor / 2 + offset) * scale
        for sensor, offset, scale in zip(sensor_mm, offset_mm, per_mm, strict=True)
    )
    R = np.stack([right, -np.array(up), np.cross(up, right)])
    U, _, V = np.linalg.svd(R)  # the file's numbers are rounded
    R = U @ V
    return CalibratedCamera(
        (focal_mm * per_mm[0], focal_mm * per_mm[1]),
        (centre[0], centre[1]),
        size,
        distortion,
        R.astype(np.float32),
        (-R @ np.array(place_mm) / 1000).astype(np.float32),
    )
