"""The motion of one person in the upright world, at a constant rate, for files that need that.

Frames of a clip may come at irregular times, and a person may be out of view for some. Programs for
animation know neither: they want one pose every so many seconds. So a motion runs from the person's
first frame to the last, at the rate of the clip; where no body is seen there, every joint turns at
constant speed from the pose before the gap to the one after, and the pelvis moves on a straight
line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from kinflow.body.users_body import UsersBody
from kinflow.errors import InputError
from kinflow.export.quaternions import along_time, matrices, slerp
from kinflow.export.stage import Stage
from kinflow.results import Frame, Track

DEFAULT_PERIOD_S = 1 / 30
"""Between frames, where there is only one and so no rate."""
_IRREGULAR = 0.25
"""Times that are off a constant rate by more than this part of a frame have none."""
_SLOWEST_S, _FASTEST_S = 1.0, 1e-3
_MOST_POSES = 1_000_000
"""Of one person: over nine hours at 30 a second."""
_BATCH = 512
_SAME_TIME = 1e-3
"""Part of a frame; times that are closer are equal."""


@dataclass(frozen=True)
class Motion:
    """Poses of one person, one every `period_s`, in the world (y up, on the floor, metres)."""

    identity: int
    start_s: float
    """Time of the first pose since the start of the source."""
    period_s: float
    pose: Float64[np.ndarray, "frames 22 3 3"]
    """Local rotations relative to the T-pose; entry 0 turns the root into the world."""
    t_world_root_m: Float64[np.ndarray, "frames 3"]
    offsets_m: Float64[np.ndarray, "22 3"]
    """From parent to child in the T-pose, zero for the root."""
    shape: Float64[np.ndarray, " shape"]
    seen: Bool[np.ndarray, " frames"]
    """False where the pose was filled in or lies between two frames of the source."""
    users_body: UsersBody | None = None
    """Whose the shape is, where that is not the bundled body."""

    def __len__(self) -> int:
        return len(self.pose)

    @property
    def rate_hz(self) -> float:
        return 1 / self.period_s

    @staticmethod
    def of(track: Track, stage: Stage, period_s: float) -> Motion:
        """The motion of a person.

        Args:
            track: the person.
            stage: the world of the clip.
            period_s: seconds between two poses (`period_of`).

        Raises:
            InputError: that is more poses than a file should hold.
        """
        pose, t_world_root_m = stage.track_pose(track)
        times_s = np.array([body.time_s for body in track.bodies])
        count = 1 + math.floor((times_s[-1] - times_s[0]) / period_s + _IRREGULAR)
        if count > _MOST_POSES:
            raise InputError(
                f"Person {track.identity} is there for {times_s[-1] - times_s[0]:.0f} s, which at "
                f"{1 / period_s:.4g} poses a second is too long for one file; cut the clip."
            )
        wanted_s = times_s[0] + period_s * np.arange(count)
        after = np.clip(np.searchsorted(times_s, wanted_s), 1, max(1, len(times_s) - 1))
        after = np.minimum(after, len(times_s) - 1)
        before = np.maximum(after - 1, 0)
        between_s = np.where(after > before, times_s[after] - times_s[before], 1.0)
        share = np.clip((wanted_s - times_s[before]) / between_s, 0, 1)
        # a pose of the source within a small part of a frame is taken as it is
        slack = _slack(times_s, period_s) / between_s
        share = np.where(share <= slack, 0, np.where(share >= 1 - slack, 1, share))
        q = along_time(pose)
        del pose
        between = np.empty((count, *q.shape[1:-1], 3, 3))
        for some in batches(count):
            between[some] = matrices(slerp(q[before[some]], q[after[some]], share[some]))
        body = track.bodies[0]
        offsets_m = body.skeleton.with_shape(track.shape).joint_offsets_m()
        return Motion(
            identity=track.identity,
            start_s=float(times_s[0]),
            period_s=period_s,
            pose=between,
            t_world_root_m=_mixed(t_world_root_m[before], t_world_root_m[after], share),
            offsets_m=offsets_m.double().numpy(),
            shape=track.shape.double().numpy(),
            seen=(share == 0) | (share == 1),
            users_body=body.users_body,
        )


def batches(count: int) -> Iterator[slice]:
    """Rows of arrays of so many, some at a time: what is made of all at once takes much memory."""
    return (slice(first, first + _BATCH) for first in range(0, count, _BATCH))


def period_of(frames: Sequence[Frame]) -> float:
    """Seconds between the frames of a clip: the mean, or the median where the rate varies."""
    times_s = np.array([frame.time_s for frame in frames])
    if len(times_s) < 2:
        return DEFAULT_PERIOD_S
    mean_s = (times_s[-1] - times_s[0]) / (len(times_s) - 1)
    even_s = times_s[0] + mean_s * np.arange(len(times_s))
    regular = np.abs(times_s - even_s).max() <= _IRREGULAR * mean_s
    period_s = mean_s if regular else float(np.median(np.diff(times_s)))
    return float(np.clip(period_s, _FASTEST_S, _SLOWEST_S))


def motions_of(tracks: Sequence[Track], frames: Sequence[Frame], stage: Stage) -> Iterator[Motion]:
    """The motions of all people of a clip, at one rate, one by one."""
    period_s = period_of(frames)
    for track in tracks:
        yield Motion.of(track, stage, period_s)


def _slack(times_s: np.ndarray, period_s: float) -> float:
    """How far, in seconds, a time of the source may be off a wanted one and still be it."""
    steps = (times_s - times_s[0]) / period_s
    off = np.abs(steps - np.rint(steps)).max()
    # times that were rounded to milliseconds belong to a constant rate all the same
    return period_s * (_IRREGULAR if off <= _IRREGULAR else _SAME_TIME)


def _mixed(a: np.ndarray, b: np.ndarray, share: Float[np.ndarray, " n"]) -> np.ndarray:
    return a + (b - a) * share[:, None]
