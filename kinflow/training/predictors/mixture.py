"""A mixture of sources: every batch has samples of all of them, by their weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from kinflow.datasets.look_index import Origin
from kinflow.datasets.look_stream import LookShard, LookStream, shard_files
from kinflow.datasets.sample_looks import SeeConfig, see
from kinflow.datasets.samples import Samples
from kinflow.errors import InputError
from kinflow.files.names import folder_name
from kinflow.training.predictors.batches import Labelled, unencoded
from kinflow.training.predictors.pool import Pool, draw
from kinflow.training.predictors.regimes import Regime, as_known, is_used
from kinflow.training.predictors.sources import LOOKS, Source

_BETWEEN_SEEDS = 1_000_003


@dataclass(frozen=True)
class Knowledge:
    """How much of the labels a training may use.

    Attributes:
        regime: which kinds.
        labels: share of those in space.
        seed: decides whose.
    """

    regime: Regime
    labels: float
    seed: int


class SourceStream:
    """The samples of one source that a regime has a use for.

    Args:
        source: where they are from.
        folder: of looks.
        number: of the source in its mixture.
        known: what may be known of them.
        labelled: turns samples into what losses take.
        pool: as in `LookStream`.

    Attributes:
        in_space: how many samples have labels in space that are used.
        bodies: how many of these are whole bodies.
        fingerprint: tells these files from others.

    Raises:
        InputError: a shard is damaged or gone, or nothing in it is of use.
    """

    def __init__(
        self,
        source: Source,
        folder: Path,
        number: int,
        known: Knowledge,
        labelled: Callable[[Samples], Labelled],
        pool: int,
    ) -> None:
        self.source, self._known, self._labelled = source, known, labelled
        generator = torch.Generator().manual_seed(known.seed + _BETWEEN_SEEDS * number)
        self.in_space = self.bodies = 0
        self._may: dict[Path, Tensor] = {}
        shards, everybody, digest = [], 0, hashlib.sha256()
        for path in shard_files(folder):
            samples = Samples.load(path, unread=True)
            everybody += len(samples)
            self._may[path] = torch.rand(len(samples), generator=generator) < known.labels
            batch = as_known(unencoded(samples), known.regime, self._may[path], source.use)
            used = is_used(batch, known.regime)
            self.in_space += int((used & batch.in_space).sum())
            self.bodies += int((used & batch.has_body).sum())
            shards.append(LookShard(path, used.nonzero()[:, 0]))
            digest.update(f"{path.name} {len(samples)}\n".encode())
        self.fingerprint = digest.hexdigest()
        if not any(len(shard.rows) for shard in shards):
            raise InputError(
                f"The regime '{known.regime}' has no use for any of the {everybody} samples of "
                f"'{source}' with the labels {', '.join(source.use)}; leave the source out, or let "
                "it use more."
            )
        self.stream = LookStream(
            shards, self._made, Labelled.concatenate, known.seed + number, pool
        )

    def _made(self, shard: LookShard, samples: Samples) -> Labelled:
        batch = self._labelled(samples[shard.rows])
        may = self._may[shard.path][shard.rows].to(batch.device)
        return as_known(batch, self._known.regime, may, self.source.use)

    def __len__(self) -> int:
        """Samples of an epoch."""
        return len(self.stream)


class Mixture:
    """Batches from streams, and from a pool of live samples if there is one.

    Args:
        streams: of the sources.
        live: what a studio shows.
        live_weight: of it among those of the sources.

    Raises:
        InputError: there is neither.
    """

    def __init__(
        self, streams: Sequence[SourceStream], live: Pool | None = None, live_weight: float = 1.0
    ) -> None:
        if not streams and live is None:
            raise InputError(
                "There is nothing to learn from; name sources, or show people in a studio.",
                {"name sources": "sources"},
            )
        self.streams, self.live = tuple(streams), live
        weights = [stream.source.weight for stream in streams]
        self._weights = torch.tensor([*weights, *([] if live is None else [live_weight])])

    def __len__(self) -> int:
        """Samples of an epoch of every source; those of the studio as far as they are there."""
        return sum(map(len, self.streams)) + (0 if self.live is None else len(self.live))

    def draw(self, count: int) -> Labelled:
        """The next samples of all sources; how many of each is left to chance and the weights."""
        chosen = torch.multinomial(self._weights, count, replacement=True)
        counts = torch.bincount(chosen, minlength=len(self._weights)).tolist()
        parts = [s.stream.take(n) for s, n in zip(self.streams, counts, strict=False) if n]
        if self.live is not None and counts[-1]:
            parts.append(draw(self.live, counts[-1]))
        return Labelled.concatenate(parts)

    def first(self, count: int) -> Labelled:
        """About so many samples from the beginning of every source, which moves no stream."""
        shares = (count * self._weights / self._weights.sum()).ceil().int().tolist()
        parts = [s.stream.at(0, min(n, len(s))) for s, n in zip(self.streams, shares, strict=False)]
        if self.live is not None:
            parts.append(draw(self.live, shares[-1]))
        return Labelled.concatenate(parts)

    def state_dict(self) -> dict[str, Tensor]:
        """Where every stream stands."""
        return {str(i): torch.tensor(s.stream.taken) for i, s in enumerate(self.streams)}

    def load_state_dict(self, states: Mapping[str, Tensor]) -> None:
        """Go on from there.

        Raises:
            InputError: that cannot be.
        """
        for i, stream in enumerate(self.streams):
            taken = int(states[str(i)])
            if taken < 0:
                raise InputError(f"the stream of {stream.source} cannot stand at {taken}")
            stream.stream.taken = taken


def opened(
    sources: Sequence[Source],
    known: Knowledge,
    labelled: Callable[[Samples], Labelled],
    pool: int,
    kept: Path,
) -> list[SourceStream]:
    """Sources as streams; datasets that the detector has not looked at yet are looked at now.

    Args:
        sources: of a mixture.
        known: how much of their labels may be used.
        labelled: turns samples into what losses take.
        pool: as in `LookStream`.
        kept: folder that keeps what the detector sees.

    Raises:
        InputError: one cannot be read, or nothing of it is of use.
    """
    folders = [looks_of_source(source, kept) for source in sources]
    return [
        SourceStream(source, folder, number, known, labelled, pool)
        for number, (source, folder) in enumerate(zip(sources, folders, strict=True))
    ]


def looks_of_source(source: Source, kept: Path) -> Path:
    """The folder of looks of a source, as `kinflow data see` writes it, made if it is not there."""
    if source.name == LOOKS:
        if not source.root.is_dir():
            raise InputError(f"'{source.root}' is no folder; name one of looks.")
        return source.root
    asked = SeeConfig(source.name, source.root, kept, source.split, source.at_most, source.fov_deg)
    origin = Origin.of(asked)
    digest = hashlib.sha256(repr(origin).encode()).hexdigest()[:8]
    words = [source.name, *([] if source.split is None else [source.split]), digest]
    folder = kept / folder_name("_".join(words))
    seen = see(replace(asked, out=folder))
    for problem in seen.problems[:3]:
        print(problem)
    for sentence in seen.sentences():
        print(f"{source}: {sentence}", flush=True)
    if seen.people:
        print(f"{source}: the detector saw {seen.people} people, {seen.passed} not.", flush=True)
    return folder
