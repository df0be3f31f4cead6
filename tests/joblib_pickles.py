"""Pickles as joblib writes them, which need not be installed."""

import io
import pickle
import struct
from typing import Any

import numpy as np


class NumpyArrayWrapper:
    """Stand-in for joblib's class of this name: an array's description, its bytes come after."""

    def __init__(self, array, aligned):
        self.subclass, self.shape, self.dtype = np.ndarray, array.shape, array.dtype
        self.order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        self.allow_mmap = True
        if aligned:
            self.numpy_array_alignment_bytes = 16


NumpyArrayWrapper.__module__ = "joblib.numpy_pickle"


_PythonPickler: Any = pickle._Pickler  # type: ignore[attr-defined]  # the one in Python


class JoblibPickler(_PythonPickler):
    """Writes as `joblib.dump` does: the bytes of arrays between the opcodes."""

    def save(self, obj, save_persistent_id=True):
        if type(obj) is not np.ndarray:
            return super().save(obj, save_persistent_id)
        super().save(NumpyArrayWrapper(obj, aligned=True))
        self.framer.commit_frame(force=True)
        padding = 16 - (self.stream.tell() + 1) % 16
        self._file_write(struct.pack("B", padding) + b"\xff" * padding)
        self._file_write(obj.tobytes("F" if not obj.flags.c_contiguous else "C"))

    def save_global(self, obj, name=None):
        if obj is NumpyArrayWrapper:  # the package need not be installed
            self.write(b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n")
        else:
            super().save_global(obj, name)

    dispatch = {**_PythonPickler.dispatch, type: save_global}


def joblib_bytes(value, protocol=4) -> bytes:
    stream = io.BytesIO()
    pickler = JoblibPickler(stream, protocol)
    pickler.stream = stream
    pickler._file_write = stream.write
    pickler.dump(value)
    return stream.getvalue()
