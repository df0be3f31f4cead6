"""safetensors files that nobody vouches for: tensors, and text in the header.

The files that kinflow writes carry a checksum over all of both. A flipped bit in a weight is a
finite number still and would spoil every result in silence; the checksum is what notices it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from kinflow.errors import InputError
from kinflow.files.atomic import write_bytes
from kinflow.files.json_files import parse_json
from kinflow.files.reading import check_file, guarded

MAX_TENSOR_BYTES = 256 << 20
"""Unless a reader says otherwise: ten times the largest network that anybody would train here."""
MAX_HEADER_BYTES = 16 << 20
CHECKSUM = "checksum"
"""Entry of the header that holds the hexadecimal SHA-256 of everything else."""
_LENGTH_BYTES = 8
_CHUNK = 1 << 22


def write_tensors(path: Path, tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> None:
    """Write a safetensors file with a checksum, atomically.

    Args:
        path: where to; an existing file is replaced.
        tensors: by name, on any device.
        texts: entries of the header.

    Raises:
        InputError: the file cannot be written.
    """
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, to_bytes(held, {**texts, CHECKSUM: checksum(held, texts)}))


def read_tensors(
    path: Path | str, *, what: str, at_most: int = MAX_TENSOR_BYTES, trusted: bool = False
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header's text and the tensors of a file, memory-mapped.

    Args:
        path: the file.
        what: what it should be, with its article, for the sentence when it is not.
        at_most: its size in bytes.
        trusted: its bytes have been compared with a checksum already, so its content need not be.

    Raises:
        InputError: the file cannot be read, is damaged or too large, a tensor holds a number that
            is not finite, or the content is not that of the checksum in the header.
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
        expected = texts.pop(CHECKSUM, None)
        if not trusted:
            _check_finite(tensors, path)
            if expected is not None and checksum(tensors, texts) != expected:
                raise InputError(
                    f"'{path}' is damaged: its content is not what its checksum says; copy it "
                    "again or make it anew."
                )
    return texts, tensors


def checksum(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> str:
    """Hexadecimal SHA-256 of names, types, shapes and bytes of tensors, and of texts."""
    digest = hashlib.sha256()
    for key in sorted(texts):
        digest.update(f"{key!r}: {texts[key]!r}\n".encode("utf-8", "surrogatepass"))
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name!r}: {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _check_finite(tensors: dict[str, Tensor], path: Path | str) -> None:
    for name, tensor in tensors.items():
        if not _is_finite(tensor):
            raise InputError(
                f"'{path}': the tensor '{name}' holds values that are not finite (NaN or "
                "infinity); the file is damaged."
            )


def _is_finite(tensor: Tensor) -> bool:
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    # pieces, because a comparison of the whole would need as much memory again
    return all(bool(torch.isfinite(piece).all()) for piece in tensor.reshape(-1).split(_CHUNK))


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


def tensor_of(tensors: Mapping[str, Tensor], name: str, shape: tuple[int | None, ...]) -> Tensor:
    """A tensor of real numbers by name; `InputError` unless it is there and has the shape.

    Args:
        tensors: what a file holds.
        name: the tensor's.
        shape: None for an axis of any length.
    """
    if name not in tensors:
        raise InputError(f"the tensor '{name}' is missing")
    tensor = tensors[name]
    fits = tensor.ndim == len(shape) and all(
        wanted in (None, found) for wanted, found in zip(shape, tensor.shape, strict=True)
    )
    if not fits or not tensor.is_floating_point():
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise InputError(
            f"the tensor '{name}' has shape {tuple(tensor.shape)} and holds {_kind(tensor)} where "
            f"real numbers of shape ({wanted}) are needed"
        )
    return tensor


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a network its weights, in the precision that they have.

    Raises:
        InputError: naming the first weight that is missing, of another shape or not the network's.
    """
    own = module.state_dict()
    if others := sorted(tensors.keys() - own.keys()):
        raise InputError(f"the tensor '{others[0]}' has no place in the network of its header")
    for name, weight in own.items():
        if weight.is_floating_point():
            tensor_of(tensors, name, tuple(weight.shape))
        elif name not in tensors or tensors[name].dtype != weight.dtype:
            raise InputError(f"the tensor '{name}' is missing or does not hold {_kind(weight)}")
        # masks are part of a network's structure, not of what it has learned
        elif tensors[name].shape != weight.shape or (
            weight.dtype == torch.bool and not torch.equal(tensors[name].cpu(), weight.cpu())
        ):
            raise InputError(f"the tensor '{name}' is not that of the network of its header")
    precisions = {t.dtype for t in tensors.values() if t.is_floating_point()}
    if len(precisions) == 1:
        module.to(precisions.pop())
    module.load_state_dict(dict(tensors))


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
