"""How people move: densities, forecasts, samples and ways between frames.

    dynamics = Dynamics.load()
    nats = dynamics.log_prob(motion, 1 / 30)                # of each frame but the first two
    ahead = dynamics.predict(motion, frames=30, dt_s=1 / 30)
    drawn = dynamics.sample(motion, frames=150, dt_s=1 / 30, generator=generator)
    filled = dynamics.inbetween(motion, goal, frames=15, dt_s=1 / 30)

`motion` is a `LatentMotion` with latents of the pose prior that kinflow ships, in a world whose y
axis is up; all work on batches.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.assets import asset_path
from kinflow.checks import is_number
from kinflow.errors import InputError
from kinflow.files.json_values import from_json
from kinflow.files.reading import guarded
from kinflow.files.tensor_files import header_json, load_weights, read_tensors, write_tensors
from kinflow.priors.dynamics.courses import CourseNetwork, bridge, forecast
from kinflow.priors.dynamics.network import StepConfig, StepDensity, log_time
from kinflow.priors.dynamics.state import LatentMotion, contexts, stepped, steps
from kinflow.tensors import check_axes

SHIPPED = "priors/dynamics.safetensors"
SHORTEST_S, LONGEST_S = 0.03, 0.11
"""Time steps that were trained, with a margin."""
MOST_FRAMES = 100_000

_FORMAT = "kinflow dynamics 1"
_WHAT = "a readable weight file of dynamics"
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


class Dynamics:
    """Statistics of human motion, learned from recordings.

    Args:
        network: trained.
        info: where it comes from.
    """

    def __init__(self, network: DynamicsNetwork, info: DynamicsInfo) -> None:
        self.network = network.eval().requires_grad_(False)
        self.info = info

    @property
    def latent_dim(self) -> int:
        return self.network.config.latent

    def log_prob(
        self, motion: LatentMotion, dt_s: float | Tensor
    ) -> Float[Tensor, "*batch frames_but_two"]:
        """Log density of every frame given the two before it; gradients pass.

        Nats by the units of a step: those of latents, rad/s and m/s.

        Args:
            motion: three frames and more.
            dt_s: between frames, seconds; one number, or one of each person in the batch.

        Raises:
            InputError: there are fewer frames, shapes do not fit, or the time step is another than
                was trained.
        """
        motion = self._checked(motion, 3)
        dt = _time_steps(dt_s, motion)
        context = contexts(motion.frames(None, -1), dt)
        return self.network.density.log_prob(steps(motion.frames(1), dt), context, dt[..., None, :])

    def sequence_log_prob(
        self, motion: LatentMotion, dt_s: float | Tensor
    ) -> Float[Tensor, "*batch"]:
        """Log density of all frames given the first two; arguments and errors as `log_prob`."""
        return self.log_prob(motion, dt_s).sum(-1)

    def predict(self, past: LatentMotion, frames: int, dt_s: float | Tensor) -> LatentMotion:
        """The mean of what comes after.

        Args:
            past: two frames and more, of which the last two count.
            frames: how many to give.
            dt_s: between frames, before and after.

        Raises:
            InputError: as `log_prob`.
        """
        past, flat = self._flat(past, 2)
        dt = _time_steps(dt_s, past).expand(*past.z.shape[:-2], 1).reshape(-1, 1)
        ahead_s = dt * torch.arange(1, _count(frames) + 1).to(dt)
        return _shaped(self.network.forecast_of(flat, dt, ahead_s), past)

    @torch.no_grad()
    def sample(
        self,
        past: LatentMotion,
        frames: int,
        dt_s: float | Tensor,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> LatentMotion:
        """One way in which it may go on, drawn from the density step by step.

        Args:
            past, frames, dt_s: as for `predict`.
            generator: of random numbers, on the CPU.
            temperature: by which the random numbers are scaled; below 1 for calmer motion.

        Raises:
            InputError: as `log_prob`, or the temperature is negative.
        """
        if not (is_number(temperature) and temperature >= 0):
            raise InputError(f"temperature has to be a number of 0 or more, not {temperature!r}.")
        past = self._checked(past, 2)
        dt = _time_steps(dt_s, past)
        window, out = past.frames(-2), []
        size = (*past.z.shape[:-2], self.network.config.step_dim)
        for _ in range(_count(frames)):
            noise = torch.randn(size, generator=generator, dtype=torch.float32).to(past.z)
            context = contexts(window, dt)[..., 0, :]
            x = self.network.density.step(temperature * noise, context, dt)
            window = window.frames(-1).then(stepped(window.frames(-1), x, dt))
            out.append(window.frames(-1))
        return _joined(out)

    def inbetween(
        self, past: LatentMotion, goal: LatentMotion, frames: int, dt_s: float | Tensor
    ) -> LatentMotion:
        """The mean way from known frames to a known frame.

        Args:
            past: two frames and more, of which the last two count.
            goal: one frame.
            frames: how many are missing between the last one of the past and the goal.
            dt_s: between frames.

        Raises:
            InputError: as `log_prob`, or the goal has another shape.
        """
        past, flat = self._flat(past, 2)
        goal, flat_goal = self._flat(goal, 1)
        if goal.num_frames != 1 or goal.z.shape[:-2] != past.z.shape[:-2]:
            raise InputError("The goal has to be one frame of each person of the past.")
        dt = _time_steps(dt_s, past).expand(*past.z.shape[:-2], 1).reshape(-1, 1)
        missing = _count(frames)
        share = (torch.arange(1, missing + 1) / (missing + 1)).to(dt).expand(len(dt), -1)
        span_s = dt * (missing + 1)
        return _shaped(self.network.bridge_of(flat, flat_goal, dt, span_s, share), past)

    def _flat(self, motion: LatentMotion, least: int) -> tuple[LatentMotion, LatentMotion]:
        motion = self._checked(motion, least)
        return motion, LatentMotion(
            motion.z.flatten(0, -3) if motion.z.ndim > 2 else motion.z[None],
            motion.R_root.flatten(0, -4) if motion.z.ndim > 2 else motion.R_root[None],
            motion.root_m.flatten(0, -3) if motion.z.ndim > 2 else motion.root_m[None],
        )

    def _checked(self, motion: LatentMotion, least: int) -> LatentMotion:
        check_axes(motion.z, "z", (None, self.latent_dim))
        lead = tuple(motion.z.shape[:-1])
        check_axes(motion.R_root, "R_root", (*lead, 3, 3))
        check_axes(motion.root_m, "root_m", (*lead, 3))
        if motion.num_frames < least:
            raise InputError(f"At least {least} frames are needed, not {motion.num_frames}.")
        return motion

    @staticmethod
    def load(path: Path | str | None = None) -> Dynamics:
        """From a weight file; the shipped ones if none is named.

        Raises:
            InputError: the file is missing, damaged or of another kind.
            AssetError: the shipped file is missing or damaged.
        """
        return _shipped() if path is None else _read(path)

    def save(self, path: Path | str) -> None:
        """Write a weight file, atomically."""
        self.network.save(self.info, path)


def _count(frames: int) -> int:
    if not isinstance(frames, int) or isinstance(frames, bool) or not 1 <= frames <= MOST_FRAMES:
        raise InputError(
            f"frames has to be a whole number from 1 to {MOST_FRAMES}, not {frames!r}."
        )
    return frames


def _time_steps(dt_s: float | Tensor, motion: LatentMotion) -> Float[Tensor, "*#batch 1"]:
    dt = torch.as_tensor(dt_s, dtype=motion.z.dtype, device=motion.z.device)
    if dt.shape not in ((), motion.z.shape[:-2]):
        raise InputError(
            f"dt_s has to be one number, or of the shape {tuple(motion.z.shape[:-2])}."
        )
    if not bool(((dt >= SHORTEST_S) & (dt <= LONGEST_S)).all()):
        raise InputError(
            f"dt_s has to be from {SHORTEST_S} to {LONGEST_S} seconds; take every second or third "
            "frame of faster clips."
        )
    return dt[..., None]


def _shaped(motion: LatentMotion, like: LatentMotion) -> LatentMotion:
    lead = like.z.shape[:-2]
    return LatentMotion(
        motion.z.reshape(*lead, *motion.z.shape[1:]),
        motion.R_root.reshape(*lead, *motion.R_root.shape[1:]),
        motion.root_m.reshape(*lead, *motion.root_m.shape[1:]),
    )


def _joined(frames: list[LatentMotion]) -> LatentMotion:
    return LatentMotion(
        torch.cat([frame.z for frame in frames], -2),
        torch.cat([frame.R_root for frame in frames], -3),
        torch.cat([frame.root_m for frame in frames], -2),
    )


@cache
def _shipped() -> Dynamics:
    return _read(asset_path(SHIPPED), trusted=True)


def _read(path: Path | str, trusted: bool = False) -> Dynamics:
    texts, tensors = read_tensors(path, what=_WHAT, trusted=trusted)
    header = header_json(texts, "kinflow", path) if "kinflow" in texts else {}
    if header.get("format") != _FORMAT:
        raise InputError(f"'{path}' does not hold dynamics of this version of kinflow.")
    with guarded(path, _WHAT):
        try:
            info = from_json(DynamicsInfo, header.get("info"))
            config = from_json(DynamicsConfig, header.get("config"), _LIMITS)
            for name, value in tensors.items():
                if not bool((value.abs() <= _LARGEST_WEIGHT).all()):
                    raise InputError(f"the tensor '{name}' holds numbers that cannot be right")
            with torch.random.fork_rng(devices=[]):  # loading disturbs nobody's random numbers
                network = DynamicsNetwork(config)
            load_weights(network, tensors)
            _check_linear(network.density)
        except InputError as error:
            raise InputError(f"'{path}' is damaged or not of kinflow: {error}.") from error
    return Dynamics(network.float(), info)


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
