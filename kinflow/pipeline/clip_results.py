"""The result folder of a clip, as far as the work on it came, and what one should know about it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from kinflow.evidence.clip_range import ClipRange
from kinflow.evidence.video_files import ClipFrame
from kinflow.export.clip_writer import ClipExportOptions, write_clip
from kinflow.export.overlay_video import OverlayVideo
from kinflow.export.results import Origin, reach_s
from kinflow.export.viewer_clip import PICTURE_SIDE_PX
from kinflow.files.atomic import PREFIX, explained
from kinflow.files.folders import Claim
from kinflow.files.locks import lock_handle
from kinflow.fitting.plausibility import what_cannot_be_right
from kinflow.pipeline.clips import ClipRun, ClipStep
from kinflow.results import Reconstruction, Track

_CERTAIN_FILES = {
    "npz": "people.npz",
    "overlay": "overlay.webm",
    "glb": "scene.glb",
    "viewer": "viewer.html",
}
"""Files of formats that every clip has, however long it is and whoever is in it."""
_PICTURES = 16
"""Frames that are seen behind the bodies of the viewer."""
_LOOKED_AT = 9
"""Bodies of a track that are looked at for what cannot be right."""
_LOST = 0.02
"""Share of frames, beyond which it is said that nothing tells how a camera turns."""


def certain_files(options: ClipExportOptions) -> tuple[str, ...]:
    """Names of files that will be written of a clip, as far as they are known before."""
    return tuple(_CERTAIN_FILES[kind] for kind in options.formats if kind in _CERTAIN_FILES)


@dataclass(frozen=True)
class ClipResults:
    """Where the results of a clip go, and what is written.

    The folder of a clip that was not finished says how far it goes, so that another run does not
    take it for the whole.
    """

    folder: Path
    options: ClipExportOptions
    origin: Origin
    claim: Claim
    wanted: ClipRange

    def written(self, run: ClipRun, notes: list[str]) -> Generator[ClipStep, None, Reconstruction]:
        """Draw and write what is done of a clip, with a step for each frame that is drawn.

        Args:
            run: the work on the clip.
            notes: grows by what one should know about the results.

        Raises:
            InputError: there is nobody in the clip, or the folder cannot be written.
        """
        result = run.result(self.origin.photo)
        notes += _remarks(run, self.origin, result.tracks)
        pictures: dict[int, np.ndarray] = {}
        if not {"overlay", "viewer"} & set(self.options.formats):
            self._write(result, run, None, pictures)
            return result
        overlay = self.folder.parent / f"{PREFIX}{secrets.token_hex(8)}.webm"
        with explained(self.folder):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
        yield from self._drawn(result, run, overlay, pictures)
        with _kept(overlay) as there:
            self._write(result, run, overlay if there else None, pictures)
        return result

    def written_quickly(self, run: ClipRun, notes: list[str]) -> Reconstruction:
        """Write what is done of a clip at once, without the drawings: somebody waits for the end.

        Results that are there and go further stay.

        Raises:
            InputError: there is nobody in the clip, or the folder cannot be written.
        """
        result = run.result(self.origin.photo)
        del notes[:]
        notes += _remarks(run, self.origin, result.tracks)
        there_s = reach_s(self.folder)
        if there_s is not None and there_s > run.done_s:
            notes.append(f"{Path(self.origin.photo).name}: results of an earlier run go further.")
            return result
        self._write(result, run, None, {}, stopped=True)
        return result

    def _drawn(
        self, result: Reconstruction, run: ClipRun, overlay: Path, pictures: dict[int, np.ndarray]
    ) -> Generator[ClipStep, None, None]:
        """Draw the bodies over their frames, and keep some of these for the viewer."""
        rows = np.linspace(0, len(result.frames) - 1, min(_PICTURES, len(result.frames)))
        kept = {result.frames[int(row)].index for row in rows}
        size = run.clip.info.size
        video = None
        if "overlay" in self.options.formats:
            video = OverlayVideo(overlay, size, _rate_hz(result, run))
        with video or contextlib.nullcontext():
            for number, frame in enumerate(self._frames_of(result, run), 1):
                if video is not None:
                    video.add(frame.rgb, result.people_of(frame.index), frame.time_s)
                if frame.index in kept:
                    pictures[frame.index] = _small(frame.rgb)
                yield replace(run.step(), drawn=number)

    def _frames_of(self, result: Reconstruction, run: ClipRun) -> Iterator[ClipFrame]:
        last = result.frames[-1].index
        for frame in run.clip.frames(self.wanted):
            yield frame
            if frame.index == last:
                return

    def _write(
        self,
        result: Reconstruction,
        run: ClipRun,
        overlay: Path | None,
        pictures: dict[int, np.ndarray],
        stopped: bool = False,
    ) -> None:
        origin = self.origin
        if stopped:
            origin = replace(origin, stopped_after_s=round(run.done_s, 3))
        write_clip(result, self.folder, self.options, overlay, pictures, origin, self.claim)


def _rate_hz(result: Reconstruction, run: ClipRun) -> float:
    """Frames a second of the drawings: of a varying rate the usual one."""
    times = [frame.time_s for frame in result.frames]
    if len(times) < 2:
        return run.clip.info.fps
    return 1 / median(after - before for before, after in zip(times, times[1:], strict=False))


def _small(image_rgb: np.ndarray) -> np.ndarray:
    height, width = image_rgb.shape[:2]
    scale = PICTURE_SIDE_PX / max(height, width)
    if scale >= 1:
        return image_rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA)


@contextmanager
def _kept(path: Path) -> Iterator[bool]:
    """Whether there is a finished file, which nobody takes for litter inside and which is gone
    afterwards."""
    if not path.exists():
        yield False
        return
    handle = -1 if os.name == "nt" else os.open(path, os.O_RDONLY)  # there it could not be moved
    try:
        if handle >= 0:
            lock_handle(handle)
        yield True
    finally:
        if handle >= 0:
            os.close(handle)
        path.unlink(missing_ok=True)


def _of_camera(run: ClipRun) -> list[str]:
    """What one should know about a camera that moves."""
    if not run.turns:
        moves = (
            "the camera moves; motion is relative to it, and people who stand may seem to slide; "
            "its turns can be estimated."
        )
        return [moves] if run.camera_moves else []
    remarks = []
    if run.found_focal:
        remarks.append(
            f"the field of view is {run.fov_deg:.0f} degrees by how the background moves, which is "
            "used where none is given."
        )
    frames, lost = (sum(getattr(t, name) for t in run.turns) for name in ("frames", "lost"))
    if any(turns.is_carried for turns in run.turns):
        remarks.append(
            "the background does not move as before a camera that only turns: it is carried or "
            "zooms, which is not estimated, so that paths of people lack it, or "
            "the field of view is another one than is assumed."
        )
    if lost > _LOST * frames:
        remarks.append(
            f"how the camera turns is not to be told in {lost} of {frames} frames; it is guessed "
            "there."
        )
    return remarks


def _remarks(run: ClipRun, origin: Origin, tracks: Sequence[Track]) -> list[str]:
    remarks = list(run.clip.notes)
    if run.went_on_from_s is not None:
        remarks.append(
            f"went on where an earlier run had come to, {run.went_on_from_s:.2f} s after the start."
        )
    if not run.is_finished:
        remarks.append(
            f"stopped after {run.done_s:.2f} s of the clip; the results go as far as that, and the "
            "same command goes on with it."
        )
    if run.shots > 1:
        remarks.append(
            f"has {run.shots - 1} cut{'s' * (run.shots > 2)}; whoever is seen before and after one "
            "is two people here."
        )
    if run.lacks_motion:
        remarks.append(
            "bodies are of single frames and tremble: the shipped sequence predictor does not know "
            "this predictor."
        )
    remarks += _of_camera(run)
    for track in tracks:
        step = -(-len(track.bodies) // _LOOKED_AT)
        absurd = [what_cannot_be_right(body) for body in track.bodies[::step]]
        if sum(map(bool, absurd)) > len(absurd) / 2:
            first = next(filter(None, absurd))
            remarks.append(f"person {track.identity} {first}, which cannot be right.")
    return [f"{Path(origin.photo).name}: {remark}" for remark in remarks]
