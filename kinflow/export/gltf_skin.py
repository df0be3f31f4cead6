"""Skins of `scene.glb`: which joints move each vertex, and where they were when it was bound.

Meshes are bound in the model's own A-pose while joint rotations refer to the T-pose. The inverse
bind matrix of joint j, [Q_j | -Q_j a_j], carries one to the other (see `kinflow.body.model`), which
makes glTF's skinning equal to the body model's.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

from kinflow.body.skeleton import NUM_JOINTS
from kinflow.export.bodies import Bodies

_MIN_WEIGHT = 1e-5
"""Skin weights below this are dropped; the rest is normalised."""


def skin_attributes(weights: Float[np.ndarray, "vertices 22"]) -> dict[str, np.ndarray]:
    """`JOINTS_n` and `WEIGHTS_n` of a weight matrix (vertices, joints), largest weights first."""
    weights = np.where(weights > _MIN_WEIGHT, weights, 0).astype(np.float64)
    sets = -(-int((weights > 0).sum(1).max()) // 4)
    joints = np.argsort(-weights, axis=1, kind="stable")[:, : 4 * sets]
    chosen = np.take_along_axis(weights, joints, 1)
    chosen = (chosen / chosen.sum(1, keepdims=True)).astype(np.float32)
    # the rounding of the small weights goes into the largest, so that they sum to one
    chosen[:, 0] = 1 - chosen[:, 1:].sum(1, dtype=np.float64)
    joints = np.where(chosen > 0, joints, 0).astype(np.uint8)
    attributes = {}
    for i in range(sets):
        attributes[f"JOINTS_{i}"] = joints[:, 4 * i : 4 * i + 4]
        attributes[f"WEIGHTS_{i}"] = chosen[:, 4 * i : 4 * i + 4]
    return attributes


def inverse_bind_matrices(bodies: Bodies, row: int) -> Float32[np.ndarray, "22 4 4"]:
    """[Q_j | -Q_j a_j] of one person, (22, 4, 4): from the rest mesh to the joint's own frame."""
    Q = bodies.shaped.body.Q_rest.double().numpy()
    rest_joints_m = bodies.shaped.rest_joints_m[row].double().numpy()
    matrices = np.tile(np.eye(4), (NUM_JOINTS, 1, 1))
    matrices[:, :3, :3] = Q
    matrices[:, :3, 3] = -(Q @ rest_joints_m[..., None])[..., 0]
    return matrices.astype(np.float32)
