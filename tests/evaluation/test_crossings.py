"""Crossings are where they should be, and counts tell what a tracker did."""

import numpy as np
import pytest
import torch

from kinflow.body import BodyModel
from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.datasets.retarget import RetargetedMotion
from kinflow.errors import InputError
from kinflow.evaluation.crossings import (
    UNCLEAR,
    CrossingConfig,
    Walk,
    counted,
    crossing,
    true_people,
    true_points_px,
    walks,
)
from kinflow.synth.clips import Clip
from kinflow.synth.rendering import coarse_mesh
from kinflow.synth.walks import walking

CONFIG = CrossingConfig(frames=30)


@pytest.fixture(scope="module")
def walkers() -> list[Walk]:
    body = coarse_mesh(BodyModel.load()).body
    found = []
    for turning in (0.0, 0.1):
        person = walking(torch.full((6,), 0.5), 60, 30.0, body, turn_rad_s=turning)
        motion = RetargetedMotion(person.pose.numpy(), person.root_m.numpy(), 1 / 30)
        found.append(Walk(motion, range(0, 59, 2)))
    return found


@pytest.mark.parametrize("number", range(6))
def test_at_half_time_one_is_behind_the_other(walkers, number):
    clip = crossing(walkers, CONFIG, number)
    assert isinstance(clip, Clip) and len(clip) == 30
    points = true_points_px(clip)
    middle = points[..., 0].mean(-1)
    assert abs(float(middle[0, 15] - middle[1, 15])) < 40
    depth_m = torch.stack([clip.seen(i).root_m[15, 2] for i in range(2)])
    assert CONFIG.distance_m[0] - 0.3 < depth_m[0] < CONFIG.distance_m[1] + 0.3
    assert CONFIG.behind_m[0] - 0.3 < depth_m[1] - depth_m[0] < CONFIG.behind_m[1] + 0.3
    # they come from somewhere else, and go on, on the floor; some go the same way as quickly
    apart = (middle[0] - middle[1]).abs()
    assert max(apart[0], apart[-1]) > 20
    soles = torch.stack([person.root_m[:, 1] for person in clip.people])
    assert (soles > 0.5).all()
    again = crossing(walkers, CONFIG, number)
    assert torch.equal(true_points_px(again), points)


def test_both_ways_occur(walkers):
    ways = set()
    for number in range(24):
        x = torch.stack([p.root_m[:, 0] for p in crossing(walkers, CONFIG, number).people])
        ways.add(tuple((x[:, -1] > x[:, 0]).tolist()))
    assert ways == {(True, True), (True, False), (False, True), (False, False)}


def test_recordings_of_others_are_not_walked(tmp_path):
    (tmp_path / "02").mkdir()
    with pytest.raises(InputError):
        walks([tmp_path / "02"], CONFIG)


def seen_at(points: torch.Tensor, confidence: float = 0.9) -> np.ndarray:
    return np.column_stack((points.numpy(), np.full(len(points), confidence)))


def test_who_is_seen_is_told_by_the_truth():
    generator = torch.Generator().manual_seed(0)
    one = 100 * torch.rand(len(BLAZEPOSE33), 2, generator=generator)
    truth = torch.stack([one, one + 200, one + 204])
    assert true_people([seen_at(one + 3)], truth) == [0]
    assert true_people([seen_at(one + 90)], truth) == [None]
    assert true_people([seen_at(one, 0.0)], truth) == [None]
    # in the middle of two of them it may be either
    assert true_people([seen_at(one + 202)], truth) == [UNCLEAR]
    assert true_people([seen_at(one), seen_at(one + 1)], truth[:1]) in ([0, None],)
    assert true_people([], truth) == []


def test_counts():
    frames = [
        ([0, 1], [0, 1]),
        ([0], [UNCLEAR]),
        ([1, 0], [0, 1]),
        ([1, 0, 5], [0, 1, None]),
        ([1, 7], [0, 1]),
    ]
    counts = counted(iter(frames))
    assert (counts.switches, counts.seen, counts.made_up, counts.numbers) == (3, 9, 1, 4)
    assert counts.changed == 0  # too few sightings to tell the end from the beginning
    swapped = [([0, 1], [0, 1])] * 7 + [([1, 0], [0, 1])] * 6
    assert counted(iter(swapped)).changed == 2
    moment = [([0, 1], [0, 1])] * 7 + [([1], [0])] + [([0, 1], [0, 1])] * 6
    assert (counted(iter(moment)).changed, counted(iter(moment)).switches) == (0, 2)
