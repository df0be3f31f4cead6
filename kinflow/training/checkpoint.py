"""Checkpoints of training runs: everything needed to go on, in one safetensors file.

A run has any number of parts (networks, averages, optimisers, random generators, data streams);
their tensors carry the part's name as a prefix. Progress and the settings of the run travel in the
header. A run with other settings refuses it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from kinflow.errors import InputError
from kinflow.files.reading import guarded
from kinflow.files.tensor_files import header_json, load_weights, read_tensors, write_tensors

_WHAT = "a readable checkpoint"
_MAX_BYTES = 1 << 30


@runtime_checkable
class Part(Protocol):
    """Anything that is kept in a checkpoint as tensors: a network, generators, a data stream."""

    def state_dict(self) -> Mapping[str, Any]:
        """Tensors by name."""
        ...

    def load_state_dict(self, states: Any, /) -> Any:
        """Go on from what `state_dict` gave."""
        ...


def save_checkpoint(
    path: Path, parts: Mapping[str, Part], progress: Mapping[str, Any], run_key: str
) -> None:
    """Write a checkpoint, atomically.

    Args:
        path: where to.
        parts: networks, optimisers and whatever else has a state, by the prefix of their tensors.
        progress: what JSON can hold.
        run_key: what tells this run's settings and data from others'.
    """
    tensors: dict[str, Tensor] = {}
    for prefix, part in parts.items():
        tensors |= {f"{prefix}.{name}": value for name, value in _tensors_of(part).items()}
    header = {"progress": json.dumps(progress), "run": run_key}
    write_tensors(path, tensors, header)


def load_checkpoint(path: Path, parts: Mapping[str, Part], run_key: str) -> dict[str, Any]:
    """Continue from a checkpoint; returns its progress.

    Raises:
        InputError: it belongs to another run, or is damaged.
    """
    with replaceable(path):
        header, tensors = read_tensors(path, what=_WHAT, at_most=_MAX_BYTES)
    if header.get("run") != run_key:
        raise InputError(
            f"{path.parent} holds a run with {_difference(header.get('run', ''), run_key)}; "
            "choose another folder or delete it",
            {"another folder": "out"},
        )
    with replaceable(path):
        for prefix, part in parts.items():
            own = _with_prefix(tensors, f"{prefix}.")
            if isinstance(part, torch.nn.Module):
                load_weights(part, own)
            elif isinstance(part, torch.optim.Optimizer):
                _load_optimizer(part, own, prefix)
            else:
                part.load_state_dict(own)
        return header_json(header, "progress", path)


def _difference(theirs: str, ours: str) -> str:
    """What differs between two runs, where their keys tell by name."""
    try:
        there, here = json.loads(theirs), json.loads(ours)
    except ValueError:
        there = here = None
    if not (isinstance(there, dict) and isinstance(here, dict)):
        return "other settings or other data"
    names = [name for name in here if there.get(name) != here[name]]
    names += [name for name in there if name not in here]
    return " and ".join(f"another {name}" for name in names[:3])


@contextmanager
def replaceable(path: Path) -> Iterator[None]:
    """Use what a checkpoint holds inside: an error says that it can be deleted."""
    try:
        with guarded(path, _WHAT):
            yield
    except InputError as error:
        reason = str(error).rstrip(".")
        named = "" if str(path) in reason else f"'{path}' is damaged (unusable): "
        raise InputError(f"{named}{reason}; delete it to begin again.") from error


def _tensors_of(part: Part) -> Mapping[str, Tensor]:
    """The state of a part; an optimiser's by the index of the weight that it belongs to."""
    if not isinstance(part, torch.optim.Optimizer):
        return part.state_dict()
    slots = part.state_dict()["state"].items()
    return {f"{index}.{name}": value for index, slot in slots for name, value in slot.items()}


def _load_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], prefix: str
) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        if not index.isdecimal() or int(index) >= len(parameters):
            raise InputError(f"the tensor '{prefix}.{key}' belongs to no weight")
        like = parameters[int(index)]
        if value.ndim and value.shape != like.shape:
            raise InputError(f"the tensor '{prefix}.{key}' has another shape than its weights")
        if value.shape == like.shape:
            # fused optimisers go through memory: moments need their weights' layout
            value = torch.empty_like(like, requires_grad=False).copy_(value)
        slots.setdefault(int(index), {})[name] = value
    if len({frozenset(slot) for slot in slots.values()}) > 1:
        raise InputError("the optimiser's state is not complete")
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": slots, "param_groups": groups})


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
