"""Labels in space against labels in the picture: wrong axes, cameras and sides show in pixels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from kinflow.datasets.sample import Sample


def reprojection_px(sample: Sample) -> Float32[np.ndarray, " k"] | None:
    """How far keypoints are from the projections of the joints of their names, in pixels.

    Points behind the camera are infinitely far. None where a sample has not both, or no camera, or
    no name in common.
    """
    joints_cam_m = sample.joints_cam_m()
    if sample.keypoints is None or sample.joints is None or joints_cam_m is None:
        return None
    if sample.camera is None:
        return None
    row = {name: i for i, name in enumerate(sample.joints.names) if sample.joints.valid[i]}
    both = [
        (k, row[name])
        for k, name in enumerate(sample.keypoints.names)
        if name in row and sample.keypoints.confidence[k] > 0
    ]
    if not both:
        return None
    seen, known = (list(rows) for rows in zip(*both, strict=True))
    px = sample.camera.project(joints_cam_m[known])
    off = np.linalg.norm(px - sample.keypoints.px[seen], axis=1)
    return np.nan_to_num(off, nan=np.inf).astype(np.float32)
