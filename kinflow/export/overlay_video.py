"""`overlay.webm`: the bodies drawn over the frames they were found in, as the frames come."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from kinflow.body.model import BodyModel
from kinflow.body.users_body import COARSE_M
from kinflow.export.bodies import Bodies
from kinflow.export.overlay import bodies_layer
from kinflow.export.painter import PaintStyle, paint
from kinflow.export.video_file import VideoFile
from kinflow.results import Person

OVERLAY_VIDEO = "overlay.webm"

_FINE_PIXELS = 1_500_000
"""Frames of more pixels show one sample of each, not four: in them edges are fine enough, and
drawing takes a third of the time."""
_LONGEST_PAUSE_S = 10.0
"""A picture stands for at most this long; times that jump farther are those of a cut source."""


class OverlayVideo:
    """A video of the size and rate of its source, of which only one frame is held at a time.

    Use it as a context: where the block fails, nothing is left behind.

    Args:
        path: where it goes, ending in `.webm` or `.mp4` (`kinflow.export.video_file`).
        size: (width, height) of the frames.
        rate_hz: frames a second, of a varying rate the median.

    Raises:
        InputError: size, rate or ending are none that a video can have, or the place cannot be
            written to.

    Examples:
        with OverlayVideo(folder / OVERLAY_VIDEO, (640, 480), 29.97) as video:
            for frame, people in results:
                video.add(frame.rgb, people, frame.time_s)
    """

    def __init__(self, path: Path | str, size: tuple[int, int], rate_hz: float) -> None:
        self._file = VideoFile(path, size, rate_hz)
        self._first_s = 0.0
        self._last: np.ndarray | None = None

    def add(
        self,
        image_rgb: UInt8[np.ndarray, "height width 3"],
        people: Sequence[Person],
        time_s: float | None = None,
    ) -> None:
        """Draw the people of the next frame over it, and append it.

        Args:
            image_rgb: the frame.
            people: in it, any number.
            time_s: of the frame; the one before is shown until then, and a frame that comes too
                early for the rate of the video is left out. None: one frame after the one before.

        Raises:
            ValueError: the image is not of the video's size.
        """
        if time_s is not None:
            if self._last is None:
                self._first_s = time_s
            missing = round((time_s - self._first_s) * self._file.rate_hz) - self._file.frames
            if missing < 0:
                return
            longest = round(_LONGEST_PAUSE_S * self._file.rate_hz)
            if missing > longest:
                self._first_s = time_s - self._file.frames / self._file.rate_hz
                missing = 0
            for _ in range(missing):
                assert self._last is not None  # the first frame misses none
                self._file.add(self._last)
        self._last = draw_people(image_rgb, people)
        self._file.add(self._last)

    def close(self) -> None:
        """Finish the file and give it its name.

        Raises:
            InputError: the disk is full.
        """
        self._file.close()

    def discard(self) -> None:
        """Delete what was written so far."""
        self._file.discard()

    def __enter__(self) -> OverlayVideo:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


def draw_people(
    image_rgb: UInt8[np.ndarray, "height width 3"], people: Sequence[Person]
) -> UInt8[np.ndarray, "height width 3"]:
    """A frame with the bodies over it, as `overlay.png` has them, but of coarser meshes."""
    if not people:
        return image_rgb.copy()
    height, width = image_rgb.shape[:2]
    style = PaintStyle(supersampling=1 if width * height > _FINE_PIXELS else 2)
    users = people[0].users_body
    drawn = _drawn_model() if users is None else users.coarse
    layer = bodies_layer(Bodies.of(people, drawn))
    return paint(image_rgb, layer, people[0].camera, style)


@cache
def _drawn_model() -> BodyModel:
    return BodyModel.load().coarsened(COARSE_M)
