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

from functools import cache
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.assets import asset_path
from kinflow.checks import is_number
from kinflow.errors import InputError
from kinflow.priors.dynamics.state import LatentMotion, contexts, stepped, steps
from kinflow.priors.dynamics.weights import DynamicsInfo, DynamicsNetwork, read_weights
from kinflow.tensors import check_axes

SHIPPED = "priors/dynamics.safetensors"
SHORTEST_S, LONGEST_S = 0.03, 0.11
"""Time steps that were trained, with a margin."""
MOST_FRAMES = 100_000


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

    def gaussian(
        self,
        step: Float[Tensor, "batch x"],
        context: Float[Tensor, "batch q"],
        dt_s: Float[Tensor, " batch"],
    ) -> tuple[Float[Tensor, "batch x"], Float[Tensor, "batch x coordinates"]]:
        """A Gaussian in place of the density of steps, for least squares (`StepDensity.gaussian`).

        Args:
            step: about which it is (`state.steps`).
            context: of that step (`state.contexts`).
            dt_s: the time steps, of the range that was trained (`covers`).
        """
        return self.network.density.gaussian(step, context, dt_s[:, None])

    @staticmethod
    def covers(dt_s: Float[Tensor, "*batch"]) -> Bool[Tensor, "*batch"]:
        """Which time steps are of the range that was trained."""
        return (dt_s >= SHORTEST_S) & (dt_s <= LONGEST_S)

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
            past: as for `predict`.
            frames: as for `predict`.
            dt_s: as for `predict`.
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
        return _shipped() if path is None else Dynamics(*read_weights(path))

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
    if not bool(Dynamics.covers(dt).all()):
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
    return Dynamics(*read_weights(asset_path(SHIPPED), trusted=True))
