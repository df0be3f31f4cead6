"""One person in frames that follow each other, and what their fits are to explain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.sides import SIDES
from kinflow.energy.belief import Belief
from kinflow.energy.body_energy import Targets
from kinflow.energy.ground import UpTarget
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.evidence.types import PersonEvidence
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
    def looked_at(self) -> list[bool]:
        """Which frames show the person with what a network takes."""
        return [one is not None and one.look is not None for one in self.seen]

    @property
    def shown(self) -> list[int]:
        """Rows of the frames that show the person."""
        return [row for row, one in enumerate(self.seen) if one is not None]

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

    def of_beliefs(self, frames: int, told: int) -> tuple[float, float]:
        """Factors on inverse spreads of poses and of sizes in each frame that a network tells of.

        Args:
            frames: how many there are to be told of.
            told: how many of them it was asked of: these say as much as all of them would.
        """
        pose = math.sqrt(frames / max(told, 1)) / self.belief_widening
        return pose, min(1.0, math.sqrt(self.size_frames / max(told, 1)))


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
            of. The others, among them, know no less of the pose, but say nothing.
    """
    people = [one for track in tracks for one in track.seen if one is not None]
    told = torch.tensor(
        [row in rows for track, rows in zip(tracks, asked, strict=True) for row in track.shown]
    )
    everybody = photos.targets_of(people, [camera] * len(people), one_posture=False, asked=told)
    belief = everybody.belief or _nothing_believed(everybody, photos.fitter.model)
    inverse_std_px = everybody.inverse_std_px / weights.keypoint_narrowing
    targets, end = [], 0
    poses, sizes = [], []
    for track, rows in zip(tracks, asked, strict=True):
        looked_at = track.looked_at
        pose, size = weights.of_beliefs(sum(looked_at), sum(looked_at[row] for row in rows))
        poses += [pose] * len(track.shown)
        sizes += [size] * len(track.shown)
    belief = belief.weighted(inverse_std_px.new_tensor(poses), inverse_std_px.new_tensor(sizes))
    between = torch.tensor([one.look is not None for one in people]) & ~told
    left = torch.full_like(belief.prior_weight, photos.config.belief.prior_weight)
    belief = replace(
        belief, prior_weight=torch.where(between.to(left.device), left, belief.prior_weight)
    )
    everybody = replace(everybody, belief=belief, inverse_std_px=inverse_std_px)
    for track in tracks:
        first, end = end, end + len(track.shown)
        targets.append(_with_gaps(everybody[first:end], track, weights.gap_prior_weight))
    return targets


def as_of_photos(
    targets: Targets, bodies: Unknowns, track: TrackWindow, weights: TrackWeights
) -> Targets:
    """Targets of a track as if each frame were a photo: what it leaves open on its own is no less
    than what is open with its neighbours.

    In frames that the network was not asked of it is as far off as in the nearest one that it was.

    Args:
        targets: of all frames, as the track was fitted to them.
        bodies: of all frames, as they were fitted.
        track: what was seen.
        weights: that the targets have.
    """
    belief = targets.belief
    assert belief is not None
    says, looked_at = belief.says_something(), track.looked_at
    told = torch.nonzero(says)[:, 0]
    pose, size = weights.of_beliefs(sum(looked_at), len(told))
    belief = belief.weighted(1 / pose, 1 / size)
    between = torch.tensor(looked_at, device=says.device) & ~says
    if len(told) and bool(between.any()):
        own = torch.arange(len(says), device=says.device)
        nearest = told[(own[:, None] - told).abs().argmin(1)]
        source = torch.where(between, nearest, own)
        belief = belief[source].carried(bodies[source], bodies)
    inverse_std_px = targets.inverse_std_px * weights.keypoint_narrowing
    return replace(targets, belief=belief, inverse_std_px=inverse_std_px)


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
