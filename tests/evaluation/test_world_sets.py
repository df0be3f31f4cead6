"""Sets of worlds: what was seen comes back from the cache as it was, and people find themselves."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from kinflow.errors import InputError
from kinflow.evaluation.value_files import read_values, write_values
from kinflow.evaluation.world_sets import match, seen_worlds, world_sets
from kinflow.evidence.types import ImageEvidence, PartLabels, PersonEvidence, PersonMask
from kinflow.geometry.image_grid import ImageGrid
from kinflow.synth.people import PeopleConfig
from kinflow.synth.world import World, WorldConfig
from kinflow.synth.world_source import WorldSource

CONFIG = WorldConfig(count=(2, 2), image_sizes=((160, 120),), furniture=1)


@pytest.fixture(scope="module")
def world() -> World:
    return WorldSource(CONFIG).world(0)


def detection(keypoints_px: torch.Tensor) -> PersonEvidence:
    grid = ImageGrid((1.5, 2.0), 0.5, (3, 2))
    return PersonEvidence(
        keypoints_px=torch.cat([keypoints_px, torch.ones(33, 1)], 1),
        keypoint_std_px=torch.ones(33),
        world_m=None,
        box_px=torch.tensor([0.0, 0.0, 10.0, 20.0]),
        score=0.75,
        mask=PersonMask(torch.rand(2, 3), grid),
        parts=PartLabels(torch.ones(2, 3, dtype=torch.int32), torch.rand(2, 3), grid),
    )


def assert_same(a, b) -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b) and a.dtype == b.dtype
    elif isinstance(a, tuple):
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    elif hasattr(a, "__dataclass_fields__"):
        assert type(a) is type(b)
        for name in a.__dataclass_fields__:
            assert_same(getattr(a, name), getattr(b, name))
    else:
        assert a == b


def test_values_come_back_as_they_were(world, tmp_path):
    evidence = ImageEvidence((160, 120), tuple(detection(p.keypoints_px) for p in world.people))
    path = tmp_path / "values.safetensors"
    write_values(path, (world, evidence))
    assert_same((world, evidence), read_values(path))


def test_what_cannot_be_stored_or_read_is_refused(tmp_path):
    @dataclass(frozen=True)
    class World:
        stranger: int

    with pytest.raises(InputError, match="cannot be stored"):
        write_values(tmp_path / "x", World(1))
    write_values(tmp_path / "x", (1, "two", None))
    assert read_values(tmp_path / "x") == (1, "two", None)
    damaged = (tmp_path / "x").read_bytes().replace(b"two", b"ten")
    (tmp_path / "x").write_bytes(damaged)
    with pytest.raises(InputError, match="damaged"):
        read_values(tmp_path / "x")


def test_a_second_run_looks_at_nothing(tmp_path):
    looked = []

    def detect(rgb: np.ndarray) -> ImageEvidence:
        looked.append(rgb)
        return ImageEvidence((rgb.shape[1], rgb.shape[0]), ())

    kinds = (CONFIG, replace(CONFIG, count=(1, 1)))
    first = seen_worlds(kinds, 3, detect, tmp_path)
    assert len(looked) == 3 and [len(one.world.people) for one in first] == [2, 1, 2]
    again = seen_worlds(kinds, 3, detect, tmp_path)
    assert len(looked) == 3
    assert_same(tuple(first), tuple(again))
    seen_worlds((replace(CONFIG, furniture=2),), 1, detect, tmp_path)
    assert len(looked) == 4
    seen_worlds(kinds, 3, detect, tmp_path, "another detector")
    assert len(looked) == 7


def test_people_are_found_by_their_keypoints(world):
    true = [person.keypoints_px for person in world.people]
    size = float((true[0].amax(0) - true[0].amin(0)).norm())
    nobody = detection(true[0] + 3 * size)
    near = [detection(points + 0.02 * size) for points in true]
    assert match(world.people, [near[1], nobody, near[0]]) == (2, 0)
    assert match(world.people, [nobody, near[0]]) == (1, None)
    assert match(world.people, []) == (None, None)


def test_every_set_asks_for_what_it_is_called():
    sets = world_sets(PeopleConfig(prior_share=0.0))
    assert {kind.hiding for kind in sets["hidden"]} == {"furniture", "person", "edge"}
    lows = sorted(kind.pitch_deg[0] for kind in sets["pitch"])
    assert lows == [-40, -30, -20, -10, 0, 10, 20, 30]
    assert sets["sizes"][0].in_full and sets["crowd"][0].count == (3, 8)
    assert len({kinds[0].seed for kinds in sets.values()}) == len(sets)
