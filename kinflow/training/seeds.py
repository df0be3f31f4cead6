"""Random numbers of a run: seeded once, and kept in its checkpoints."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

_NUMPY_SEEDS = 1 << 32


def seed_everything(seed: int) -> None:
    """Seed the global generators of torch (on every device), numpy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed % _NUMPY_SEEDS)
    random.seed(seed)


class RandomStates:
    """The global generators as a part of a checkpoint.

    Args:
        device: the device that the run computes on; its generator is kept beside that of the CPU.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._cuda = device if device.startswith("cuda") else None

    def state_dict(self) -> dict[str, Tensor]:
        """The states of all generators, as tensors."""
        _, keys, position, has_normal, normal = np.random.get_state(legacy=True)
        _, words, next_normal = random.getstate()
        states = {
            "cpu": torch.get_rng_state(),
            "numpy": torch.tensor([*(int(key) for key in keys), position, has_normal]),
            "numpy_normal": torch.tensor([normal], dtype=torch.float64),
            "python": torch.tensor(words),
            "python_normal": torch.tensor(
                [] if next_normal is None else [next_normal], dtype=torch.float64
            ),
        }
        if self._cuda is not None:
            states["cuda"] = torch.cuda.get_rng_state(self._cuda)
        return states

    def load_state_dict(self, states: Mapping[str, Tensor]) -> None:
        """Go on from the states; a generator whose state is not among them stays as it is."""
        if "cpu" in states:
            torch.set_rng_state(states["cpu"])
        if "cuda" in states and self._cuda is not None:
            torch.cuda.set_rng_state(states["cuda"], self._cuda)
        if "numpy" in states:
            *keys, position, has_normal = states["numpy"].tolist()
            normal = states["numpy_normal"].item()
            np.random.set_state(
                ("MT19937", np.array(keys, np.uint32), position, has_normal, normal)
            )
        if "python" in states:
            next_normal = states["python_normal"].tolist()
            words = tuple(states["python"].tolist())
            random.setstate((3, words, next_normal[0] if next_normal else None))
