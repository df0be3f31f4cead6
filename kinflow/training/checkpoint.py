"""Checkpoints of training runs: everything needed to go on, in one safetensors file.

Networks and optimiser state are tensors with the network's name or `optimizer` as a prefix;
progress and the settings of the run travel in the header. A run with other settings refuses it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kinflow.errors import InputError
from kinflow.files.reading import guarded
from kinflow.files.tensor_files import header_json, load_weights, read_tensors, write_tensors

_WHAT = "a readable checkpoint"
_MAX_BYTES = 1 << 30


def save_checkpoint(
    path: Path,
    networks: Mapping[str, torch.nn.Module],
    optimizer: torch.optim.Optimizer,
    progress: Mapping[str, Any],
    run_key: str,
    others: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint, atomically.

    Args:
        path: where to.
        networks: by the prefix of their tensors.
        optimizer: of one parameter group.
        progress: what JSON can hold.
        run_key: what tells this run's settings and data from others'.
        others: further tensors, such as states of random generators, by name.
    """
    tensors = dict(others or {})
    for prefix, network in networks.items():
        tensors |= {f"{prefix}.{k}": v for k, v in network.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in slots.items()}
    header = {"progress": json.dumps(progress), "run": run_key}
    write_tensors(path, tensors, header)


def load_checkpoint(
    path: Path,
    networks: Mapping[str, torch.nn.Module],
    optimizer: torch.optim.Optimizer,
    run_key: str,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Continue from a checkpoint: its progress and all of its tensors.

    Raises:
        InputError: it belongs to another run, or is damaged.
    """
    with replaceable(path):
        header, tensors = read_tensors(path, what=_WHAT, at_most=_MAX_BYTES)
    if header.get("run") != run_key:
        raise InputError(
            f"{path.parent} holds a run with other settings or other data; "
            "choose another folder or delete it",
            {"another folder": "out"},
        )
    with replaceable(path):
        for prefix, network in networks.items():
            load_weights(network, _with_prefix(tensors, f"{prefix}."))
        _load_optimizer(optimizer, _with_prefix(tensors, "optimizer."))
        return header_json(header, "progress", path), tensors


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


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = optimizer.param_groups[0]["params"]
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        if not index.isdecimal() or int(index) >= len(parameters):
            raise InputError(f"the tensor 'optimizer.{key}' belongs to no weight")
        like = parameters[int(index)]
        if value.ndim and value.shape != like.shape:
            raise InputError(f"the tensor 'optimizer.{key}' has another shape than its weights")
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
