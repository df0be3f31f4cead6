"""`kinflow motion clean` on recorded motion that is spoilt on purpose: how much of it comes back?

python benchmarks/motion_cleaning.py --motions MOCAP [--split test]

Recordings of validation subjects at 30 frames a second, as the average adult moves them, are spoilt
by noise in every joint's rotation, by turns of single joints for one to five frames (40 to 180
degrees), and by a way of the root that is too short. Errors are mean distances of joints from the
recording, about the root (pose) and in the world; sliding is that of the balls of the feet in the
frames in which they stand in the recording. `as recorded` is cleaned though nothing is wrong.
`one-euro` smooths rotations and the root as people do it (Casiez et al. 2012).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from rich.progress import track

from kinflow.body import BodyModel
from kinflow.body.kinematics import forward_kinematics
from kinflow.datasets.poses import Split
from kinflow.evaluation.clip_sets import ClipSetConfig, clips
from kinflow.export.clean_motion import CleanConfig, clean
from kinflow.export.foot_lock import contacts, sliding_m_s
from kinflow.export.motion import Motion
from kinflow.export.quality import jitter_of
from kinflow.export.quaternions import along_time, matrices
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.synth.clips import MovingPerson

_NAMES = ("pose mm", "world mm", "jitter", "sliding cm/s")
_CUTOFF_HZ, _BETA = 1.0, 0.3


@dataclass(frozen=True)
class CleaningBenchmark:
    """Which recordings.

    Attributes:
        motions: folders of motion files, a subject's in a folder of their name.
        split: whose recordings.
        count: of recordings.
        frames: of each.
    """

    motions: tuple[Path, ...]
    split: Split = "validation"
    count: int = 24
    frames: int = 150


@dataclass(frozen=True)
class Spoilt:
    """What is done to a recording.

    Attributes:
        noise_deg: standard deviation of turns about each axis of each joint.
        noise_m: of the root's place.
        flips: how many.
        way: factor on the way of the root along the floor.
    """

    noise_deg: float = 0.0
    noise_m: float = 0.0
    flips: int = 0
    way: float = 1.0

    def of(self, motion: Motion, rng: np.random.Generator) -> Motion:
        """A recording with that done."""
        count = len(motion)
        turns = rng.normal(0, np.radians(self.noise_deg), (count, 22, 3))
        pose = motion.pose @ _matrices(turns)
        for _ in range(self.flips):
            first, length, joint = rng.integers(2, count - 8), rng.integers(1, 6), rng.integers(22)
            axis = rng.normal(size=3)
            angle = np.radians(rng.uniform(40, 180))
            some = slice(first, first + length)
            pose[some, joint] = pose[some, joint] @ _matrices(angle * axis / np.linalg.norm(axis))
        root_m = motion.t_world_root_m * np.array([self.way, 1.0, self.way])
        root_m = root_m + rng.normal(0, self.noise_m, root_m.shape)
        return replace(motion, pose=pose, t_world_root_m=root_m)


SPOILT = {
    "as recorded": Spoilt(),
    "noise 2°, 1 cm": Spoilt(2.0, 0.01),
    "10 flips": Spoilt(flips=10),
    "way × 0.8": Spoilt(way=0.8),
    "all of these": Spoilt(2.0, 0.01, 10, 0.8),
}


def main(config: CleaningBenchmark) -> None:
    torch.set_num_threads(1)
    chosen = ClipSetConfig(config.motions, config.split, config.count, config.frames)
    methods: dict[str, Callable[[Motion], Motion]] = {
        "spoilt": lambda motion: motion,
        "one-euro": one_euro,
        "cleaned, feet not held": lambda motion: clean(motion, _UNHELD).motion,
        "cleaned": lambda motion: clean(motion).motion,
    }
    figures: dict[tuple[str, str], list[list[float]]] = {}
    for number, (_, clip) in enumerate(track(clips(chosen), "recordings", total=config.count)):
        truth = _motion(clip.people[0], clip.rate_hz)
        standing = contacts(truth)
        for spoiling, spoilt in SPOILT.items():
            motion = spoilt.of(truth, np.random.default_rng(number))
            for method, put_right in methods.items():
                values = _figures(put_right(motion), truth, standing)
                figures.setdefault((spoiling, method), []).append(values)
    print("| | |" + "".join(f" {name} |" for name in _NAMES))
    print("|---|---|" + "---|" * len(_NAMES))
    for (spoiling, method), values in figures.items():
        means = np.nanmean(values, axis=0)
        print(f"| {spoiling} | {method} |" + "".join(f" {mean:.1f} |" for mean in means))


_UNHELD = CleanConfig(hold_feet=False)


def _motion(person: MovingPerson, rate_hz: float) -> Motion:
    shaped = BodyModel.load("joints").with_shape(person.shape)
    return Motion(
        identity=0,
        start_s=0.0,
        period_s=1 / rate_hz,
        pose=person.pose.double().numpy(),
        t_world_root_m=person.root_m.double().numpy(),
        offsets_m=shaped.joint_offsets_m().double().numpy(),
        shape=person.shape.double().numpy(),
        seen=np.ones(len(person), bool),
    )


def _figures(motion: Motion, truth: Motion, standing: tuple[np.ndarray, np.ndarray]) -> list[float]:
    found_m, true_m = _joints_m(motion), _joints_m(truth)
    relative = (found_m - found_m[:, :1]) - (true_m - true_m[:, :1])
    return [
        1000 * float(np.linalg.norm(relative, axis=-1).mean()),
        1000 * float(np.linalg.norm(found_m - true_m, axis=-1).mean()),
        jitter_of(motion),
        100 * sliding_m_s(motion, standing),
    ]


def _joints_m(motion: Motion) -> np.ndarray:
    arrays = (motion.pose, motion.t_world_root_m, motion.offsets_m)
    return forward_kinematics(*map(torch.from_numpy, arrays))[1].numpy()


def _matrices(rotvec: np.ndarray) -> np.ndarray:
    return rotvec_to_matrix(torch.from_numpy(rotvec)).numpy()


def one_euro(motion: Motion) -> Motion:
    """Every joint's quaternion and the root's place under the filter, frame after frame."""
    q = _filtered(along_time(motion.pose), motion.period_s)
    pose = matrices(q / np.linalg.norm(q, axis=-1, keepdims=True))
    root_m = _filtered(motion.t_world_root_m, motion.period_s)
    return replace(motion, pose=pose, t_world_root_m=root_m)


def _filtered(values: np.ndarray, period_s: float) -> np.ndarray:
    out, slope = [values[0]], np.zeros_like(values[0])
    for value in values[1:]:
        slope = slope + _share(1.0, period_s) * ((value - out[-1]) / period_s - slope)
        share = _share(_CUTOFF_HZ + _BETA * np.abs(slope), period_s)
        out.append(out[-1] + share * (value - out[-1]))
    return np.stack(out)


def _share(cutoff_hz: float | np.ndarray, period_s: float) -> float | np.ndarray:
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * period_s))


if __name__ == "__main__":
    main(tyro.cli(CleaningBenchmark, description=__doc__))
