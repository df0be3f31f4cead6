"""Looks as a stream: everybody once in an epoch, in an order of its own, with bounded memory."""

from pathlib import Path

import pytest
import torch

from kinflow.datasets.look_stream import LookShard, LookStream, shard_files
from kinflow.datasets.samples import Samples
from kinflow.errors import InputError
from kinflow.evidence.region import Region
from kinflow.evidence.types import (
    NUM_FEATURES,
    NUM_JOINT_FEATURES,
    NUM_MAP_FEATURES,
    CloseLook,
)
from kinflow.geometry import Camera

COUNTS = (5, 3, 6, 2)


def sample(number: int) -> Samples:
    """Somebody whose side of the region is their number."""
    look = CloseLook(
        Region((10.0, 10.0), float(number)),
        torch.zeros(33, 3),
        torch.zeros(33, 3),
        torch.zeros(NUM_FEATURES),
        torch.zeros(33, NUM_JOINT_FEATURES).half(),
        torch.zeros(NUM_MAP_FEATURES).half(),
    )
    return Samples.of_look(look, Camera(100.0, (10.0, 10.0), (20, 20)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder, first = tmp_path_factory.mktemp("looks"), 0
    for i, count in enumerate(COUNTS):
        people = [sample(number) for number in range(first, first + count)]
        Samples.concatenate(people).save(folder / f"samples_{i:05d}.safetensors")
        first += count
    return folder


def stream_of(folder: Path, pool: int = 100, seed: int = 0) -> LookStream[Samples]:
    """All but the first one of each shard."""
    paths = zip(shard_files(folder), COUNTS, strict=True)
    shards = [LookShard(path, torch.arange(1, count)) for path, count in paths]
    return LookStream(shards, lambda s, all_: all_[s.rows], Samples.concatenate, seed, pool)


def numbers(samples: Samples) -> list[int]:
    return samples.region[:, 2].int().tolist()


@pytest.mark.parametrize("pool", [1, 6, 100])
def test_everybody_comes_once_in_an_epoch(folder, pool):
    stream = stream_of(folder, pool)
    used = sorted(set(range(16)) - {0, 5, 8, 14})
    assert len(stream) == len(used)
    epochs = [numbers(stream.take(len(stream))) for _ in range(3)]
    assert all(sorted(epoch) == used for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_the_order_is_a_matter_of_the_seed_alone(folder):
    def course(seed: int, *steps: int) -> set[tuple[int, ...]]:
        stream = stream_of(folder, 6, seed)
        return {tuple(sorted(numbers(stream.take(n)))) for n in steps}

    assert course(1, 5, 5, 5) == course(1, 5, 5, 5) != course(2, 5, 5, 5)
    whole, later = stream_of(folder, 6), stream_of(folder, 6)
    whole.take(9)
    later.taken = 9  # as a checkpoint has it
    assert numbers(whole.take(7)) == numbers(later.take(7))
    before = later.taken
    later.at(0, 4)
    assert later.taken == before


def test_only_so_much_is_held_in_memory(folder):
    stream = stream_of(folder, pool=1)
    for _ in range(40):
        stream.take(1)
        held = sum(len(rows) for rows in stream._open.values())
        assert held <= 2 * (max(COUNTS) - 1)


def test_a_shard_that_became_another_is_refused(folder, tmp_path):
    for path in shard_files(folder):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    stream = stream_of(tmp_path)
    sample(3).save(shard_files(tmp_path)[0])
    with pytest.raises(InputError, match="has changed since training began"):
        stream.take(len(stream))
