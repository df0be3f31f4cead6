"""How good best guesses over time are on clips that nobody trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kinflow.body.keypoints import LIMB_KEYPOINTS
from kinflow.energy.unknowns import Unknowns
from kinflow.metrics.motion import acceleration_error_m_s2, jitter
from kinflow.metrics.pose import pa_mpjpe
from kinflow.predictors.sequence_predictor import SequencePredictor
from kinflow.training.predictors.losses import relative
from kinflow.training.predictors.sequence_losses import SequenceLoss, in_picture_m
from kinflow.training.predictors.sequences import WordClip

_LIMBS = list(LIMB_KEYPOINTS)


@torch.no_grad()
def sequence_figures(
    network: SequencePredictor | None, loss_of: SequenceLoss, clips: Sequence[WordClip]
) -> dict[str, float]:
    """Means over clips, full and causal; without a network of the frame network's best guesses,
    where those of frames in which nobody was seen are of the last one before.
    """
    if network is None:
        return _means([_of_clip(_frame_by_frame(clip), loss_of, clip) for clip in clips], "frame")
    found: dict[str, float] = {}
    for manner, causal in (("full", False), ("causal", True)):
        rows = [
            _of_clip(network.through(clip.words, causal).bodies, loss_of, clip) for clip in clips
        ]
        found |= _means(rows, manner)
    return found


def _means(rows: Sequence[dict[str, float]], manner: str) -> dict[str, float]:
    names = rows[0].keys()
    return {f"{manner}_{n}": sum(row[n] for row in rows) / len(rows) for n in names}


def _frame_by_frame(clip: WordClip) -> Unknowns:
    words = clip.words
    frames = torch.arange(len(clip))
    last = torch.where(words.seen, frames, -1).cummax(0).values
    rows = last.clamp_min(int(words.seen.float().argmax()))
    zero = torch.zeros_like(words.time_s)
    R, t, z, s = (v[rows] for v in (words.R_cam_root, words.t_cam_root_m, words.z, words.s))
    return Unknowns(R, t, z, s, zero)


def _of_clip(guess: Unknowns, loss_of: SequenceLoss, clip: WordClip) -> dict[str, float]:
    points, truth = loss_of.points_m(guess), loss_of.points_m(clip.truth)
    gap = (relative(points) - relative(truth))[:, _LIMBS].norm(dim=-1)
    time_s = clip.words.time_s
    rate_hz = float((len(time_s) - 1) / (time_s[-1] - time_s[0]))
    still, true_still = (p @ clip.words.R_still_cam.mT for p in (points, truth))
    depth = (guess.t_cam_root_m[:, 2].clamp_min(0.05) / clip.truth.t_cam_root_m[:, 2]).log().abs()
    return {
        "pa_mpjpe_mm": 1000 * float(pa_mpjpe(points[:, _LIMBS], truth[:, _LIMBS]).mean()),
        "mpjpe_mm": 1000 * float(gap.mean()),
        "in_picture_mm": 1000 * float(in_picture_m(points, truth).mean()),
        "acceleration_m_s2": float(acceleration_error_m_s2(still, true_still, rate_hz)),
        "jitter_10m_s3": float(jitter(still, rate_hz)),
        "depth_percent": 100 * float(depth.mean()),
    }
