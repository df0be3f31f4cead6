"""Small synthetic bodies with the fields of SMPL, SMPL-H and SMPL-X files."""

import numpy as np
import torch

from kinflow.body import BodyModel
from kinflow.body.skeleton import NUM_JOINTS, PARENTS

HAND_JOINTS = 15
NO_PARENT = 2**32 - 1


def family_parents(family: str) -> list[int]:
    """Parents of all joints, as in the files of the family."""
    parents = [NO_PARENT, *PARENTS[1:]]
    if family == "smpl":
        return [*parents, 20, 21]
    if family == "smplx":
        parents += [15, 15, 15]
    for wrist in (20, 21):
        first = len(parents)
        for joint in range(HAND_JOINTS):
            parents.append(wrist if joint % 3 == 0 else first + joint - 1)
    return parents


def synthetic_fields(family: str, vertices: int = 300, seed: int = 0) -> dict[str, np.ndarray]:
    """A coarse person in a T-pose with random blend shapes and soft weights on all joints."""
    rng = np.random.default_rng(seed)
    body = BodyModel.load("fit")
    posed = body.with_shape(body.shape_space.neutral()).with_pose(
        torch.eye(3).expand(NUM_JOINTS, 3, 3), torch.zeros(3)
    )
    chosen = np.linspace(0, body.num_vertices - 1, vertices).astype(int)
    template = posed.vertices_m().numpy()[chosen].astype(np.float64)
    parents = family_parents(family)
    joints = len(parents)
    weights = np.zeros((vertices, joints))
    weights[:, :NUM_JOINTS] = body.skin_weights.numpy()[chosen] * 0.9
    weights += rng.dirichlet(np.full(joints, 0.1), vertices) * (1 - weights.sum(1, keepdims=True))
    regressor = rng.dirichlet(np.full(vertices, 0.02), joints)
    regressor[regressor < 1e-3] = 0
    directions = {"smpl": 10, "smplh": 16, "smplx": 20}[family]
    return {
        "v_template": template,
        "shapedirs": rng.normal(0, 0.01, (vertices, 3, directions)),
        "posedirs": rng.normal(0, 0.003, (vertices, 3, 9 * (joints - 1))),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights,
        "kintree_table": np.array([parents, np.arange(joints)], np.uint32),
        "f": rng.integers(0, vertices, (500, 3)).astype(np.uint32),
    }
