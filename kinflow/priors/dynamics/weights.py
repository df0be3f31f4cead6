"""The networks of dynamics and their weight files: one safetensors file with a header of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.errors import InputError
from kinflow.files.json_values import from_json
from kinflow.files.network_files import Header, read_network
from kinflow.files.tensor_files import load_weights, write_tensors
from kinflow.priors.dynamics.courses import CourseNetwork, bridge, forecast
from kinflow.priors.dynamics.network import StepConfig, StepDensity, log_time
from kinflow.priors.dynamics.state import LatentMotion, contexts

_FORMAT = "kinflow dynamics 1"
_LIMITS = {
    "latent": (1, 57),
    "hidden": (1, 4096),
    "depth": (1, 16),
    "couplings": (0, 64),
    "coupling_hidden": (1, 4096),
    "course_hidden": (1, 4096),
    "dropout": (0.0, 1.0),
    "max_log_scale": (0.01, 10.0),
}
_LARGEST_WEIGHT = 1e6


@dataclass(frozen=True)
class DynamicsInfo:
    """Where dynamics come from; stored in the header of their weight file.

    Attributes:
        command: the command that trained them.
        seed: its seed.
        data_sha256: content hash of the recordings.
        prior_sha256: content hash of the pose set of the prior whose latents these are.
        metrics: figures on subjects that were not trained on, by name.
    """

    command: str = ""
    seed: int = 0
    data_sha256: str = ""
    prior_sha256: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DynamicsConfig(StepConfig):
    """Shape of the networks.

    Attributes:
        course_hidden: width of the networks of forecasts and bridges.
    """

    course_hidden: int = 144


class DynamicsNetwork(nn.Module):
    """The density of steps, and the networks of forecasts and bridges.

    Args:
        config: their shape.
    """

    def __init__(self, config: DynamicsConfig) -> None:
        super().__init__()
        self.config = config
        self.density = StepDensity(config)
        size, hidden, dropout = config.latent, config.course_hidden, config.dropout
        self.forecast = CourseNetwork(size, hidden, goal=False, dropout=dropout)
        self.bridge = CourseNetwork(size, hidden, goal=True, dropout=dropout)

    def forecast_of(
        self, past: LatentMotion, dt_s: Tensor, ahead_s: Float[Tensor, "batch moments"]
    ) -> LatentMotion:
        """The mean motion after two frames, at some moments."""
        q, context, tau = self._known(past, dt_s)
        return forecast(self.forecast, q, context, past.frames(-1), tau, ahead_s)

    def bridge_of(
        self, past: LatentMotion, goal: LatentMotion, dt_s: Tensor, span_s: Tensor, share: Tensor
    ) -> LatentMotion:
        """The mean motion from two frames to a goal, at some shares of the time."""
        q, context, tau = self._known(past, dt_s)
        last = past.frames(-1)
        return bridge(self.bridge, q, context, last, goal, tau, span_s, share)

    def _known(self, past: LatentMotion, dt_s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        context = contexts(past.frames(-2), dt_s)[:, 0]
        return self.density.normal_context(context), context, log_time(dt_s)

    def save(self, info: DynamicsInfo, path: Path | str) -> None:
        """Write a weight file, atomically."""
        header = {"format": _FORMAT, "info": asdict(info), "config": asdict(self.config)}
        write_tensors(Path(path), self.state_dict(), {"kinflow": json.dumps(header)})


def read_weights(path: Path | str, trusted: bool = False) -> tuple[DynamicsNetwork, DynamicsInfo]:
    """The networks of a file and where they come from.

    Args:
        path: the file.
        trusted: whether it came with kinflow.

    Raises:
        InputError: the file is missing, damaged or of another kind.
    """
    return read_network(path, "dynamics", (_FORMAT,), _built, trusted)


def _built(header: Header, tensors: dict[str, Tensor]) -> tuple[DynamicsNetwork, DynamicsInfo]:
    info = from_json(DynamicsInfo, header.get("info"))
    config = from_json(DynamicsConfig, header.get("config"), _LIMITS)
    for name, value in tensors.items():
        if not bool((value.abs() <= _LARGEST_WEIGHT).all()):
            raise InputError(f"the tensor '{name}' holds numbers that cannot be right")
    network = DynamicsNetwork(config)
    load_weights(network, tensors)
    _check_linear(network.density)
    return network.float(), info


def _check_linear(density: StepDensity) -> None:
    """What the mathematics relies on: spreads above 0, a triangle, rotations."""
    if not bool((density.context_std > 0).all()):
        raise InputError("'context_std' holds numbers that cannot be right")
    triangle = density.cholesky
    if not bool((triangle.diagonal() > 0).all()) or bool((triangle.triu(1) != 0).any()):
        raise InputError("'cholesky' is not a lower triangle with a positive diagonal")
    for mixing in density.mixings:
        unit = torch.eye(len(mixing)).to(mixing)
        if not bool((mixing @ mixing.mT - unit).abs().max() < 1e-3):
            raise InputError("'mixings' are not rotations")
