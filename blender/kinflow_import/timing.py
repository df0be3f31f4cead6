# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: 2026 the kinflow authors
"""From the frames of a clip to those of a scene, which start at 1 and come at a constant rate.

The scene runs at the rate of the clip itself, also where kinflow looked at fewer frames, because
Blender shows one frame of a clip in each frame of the scene, whatever either's rate.
"""

import math
from dataclasses import dataclass

FIRST = 1
_NTSC = 1.001
_TIME_STAMP_S = 0.001
"""How exact times in files are, WebM's for one."""


@dataclass(frozen=True)
class Timing:
    """When frames of the source are in the scene; `rate_hz` is `fps / fps_base`."""

    fps: int
    fps_base: float
    first_index: int
    first_s: float
    is_even: bool
    """Whether all frames come at the rate, within half a frame; if so keys are on whole frames."""

    @property
    def rate_hz(self):
        return self.fps / self.fps_base

    @staticmethod
    def of(views):
        """The timing of a clip, or of a photo, whose one frame is the first.

        Args:
            views: frames with `index` and `time_s`, in order.
        """
        first, last = views[0], views[-1]
        span_s = last.time_s - first.time_s
        if last.index <= first.index or span_s <= 0:
            return Timing(24, 1.0, first.index, first.time_s, is_even=True)
        fps, fps_base = usual_rate((last.index - first.index) / span_s, _TIME_STAMP_S / span_s)
        rate_hz = fps / fps_base
        late = [
            (view.time_s - first.time_s) * rate_hz - (view.index - first.index) for view in views
        ]
        return Timing(fps, fps_base, first.index, first.time_s, max(map(abs, late)) < 0.5)

    def after(self, time_s):
        """The scene frame at a time after the first view's; whole where frames come evenly."""
        frame = FIRST + time_s * self.rate_hz
        return round(frame) if self.is_even else frame

    def of_view(self, view):
        """The scene frame of a view."""
        return self.after(view.time_s - self.first_s)

    @property
    def clip_start(self):
        """Scene frame at which the source starts, so that its frame `first_index` is at `FIRST`."""
        if self.is_even:
            return FIRST - self.first_index
        return FIRST - round(self.first_s * self.rate_hz)


def usual_rate(rate_hz, tolerance):
    """(fps, fps_base) of a measured rate: a whole one or one of NTSC's where it may be that.

    Args:
        rate_hz: frames a second as measured.
        tolerance: relative error of that.
    """
    whole = max(1, round(rate_hz))
    error = {base: abs(rate_hz * base / whole - 1) for base in (1.0, _NTSC)}
    nearest = min(error, key=error.get)
    if error[nearest] <= tolerance + 1e-5:
        return whole, nearest
    whole = max(1, math.ceil(rate_hz))
    return whole, whole / rate_hz
