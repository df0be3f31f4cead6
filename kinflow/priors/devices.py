"""Moves a prior, with all that was baked from its weights, to another device."""

from __future__ import annotations

import copy
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor


def on_device(value: Any, device: torch.device | str) -> Any:
    """A copy of `value` whose tensors live on `device`; anything that holds none is shared.

    Priors are plain objects made of tensors, modules, dataclasses and containers of these; all of
    them are followed.
    """
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, torch.nn.Module):
        return copy.deepcopy(value).to(device)
    if isinstance(value, tuple | list):
        return type(value)(on_device(item, device) for item in value)
    if isinstance(value, dict):
        return type(value)({key: on_device(item, device) for key, item in value.items()})
    if type(value).__module__.startswith("kinflow."):
        moved = copy.copy(value)
        names = [f.name for f in fields(value)] if is_dataclass(value) else list(vars(value))
        for name in names:
            # frozen dataclasses refuse ordinary assignment, and this is a fresh copy
            object.__setattr__(moved, name, on_device(getattr(value, name), device))
        return moved
    return value
