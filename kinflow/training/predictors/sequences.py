"""Clips as temporal networks and their losses take them: words, truth, windows drawn at random."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.datasets.look_clips import LookClips
from kinflow.energy.unknowns import Unknowns
from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from kinflow.predictors.looks import Looks
from kinflow.predictors.predictor import Predictor
from kinflow.predictors.words import Words, words_of
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import ShapePrior
from kinflow.training.predictors.batches import bodies

_REVERSED, _THINNED, _WITH_GAP = 0.3, 0.3, 0.4
_OTHERS_ERRORS, _WORDLESS = 0.4, 0.3
"""Share of windows whose errors are another clip's, and of the others that lack what heads read."""
_PACE = (0.7, 2.2)
"""By how much clips are played more quickly, at random: mocap has few falls, and films more frames
a second."""
_SLOW = 0.5
"""Share of a clip as likely as any other; the rest goes by how much people move in it."""
_MOST_DROPPED = 0.3
"""Share of single frames that are dropped from a clip, at most."""
_GAP = (0.1, 0.4)
"""Share of a clip that a gap takes."""
_LEAST_FRAMES = 8


@dataclass(frozen=True)
class WordClip:
    """Words of one clip, and the true bodies in each frame's camera; or windows of several."""

    words: Words
    truth: Unknowns
    there: Bool[Tensor, "*windows frames"]
    """Rows that are frames; the others fill windows up."""

    def __len__(self) -> int:
        return self.words.frames

    def rows(self, rows: Tensor) -> WordClip:
        """Some of the frames of a single clip."""
        truth = Unknowns(**{name: value[rows] for name, value in vars(self.truth).items()})
        return WordClip(self.words.each(lambda v: v[rows]), truth, self.there[rows])

    def reversed(self) -> WordClip:
        """The clip from its end to its beginning."""
        back = self.rows(torch.arange(len(self) - 1, -1, -1))
        time_s = self.words.time_s[-1] - back.words.time_s
        return replace(back, words=replace(back.words, time_s=time_s))

    def played(self, pace: float) -> WordClip:
        """The clip at another pace."""
        return replace(self, words=replace(self.words, time_s=self.words.time_s / pace))

    def liveliness(self) -> float:
        """How much people move: the 90 % quantile over frames of the speed of their root's rotation
        in radians a second, and of their latent."""
        step_s = (self.words.time_s[1:] - self.words.time_s[:-1]).clamp_min(1e-3)
        R = self.words.R_still_cam @ self.truth.R_cam_root
        turned = matrix_to_rotvec(R[:-1].mT @ R[1:]).norm(dim=-1)
        moved = (self.truth.z[1:] - self.truth.z[:-1]).square().mean(-1).sqrt()
        return float(((turned + moved) / step_s).quantile(0.9))

    def filled(self, frames: int) -> WordClip:
        """The clip with as many rows more as it takes."""
        more = frames - len(self)
        if not more:
            return self

        def with_last(v: Tensor) -> Tensor:
            return torch.cat([v, v[-1:].expand(more, *v.shape[1:])])

        truth = Unknowns(**{name: with_last(value) for name, value in vars(self.truth).items()})
        words = self.words.each(with_last)
        there = F.pad(self.there, (0, more))
        return WordClip(replace(words, seen=words.seen & there), truth, there)

    @staticmethod
    def stack(clips: Sequence[WordClip]) -> WordClip:
        """Clips of any length as windows of one length."""
        longest = max(map(len, clips))
        filled = [clip.filled(longest) for clip in clips]
        words = {
            f.name: torch.stack([getattr(clip.words, f.name) for clip in filled])
            for f in fields(Words)
        }
        truth = {
            name: torch.stack([getattr(clip.truth, name) for clip in filled])
            for name in vars(filled[0].truth)
        }
        there = torch.stack([clip.there for clip in filled])
        return WordClip(Words(**words), Unknowns(**truth), there)


def word_clips(
    folders: Sequence[Path], predictor: Predictor, prior: PosePrior, shape_prior: ShapePrior
) -> list[WordClip]:
    """All clips of folders in which somebody was seen.

    Raises:
        InputError: a folder holds none, or a shard is damaged.
    """
    frames = LookClips.load_all(folders)
    clips = []
    for number in range(int(frames.clip[-1]) + 1):
        own = frames[frames.clip == number]
        if not bool(own.seen.any()):
            continue
        words = words_of(predictor, looks_of(own[own.seen]), own.time_s, own.seen, own.R_still_cam)
        truth = truth_of(own, prior, shape_prior)
        clips.append(WordClip(words, truth, torch.ones_like(own.seen)))
    return clips


def truth_of(frames: LookClips, prior: PosePrior, shape_prior: ShapePrior) -> Unknowns:
    """The true bodies in each frame's camera."""
    pose = rotvec_to_matrix(frames.rotvec)
    return bodies(pose, frames.phenotypes, frames.root_cam_m, prior, shape_prior)


def looks_of(frames: LookClips) -> Looks:
    """What a frame network is given of frames in which somebody was seen."""
    return Looks(
        features=frames.features,
        landmarks=frames.landmarks,
        world_m=frames.world_m,
        region=frames.region,
        focal_px=frames.camera[:, 0],
        principal_px=frames.camera[:, 1:3],
        joint_features=frames.joint_features,
        map_features=frames.map_features,
    )


def drawn(
    clips: Sequence[WordClip],
    count: int,
    window: int,
    likely: Float[Tensor, " clips"] | None = None,
) -> WordClip:
    """Windows of clips at random, and varied: some are reversed, have other frame rates, are played
    more quickly, or lack more frames than the detector missed.

    Args:
        clips: to draw from.
        count: of windows.
        window: frames of each, at most.
        likely: how likely each clip is; None for alike.
    """
    likely = torch.ones(len(clips)) if likely is None else likely
    first = torch.multinomial(likely, count, replacement=True).tolist()
    others = torch.randint(len(clips), (count,)).tolist()
    pairs = zip(first, others, strict=True)
    return WordClip.stack([_varied(_mixed(clips[i], clips[j]), window) for i, j in pairs])


def by_liveliness(clips: Sequence[WordClip]) -> Float[Tensor, " clips"]:
    """How likely clips are to be drawn: people mostly keep still."""
    lively = torch.tensor([clip.liveliness() for clip in clips])
    return _SLOW + (1 - _SLOW) * lively / lively.mean().clamp_min(1e-6)


def _mixed(clip: WordClip, other: WordClip) -> WordClip:
    """Now and then a clip's motion with another's errors, or without what the heads read, which
    does not go together with another motion: few clips are not learned by heart.
    """
    if float(torch.rand(())) < _OTHERS_ERRORS:
        clip = with_errors_of(clip, other)
    elif float(torch.rand(())) >= _WORDLESS:
        return clip
    return replace(clip, words=replace(clip.words, hidden=torch.zeros_like(clip.words.hidden)))


def with_errors_of(clip: WordClip, other: WordClip) -> WordClip:
    """How somebody moves, at another clip's times, with what the frame network had wrong there."""
    count = min(len(clip), len(other))
    truth, wrong = (c.rows(torch.arange(count)) for c in (clip, other))
    own, words = truth.truth, wrong.words
    turned = words.R_cam_root @ wrong.truth.R_cam_root.mT
    root, theirs = own.t_cam_root_m, wrong.truth.t_cam_root_m
    ratio = words.t_cam_root_m.norm(dim=1) / theirs.norm(dim=1)
    off = F.normalize(words.t_cam_root_m, dim=1) - F.normalize(theirs, dim=1)
    guessed = F.normalize(F.normalize(root, dim=1) + off, dim=1)
    said = {
        "R_cam_root": turned @ own.R_cam_root,
        "t_cam_root_m": guessed * (ratio * root.norm(dim=1))[:, None],
        "z": own.z + words.z - wrong.truth.z,
        "s": own.s + words.s - wrong.truth.s,
    }
    # looks are where they are: only the first of a window tells its axes
    said = {n: v * words.seen.view(-1, *[1] * (v.dim() - 1)) for n, v in said.items()}
    R_still_cam = truth.words.R_still_cam
    return WordClip(replace(words, R_still_cam=R_still_cam, **said), own, wrong.there)


def _varied(clip: WordClip, window: int) -> WordClip:
    of_three = torch.rand(3).tolist()
    if of_three[0] < _REVERSED:
        clip = clip.reversed()
    if of_three[1] < _THINNED and len(clip) >= 2 * _LEAST_FRAMES:
        clip = clip.rows(torch.arange(int(torch.randint(2, ())), len(clip), 2))
    slowest, quickest = (math.log(pace) for pace in _PACE)
    clip = clip.played(math.exp(slowest + (quickest - slowest) * float(torch.rand(()))))
    if len(clip) > window:
        first = int(torch.randint(len(clip) - window + 1, ()))
        clip = clip.rows(torch.arange(first, first + window))
    dropped = torch.rand(len(clip)) < _MOST_DROPPED * torch.rand(()) ** 2
    if of_three[2] < _WITH_GAP:
        low, high = _GAP
        length = max(1, int(len(clip) * (low + (high - low) * float(torch.rand(())))))
        first = int(torch.randint(len(clip) - length + 1, ()))
        dropped[first : first + length] = True
    if bool((clip.words.seen & ~dropped).any()):
        clip = replace(clip, words=clip.words.without(dropped))
    return clip


def standardised_by(clips: Sequence[WordClip]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Mean and spread of best guesses as temporal networks read them."""
    vectors = torch.cat([c.words.vectors(c.words.R_still_window())[c.words.seen] for c in clips])
    return vectors.mean(0), vectors.std(0).clamp_min(0.05)
