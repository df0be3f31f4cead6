"""Where clips are cut, by kinflow and by PySceneDetect.

    python benchmarks/cuts.py CLIP ... [--joins 40]

Clips as they are tell of false cuts (look at what is listed). Then pieces of them, of half a second
to two seconds, follow each other in one made-up clip, so that all its cuts are known; a piece that
is of the same clip as the one before begins elsewhere in it. Printed are the cuts that are found
and those that are made up, for the detectors of PySceneDetect (BSD-3, optional) at its defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import tyro

from kinflow.evidence.cuts import CutFinder
from kinflow.evidence.video_files import Clip

_MOST_FRAMES = 400


@dataclass(frozen=True)
class CutBenchmark:
    """Which clips.

    Attributes:
        clips: of one shot each.
        joins: cuts of the clip that is made of them.
        seed: of the pieces.
    """

    clips: tyro.conf.Positional[tuple[Path, ...]]
    joins: int = 40
    seed: int = 0


Find = Callable[[Sequence[np.ndarray]], list[int]]


def main(config: CutBenchmark) -> None:
    clips = [_frames(path) for path in config.clips]
    finders: dict[str, Find] = {"kinflow": _kinflow}
    if find_spec("scenedetect"):
        finders |= {name: _scenedetect(name) for name in ("ContentDetector", "AdaptiveDetector")}
    for path, frames in zip(config.clips, clips, strict=True):
        for name, find in finders.items():
            print(f"{path.name}, {len(frames)} frames, {name}: {find(frames)}")
    joined, cuts = _joined(config, clips)
    for name, find in finders.items():
        found = set(find(joined))
        hit = len(found & cuts)
        print(f"made-up clip, {name}: {hit} of {len(cuts)} cuts, {len(found - cuts)} made up")


def _frames(path: Path) -> list[np.ndarray]:
    """The first frames of a clip, small: both look at small pictures anyway."""
    frames = []
    for frame in Clip.open(path).frames():
        frames.append(cv2.resize(frame.rgb, (256, 144), interpolation=cv2.INTER_AREA))
        if len(frames) == _MOST_FRAMES:
            break
    return frames


def _joined(
    config: CutBenchmark, clips: Sequence[list[np.ndarray]]
) -> tuple[list[np.ndarray], set[int]]:
    """A clip of pieces, and the frames at which they begin."""
    rng = np.random.default_rng(config.seed)
    frames: list[np.ndarray] = []
    cuts, before, at = set(), -1, 0
    for _ in range(config.joins + 1):
        which = int(rng.integers(len(clips)))
        length = int(rng.integers(12, 50))
        first = int(rng.integers(max(1, len(clips[which]) - length)))
        if which == before and abs(first - at) < 60:
            which = (which + 1) % len(clips)
            first = int(rng.integers(max(1, len(clips[which]) - length)))
        if frames:
            cuts.add(len(frames))
        frames += clips[which][first : first + length]
        before, at = which, first + length
    return frames, cuts


def _kinflow(frames: Sequence[np.ndarray]) -> list[int]:
    finder = CutFinder()
    return [i for i, rgb in enumerate(frames) if finder.is_cut(rgb)]


def _scenedetect(name: str) -> Find:
    def find(frames: Sequence[np.ndarray]) -> list[int]:
        import scenedetect  # pyright: ignore[reportMissingImports]

        detector = getattr(scenedetect, name)()
        found: list[int] = []
        for i, rgb in enumerate(frames):
            timecode = scenedetect.FrameTimecode(i, 30.0)
            found += [cut.frame_num for cut in detector.process_frame(timecode, rgb[..., ::-1])]
        return found

    return find


if __name__ == "__main__":
    main(tyro.cli(CutBenchmark))
