"""Clips of two people who pass each other, and what trackers make of them.

    for number in range(50):
        clip = crossing(walkers, CrossingConfig(), number)

Recorded walks are turned and placed so that both are in the same column of the picture at half
time, one behind the other. Who is who is settled by the truth frame by frame (`true_people`), and
`counted` says how often numbers changed, who was missed, and who was made up.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.keypoints import BLAZEPOSE33, LIMB_KEYPOINTS
from kinflow.checks import numbers_of, one_of, positive, whole
from kinflow.datasets.mocap_splits import CMU_SPLITS, Split, subject_of
from kinflow.datasets.motion_files import SkippedClip, find_motions, read_motions
from kinflow.datasets.retarget import RetargetedMotion
from kinflow.errors import InputError
from kinflow.evidence.assignment import assign
from kinflow.geometry.pinhole import Camera
from kinflow.priors.shape import ShapePrior
from kinflow.synth.clips import Clip, MovingPerson, moving
from kinflow.synth.postures import turn
from kinflow.synth.rendering import coarse_mesh

_SAME_PERSON = 0.2
"""Median distance of limb keypoints, as a share of the person's extent in the image."""
UNCLEAR = -1
"""Who a sighting is that is about as near to two people: one before the other, and one is seen."""
_CLEARLY = 2.0
_ENDS = 5
_CONFIDENT = 0.3
_LIMBS = list(LIMB_KEYPOINTS)
_LEAST_WAY_M, _STRAIGHT = 1.6, 0.93


@dataclass(frozen=True)
class CrossingConfig:
    """Who passes whom.

    Attributes:
        split: whose recordings.
        image_size: (width, height) in pixels.
        fov_deg: field of view over the longer side.
        frames: of each clip.
        rate_hz: frames a second.
        distance_m: range of the distance of the one in front.
        behind_m: range of how much farther the other one is.
        angle_deg: headings are off the picture's plane by at most this.
        same_way: share of crossings in which both go to the same side, one faster.
        seed: crossings of another seed are others.
    """

    split: Split = "validation"
    image_size: tuple[int, int] = (480, 360)
    fov_deg: float = 55.0
    frames: int = 42
    rate_hz: float = 15.0
    distance_m: tuple[float, float] = (3.0, 6.0)
    behind_m: tuple[float, float] = (0.45, 2.5)
    angle_deg: float = 40.0
    same_way: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        one_of(self, "split", get_args(Split))
        numbers_of(self, "image_size", count=2, at_least=64, at_most=8192, kind=int)
        whole(self, "frames", at_least=4, at_most=10_000)
        positive(self, "fov_deg", "rate_hz")
        numbers_of(self, "distance_m", "behind_m", count=2, at_least=0, at_most=50, ascending=True)
        whole(self, "seed")


@dataclass(frozen=True)
class Walk:
    """Frames of a recording in which somebody walks rather straight."""

    motion: RetargetedMotion
    frames: range


def walks(motions: Sequence[Path], config: CrossingConfig) -> list[Walk]:
    """Straight ways in the recordings of a split, in the order of their files.

    Raises:
        InputError: there are fewer than two.
    """
    found = []
    for path, motion in read_motions(find_motions(motions), config.rate_hz):
        if isinstance(motion, SkippedClip) or CMU_SPLITS.of(subject_of(path)) != config.split:
            continue
        stride = max(1, round(1 / (motion.frame_time_s * config.rate_hz)))
        length = (config.frames - 1) * stride + 1
        for first in range(0, len(motion.rotations) - length + 1, length):
            frames = range(first, first + length, stride)
            steps = np.diff(motion.root_positions_m[list(frames)][:, (0, 2)], axis=0)
            way_m = float(np.linalg.norm(steps.sum(0)))
            straight = way_m / max(float(np.linalg.norm(steps, axis=1).sum()), 1e-9)
            if way_m > _LEAST_WAY_M and straight > _STRAIGHT:
                found.append(Walk(motion, frames))
    if len(found) < 2:
        raise InputError(f"The {config.split} split of these recordings has no two who walk.")
    return found


def crossing(walkers: Sequence[Walk], config: CrossingConfig, number: int) -> Clip:
    """One of the crossings; the first of its people is the one in front."""
    rng = np.random.default_rng((config.seed, number))
    body = coarse_mesh(BodyModel.load()).body
    camera = Camera.from_fov(config.image_size, config.fov_deg)
    height_m, pitch = float(rng.uniform(0.9, 1.8)), math.radians(float(rng.uniform(-2, 10)))
    R = turn("x", pitch) @ torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    front_m = float(rng.uniform(*config.distance_m))
    depths_m = (front_m, front_m + float(rng.uniform(*config.behind_m)))
    sides = (1, 1 if rng.random() < config.same_way else -1)
    if rng.random() < 0.5:
        sides = (-sides[0], -sides[1])
    chosen = rng.choice(len(walkers), 2, replace=False)
    people = []
    for walk, depth_m, side in zip((walkers[i] for i in chosen), depths_m, sides, strict=True):
        shape = ShapePrior().decode(torch.from_numpy(rng.standard_normal(6)).float())
        person = moving(walk.motion, shape, walk.frames, body)
        angle = math.radians(float(rng.uniform(-config.angle_deg, config.angle_deg)))
        people.append(_passing(person, depth_m, side, angle))
    t = -R @ torch.tensor([0.0, height_m, 0.0])
    return Clip(camera, R, t, tuple(people), config.rate_hz)


def _passing(person: MovingPerson, depth_m: float, side: int, angle: float) -> MovingPerson:
    """Somebody who walks to a side of the picture, before its middle at half time."""
    step = person.root_m[-1] - person.root_m[0]
    heading = math.atan2(float(step[2]), float(step[0]))
    wanted = angle if side > 0 else math.pi - angle
    # a turn about y takes a heading from x to z backwards
    turned = person.turned(heading - wanted, torch.zeros(3))
    middle = turned.root_m[len(turned) // 2]
    shift = torch.tensor([-float(middle[0]), 0.0, -depth_m - float(middle[2])])
    return turned.turned(0.0, shift)


def true_points_px(clip: Clip) -> Float[Tensor, "people frames 33 2"]:
    """Where the keypoints of everybody are, hidden ones and those outside the image too."""
    body = BodyModel.load("joints")
    points_m = [clip.seen(i).posed(body).keypoints_m() for i in range(len(clip.people))]
    return clip.camera.project(torch.stack(points_m)[:, :, : len(BLAZEPOSE33)])


def true_people(
    seen: Sequence[Float[np.ndarray, "33 3"]], truth_px: Float[Tensor, "people 33 2"]
) -> list[int | None]:
    """Who each of the people seen in a frame is; None for nobody, `UNCLEAR` where it might be
    either of two. Everybody is one at most."""
    cost = np.full((len(seen), len(truth_px)), math.inf)
    for row, keypoints in enumerate(seen):
        sure = keypoints[_LIMBS, 2] > _CONFIDENT
        if not sure.any():
            continue
        for column, points in enumerate(truth_px[:, _LIMBS].numpy()):
            gap = np.linalg.norm(keypoints[_LIMBS, :2] - points, axis=1)[sure]
            share = float(np.median(gap)) / float(np.linalg.norm(np.ptp(points, axis=0)))
            cost[row, column] = share
    near = np.where(cost < _SAME_PERSON, cost, math.inf)
    who: list[int | None] = [None] * len(seen)
    for row, column in assign(near, _SAME_PERSON):
        others = np.delete(cost[row], column)
        who[row] = column if (others > _CLEARLY * cost[row, column]).all() else UNCLEAR
    return who


@dataclass(frozen=True)
class Counts:
    """What a tracker made of one clip."""

    changed: int
    """People whose number in the end is another one than in the beginning: the usual one of their
    first and of their last sightings."""
    switches: int
    """How often somebody has another number than the last time that they were seen."""
    seen: int
    """Sightings of people who are there."""
    made_up: int
    """Sightings of nobody, and of people who were seen already in that frame."""
    numbers: int
    """How many people it took them for."""


def counted(frames: Iterator[tuple[Sequence[int], Sequence[int | None]]]) -> Counts:
    """The counts of a clip.

    Args:
        frames: in each the numbers that a tracker gave, and who these are.
    """
    last: dict[int, int] = {}
    course: dict[int, list[int]] = {}
    switches = seen = made_up = 0
    numbers: set[int] = set()
    for given, who in frames:
        numbers.update(given)
        for number, person in zip(given, who, strict=True):
            if person is None:
                made_up += 1
                continue
            seen += 1
            if person == UNCLEAR:
                continue
            switches += last.get(person, number) != number
            last[person] = number
            course.setdefault(person, []).append(number)
    changed = sum(_usual(mine[:_ENDS]) != _usual(mine[-_ENDS:]) for mine in course.values())
    return Counts(changed, switches, seen, made_up, len(numbers))


def _usual(numbers: Sequence[int]) -> int:
    return Counter(numbers).most_common(1)[0][0]
