"""Several processes that train together, through accelerate; one where nobody asked for more.

All have the same weights and the same random numbers, draw the same batches, and each works on its
part of them; gradients are averaged before every step. So a run takes the same way whatever the
number of its processes, but for dropout and rounding, and may go on with another number. Only the
main process writes files; the others read its checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sized
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from kinflow.errors import InputError
from kinflow.training.seeds import RandomStates, seed_everything

_BETWEEN_SEEDS = 1_000_003


@runtime_checkable
class Batch(Sized, Protocol):
    """Samples that a slice can be taken of, such as a tensor of them."""

    def __getitem__(self, rows: slice, /) -> Any: ...


B = TypeVar("B", bound=Batch)


class Processes:
    """The processes of a run: this one alone, or all that a launcher started.

    Args:
        accelerator: accelerate's, where there are several.
    """

    def __init__(self, accelerator: Any = None) -> None:
        self._accelerator = accelerator
        self._random = RandomStates("cpu" if accelerator is None else str(accelerator.device))
        self._alike: dict[str, Tensor] | None = None

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

    def own_part(self, batch: B) -> B:
        """This process's part of a batch that all have drawn alike.

        What is drawn from now on until `draw_alike`, such as dropout, is this process's own.

        Raises:
            InputError: the batch cannot be divided among the processes.
        """
        if self._accelerator is None:
            return batch
        size, rest = divmod(len(batch), self.count)
        if rest:
            raise InputError(
                f"A batch of {len(batch)} cannot be divided among {self.count} processes; take a "
                "size that can."
            )
        if self._alike is None:
            self._alike = self._random.state_dict()
            common = int(torch.randint(1 << 62, ()))
            seed_everything(common + _BETWEEN_SEEDS * self.index)
        return batch[self.index * size : (self.index + 1) * size]

    def draw_alike(self) -> None:
        """Let all processes draw the same random numbers again."""
        if self._alike is not None:
            self._random.load_state_dict(self._alike)
            self._alike = None

    def average(
        self, parameters: Iterable[torch.nn.Parameter], loss: Tensor, seconds: float
    ) -> tuple[float, float]:
        """Give every process the mean gradients of all.

        Args:
            parameters: the weights.
            loss: of this process's part.
            seconds: of this process's clock.

        Returns:
            The mean loss of all, and the clock of the main process, by which all decide alike.
        """
        if self._accelerator is None:
            return loss.item(), seconds
        gradients = [p.grad for p in parameters if p.grad is not None]
        clock = loss.new_tensor([seconds if self.is_main else 0.0])
        # one message in place of one for each weight
        pieces = [*(gradient.flatten() for gradient in gradients), loss.detach().view(1), clock]
        together = self._mean(torch.cat(pieces)).split([piece.numel() for piece in pieces])
        for gradient, piece in zip(gradients, together[:-2], strict=True):
            gradient.copy_(piece.view_as(gradient))
        return together[-2].item(), together[-1].item() * self.count

    def mean(self, value: float) -> float:
        """The mean of a number over all processes, the same one in each."""
        if self._accelerator is None:
            return value
        tensor = torch.tensor(value, dtype=torch.float64)
        return float(self._mean(tensor.to(self._accelerator.device)))

    def check_alike(self, step: int, weights: Iterable[Tensor]) -> None:
        """Refuse to begin where processes do not stand at the same step with the same weights.

        Raises:
            InputError: they do not, as where they do not see the same folder.
        """
        if self._accelerator is None:
            return
        total = sum(float(tensor.double().sum()) for tensor in weights)
        for value in (float(step), total):
            mean = self.mean(value)
            if abs(value - mean) > 1e-6 * max(1.0, abs(mean)):
                raise InputError(
                    "The processes of this training do not begin alike; all machines need the same "
                    "kinflow, and the folder of the run on a file system that they share."
                )

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()

    def _mean(self, tensor: Tensor) -> Tensor:
        return self._accelerator.reduce(tensor, reduction="mean")
