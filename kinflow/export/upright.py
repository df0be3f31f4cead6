"""The world that results stand in: y up by gravity, as far as that is known."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from kinflow.results import Gravity

R_GLTF_CAM = np.diag([1.0, -1.0, -1.0])
"""From the frame of a level camera (y down, z forward) to glTF's axes, and back."""


def R_world_cam(gravity: Gravity | None) -> Float64[np.ndarray, "3 3"]:
    """From the camera frame to a world with y up and x level to the right.

    A camera of which nothing is known is taken for a level one.
    """
    if gravity is None:
        return R_GLTF_CAM.copy()
    R = gravity.R_world_cam().double().numpy()
    # orthonormal in double precision, so that quaternions and products of it are exact
    U, _, Vt = np.linalg.svd(R)
    return U @ Vt


def R_level_cam(gravity: Gravity | None) -> Float64[np.ndarray, "3 3"]:
    """From the camera frame to that of a level camera at its place: y points straight down."""
    return R_GLTF_CAM @ R_world_cam(gravity)
