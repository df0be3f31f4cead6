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


def reference_smpl(fields, betas, R, transl):
    """Loper et al. 2015, equations 2-10, joint by joint, over all joints of the file."""
    vertices = fields["v_template"] + fields["shapedirs"][..., : len(betas)] @ betas
    joints = fields["J_regressor"] @ vertices
    vertices = vertices + fields["posedirs"] @ (R[1:] - np.eye(3)).ravel()
    world = []
    for j, parent in enumerate(fields["kintree_table"][0]):
        local = np.eye(4)
        local[:3, :3] = R[j]
        local[:3, 3] = joints[j] if j == 0 else joints[j] - joints[parent]
        world.append(local if j == 0 else world[parent] @ local)
    posed_joints = np.stack([G[:3, 3] for G in world]) + transl
    out = np.zeros_like(vertices)
    for j, G in enumerate(world):
        moved = (vertices - joints[j]) @ G[:3, :3].T + G[:3, 3]
        out += fields["weights"][:, j, None] * moved
    return posed_joints[:NUM_JOINTS], out + transl
