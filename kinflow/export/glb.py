"""The binary glTF 2.0 container: accessors over one buffer, then a JSON and a BIN chunk.

Specification: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

_COMPONENT_TYPES = {"u1": 5121, "u2": 5123, "u4": 5125, "f4": 5126}
_ELEMENT_TYPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963


class GlbBuffer:
    """Collects arrays and gives each an accessor index."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._views: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []

    def add(self, array: np.ndarray, target: int | None = None, bounds: bool = False) -> int:
        """Append an array and return its accessor.

        Args:
            array: one element per row; 4x4 matrices are given in the usual row order.
            target: `ARRAY_BUFFER` or `ELEMENT_ARRAY_BUFFER` for what a mesh draws from.
            bounds: store the range, which positions and key times must have.
        """
        kind = f"{array.dtype.kind}{array.dtype.itemsize}"
        accessor: dict[str, Any] = {
            "bufferView": len(self._views),
            "componentType": _COMPONENT_TYPES[kind],
            "count": len(array),
            "type": _ELEMENT_TYPES[array.shape[1:]],
        }
        if bounds:
            rows = array.reshape(len(array), -1)
            accessor |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        if array.ndim == 3:
            array = array.swapaxes(1, 2)  # glTF stores matrices by columns
        data = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
        view = {"buffer": 0, "byteOffset": len(self._data), "byteLength": len(data)}
        self._views.append(view | ({"target": target} if target else {}))
        self._data += data + b"\0" * (-len(data) % 4)
        self._accessors.append(accessor)
        return len(self._accessors) - 1

    def glb(self, document: dict[str, Any]) -> bytes:
        """The whole file: `document` completed by the buffer and its accessors."""
        if self._accessors:
            document = document | {
                "accessors": self._accessors,
                "bufferViews": self._views,
                "buffers": [{"byteLength": len(self._data)}],
            }
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        chunks = _chunk(b"JSON", text, b" ")
        if self._data:
            chunks += _chunk(b"BIN\0", bytes(self._data), b"\0")
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _chunk(kind: bytes, data: bytes, padding: bytes) -> bytes:
    data += padding * (-len(data) % 4)
    return struct.pack("<I4s", len(data), kind) + data
