"""Sequence predictors: temporal networks as files, and as something to go through clips with.

    words = words_of(predictor, looks, time_s, seen)
    motion = SequencePredictor.load().through(words)
    motion.bodies, motion.std

Clips that are longer than the window are gone through in windows that overlap. Each frame is taken
from the window of which it is nearest to the middle, or, causal, from one that has many frames
before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.assets import asset_path
from kinflow.energy.unknowns import Unknowns
from kinflow.files.json_values import from_json
from kinflow.files.network_files import Header, read_network
from kinflow.files.tensor_files import (
    checksum,
    load_weights,
    write_tensors,
)
from kinflow.predictors.coordinates import ViewFrame
from kinflow.predictors.heads import Guess
from kinflow.predictors.posterior import Posterior
from kinflow.predictors.predictor import Predictor
from kinflow.predictors.temporal import TemporalConfig, TemporalNetwork
from kinflow.predictors.words import Words

SHIPPED = {"sequence": "predictors/sequence.safetensors"}
DEFAULT = "sequence"
_FORMAT = "kinflow sequence predictor 2"


@dataclass(frozen=True)
class SequencePredictorInfo:
    """Where a sequence predictor comes from; stored in the header of its weight file.

    Attributes:
        command: the command that trained it.
        seed: its seed.
        predictor_sha256: of the weights of the frame network whose words it reads.
        clips: number of clips it was trained on.
        frames: number of their frames.
        metrics: figures on clips it was not trained on, by name.
    """

    command: str = ""
    seed: int = 0
    predictor_sha256: str = ""
    clips: int = 0
    frames: int = 0
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ThroughClip:
    """One person through a clip."""

    bodies: Unknowns
    """The network's best guess in each frame's camera."""
    log_std: Float[Tensor, "frames size"]
    """Logarithm of factors on the spread that the frame network states of its coordinates."""


class SequencePredictor(nn.Module):
    """A temporal network and where it comes from.

    Args:
        config: shape of the network.
        info: where it comes from.
    """

    def __init__(self, config: TemporalConfig, info: SequencePredictorInfo) -> None:
        super().__init__()
        self.config, self.info = config, info
        self.network = TemporalNetwork(config)

    @torch.no_grad()
    def through(self, words: Words, causal: bool = False) -> ThroughClip:
        """One person through all frames of a clip, at least one.

        Args:
            words: without an axis of windows.
            causal: whether frames know nothing of later ones.
        """
        parts = []
        for window, kept in windows(words.frames, self.config.window, causal):
            some = words.each(lambda v, window=window: v[None, window.start : window.stop])
            R = some.R_still_window()
            motion = self.network(some, R, causal)
            mine = slice(kept.start - window.start, kept.stop - window.start)
            rows = some.each(lambda v, mine=mine: v[:, mine])
            parts.append((rows.bodies(motion.vectors[:, mine], R), motion.log_std[0, mine]))
        bodies, log_std = zip(*parts, strict=True)
        return ThroughClip(Unknowns.concatenate(list(bodies)), torch.cat(log_std))

    def is_of(self, predictor: Predictor) -> bool:
        """Whether this is the frame network whose words it reads."""
        return self.info.predictor_sha256 == predictor_sha256(predictor)

    def save(self, path: Path | str) -> None:
        """Write a weight file in half precision, atomically."""
        header = {"format": _FORMAT, "info": asdict(self.info), "network": asdict(self.config)}
        tensors = {name: tensor.half() for name, tensor in self.state_dict().items()}
        write_tensors(Path(path), tensors, {"kinflow": json.dumps(header)})

    @staticmethod
    def load(name: Path | str = DEFAULT) -> SequencePredictor:
        """A shipped one by name, or any from its weight file.

        Raises:
            InputError: the file is missing, damaged or of another kind.
            AssetError: the shipped file is missing or damaged.
        """
        return _shipped(name) if isinstance(name, str) and name in SHIPPED else _read(name)


@cache
def _shipped(name: str) -> SequencePredictor:
    return _read(asset_path(SHIPPED[name]), trusted=True)


def _read(path: Path | str, trusted: bool = False) -> SequencePredictor:
    return read_network(path, "a sequence predictor", (_FORMAT,), _built, trusted)


def _built(header: Header, tensors: dict[str, Tensor]) -> SequencePredictor:
    info = from_json(SequencePredictorInfo, header.get("info"), {})
    config = from_json(TemporalConfig, header.get("network"), {})
    predictor = SequencePredictor(config, info)
    load_weights(predictor, tensors)
    return predictor.float().eval().requires_grad_(False)


def refined(
    predictor: Predictor,
    words: Words,
    bodies: Unknowns,
    log_std: Float[Tensor, "frames size"],
) -> Posterior:
    """The frame network's density about other best guesses, in frames in which somebody was seen.

    Args:
        predictor: the frame network.
        words: what it said, without an axis of windows.
        bodies: the best guesses.
        log_std: logarithm of factors on the spread that it stated.
    """
    network = predictor.network
    frame = ViewFrame(words.R_cam_view, words.side, predictor.config.latent_size)
    base = words.R_cam_view.mT @ bodies.R_cam_root
    guess = Guess(
        R_view_base=base,
        centre=frame.to_vector(bodies, base),
        std=words.std * log_std.exp(),
        context=network.context(words.hidden),
        points_m=base.new_zeros(len(base), 33, 3),
    )
    return Posterior(guess, network.flow, frame)


def predictor_sha256(predictor: Predictor) -> str:
    """Hash of a frame network's weights."""
    state = {n: v.detach().float().cpu() for n, v in sorted(predictor.state_dict().items())}
    return checksum(state, {})


def windows(frames: int, window: int, causal: bool) -> Iterator[tuple[range, range]]:
    """Windows that go through a clip, and which frames are taken from each.

    A third of a window is taken from it: its middle, or, causal, its end. The first window is taken
    from its beginning, the last one to its end.
    """
    if frames <= window:
        yield range(frames), range(frames)
        return
    hop = max(1, window // 3)
    behind = 0 if causal else (window - hop) // 2
    begin, done = 0, 0
    while done < frames:
        begin = min(begin, frames - window)
        last = begin + window == frames
        end = frames if last else begin + window - behind
        yield range(begin, begin + window), range(done, end)
        done, begin = end, begin + hop
