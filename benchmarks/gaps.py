"""People who are hidden for a while in clips: how far bodies in between are from the truth.

python benchmarks/gaps.py --motions MOCAP --cache DIR [--split test]

The clips of benchmarks/video.py; what was seen of the person in some frames in a row of each is
kept from the fit. Errors are those of limb keypoints in these frames (PA-MPJPE, MPJPE about the
hips), and of joints in space once the frames around the gap lie on the truth (`place`), with what
the dynamics of people say and without.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import tyro
from jaxtyping import Float
from torch import Tensor

import kinflow.priors
from kinflow.body import BodyModel
from kinflow.body.keypoints import KEYPOINT_INDEX, LIMB_KEYPOINTS
from kinflow.body.sides import SIDES
from kinflow.datasets.poses import Split
from kinflow.evaluation.clip_sets import ClipSetConfig, SeenClip, seen_clips
from kinflow.evidence.detector import EvidenceDetector
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.fitting.sequence import TrackFitter
from kinflow.fitting.sequence_config import SequenceConfig
from kinflow.fitting.track_targets import TrackWindow
from kinflow.metrics.pose import pa_mpjpe
from kinflow.predictors import DEFAULT, Predictor

_LIMBS = list(LIMB_KEYPOINTS)
_HIPS = [KEYPOINT_INDEX[f"{side}_hip"] for side in SIDES]
_AROUND = 6
"""Frames at both ends that are always seen."""


@dataclass(frozen=True)
class GapBenchmark:
    """Which clips, and for how long people are hidden.

    Attributes:
        motions: folders of motion files, a subject's in a folder of their name.
        cache: folder in which clips and what is seen in them are kept.
        split: whose recordings.
        clips: number of clips.
        frames: of each.
        hidden_s: for how long people are hidden.
        sequence: settings of the tracks.
    """

    motions: tuple[Path, ...]
    cache: Path
    split: Split = "validation"
    clips: int = 12
    frames: int = 60
    hidden_s: tuple[float, ...] = (0.3, 0.6, 1.0)
    sequence: SequenceConfig = field(default_factory=SequenceConfig)


def main(config: GapBenchmark) -> None:
    """Print errors in hidden frames, means of the clips."""
    clips = list(
        seen_clips(
            ClipSetConfig(config.motions, config.split, config.clips, config.frames),
            EvidenceDetector().detect,
            config.cache,
        )
    )
    prior, predictor = kinflow.priors.load(), Predictor.load(DEFAULT)
    photos = PhotoFitter(prior, PhotoFitConfig(), "cpu", align_parts=False, predictor=predictor)
    silent = replace(config.sequence.dynamics, weight=0.0)
    kinds = {
        "accelerations alone": replace(config.sequence, dynamics=silent),
        "with the dynamics": config.sequence,
    }
    print(f"{len(clips)} clips; PA mm, MPJPE mm, place mm")
    for hidden_s in config.hidden_s:
        for name, sequence in kinds.items():
            tracks = TrackFitter(photos, sequence)
            errors = [_errors(tracks, seen, i, hidden_s) for i, seen in enumerate(clips)]
            mean = torch.tensor(errors).mean(0).tolist()
            print(f"{hidden_s:.1f} s, {name:20s}" + " ".join(f"{v:8.1f}" for v in mean), flush=True)


def _errors(tracks: TrackFitter, seen: SeenClip, number: int, hidden_s: float) -> list[float]:
    """PA-MPJPE, MPJPE and place of one clip in its hidden frames, in mm."""
    found = list(seen.found(0))
    shown = [row for row, one in enumerate(found) if one is not None]
    rows = list(range(shown[0], shown[-1] + 1))
    count = round(hidden_s * seen.clip.rate_hz)
    last = max(_AROUND, len(rows) - _AROUND - count)
    generator = torch.Generator().manual_seed(number)
    first = int(torch.randint(_AROUND, last + 1, (1,), generator=generator))
    hidden = list(range(first, first + count))
    kept = [None if i in hidden else found[row] for i, row in enumerate(rows)]
    times_s = torch.arange(len(rows)) / seen.clip.rate_hz
    (fit,), _ = tracks.fit([TrackWindow(times_s, tuple(kept))], seen.clip.camera)
    posed, true = tracks.model.posed(fit.bodies), seen.clip.seen(0).posed(BodyModel.load("joints"))
    joints, true_joints = posed.joints_m, true.joints_m[rows]
    limbs = _about_hips(posed.keypoints_m())[hidden]
    true_limbs = _about_hips(true.keypoints_m())[[rows[i] for i in hidden]]
    ends = [hidden[0] - 1, hidden[-1] + 1]
    off = (joints[ends] - true_joints[ends]).mean((0, 1))
    place = (joints[hidden] - off - true_joints[hidden]).norm(dim=-1).mean()
    errors = (pa_mpjpe(limbs, true_limbs).mean(), (limbs - true_limbs).norm(dim=-1).mean(), place)
    return [1000 * float(value) for value in errors]


def _about_hips(
    keypoints_m: Float[Tensor, "frames keypoints 3"],
) -> Float[Tensor, "frames limbs 3"]:
    return keypoints_m[:, _LIMBS] - keypoints_m[:, _HIPS].mean(1, keepdim=True)


if __name__ == "__main__":
    main(tyro.cli(GapBenchmark))
