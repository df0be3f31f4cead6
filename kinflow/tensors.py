"""Tensors that a program hands in: of any precision and device, but of the shape that is meant."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from kinflow.errors import InputError

_Module = TypeVar("_Module", bound=nn.Module)


@contextmanager
def full_precision(device: torch.device | str) -> Iterator[None]:
    """Inside, a caller's `torch.autocast` is off: half precision cannot solve for a body."""
    with ExitStack() as stack:
        # on the CPU as well: some steps are done there whatever the device is
        for kind in {"cpu", torch.device(device).type}:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def check_device(device: str | torch.device) -> None:
    """Raise `InputError` unless torch can compute on `device`."""
    try:
        there = float(torch.zeros(1, device=device) + 1) == 1  # "meta" holds no numbers
    except (RuntimeError, AssertionError, NotImplementedError):
        there = False
    if not there:
        raise InputError(f"The device '{device}' is not available here; use 'cpu'.")


def on_device(module: _Module, device: str | torch.device) -> _Module:
    """The module, to compute on a device: itself where it is there, else a copy.

    It may be somebody else's, too, so that it is not moved.
    """
    tensors = [*module.parameters(), *module.buffers()]
    if tensors and all(tensor.device == torch.device(device) for tensor in tensors):
        return module
    return copy.deepcopy(module).to(device)


def given_tensor(value: Any, name: str, shape: tuple[int | None, ...]) -> Tensor:
    """A tensor or array of numbers as single precision, cut off from any graph.

    Args:
        value: what was given.
        name: what to call it in a sentence.
        shape: its sizes; None for any but zero. A first entry of -1 stands for any leading axes.

    Raises:
        InputError: it is something else, has another shape, or holds numbers that are not real.
    """
    tensor = _numbers(value, name)
    any_lead = shape[:1] == (-1,)
    wanted = shape[1:] if any_lead else shape
    sizes = tuple(tensor.shape)
    own = sizes[len(sizes) - len(wanted) :] if any_lead else sizes
    if len(own) != len(wanted) or not all(
        size > 0 if want is None else size == want for size, want in zip(own, wanted, strict=True)
    ):
        axes = ", ".join("any" if want is None else str(want) for want in wanted)
        lead = "..., " if any_lead else ""
        raise InputError(f"{name} has to have the shape ({lead}{axes}), not {sizes}.")
    return tensor.detach().float()


def finite_tensor(value: Any, name: str, shape: tuple[int | None, ...]) -> Tensor:
    """As `given_tensor`, without NaN and infinity."""
    tensor = given_tensor(value, name, shape)
    if not bool(torch.isfinite(tensor).all()):
        raise InputError(f"{name} has values that are not finite (NaN or infinity).")
    return tensor


def tensor_within(
    value: Any, name: str, shape: tuple[int | None, ...], low: float | int, high: float | int
) -> Tensor:
    """As `finite_tensor`, with values from `low` to `high`."""
    tensor = finite_tensor(value, name, shape)
    if tensor.numel() and (float(tensor.min()) < low or float(tensor.max()) > high):
        raise InputError(
            f"{name} has to be from {low:g} to {high:g}; it reaches from "
            f"{float(tensor.min()):g} to {float(tensor.max()):g}."
        )
    return tensor


def check_axes(value: Any, name: str, last: tuple[int | None, ...]) -> None:
    """Only look at the last axes of a tensor, for functions that gradients pass through.

    Raises:
        InputError: it is no tensor of real numbers, or its last sizes are others (None for any).
    """
    sizes = tuple(_numbers(value, name).shape)
    own = sizes[len(sizes) - len(last) :] if len(sizes) >= len(last) else None
    if own is None or any(w not in (None, size) for size, w in zip(own, last, strict=True)):
        axes = ", ".join("any" if want is None else str(want) for want in last)
        raise InputError(f"{name} has to have the shape (..., {axes}), not {sizes}.")


def _numbers(value: Any, name: str) -> Tensor:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        return torch.from_numpy(np.ascontiguousarray(value, np.float32))
    if (
        not isinstance(value, Tensor)
        or value.layout != torch.strided
        or value.is_complex()
        or value.dtype == torch.bool
    ):
        raise InputError(f"{name} has to be a tensor of numbers, not {_what(value)}.")
    return value


def _what(value: Any) -> str:
    kind = type(value).__name__
    return f"one of {value.dtype}" if isinstance(value, Tensor | np.ndarray) else f"a {kind}"
