"""A stream of people for the part parser: a studio paints them, detectors look at them.

A picture costs more than a step of training on it, so a pool keeps the last thousands of them and
each is seen several times, from another square each time. Draw number i is the one of seed i, and
which draws the pool holds follows from the number of the step: a run that goes on paints those
again that it would have had.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from kinflow.checks import whole
from kinflow.datasets.same_person import LEAST_SCORE, LEAST_SHOWN, are_of
from kinflow.errors import InputError
from kinflow.evidence import selfie
from kinflow.evidence.batched_blazepose import BatchedBlazePose
from kinflow.evidence.torch_network import TorchNetwork
from kinflow.synth.studio import Studio
from kinflow.synth.studio.dice import Dice
from kinflow.training.parts.masks import MaskConfig, silhouettes, turn
from kinflow.training.parts.pictures import Pictures, age_of

_SEEDS_APART = 1_000_003


@dataclass(frozen=True)
class PoolConfig:
    """How many pictures there are, and how fast they change.

    Attributes:
        pictures: in the pool once it is full.
        draw: pictures that are painted at once.
        first_draws: of these before training begins.
        uses: how often a picture is seen, on average, before it makes room.
    """

    pictures: int = 2048
    draw: int = 32
    first_draws: int = 8
    uses: int = 6

    def __post_init__(self) -> None:
        whole(self, "pictures", "draw", "first_draws", "uses", at_least=1)

    @property
    def draws(self) -> int:
        """Draws that the pool has room for."""
        return max(1, self.pictures // self.draw)

    def draws_by(self, step: int, batch_size: int) -> int:
        """Draws made before a step."""
        return self.first_draws + step * batch_size // (self.uses * self.draw)


class Detectors:
    """BlazePose and the selfie segmenter on a device, at half precision on a GPU."""

    def __init__(self, device: torch.device) -> None:
        half = device.type == "cuda"
        self.blazepose = BatchedBlazePose(device, half=half)
        dtype = torch.float16 if half else torch.float32
        self._selfie = TorchNetwork("selfie_multiclass.onnx", dtype).to(device)

    @torch.no_grad()
    def anyone(self, crops: UInt8[Tensor, "people 256 256 3"]) -> Float[Tensor, "people 256 256"]:
        """The probability that pixels show anybody."""
        (logits,) = self._selfie(crops).values()
        return 1 - logits.softmax(-1)[..., selfie.BACKGROUND_CLASS]


@runtime_checkable
class Source(Protocol):
    """Where pictures come from."""

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        ...

    def pictures(self, count: int, generator: torch.Generator) -> Pictures:
        """Some people."""
        ...


@dataclass(frozen=True)
class Watcher:
    """Detectors that look at the people whom a studio paints, on one device."""

    studio: Studio
    detectors: Detectors
    masks: MaskConfig

    @property
    def device(self) -> torch.device:
        """Where everything happens."""
        return self.studio.device

    @torch.no_grad()
    def pictures(self, count: int, generator: torch.Generator) -> Pictures:
        """Some people."""
        batch = self.studio.draw(count, generator)
        looks = self.detectors.blazepose(batch.rgb)
        mask = silhouettes(
            batch.rgb,
            looks.mask,
            looks.landmarks,
            batch.dressed,
            batch.other,
            batch.region,
            self.detectors.anyone,
            self.masks,
            Dice(generator),
        )
        mask = (255 * mask).round().byte()
        useful = (looks.score >= LEAST_SCORE) & (batch.keypoint_shows.sum(1) >= LEAST_SHOWN)
        useful &= are_of(looks.landmarks, batch.keypoints_crop, batch.keypoint_shows)
        useful &= (mask >= 128).flatten(1).any(1)
        for values in (looks.landmarks, looks.world_m):
            useful &= values.isfinite().flatten(1).all(1)
        return Pictures(
            rgb=batch.rgb,
            mask=mask,
            labels=batch.parts,
            inside=batch.inside,
            keypoints_crop=within_image(looks.landmarks, batch.region, batch.image_size),
            depth_m=looks.world_m[..., 2],
            roll=batch.region[:, 3],
            age=age_of(batch.phenotypes),
            useful=useful,
        )


def within_image(
    landmarks: Float[Tensor, "people 33 3"],
    region: Float[Tensor, "people 4"],
    image_size: Float[Tensor, "people 2"],
) -> Float[Tensor, "people 33 3"]:
    """Keypoints of crops, as (x, y, confidence), without confidence outside of the image."""
    aside_px = torch.einsum("pij,pkj->pki", turn(region[:, 3]), landmarks[..., :2])
    at_px = region[:, None, :2] + region[:, None, 2:3] * aside_px
    inside = ((at_px >= 0) & (at_px <= image_size[:, None])).all(-1, keepdim=True)
    return torch.cat([landmarks[..., :2], landmarks[..., 2:] * inside], -1)


class Pool:
    """The last pictures of a source, on its device.

    Attributes:
        drawn: draws so far.

    Args:
        source: where pictures come from.
        config: how many there are.
        seed: of the run.
    """

    def __init__(self, source: Source, config: PoolConfig, seed: int) -> None:
        self.config, self._source, self._seed = config, source, seed
        self._device = source.device
        self._held: Pictures | None = None
        self._rows = torch.empty(0, dtype=torch.long, device=source.device)
        self.drawn, self._made, self._making_s = 0, 0, 0.0

    def fill(self, draws: int) -> None:
        """Make all draws up to this number; those that the pool has forgotten by then are not."""
        first = max(self.drawn, draws - self.config.draws)
        if first < draws:
            begin = self._now()
            self._draw(first, draws)
            self._made += (draws - first) * self.config.draw
            self._making_s += self._now() - begin
        self.drawn = draws

    def _draw(self, first: int, draws: int) -> None:
        for number in range(first, draws):
            made = self._source.pictures(self.config.draw, self.generator(0, number))
            if self._held is None:
                self._held = made.room(self.config.draws * self.config.draw)
            self._held.put(number % self.config.draws * self.config.draw, made)
        assert self._held is not None
        self._rows = self._held.useful.nonzero()[:, 0]
        if not len(self._rows):
            raise InputError(
                "The detector saw none of the people that were painted; paint more at first.",
                {"at first": "pool.first_draws"},
            )

    @property
    def pictures_per_second(self) -> float:
        """How quickly they were made, detectors included."""
        return self._made / max(self._making_s, 1e-9)

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def sample(self, count: int, generator: torch.Generator) -> Pictures:
        """Some of the people that the detector saw."""
        assert self._held is not None, "nothing has been drawn"
        at = torch.randint(len(self._rows), (count,), generator=generator, device=self._device)
        return self._held[self._rows[at]]

    def generator(self, stream: int, number: int) -> torch.Generator:
        """The source of randomness of a draw or step."""
        return seeded(self._device, self._seed, stream, number)


def seeded(device: torch.device, seed: int, stream: int, number: int) -> torch.Generator:
    """A generator of its own for each number of each stream."""
    mixed = (seed * _SEEDS_APART + stream) * _SEEDS_APART + number
    return torch.Generator(device).manual_seed(mixed % (1 << 63))
