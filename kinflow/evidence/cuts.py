"""Where a clip was cut: from one frame to the next everything is different.

Two things have to change at once, each beyond what the frames before did: the picture's structure
(a correlation of small grey pictures, which light and flashes leave as it is) and its colours (the
distance of histograms, which motion of the camera leaves nearly as it is). Fades and dissolves,
which take many frames, are not found.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from kinflow.checks import positive, share, whole
from kinflow.files.snapshots import Resumable

_SMALL = (48, 32)
_BINS = 8


@dataclass(frozen=True)
class CutConfig:
    """What a cut is."""

    structure: float = 0.45
    """Least 1 - correlation of the small grey pictures."""
    colors: float = 0.25
    """Least Bhattacharyya distance of the colour histograms, in [0, 1]."""
    beyond: float = 2.5
    """Both differences are this many times those of the frames before."""
    memory: int = 8
    """How many frames before are compared with."""

    def __post_init__(self) -> None:
        share(self, "structure", "colors")
        positive(self, "beyond")
        whole(self, "memory", at_least=1, at_most=1000)


class CutFinder(Resumable):
    """Compares each frame with those before it.

    Args:
        config: what a cut is.
    """

    changing = ("_before", "_recent")

    def __init__(self, config: CutConfig = CutConfig()) -> None:
        self._config = config
        self._before: tuple[np.ndarray, np.ndarray] | None = None
        self._recent: deque[np.ndarray] = deque(maxlen=config.memory)

    def is_cut(self, image_rgb: UInt8[np.ndarray, "height width 3"]) -> bool:
        """Whether this frame begins another shot; the first frame of all does not."""
        now = _grey(image_rgb), _histogram(image_rgb)
        before, self._before = self._before, now
        if before is None:
            return False
        differences = np.array((_structure(before[0], now[0]), _colors(before[1], now[1])))
        usual = np.mean(self._recent, axis=0) if self._recent else np.zeros(2)
        least = np.array((self._config.structure, self._config.colors))
        if (differences > np.maximum(least, self._config.beyond * usual)).all():
            self._recent.clear()
            return True
        self._recent.append(differences)
        return False


def _grey(image_rgb: np.ndarray) -> Float[np.ndarray, "rows columns"]:
    small = cv2.resize(image_rgb, _SMALL, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return cv2.GaussianBlur(grey, (0, 0), 1.0)


def _structure(a: np.ndarray, b: np.ndarray) -> float:
    """1 - correlation; pictures of a single tone have no structure, and do not differ in it."""
    a, b = a - a.mean(), b - b.mean()
    length = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return 1 - float((a * b).sum()) / length if length > 1.0 * a.size else 0.0


def _histogram(image_rgb: np.ndarray) -> Float[np.ndarray, " bins"]:
    small = cv2.resize(image_rgb, (96, 64), interpolation=cv2.INTER_AREA)
    counts = cv2.calcHist([small], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3)
    counts = cv2.GaussianBlur(counts.reshape(_BINS, -1), (3, 3), 0)
    return counts.ravel() / counts.sum()


def _colors(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(max(0.0, 1 - float(np.sqrt(a * b).sum()))))
