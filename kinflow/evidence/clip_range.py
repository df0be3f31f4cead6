"""Which frames of a clip are looked at, wherever its frames come from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kinflow.checks import not_negative, number, refuse

MAX_FPS = 1000.0


@dataclass(frozen=True)
class ClipRange:
    """Which frames of a clip are looked at; all of them unless told otherwise.

    Raises:
        InputError: a time is negative, the end is not after the start, or the rate not above 0.
    """

    start_s: float = 0.0
    """Frames before this time are passed over."""
    end_s: float | None = None
    """Frames at this time and later are not looked at; None for all."""
    fps: float | None = None
    """At most this many frames a second, by leaving frames out; None for all."""

    def __post_init__(self) -> None:
        not_negative(self, "start_s")
        number(self, "end_s", above=0, or_none=True)
        number(self, "fps", above=0, at_most=MAX_FPS, or_none=True)
        if self.end_s is not None and self.end_s <= self.start_s:
            refuse(
                f"The end of the range ({self.end_s:g} s) has to be after its start "
                f"({self.start_s:g} s)."
            )


EVERY_FRAME = ClipRange()


class RangeWalk:
    """Goes through the times of a clip's frames, in their order, and says which are wanted.

    A frame is due once its time is within half a frame of the grid of the wanted rate, which begins
    with the first frame of the range.

    Args:
        wanted: the range.
        fps: frames a second of the clip.
    """

    def __init__(self, wanted: ClipRange, fps: float) -> None:
        self._wanted, self._tolerance_s = wanted, 0.5 / fps
        self._due_s = -math.inf

    def is_past(self, time_s: float) -> bool:
        """Whether neither this frame nor any later one is wanted."""
        return self._wanted.end_s is not None and time_s >= self._wanted.end_s

    def takes(self, time_s: float) -> bool:
        """Whether the frame of this time, later than all before, is wanted."""
        wanted = self._wanted
        if time_s < wanted.start_s - 1e-6 or self.is_past(time_s):
            return False
        if wanted.fps is None:
            return True
        if time_s < self._due_s - self._tolerance_s:
            return False
        due_s = time_s if self._due_s == -math.inf else self._due_s
        self._due_s = due_s + max(1, round((time_s - due_s) * wanted.fps) + 1) / wanted.fps
        return True
