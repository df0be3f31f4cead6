"""Small synthetic bodies in the formats of SMPL, SMPL-H and SMPL-X files.

What the real files hold as scipy or chumpy objects is written as such, under the module names of
the Python 2 packages, which need not be installed: stand-ins are registered while pickling.
"""

import pickle
import sys
from contextlib import contextmanager
from types import ModuleType

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


class Ch:
    """Stand-in for `chumpy.ch.Ch`."""

    def __init__(self, x):
        self.x = x


class Select:
    """Stand-in for `chumpy.reordering.Select`, which slicing a `Ch` gives."""

    def __init__(self, a, idxs, preferred_shape):
        self.a, self.idxs, self.preferred_shape = a, idxs, preferred_shape


class csc_matrix:
    """Stand-in for scipy's compressed-column matrix."""

    def __init__(self, dense):
        rows, columns = np.nonzero(dense.T)[::-1]
        self._shape, self.maxprint = dense.shape, 50
        self.data, self.indices = dense[rows, columns], rows.astype(np.int32)
        self.indptr = np.searchsorted(columns, np.arange(dense.shape[1] + 1)).astype(np.int32)


def chumpy_slice(array: np.ndarray) -> Select:
    """An array as a slice of a longer chumpy array, as SMPL files keep their shape directions."""
    longer = np.concatenate([array, np.full_like(array, 9.0)], -1)
    where = np.arange(longer.size).reshape(longer.shape)[..., : array.shape[-1]]
    return Select(Ch(longer), where.ravel(), array.shape)


@contextmanager
def python2_classes(sparse_module: str):
    """While open, the stand-ins are known under their real modules to the pickler."""
    homes = {Ch: "chumpy.ch", Select: "chumpy.reordering", csc_matrix: sparse_module}
    before = {name: sys.modules.get(name) for module in homes.values() for name in _path(module)}
    for kind, module in homes.items():
        for name in _path(module):
            sys.modules[name] = ModuleType(name)
        kind.__module__ = module
    for kind, module in homes.items():
        setattr(sys.modules[module], kind.__name__, kind)
    try:
        yield
    finally:
        for kind in homes:
            kind.__module__ = __name__
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _path(module: str) -> list[str]:
    """A module's name and those of the packages around it."""
    steps = module.split(".")
    return [".".join(steps[: i + 1]) for i in range(len(steps))]


def python2_pickle(fields: dict[str, object], sparse_module: str = "scipy.sparse.csc") -> bytes:
    """A protocol-2 pickle with Python 2's names for what moved since."""
    with python2_classes(sparse_module):
        data = pickle.dumps(fields, protocol=2, fix_imports=True)
    return data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
