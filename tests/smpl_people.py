"""A file of the SMPL family made of our own body, so that what should come out is known.

Its template is our average adult in the T-pose with other triangles and in another order, its shape
directions are the main ways in which our bodies differ, and its regressor finds our joints.
"""

from functools import cache

import numpy as np
import torch
from smpl_files import family_parents

from kinflow.body import BodyModel
from kinflow.body.skeleton import NUM_JOINTS

JOINTS = {"smpl": 24, "smplh": 52, "smplx": 55}
DIRECTIONS = {"smpl": 10, "smplh": 16, "smplx": 20}


def t_pose(body, shape):
    posed = body.with_shape(shape).with_pose(
        torch.eye(3).expand(*shape.shape[:-1], NUM_JOINTS, 3, 3), torch.zeros(*shape.shape[:-1], 3)
    )
    return posed.vertices_m().double().numpy(), posed.joints_m.double().numpy()


@cache
def _people(cube_m: float, seed: int):
    rng = np.random.default_rng(seed)
    full = BodyModel.load()
    coarse = full.coarsened(cube_m)
    neutral = full.shape_space.neutral()
    shapes = (neutral + 0.25 * torch.from_numpy(rng.normal(size=(60, 6))).float()).clamp(0, 1)
    shapes[:, 1] = shapes[:, 1].clamp(0.6, 1)
    vertices, joints = t_pose(coarse, shapes)
    mean_vertices, mean_joints = t_pose(coarse, neutral)
    order = rng.permutation(coarse.num_vertices)
    place = np.argsort(order)
    directions = np.linalg.svd((vertices - mean_vertices).reshape(60, -1), full_matrices=False)
    return (
        mean_vertices[order],
        (directions[2][:20] * directions[1][:20, None] / np.sqrt(60)).reshape(20, -1, 3)[:, order],
        _regressor(
            np.concatenate([mean_vertices[None], vertices])[:, order],
            np.concatenate([mean_joints[None], joints]),
        ),
        coarse.skin_weights.double().numpy()[order],
        place[coarse.faces.numpy()],
    )


def _regressor(vertices, joints):
    """Weights of sum 1 over vertices around each joint, which place it on all of these people."""
    rows = np.zeros((NUM_JOINTS, vertices.shape[1]))
    for joint in range(NUM_JOINTS):
        near = np.argsort(np.linalg.norm(vertices[0] - joints[0, joint], axis=1))[:120]
        equations = np.concatenate(
            [
                vertices[:, near].transpose(0, 2, 1).reshape(-1, len(near)),
                10 * np.ones((1, len(near))),
            ]
        )
        wanted = np.concatenate([joints[:, joint].ravel(), [10]])
        rows[joint, near] = np.linalg.lstsq(equations, wanted, rcond=1e-7)[0]
    return rows


def person_fields(family: str, cube_m: float = 0.025, pose_std_m: float = 0.0, seed: int = 0):
    """Fields of a file of the family."""
    vertices, directions, regressor, weights, faces = _people(cube_m, seed)
    rng = np.random.default_rng(seed)
    joints = JOINTS[family]
    count = len(vertices)
    rows = np.zeros((joints, count))
    rows[:NUM_JOINTS] = regressor
    shares = np.zeros((count, joints))
    shares[:, :NUM_JOINTS] = weights
    parents = family_parents(family)
    for joint in range(NUM_JOINTS, joints):  # fingers, jaw and eyes: at their parents' places
        rows[joint] = rows[parents[joint]]
        taken = shares[:, parents[joint]] * rng.uniform(0, 0.3, count)
        shares[:, parents[joint]] -= taken
        shares[:, joint] += taken
    shapedirs = np.zeros((count, 3, DIRECTIONS[family]))
    used = min(DIRECTIONS[family], 10 if family == "smplx" else 20)
    shapedirs[..., :used] = directions[:used].transpose(1, 2, 0)
    return {
        "v_template": vertices,
        "shapedirs": shapedirs,
        "posedirs": rng.normal(0, pose_std_m or 1e-9, (count, 3, 9 * (joints - 1))),
        "J_regressor": rows,
        "weights": shares,
        "kintree_table": np.array([parents, np.arange(joints)], np.uint32),
        "f": faces.astype(np.uint32),
    }
