"""One person in frames that follow each other, and what their fits are to explain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.sides import SIDES
from kinflow.energy.belief import Belief
from kinflow.energy.body_energy import Targets
from kinflow.energy.ground import UpTarget
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.evidence.types import FaceAge, PersonEvidence
from kinflow.fitting.photo import PhotoFitter
from kinflow.fitting.starts import resting
from kinflow.geometry.pinhole import Camera

_KNEES = [KEYPOINT_INDEX[f"{side}_knee"] for side in SIDES]


@dataclass(frozen=True)
class TrackWindow:
    """One person in frames that follow each other."""

    times_s: Float[Tensor, " frames"]
    seen: tuple[PersonEvidence | None, ...]
    """What was seen in each frame; None where they were missed, but not in the last."""
    known: Unknowns | None = None
    """Bodies of some of the frames from an earlier fit."""
    known_rows: Int[Tensor, " known"] = field(
        default_factory=lambda: torch.zeros(0, dtype=torch.long)
    )
    """Rows of these. The first frame is known or seen."""
    settled: int = 0
    """So many of the first frames, all known, stay as they are."""
    R_still_cam: Float[Tensor, "frames 3 3"] | None = None
    """From each frame's camera to one that stands still; None where the camera does."""

    @property
    def shown(self) -> list[int]:
        """Rows of the frames that show the person."""
        return [row for row, one in enumerate(self.seen) if one is not None]

    @property
    def looked_at(self) -> list[int]:
        """Rows of those that the network can be asked of."""
        return [row for row in self.shown if (one := self.seen[row]) is not None and one.look]

    @property
    def face_age(self) -> FaceAge | None:
        """How old the face looks by all frames up to the last; None where no frame tells."""
        told = [one.face_age for one in self.seen if one is not None and one.face_age is not None]
        return told[-1] if told else None

    def in_still(self, bodies: Unknowns, rows: Int[Tensor, " rows"] | None = None) -> Unknowns:
        """Bodies of some frames, or of all, as the camera that stands still has them."""
        if self.R_still_cam is None:
            return bodies
        return bodies.turned(self.R_still_cam if rows is None else self.R_still_cam[rows])

    def in_own(self, bodies: Unknowns) -> Unknowns:
        """Bodies of all frames, given as the camera that stands still has them, in their own."""
        return bodies if self.R_still_cam is None else bodies.turned(self.R_still_cam.mT)

    def up_in_own(self, up: UpTarget) -> UpTarget:
        """What is up in each frame, by what is up for the camera that stands still."""
        return up if self.R_still_cam is None else up.turned(self.R_still_cam.mT)

    def leg_confidence(self) -> Float[Tensor, " frames"]:
        """Of the surer knee in each frame, or in the one before that shows the person."""
        values, last = [], 1.0
        for one in self.seen:
            last = last if one is None else float(one.keypoints_px[_KNEES, 2].max())
            values.append(last)
        return torch.tensor(values)


@dataclass(frozen=True)
class TrackWeights:
    """How far what is known of frames counts in a track (`SequenceConfig` says why)."""

    keypoint_narrowing: float
    belief_widening: float
    size_frames: float
    gap_prior_weight: float


def size_share(frames: int, size_frames: float) -> float:
    """Factor on inverse spreads of sizes in each of so many frames, which know the same size."""
    return min(1.0, math.sqrt(size_frames / max(frames, 1)))


def targets_of_tracks(
    photos: PhotoFitter,
    tracks: Sequence[TrackWindow],
    camera: Camera,
    weights: TrackWeights,
    asked: Sequence[Sequence[int]],
) -> list[Targets]:
    """Of all frames of each track; frames that lack the person have some that say nothing.

    Args:
        photos: knows how far observations are trusted.
        tracks: at least one.
        camera: of all frames.
        weights: of keypoints, of what a network believes, and of the pose prior in gaps.
        asked: rows of each track, all of frames that show the person, that the network is asked
            of. Of the others among these it believes what is between.
    """
    people = [one for track in tracks for one in track.seen if one is not None]
    told = torch.tensor(
        [row in rows for track, rows in zip(tracks, asked, strict=True) for row in track.shown]
    )
    everybody = photos.targets_of(people, [camera] * len(people), one_posture=False, asked=told)
    belief = everybody.belief or _nothing_believed(everybody, photos.fitter.model)
    if not bool(told.all()):
        belief = _with_between(belief, tracks, told)
    inverse_std_px = everybody.inverse_std_px / weights.keypoint_narrowing
    targets, end = [], 0
    sizes = [
        size_share(len(track.shown), weights.size_frames)
        for track in tracks
        for _ in range(len(track.shown))
    ]
    belief = belief.weighted(1 / weights.belief_widening, inverse_std_px.new_tensor(sizes))
    everybody = replace(everybody, belief=belief, inverse_std_px=inverse_std_px)
    for track in tracks:
        first, end = end, end + len(track.shown)
        targets.append(_with_gaps(everybody[first:end], track, weights.gap_prior_weight))
    return targets


def _with_between(
    belief: Belief, tracks: Sequence[TrackWindow], told: Bool[Tensor, " people"]
) -> Belief:
    """Beliefs of all frames that were looked at, by those of the frames that were asked of.

    Args:
        belief: a row for each frame that shows the person, track after track.
        tracks: these.
        told: whether the network was asked of a row.
    """
    known, parts, end = belief.says_something(), [], 0
    for track in tracks:
        first, end = end, end + len(track.shown)
        mine = slice(first, end)
        keys = torch.nonzero(known[mine])[:, 0]
        looked_at = torch.tensor([row in track.looked_at for row in track.shown])
        open_rows = (looked_at & ~told[mine]).to(known)
        own = belief[mine]
        if len(keys) and bool(open_rows.any()):
            times_s = track.times_s.to(belief.centre)[track.shown]
            filled = own[keys].between(times_s[keys], times_s)
            own = own.replaced(open_rows, filled)
        parts.append(own)
    return Belief.concatenate(parts)


def _with_gaps(seen: Targets, track: TrackWindow, prior_weight: float) -> Targets:
    """Targets of all frames of a track from those of the frames that show the person."""
    if len(track.shown) == len(track.seen):
        return seen
    shown = torch.tensor([one is not None for one in track.seen], device=seen.focal_px.device)
    targets = seen[(torch.cumsum(shown, 0) - 1).clamp_min(0)]
    belief = targets.belief
    assert belief is not None
    weight = torch.full_like(belief.prior_weight, prior_weight)
    belief = replace(
        belief,
        whitening=belief.whitening * shown[:, None, None],
        prior_weight=torch.where(shown, belief.prior_weight, weight),
    )
    return replace(
        targets,
        inverse_std_px=targets.inverse_std_px * shown[:, None],
        hint=None if targets.hint is None else targets.hint.kept(shown),
        belief=belief,
    )


def _nothing_believed(targets: Targets, model: KeypointModel) -> Belief:
    """A belief for every row that says nothing and leaves the prior its weight."""
    rows = len(targets.focal_px)
    size = 4 + model.prior.latent_dim + model.shape_prior.size
    like = targets.observed_px
    start = resting(model, rows, like.device)
    return Belief(
        R_cam_base=start.R_cam_root,
        centre=like.new_zeros(rows, size),
        whitening=like.new_zeros(rows, size, size),
        starts=Unknowns(**{name: value[:, None] for name, value in vars(start).items()}),
        prior_weight=like.new_ones(rows),
        child_log_odds=like.new_full((rows,), torch.nan),
    )
