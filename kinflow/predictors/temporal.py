"""A temporal encoder: what a frame network says of a person over a window becomes one motion.

Frames are tokens of a small transformer (Vaswani et al. 2017, normalisation first), which knows
time by how many seconds frames are apart, so that any frame rate will do. What comes out is made in
two ways that add up. Attention weights average the frame network's own best guesses, each head over
its own stretch of time, and coordinates take signed shares of the heads: so frames that tremble or
err are outvoted without anything having to be learned about what they say. A head then moves that
by what tokens know. Frames in which nobody was seen are tokens too, but have no say in averages.

Causal, tokens and averages of a frame know of no later one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kinflow.checks import refuse, share, whole
from kinflow.predictors.words import DIRECTION, DISTANCE, OTHERS, ROTATION, Words

_STRETCHES_S = (0.015, 1.2)
"""Shortest and longest time that an untrained head averages over."""
_NOBODY = -12.0
"""Logit of the mean body, which is what counts where nobody was ever seen, below that of the frame
that counts most."""
_MOST_SAY = 2.0
"""Logit by which a frame counts more or less for what it says, at most: whoever falls looks odd for
a moment, and was there."""
_NEARBY_S = (0.07, 0.25)
"""Stretches of time about a frame, from whose averages tokens know how it differs."""
_MOST_LOG_STD = 1.5
_WAVES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""In Hz, by which heads may know time."""


@dataclass(frozen=True)
class TemporalConfig:
    """Shape of the network.

    Attributes:
        readout: width of what the frame network's heads read.
        latent_size: of the pose prior whose latent it predicts.
        shape_size: of the shape prior.
        window: frames that it sees at once.
        width: of tokens.
        layers: of the encoder.
        heads: of its attention.
        averages: heads that average best guesses.
        dropout: while training.
    """

    readout: int = 512
    latent_size: int = 57
    shape_size: int = 6
    window: int = 48
    width: int = 96
    layers: int = 2
    heads: int = 4
    averages: int = 8
    dropout: float = 0.2

    def __post_init__(self) -> None:
        whole(self, "readout", "latent_size", "shape_size", at_least=1, at_most=8192)
        whole(self, "width", "heads", "averages", at_least=1, at_most=1024)
        whole(self, "layers", at_least=1, at_most=64)
        whole(self, "window", at_least=3, at_most=1024)
        share(self, "dropout")
        if self.width % self.heads:
            refuse(f"width has to be a multiple of heads, {self.heads}, not {self.width}.")

    @property
    def numbers(self) -> int:
        """Length of x (`words.py`)."""
        return OTHERS + self.latent_size + self.shape_size


class Motion(NamedTuple):
    """What the network makes of windows."""

    vectors: Float[Tensor, "windows frames numbers"]
    """Best guesses as x in the axes of each window."""
    log_std: Float[Tensor, "windows frames size"]
    """Logarithm of factors on the spread that the frame network states."""


class TemporalNetwork(nn.Module):
    """Windows of words in, windows of best guesses and spreads out.

    Args:
        config: its shape.
    """

    vector_mean: Tensor
    vector_std: Tensor

    def __init__(self, config: TemporalConfig) -> None:
        super().__init__()
        self.config = config
        numbers, width = config.numbers, config.width
        size = numbers - OTHERS + 6
        self.register_buffer("vector_mean", torch.zeros(numbers))
        self.register_buffer("vector_std", torch.ones(numbers))
        self.norm_of_hidden = nn.LayerNorm(config.readout)
        self.of_hidden = nn.Linear(config.readout, width)
        self.of_vector = nn.Linear((1 + len(_NEARBY_S)) * numbers + size + 4, width)
        self.nobody = nn.Parameter(0.3 * torch.randn(width))
        self.of_manner = nn.Parameter(0.3 * torch.randn(2, width))
        self.encoder = nn.ModuleList(
            _Layer(width, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.averages = Averages(config)
        self.moved = nn.Linear(width, numbers)
        self.log_std = nn.Linear(width, size)
        for head in (self.moved, self.log_std):  # untrained, it says what averages say
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(
        self,
        words: Words,
        R_still_window: Float[Tensor, "windows 3 3"],
        causal: bool,
        there: Bool[Tensor, "windows frames"] | None = None,
    ) -> Motion:
        """
        Args:
            words: with an axis of windows.
            R_still_window: the axes of each.
            causal: whether frames know nothing of later ones.
            there: rows that are frames; the others only fill windows up. All, if not given.
        """
        x = (words.vectors(R_still_window) - self.vector_mean) / self.vector_std
        x = x * words.seen[..., None]
        apart_s = words.time_s[..., None, :] - words.time_s[..., :, None]
        may = torch.ones_like(apart_s, dtype=torch.bool)
        if causal:
            may = may.tril()
        if there is not None:  # rows that are none see themselves, or there were no numbers
            may = may & (there[..., None, :] | torch.eye(len(may[0])).to(may))
        heard = may & words.seen[..., None, :]
        differs = _differences(x, apart_s, heard)
        tokens = self._tokens(words, x, differs, R_still_window) + self.of_manner[int(causal)]
        told = time_features(apart_s)
        for layer in self.encoder:
            tokens = layer(tokens, told, may)
        tokens = self.norm(tokens)
        x = self.averages(tokens, x, told, apart_s, heard)
        x = x + self.moved(tokens)
        log_std = _MOST_LOG_STD * torch.tanh(self.log_std(tokens) / _MOST_LOG_STD)
        return Motion(x * self.vector_std + self.vector_mean, log_std)

    def _tokens(self, words: Words, x: Tensor, differs: Tensor, R_still_window: Tensor) -> Tensor:
        R = R_still_window[..., None, :, :].mT @ words.R_still_cam
        look = (R @ words.R_cam_view)[..., 2]
        side = words.side.clamp_min(1e-3).log()[..., None]
        spread = words.std.clamp_min(1e-3).log()
        numbers = torch.cat([x.clamp(-8, 8), differs.clamp(-4, 4), spread, look, side], -1)
        seen = self.of_hidden(self.norm_of_hidden(words.hidden)) + self.of_vector(numbers)
        return torch.where(words.seen[..., None], seen, self.nobody)


class Averages(nn.Module):
    """Averages of best guesses over time, each coordinate by its own shares of several heads.

    Args:
        config: of the network.
    """

    def __init__(self, config: TemporalConfig) -> None:
        super().__init__()
        heads = config.averages
        shortest, longest = (math.log(s) for s in _STRETCHES_S)
        self.log_stretch = nn.Parameter(torch.linspace(shortest, longest, heads))
        self.bias = _TimeBias(heads)
        self.query = nn.Linear(config.width, heads * 16)
        self.key = nn.Linear(config.width, heads * 16)
        self.shares = nn.Parameter(torch.zeros(heads, config.numbers))
        self.gates = nn.Linear(config.width, heads * 5)
        nn.init.zeros_(self.gates.weight)
        nn.init.zeros_(self.gates.bias)
        nn.init.zeros_(self.query.weight)
        groups = torch.empty(config.numbers, dtype=torch.long)
        ends = (ROTATION.stop, DIRECTION.stop, DISTANCE.stop, OTHERS + config.latent_size, None)
        begin = 0
        for group, end in enumerate(ends):
            groups[begin:end] = group
            begin = end
        self.register_buffer("groups", groups, persistent=False)

    groups: Tensor

    def forward(
        self,
        tokens: Float[Tensor, "windows frames width"],
        x: Float[Tensor, "windows frames numbers"],
        told: Float[Tensor, "windows frames frames features"],
        apart_s: Float[Tensor, "windows frames frames"],
        may: Bool[Tensor, "windows frames frames"],
    ) -> Float[Tensor, "windows frames numbers"]:
        """Of each frame, the others that it may know being those of `may`."""
        heads = len(self.log_stretch)
        q, k = (
            f(tokens).unflatten(-1, (heads, -1)).transpose(1, 2) for f in (self.query, self.key)
        )
        stretch = self.log_stretch.exp()[:, None, None]
        say = _MOST_SAY * torch.tanh(q @ k.mT / math.sqrt(q.shape[-1]) / _MOST_SAY)
        logits = say + self.bias(told)
        logits = logits - 0.5 * (apart_s[:, None] / stretch).square()
        logits = logits.masked_fill(~may[:, None], -math.inf)
        most = logits.amax(-1, keepdim=True).detach()
        nobody = torch.where(most.isfinite(), most + _NOBODY, 0.0)
        weight = torch.cat([logits, nobody], -1).softmax(-1)[..., :-1]
        each = weight @ x[:, None]  # the mean body, for whom nobody speaks, is zero
        gates = self.gates(tokens).unflatten(-1, (heads, -1))[..., self.groups].transpose(1, 2)
        shares = self.shares[:, None] + gates
        shares = shares - shares.mean(1, keepdim=True) + 1 / heads
        return (shares * each).sum(1)


class _TimeBias(nn.Module):
    """A logit for each head by how far apart frames are."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.first = nn.Linear(_FEATURES, 32)
        self.last = nn.Linear(32, heads)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, told: Float[Tensor, "windows n m features"]) -> Tensor:
        return self.last(F.gelu(self.first(told))).permute(0, 3, 1, 2)


class _Layer(nn.Module):
    """Of an encoder whose attention knows how far apart frames are."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mixing = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.bias = _TimeBias(heads)
        self.attended = nn.Linear(width, width)
        self.mixing = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, told: Tensor, may: Tensor) -> Tensor:
        qkv = self.query_key_value(self.before_attention(x))
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        logits = self.bias(told).masked_fill(~may[:, None], -math.inf)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=logits).transpose(1, 2).flatten(2)
        x = x + self.dropout(self.attended(seen))
        return x + self.dropout(self.mixing(self.before_mixing(x)))


def _differences(
    x: Float[Tensor, "windows frames numbers"],
    apart_s: Float[Tensor, "windows frames frames"],
    heard: Bool[Tensor, "windows frames frames"],
) -> Float[Tensor, "windows frames more"]:
    """How best guesses differ from averages about them: what moves, and what trembles."""
    found = []
    for stretch in _NEARBY_S:
        weight = (-0.5 * (apart_s / stretch).square()).exp() * heard
        mean = weight @ x / weight.sum(-1, keepdim=True).clamp_min(1e-6)
        found.append(x - mean)
    return torch.cat(found, -1)


_FEATURES = 4 + 2 * len(_WAVES)


def time_features(apart_s: Float[Tensor, "*n"]) -> Float[Tensor, "*n features"]:
    """Numbers of about unit size that tell how many seconds apart frames are."""
    size = apart_s.abs()
    told = [apart_s.sign(), size.clamp_max(4), (apart_s / 0.05).tanh(), (1 + 30 * size).log()]
    for wave in _WAVES:
        told += [(2 * math.pi * wave * apart_s).sin(), (2 * math.pi * wave * apart_s).cos()]
    return torch.stack(told, -1)
