"""Several processes that train together, through accelerate; one where nobody asked for more.

Each process draws batches of its own and has the same weights: gradients are averaged before every
step. Only the main process writes files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from kinflow.errors import InputError


class Processes:
    """The processes of a run: this one alone, or all that a launcher started.

    Args:
        accelerator: accelerate's, where there are several.
    """

    def __init__(self, accelerator: Any = None) -> None:
        self._accelerator = accelerator

    @classmethod
    def started(cls, device: str = "cpu") -> Processes:
        """Those that `accelerate launch` or `torchrun` started, or this one alone.

        Call it before anything is put on the device: it chooses the GPU of this process.

        Raises:
            InputError: there are several, but accelerate is not installed.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
            return cls()
        try:
            from accelerate import Accelerator  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise InputError(
                "a launcher started several processes, which takes accelerate: "
                "pip install 'kinflow[train]'"
            ) from error
        return cls(Accelerator(cpu=not device.startswith("cuda")))

    @property
    def count(self) -> int:
        """How many there are."""
        return 1 if self._accelerator is None else int(self._accelerator.num_processes)

    @property
    def index(self) -> int:
        """Which one this is, from 0."""
        return 0 if self._accelerator is None else int(self._accelerator.process_index)

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes."""
        return self.index == 0

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Give every process the mean gradients of all."""
        if self._accelerator is None:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        # one message in place of one for each weight
        together = self._mean(torch.cat([gradient.flatten() for gradient in gradients]))
        pieces = together.split([gradient.numel() for gradient in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))

    def mean(self, value: float) -> float:
        """The mean of a number over all processes, the same one in each."""
        if self._accelerator is None:
            return value
        tensor = torch.tensor(value, dtype=torch.float32, device=self._accelerator.device)
        return float(self._mean(tensor))

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()

    def _mean(self, tensor: Tensor) -> Tensor:
        return self._accelerator.reduce(tensor, reduction="mean")
