"""Files of truth and predictions, made up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kinflow.datasets.person_rows import PersonRows, write_rows
from kinflow.evaluation.protocols.protocol import Protocol
from kinflow.evaluation.protocols.row_files import read_rows

Arrays = dict[str, Any]


def rows_of(path: Path, arrays: Mapping[str, Any]) -> PersonRows:
    """The arrays by way of a file."""
    write_rows(path, arrays)
    return read_rows(path)


def some_truth(protocol: Protocol, clips: int = 3, frames: int = 12, seed: int = 0) -> Arrays:
    """One person in each clip, moving smoothly about the camera's axis."""
    generator = np.random.default_rng(seed)
    names = protocol.needed_joints
    count = clips * frames
    rest = 0.4 * generator.normal(size=(clips, 1, len(names), 3))
    drift = 0.02 * generator.normal(size=(clips, frames, len(names), 3)).cumsum(1)
    joints = (rest + drift + [0, 0, 4]).reshape(count, 1, len(names), 3)
    return {
        "dataset": np.array(protocol.dataset),
        "split": np.array(protocol.split),
        "sequence": np.repeat([f"clip_{i}" for i in range(clips)], frames),
        "frame": np.tile(np.arange(frames), clips),
        "person": np.repeat(np.arange(clips) % 2, frames),
        "action": np.repeat([("walk", "sit")[i % 2] for i in range(clips)], frames),
        "rate_hz": np.array(30.0),
        "joint_names": np.array(names),
        "joint_source": np.array(protocol.truth_joints),
        "joints_m": joints,
    }


def predicted(truth: Arrays, protocol: Protocol, noise_m: float = 0.05, seed: int = 1) -> Arrays:
    """The truth with noise, moved, turned and scaled, in another order of joints."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(truth["joint_names"]))
    noise = noise_m * generator.normal(size=truth["joints_m"].shape)
    joints = 1.1 * (truth["joints_m"] + noise) + [0.3, -0.2, 1.0]
    kept = ("sequence", "frame", "person", "rate_hz")
    return {
        **{name: truth[name] for name in kept},
        "joint_names": truth["joint_names"][order],
        "joint_source": np.array(protocol.predicted_joints),
        "joints_m": joints[..., order, :],
    }
