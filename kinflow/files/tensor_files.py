"""safetensors files that nobody vouches for: tensors, and text in the header."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from kinflow.errors import InputError
from kinflow.files.json_files import parse_json
from kinflow.files.reading import check_file, guarded

MAX_TENSOR_BYTES = 8 << 30
MAX_HEADER_BYTES = 64 << 20
_LENGTH_BYTES = 8


def read_tensors(
    path: Path | str, *, what: str, at_most: int = MAX_TENSOR_BYTES
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header's text and the tensors of a file, memory-mapped.

    Args:
        path: the file.
        what: what it should be, with its article, for the sentence when it is not.
        at_most: its size in bytes.

    Raises:
        InputError: the file cannot be read, is damaged or too large, or a tensor holds a number
            that is not finite.
    """
    size = check_file(path, at_most)
    with guarded(path, what):
        with open(path, "rb") as stream:
            header_bytes = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        if header_bytes > min(MAX_HEADER_BYTES, size):
            raise InputError(f"'{path}' is not {what}: it has no header of safetensors.")
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(
                f"'{path}': the tensor '{name}' holds values that are not finite (NaN or "
                "infinity); the file is damaged."
            )
    return texts, tensors


def header_json(
    texts: dict[str, str], key: str, path: Path | str, kind: Callable[..., Any] = dict
) -> Any:
    """JSON in an entry of the header's text; an `InputError` unless it is there and a `kind`."""
    if key not in texts:
        raise InputError(f"'{path}' does not say what it holds: its header has no '{key}'.")
    value = parse_json(texts[key], path)
    if not isinstance(value, kind):  # pyright: ignore[reportArgumentType]
        raise InputError(f"'{path}': '{key}' in its header is not what it should be.")
    return value
