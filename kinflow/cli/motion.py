"""`kinflow motion`: motion files continued or filled in by the learned dynamics, or cleaned.

All read the kinds of files that `kinflow data poses` reads and write a motion of the average adult,
whose path is scaled to their legs. Only cleaning changes recorded frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tyro.conf import Positional

import kinflow.priors
from kinflow.body import BodyModel
from kinflow.body.kinematics import full_pose
from kinflow.body.skeleton import FREE_JOINTS
from kinflow.checks import not_negative, number, path, refuse, whole
from kinflow.cli.output import say
from kinflow.datasets.bvh import MAX_RATE_HZ
from kinflow.datasets.motion_files import SkippedClip, find_motions, read_motions
from kinflow.datasets.retarget import RetargetedMotion
from kinflow.errors import InputError
from kinflow.export.amass import amass_bytes
from kinflow.export.bvh import bvh_bytes
from kinflow.export.clean_motion import CleanConfig, clean
from kinflow.export.motion import Motion
from kinflow.files.atomic import write_bytes
from kinflow.files.destinations import check_file_destination
from kinflow.priors.average_adult import joint_positions_m
from kinflow.priors.base import PosePrior
from kinflow.priors.dynamics import Dynamics, LatentMotion
from kinflow.priors.shape import ShapePrior
from kinflow.synth.clips import moving
from kinflow.synth.rendering import coarse_mesh

RATE_HZ = 30.0
_ALL_HZ = MAX_RATE_HZ
_MOST_SECONDS = 600.0
_STANDS_WITHIN_S = 1.0
"""Time in which somebody touches the floor at least once."""


@dataclass(frozen=True)
class SampleMotion:
    """Continue a motion file in a way that people may go on; writes a BVH file.

    Attributes:
        file: BVH or AMASS file; frames are left out to come near 30 a second.
        out: the BVH file to write.
        seconds: how long it goes on.
        temperature: 1 draws as people move, less is calmer, 0 is the middle of every step.
        keep: whether the recorded frames stand before the drawn ones.
        seed: another seed gives another motion.
        joint_names: of the file.
    """

    file: Path
    out: Path
    seconds: float = 5.0
    temperature: float = 0.7
    keep: bool = True
    seed: int = 0
    joint_names: Literal["smpl", "mixamo"] = "smpl"

    def __post_init__(self) -> None:
        path(self, "file")
        path(self, "out")
        number(self, "seconds", above=0, at_most=_MOST_SECONDS, flags=True)
        not_negative(self, "temperature")
        whole(self, "seed")


@dataclass(frozen=True)
class FillMotion:
    """Replace frames of a motion file by a likely way between their neighbours; writes BVH.

    Attributes:
        file: BVH or AMASS file; frames are left out to come near 30 a second.
        out: the BVH file to write.
        start_s: time of the last good frame before the gap, in seconds.
        end_s: time of the first good frame after it.
        joint_names: of the file.
    """

    file: Path
    out: Path
    start_s: float
    end_s: float
    joint_names: Literal["smpl", "mixamo"] = "smpl"

    def __post_init__(self) -> None:
        path(self, "file")
        path(self, "out")
        not_negative(self, "start_s")
        if not self.start_s < self.end_s:
            refuse(f"end_s ({self.end_s:g}) has to be after start_s ({self.start_s:g}).")


@dataclass(frozen=True)
class CleanMotion:
    """Put a motion file of somebody else right: spikes, flips, noise, and feet that glide or sink.

    Attributes:
        file: BVH or AMASS file; all of its frames are kept.
        out: the file to write, .bvh, or .npz for an archive as of AMASS.
        smoothing: factor on how much is averaged: 1 as its noise asks for, 0 not at all.
        hold_feet: whether the way is made to fit the steps, and feet that stand are held.
        joint_names: of a BVH file.
    """

    file: Annotated[Path, Positional]
    out: Path
    smoothing: float = 1.0
    hold_feet: bool = True
    joint_names: Literal["smpl", "mixamo"] = "smpl"

    def __post_init__(self) -> None:
        path(self, "file")
        path(self, "out")
        number(self, "smoothing", at_least=0, at_most=10, flags=True)


def run_clean(options: CleanMotion) -> int:
    """Write the file and say what changed; returns the exit code."""
    _check_destination(options.out, (".bvh", ".npz"))
    recorded = _motion_of(_read(options.file, 4, _ALL_HZ))
    cleaned = clean(recorded, CleanConfig(options.smoothing, options.hold_feet))
    if options.out.suffix.lower() == ".npz":
        write_bytes(options.out, amass_bytes(cleaned.motion))
    else:
        write_bytes(options.out, bvh_bytes(cleaned.motion, options.joint_names))
    say(f"{'':26}{'before':>10}{'after':>10}", "bold")
    for title, name, unit in _FIGURES:
        before, after = (getattr(side, name) for side in (cleaned.before, cleaned.after))
        say(f"{f'{title}, {unit}':26}{_number(before):>10}{_number(after):>10}")
    joints, frames = int(cleaned.glitches.sum()), int(cleaned.glitches.any(1).sum())
    say(f"Replaced {joints} glitches of single joints or the root in {frames} frames.")
    motion = cleaned.motion
    say(f"Wrote {options.out}: {len(motion)} frames, {motion.rate_hz:.4g} a second.")
    return 0


_FIGURES = (
    ("jitter", "jitter_10m_s3", "10 m/s3"),
    ("sliding of feet", "foot_sliding_cm_s", "cm/s"),
    ("below the floor", "below_floor_cm", "cm"),
    ("at worst", "below_floor_worst_cm", "cm"),
)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def run_sample(options: SampleMotion) -> int:
    """Write the file; returns the exit code."""
    _check_destination(options.out)
    recorded, prior = _read(options.file, 2), kinflow.priors.load()
    past = _latent(recorded, slice(-2, None), prior)
    frames = max(1, round(options.seconds / recorded.frame_time_s))
    generator = torch.Generator().manual_seed(options.seed)
    drawn = Dynamics.load().sample(
        past, frames, recorded.frame_time_s, generator, options.temperature
    )
    rotations, root_m = _posed(drawn, prior)
    rotations = np.concatenate([recorded.rotations, rotations])
    root_m = np.concatenate([recorded.root_positions_m, root_m])
    root_m = on_the_floor(rotations, root_m, len(recorded.rotations), recorded.frame_time_s)
    if not options.keep:
        rotations, root_m = rotations[-frames:], root_m[-frames:]
    _write(replace(recorded, rotations=rotations, root_positions_m=root_m), options)
    say(f"Wrote {options.out}: {len(rotations)} frames, of which {frames} were drawn.")
    return 0


def run_inbetween(options: FillMotion) -> int:
    """Write the file; returns the exit code."""
    _check_destination(options.out)
    recorded, prior = _read(options.file, 3), kinflow.priors.load()
    first, last = (
        round(time_s / recorded.frame_time_s) for time_s in (options.start_s, options.end_s)
    )
    if not (first >= 1 and first + 2 <= last < len(recorded.rotations)):
        length_s = (len(recorded.rotations) - 1) * recorded.frame_time_s
        raise InputError(
            f"'{options.file}' lasts {length_s:.2f} s; start_s has to lie two frames after its "
            "beginning, and end_s two frames after start_s and not after its end."
        )
    past = _latent(recorded, slice(first - 1, first + 1), prior)
    goal = _latent(recorded, slice(last, last + 1), prior)
    filled = Dynamics.load().inbetween(past, goal, last - first - 1, recorded.frame_time_s)
    rotations, root_m = recorded.rotations.copy(), recorded.root_positions_m.copy()
    rotations[first + 1 : last], root_m[first + 1 : last] = _posed(filled, prior)
    _write(replace(recorded, rotations=rotations, root_positions_m=root_m), options)
    say(f"Wrote {options.out}: {len(rotations)} frames, of which {last - first - 1} are new.")
    return 0


def _check_destination(out: Path, endings: tuple[str, ...] = (".bvh",)) -> None:
    check_file_destination(out)
    if out.suffix.lower() not in endings:
        raise InputError(
            f"'{out}' would be a motion file; give a name that ends in {' or '.join(endings)}."
        )


def _read(file: Path, least: int, rate_hz: float = RATE_HZ) -> RetargetedMotion:
    if file.is_dir():
        raise InputError(f"'{file}' is a folder; name one motion file.")
    _, motion = next(iter(read_motions(find_motions([file]), rate_hz)))
    if isinstance(motion, SkippedClip):
        raise InputError(f"'{file}' cannot be used: {motion.reason}.")
    if len(motion.rotations) < least:
        at = " at 30 a second" if rate_hz == RATE_HZ else ""
        raise InputError(f"'{file}' has fewer than {least} frames{at}.")
    return motion


@torch.no_grad()
def _latent(recorded: RetargetedMotion, rows: slice, prior: PosePrior) -> LatentMotion:
    R = torch.from_numpy(recorded.rotations[rows]).float()
    root_m = torch.from_numpy(recorded.root_positions_m[rows]).float()
    return LatentMotion(prior.encode(R[:, FREE_JOINTS]), R[:, 0], root_m)


@torch.no_grad()
def _posed(
    motion: LatentMotion, prior: PosePrior
) -> tuple[Float[np.ndarray, "frames 22 3 3"], Float[np.ndarray, "frames 3"]]:
    pose: Tensor = full_pose(motion.R_root, prior.decode(motion.z))
    return pose.numpy(), motion.root_m.numpy()


def on_the_floor(
    rotations: Float[np.ndarray, "frames 22 3 3"],
    root_m: Float[np.ndarray, "frames 3"],
    known: int,
    period_s: float,
) -> Float[np.ndarray, "frames 3"]:
    """The same path without what drifts up or down after the first `known` frames.

    The dynamics know no floor. Somebody's lowest joint comes down to it at least once in a second;
    how far that is off the floor of the known frames is taken out, smoothly, so that jumps stay.
    """
    R = torch.from_numpy(rotations).float()
    own = joint_positions_m(R[:, FREE_JOINTS]) @ R[:, 0].mT
    lowest = own[..., 1].amin(-1).numpy() + root_m[:, 1]
    half = max(1, round(0.5 * _STANDS_WITHIN_S / period_s))
    padded = np.pad(lowest, half, mode="edge")
    support = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).min(-1)
    padded = np.pad(support, half, mode="edge")
    smooth = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).mean(-1)
    drift = np.where(np.arange(len(root_m)) < known, 0.0, smooth - smooth[known - 1])
    return root_m - drift[:, None] * np.array([0.0, 1.0, 0.0])


def _write(motion: RetargetedMotion, options: SampleMotion | FillMotion) -> None:
    write_bytes(options.out, bvh_bytes(_motion_of(motion), options.joint_names))


def _motion_of(motion: RetargetedMotion) -> Motion:
    """As the average adult moves, on the floor."""
    model = BodyModel.load()
    shape = ShapePrior().decode(torch.zeros(ShapePrior().size))
    person = moving(motion, shape, range(len(motion.rotations)), coarse_mesh(model).body)
    return Motion(
        identity=0,
        start_s=0.0,
        period_s=motion.frame_time_s,
        pose=person.pose.double().numpy(),
        t_world_root_m=person.root_m.double().numpy(),
        offsets_m=model.with_shape(shape).joint_offsets_m().double().numpy(),
        shape=shape.double().numpy(),
        seen=np.ones(len(person), bool),
    )
