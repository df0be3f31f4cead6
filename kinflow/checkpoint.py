"""Checkpoints of training runs: everything needed to go on, in one safetensors file.

Networks and optimiser state are tensors with the network's name or `optimizer` as a prefix;
progress and the settings of the run travel in the header. A run with other settings refuses it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from kinflow.errors import InputError
from kinflow.files.atomic import write_bytes


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
    write_bytes(path, to_bytes({k: v.contiguous() for k, v in tensors.items()}, header))


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
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged ({error}); delete it to begin again.") from error
    if header.get("run") != run_key:
        raise InputError(
            f"{path.parent} holds a run with other settings or other data; "
            "choose another --out folder or delete it"
        )
    for prefix, network in networks.items():
        network.load_state_dict(_with_prefix(tensors, f"{prefix}."))
    parameters = optimizer.param_groups[0]["params"]
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in _with_prefix(tensors, "optimizer.").items():
        index, _, name = key.partition(".")
        like = parameters[int(index)]
        if value.shape == like.shape:
            # fused optimisers go through memory: moments need their weights' layout
            value = torch.empty_like(like, requires_grad=False).copy_(value)
        slots.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": slots, "param_groups": groups})
    return json.loads(header["progress"]), tensors


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
