"""People through clips: frame by frame, smoothed, and fitted as tracks.

python benchmarks/video.py --motions MOCAP --cache DIR [--split test]

Recorded motion of people that nobody trained on walks before a camera that does not move, or with
`--camera moving` is held in the hand and follows them; the real detector looks at every rendered
frame. Errors are of limb keypoints (PA-MPJPE, MPJPE about the hips), of the 22 joints
(acceleration, jitter, WA- and W-MPJPE), of heels and toes (sliding) and of the root (share of its
path). Clips are drawn one after another and weigh the same.

Motion is compared in the frame of the first frame's camera. Of a moving camera, `tracks` take it to
stand still, `tracks, moving camera` have its turns from the background, and `tracks, camera known`
from the truth.

`one-euro` is what people use instead: the filter of Casiez et al. (2012) on the root and on points
relative to it, with the cutoff at which its acceleration error is nearest to the tracks'.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
import tyro
from jaxtyping import Float
from rich.progress import track
from torch import Tensor

import kinflow.priors
from kinflow.body import BodyModel
from kinflow.body.keypoints import KEYPOINT_INDEX, LIMB_KEYPOINTS
from kinflow.body.sides import SIDES
from kinflow.datasets.poses import Split
from kinflow.evaluation.clip_sets import ClipSetConfig, SeenClip, seen_clips
from kinflow.evidence.detector import EvidenceDetector
from kinflow.evidence.types import ImageEvidence
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.fitting.sequence import TrackFitter
from kinflow.fitting.sequence_config import SequenceConfig
from kinflow.fitting.track_targets import TrackWindow
from kinflow.geometry.rotations import matrix_to_rotvec
from kinflow.metrics.motion import (
    acceleration_error_m_s2,
    foot_sliding_m_s,
    jitter,
    root_translation_error,
    world_mpjpe,
)
from kinflow.metrics.pose import pa_mpjpe
from kinflow.predictors import DEFAULT, Predictor
from kinflow.synth.camera_turns import CameraTurning
from kinflow.synth.clips import ClipConfig

_LIMBS = list(LIMB_KEYPOINTS)
_HIPS = [KEYPOINT_INDEX[f"{side}_hip"] for side in SIDES]
_FEET = [KEYPOINT_INDEX[f"{side}_{point}"] for side in SIDES for point in ("heel", "big_toe")]
_CUTOFFS_HZ = (0.3, 0.6, 1.0, 1.6, 2.5, 4.0, 7.0)
_BETA = 0.3
_IN_A_HAND = ClipConfig(turning=CameraTurning(), closer=0.6)
"""Nearer than a camera on a tripod, which has to have everybody in view all the time."""
_CAMERA_NAMES = ("turned at most", "all turns", "error of 1 s", "largest error", "error at the end")
_NAMES = ("PA mm", "MPJPE mm", "accel m/s²", "jitter", "slide cm/s", "WA mm", "W mm", "root %")


@dataclass(frozen=True)
class VideoBenchmark:
    """Which clips, and how they are fitted.

    Attributes:
        motions: folders of motion files, a subject's in a folder of their name.
        cache: folder in which clips and what is seen in them are kept.
        split: whose recordings.
        camera: one on a tripod, or one in a hand.
        clips: number of clips.
        frames: of each.
        photo: settings of the fits of frames.
        sequence: settings of the tracks.
    """

    motions: tuple[Path, ...]
    cache: Path
    split: Split = "validation"
    camera: Literal["still", "moving"] = "still"
    clips: int = 12
    frames: int = 60
    photo: PhotoFitConfig = field(default_factory=PhotoFitConfig)
    sequence: SequenceConfig = field(default_factory=SequenceConfig)


@dataclass(frozen=True)
class Moved:
    """Points of one person over frames, in each frame's camera."""

    joints_m: Float[Tensor, "frames 22 3"]
    keypoints_m: Float[Tensor, "frames 33 3"]
    R_first_cam: Float[Tensor, "frames 3 3"] | None = None
    """How the camera is turned; None for one that is taken to stand still."""

    def in_first(self) -> Moved:
        """The same in the frame of the first frame's camera, which stands still."""
        if self.R_first_cam is None:
            return self
        R = self.R_first_cam.mT
        return Moved(self.joints_m @ R, self.keypoints_m @ R)

    def errors(self, truth: Moved, rate_hz: float) -> list[float]:
        """By `_NAMES`: poses are compared as the camera sees them, motion as it is in the world."""
        limbs, true_limbs = self.keypoints_m[:, _LIMBS], truth.keypoints_m[:, _LIMBS]
        hips = self.keypoints_m[:, _HIPS].mean(1, keepdim=True)
        true_hips = truth.keypoints_m[:, _HIPS].mean(1, keepdim=True)
        gap = (limbs - hips) - (true_limbs - true_hips)
        here, there = self.in_first(), truth.in_first()
        joints = (here.joints_m, there.joints_m)
        feet = (here.keypoints_m[:, _FEET], there.keypoints_m[:, _FEET])
        return [
            1000 * float(pa_mpjpe(limbs, true_limbs).mean()),
            1000 * float(gap.norm(dim=-1).mean()),
            float(acceleration_error_m_s2(*joints, rate_hz)),
            float(jitter(here.joints_m, rate_hz)),
            100 * float(foot_sliding_m_s(*feet, rate_hz)),
            1000 * float(world_mpjpe(*joints, "whole")),
            1000 * float(world_mpjpe(*joints, "first")),
            100 * float(root_translation_error(here.joints_m[:, 0], there.joints_m[:, 0])),
        ]


def main(config: VideoBenchmark) -> None:
    torch.set_num_threads(1)
    film = ClipConfig() if config.camera == "still" else _IN_A_HAND
    clips = ClipSetConfig(
        motions=config.motions,
        split=config.split,
        count=config.clips,
        frames=config.frames,
        film=film,
    )
    predictor = Predictor.load(DEFAULT)
    photos = PhotoFitter(
        kinflow.priors.load(), config.photo, "cpu", align_parts=False, predictor=predictor
    )
    tracks = TrackFitter(photos, config.sequence)
    rows: dict[str, list[list[float]]] = {}
    filtered: dict[float, list[list[float]]] = {cutoff: [] for cutoff in _CUTOFFS_HZ}
    seconds, frames = defaultdict[str, float](float), 0
    cameras: list[list[float]] = []
    seen_so_far = seen_clips(clips, EvidenceDetector().detect, config.cache)
    for seen in track(seen_so_far, "clips", total=config.clips):
        truth, rate = _truth(seen), seen.clip.rate_hz
        frames += len(truth.joints_m)
        begin = time.perf_counter()
        alone = _frame_by_frame(photos, seen)
        seconds["frame by frame"] += time.perf_counter() - begin
        rows.setdefault("frame by frame", []).append(alone.errors(truth, rate))
        for name, R_first_cam in _cameras(seen).items():
            begin = time.perf_counter()
            together = _as_track(tracks, seen, R_first_cam)
            seconds[name] += time.perf_counter() - begin
            rows.setdefault(name, []).append(together.errors(truth, rate))
        best = replace(alone, R_first_cam=_of_shown(seen, seen.R_first_cam)).in_first()
        for cutoff in _CUTOFFS_HZ:
            filtered[cutoff].append(smoothed(best, rate, cutoff).errors(truth, rate))
        if seen.R_first_cam is not None:
            cameras.append(_camera_errors(seen))
    wanted = _mean(rows["tracks" if config.camera == "still" else "tracks, moving camera"])[2]
    nearest = min(_CUTOFFS_HZ, key=lambda cutoff: abs(_mean(filtered[cutoff])[2] - wanted))
    rows[f"one-euro, {nearest:g} Hz"] = filtered[nearest]
    print(f"{len(rows['tracks'])} clips, {frames} frames; " + ", ".join(_NAMES))
    for name, errors in rows.items():
        spent = f"  {1000 * seconds[name] / frames:.0f} ms a frame" if name in seconds else ""
        print(f"{name:22s}" + " ".join(f"{value:8.1f}" for value in _mean(errors)) + spent)
    if cameras:
        print("camera, degrees; " + ", ".join(_CAMERA_NAMES))
        print(f"{'mean of the clips':22s}" + " ".join(f"{value:8.3f}" for value in _mean(cameras)))
        worst = torch.tensor(cameras).amax(0).tolist()
        print(f"{'worst of the clips':22s}" + " ".join(f"{value:8.3f}" for value in worst))


def _cameras(seen: SeenClip) -> dict[str, Tensor | None]:
    """How the camera is turned, by what may be known of it."""
    known: dict[str, Tensor | None] = {"tracks": None}
    if seen.clip.R_cam_first is not None:
        known["tracks, moving camera"] = _of_shown(seen, seen.R_first_cam)
        known["tracks, camera known"] = _of_shown(seen, seen.clip.R_cam_first.mT)
    return known


def _of_shown(seen: SeenClip, R_first_cam: Tensor | None) -> Tensor | None:
    rows, _ = _shown(seen)
    return None if R_first_cam is None else R_first_cam[list(rows)]


def _camera_errors(seen: SeenClip) -> list[float]:
    """By `_CAMERA_NAMES`."""
    assert seen.R_first_cam is not None and seen.clip.R_cam_first is not None
    error = seen.R_first_cam.double() @ seen.clip.R_cam_first.double()
    second = max(1, round(seen.clip.rate_hz))
    within = error[second:] @ error[:-second].mT
    turned = seen.clip.R_cam_first
    return [
        float(_angle_deg(turned).max()),
        float(_angle_deg(turned[1:] @ turned[:-1].mT).sum()),
        float(_angle_deg(within).mean()) if len(within) else math.nan,
        float(_angle_deg(error).max()),
        float(_angle_deg(error[-1])),
    ]


def _angle_deg(R: Float[Tensor, "*n 3 3"]) -> Float[Tensor, "*n"]:
    return torch.rad2deg(matrix_to_rotvec(R).norm(dim=-1))


def _mean(rows: Sequence[Sequence[float]]) -> list[float]:
    return torch.tensor(rows, dtype=torch.float64).nanmean(0).tolist()


def _shown(seen: SeenClip) -> tuple[range, Sequence]:
    """Frames from the first to the last in which the person was found, and what was seen there."""
    found = seen.found(0)
    rows = [row for row, one in enumerate(found) if one is not None]
    between = range(rows[0], rows[-1] + 1)
    return between, [found[row] for row in between]


def _truth(seen: SeenClip) -> Moved:
    rows, _ = _shown(seen)
    posed = seen.clip.seen(0).posed(BodyModel.load("joints"))
    turned = seen.clip.R_cam_first
    return Moved(
        posed.joints_m[list(rows)],
        posed.keypoints_m()[list(rows), :33],
        None if turned is None else turned[list(rows)].mT,
    )


def _frame_by_frame(photos: PhotoFitter, seen: SeenClip) -> Moved:
    """Fits of single frames; where the person was missed the last one stays."""
    _, found = _shown(seen)
    shown = [row for row, one in enumerate(found) if one is not None]
    camera = seen.clip.camera
    evidence = [ImageEvidence(camera.image_size, (found[row],)) for row in shown]
    people = [fit.people[0] for fit in photos.fit_photos(evidence, [camera] * len(shown))]
    last = [sum(row <= frame for row in shown) - 1 for frame in range(len(found))]
    joints = torch.stack([person.joints_cam_m for person in people])
    keypoints = torch.stack([person.body().keypoints_m()[:33] for person in people])
    return Moved(joints[last], keypoints[last])


def _as_track(tracks: TrackFitter, seen: SeenClip, R_first_cam: Tensor | None) -> Moved:
    rows, found = _shown(seen)
    times_s = torch.arange(len(rows)) / seen.clip.rate_hz
    window = TrackWindow(times_s, tuple(found), R_still_cam=R_first_cam)
    (fit,), _ = tracks.fit([window], seen.clip.camera)
    posed = tracks.model.posed(fit.bodies)
    return Moved(posed.joints_m, posed.keypoints_m()[:, :33], R_first_cam)


def smoothed(moved: Moved, rate_hz: float, cutoff_hz: float) -> Moved:
    """The one-euro filter on the root and on all points relative to it."""
    root = moved.joints_m[:, :1]
    still = one_euro(root, rate_hz, cutoff_hz)
    return Moved(
        still + one_euro(moved.joints_m - root, rate_hz, cutoff_hz),
        still + one_euro(moved.keypoints_m - root, rate_hz, cutoff_hz),
    )


def one_euro(
    points: Float[Tensor, "frames points 3"], rate_hz: float, cutoff_hz: float
) -> Float[Tensor, "frames points 3"]:
    """Casiez, Roussel and Vogel 2012: a low-pass whose cutoff grows with speed."""

    def share(cutoff: Tensor) -> Tensor:
        return 1 / (1 + rate_hz / (2 * math.pi * cutoff))

    x, speed = points[0], torch.zeros_like(points[0])
    out = [x]
    for value in points[1:]:
        a = share(torch.ones_like(value))
        speed = a * (value - x) * rate_hz + (1 - a) * speed
        a = share(cutoff_hz + _BETA * speed.norm(dim=-1, keepdim=True))
        x = a * value + (1 - a) * x
        out.append(x)
    return torch.stack(out)


if __name__ == "__main__":
    main(tyro.cli(VideoBenchmark))
