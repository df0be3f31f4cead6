"""Pickles as Python 2 wrote them, of scipy's and chumpy's objects too.

They carry the module names of the packages, which need not be installed: stand-ins are registered
while pickling.
"""

import pickle
import sys
from contextlib import contextmanager
from types import ModuleType

import numpy as np


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
