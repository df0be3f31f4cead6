"""`kinflow data looks`: rendered people as the detector sees them, for networks to learn from.

Worlds of many kinds are painted, spoilt as photos are, and each person in them is looked at by
BlazePose from a first region that is about as wrong as MoveNet's; where the answer is of somebody
else, as in crowds, the person is left out, as the product would. Shard number k holds the worlds
from k times `WORLDS_PER_SHARD` on, so that several processes can fill one folder and an interrupted
run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from rich.progress import track

from kinflow.body.keypoints import COCO17_ROWS
from kinflow.body.parts import UNKNOWN
from kinflow.checks import one_of, path, whole
from kinflow.datasets.look_labels import keypoints_in_crop, parts_in_crop
from kinflow.datasets.poses import Split
from kinflow.datasets.same_person import LEAST_SCORE, LEAST_SHOWN, are_of
from kinflow.datasets.samples import Samples
from kinflow.evidence.blazepose import BlazePose, Pose, region_from_coco
from kinflow.evidence.weights import RuntimeConfig
from kinflow.files.destinations import check_folder_destination
from kinflow.geometry.rotations import matrix_to_rotvec
from kinflow.synth.part_world import PartWorld
from kinflow.synth.people import PeopleConfig
from kinflow.synth.rendering import coarse_mesh
from kinflow.synth.world import World, WorldConfig, WorldPerson
from kinflow.synth.world_picture import WorldPainter
from kinflow.synth.world_source import WorldSource

WORLDS_PER_SHARD = 100
_SIZES = ((360, 360), (432, 324), (324, 432))
_SEEDS = {"train": 1000, "validation": 2000, "test": 3000}
_SPOILING_STREAM, _PICTURE_STREAM = 2, 1
_FIRST_LOOK_SHARE = 0.2
_CUT_SHARE = 0.3


@dataclass(frozen=True)
class LooksConfig:
    """Render worlds and keep what the detector sees of the people in them.

    Attributes:
        poses: pose set written by `kinflow data poses`.
        out: folder to fill; shards that are there are kept.
        split: whose poses.
        shards: number of shards of a hundred worlds.
        first: number of the first one.
    """

    poses: Path
    out: Path
    split: Split = "train"
    shards: int = 10
    first: int = 0

    def __post_init__(self) -> None:
        path(self, "poses")
        path(self, "out")
        one_of(self, "split", get_args(Split))
        whole(self, "shards", at_least=1)
        whole(self, "first")


def main(config: LooksConfig) -> None:
    """Write the shards that are not there yet and say how many there were."""
    check_folder_destination(config.out)
    torch.set_num_threads(1)
    looker = Looker(world_kinds(config.poses, config.split))
    config.out.mkdir(parents=True, exist_ok=True)
    numbers = range(config.first, config.first + config.shards)
    paths = {n: config.out / f"samples_{n:05d}.safetensors" for n in numbers}
    missing = [number for number in numbers if not paths[number].exists()]
    for number in track(missing, "shards", disable=not missing):
        looker.shard(number).save(paths[number])
    there = len(numbers) - len(missing)
    print(f"Wrote {len(missing)} shards to {config.out}; {there} were there already.")


def world_kinds(poses: Path | None, split: Split) -> tuple[WorldConfig, ...]:
    """The kinds of worlds that samples come from, in turn: whole people, cut-offs, crowds."""
    people = PeopleConfig(poses=poses, split=split, prior_share=0.1, exchange_share=0.2)
    whole_people = WorldConfig(
        people=people,
        count=(1, 2),
        postures=(0.55, 0.25, 0.2),
        child_share=0.2,
        child_ages=(0.11, 0.54),
        image_sizes=_SIZES,
        fov_deg=(25.0, 85.0),
        pitch_deg=(-25.0, 40.0),
        roll_std_deg=5.0,
        size_range=(0.5, 0.95),
        seed=_SEEDS[split],
    )
    edge = replace(whole_people, postures=(0.6, 0.4, 0.0), hiding="edge", pitch_deg=(-20.0, 30.0))
    furniture = replace(edge, hiding="furniture")
    crowd = replace(whole_people, count=(2, 4), postures=(0.7, 0.3, 0.0), size_range=(0.4, 0.8))
    return (whole_people, edge, whole_people, crowd, whole_people, furniture, whole_people, crowd)


class Looker:
    """Draws worlds and looks at the people in them.

    Args:
        kinds: of worlds, which take turns.
    """

    def __init__(self, kinds: tuple[WorldConfig, ...]) -> None:
        self._sources = [WorldSource(replace(k, seed=k.seed + i)) for i, k in enumerate(kinds)]
        self._painter = WorldPainter.load()
        self._blazepose = BlazePose(RuntimeConfig(threads=1))
        self._mesh = coarse_mesh(self._painter.mesh.body)

    def shard(self, number: int) -> Samples:
        """All people of a hundred worlds whom the detector saw."""
        first = number * WORLDS_PER_SHARD
        return Samples.concatenate(
            [s for n in range(first, first + WORLDS_PER_SHARD) for s in self.samples(n)]
        )

    def samples(self, number: int) -> Iterator[Samples]:
        """The people of one world whom the detector saw."""
        source = self._sources[number % len(self._sources)]
        world = source.world(number)
        seed = source.config.seed
        rgb = self._painter.paint(world, np.random.default_rng((seed, number, _PICTURE_STREAM)))
        rng = np.random.default_rng((seed, number, _SPOILING_STREAM))
        rgb = spoilt(rgb, rng)
        drawn = None
        for number_of_person, person in enumerate(world.people):
            cut, shows, inside = _cut(rgb, person, rng)
            if int(shows.sum()) < LEAST_SHOWN:
                continue
            pose = self._look(cut, person, shows, rng)
            if pose is not None:
                drawn = drawn or PartWorld.of(world, self._mesh)
                sets = np.where(inside, drawn.sets_of(number_of_person), UNKNOWN)
                yield _sample(world, person, pose, shows, sets)

    def _look(
        self,
        rgb: UInt8[np.ndarray, "height width 3"],
        person: WorldPerson,
        shows: np.ndarray,
        rng: np.random.Generator,
    ) -> Pose | None:
        """BlazePose's answer as the product would take it; None where it is of nobody or others."""
        points_px = person.keypoints_px.numpy()
        first = self._blazepose(rgb, region_from_coco(as_movenet(points_px, shows, rng)))
        looks = [first]
        if not first.region.resembles(first.next_region) and rng.random() > _FIRST_LOOK_SHARE:
            looks.insert(0, self._blazepose(rgb, first.next_region))
        for pose in looks:
            if pose.score >= LEAST_SCORE and _is_of(pose, person, shows):
                return pose
        return None


def spoilt(
    rgb: UInt8[np.ndarray, "height width 3"], rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """A picture with the light, blur, noise and compression of photos, each now and then."""
    if rng.random() < 0.5:
        table = 255 * (np.arange(256) / 255) ** rng.uniform(0.6, 1.6) * rng.uniform(0.7, 1.1)
        rgb = np.clip(table, 0, 255).astype(np.uint8)[rgb]
    if rng.random() < 0.35:
        rgb = np.ascontiguousarray(cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.4, 2.0)))
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(2, 12), rgb.shape)
        rgb = np.clip(rgb + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.1:
        rgb = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 90))]
        packed = cv2.imencode(".jpg", rgb, quality)[1]
        rgb = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return rgb


def _cut(
    rgb: UInt8[np.ndarray, "height width 3"], person: WorldPerson, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "height width 3"], np.ndarray, np.ndarray]:
    """The picture, now and then black beyond an edge through the person, which keypoints show, and
    which pixels are on this side of the edge."""
    shows, points = person.keypoint_uncovered.numpy(), person.keypoints_px.numpy()
    inside = np.ones(rgb.shape[:2], bool)
    if rng.random() > _CUT_SHARE:
        return rgb, shows, inside
    low, high = points.min(0), points.max(0)
    axis, far_side = rng.choice(2, p=(0.3, 0.7)), rng.random() < 0.8
    share = rng.uniform(0.35, 0.95)
    edge = low[axis] + (high - low)[axis] * (share if far_side else 1 - share)
    at = int(np.clip(edge, 0, rgb.shape[1 - axis]))
    cut = rgb.copy()
    beyond = slice(at, None) if far_side else slice(None, at)
    inside[(beyond, slice(None)) if axis == 1 else (slice(None), beyond)] = False
    cut[~inside] = 0
    return cut, shows & ((points[:, axis] < edge) == far_side), inside


def as_movenet(
    points_px: Float[np.ndarray, "33 2"], shows: np.ndarray, rng: np.random.Generator
) -> Float[np.ndarray, "17 3"]:
    """Roughly the keypoints that the first detector would give.

    Args:
        points_px: where BlazePose's keypoints are.
        shows: those that nothing hides.
        rng: source of randomness.
    """
    rows = list(COCO17_ROWS)
    points = points_px[rows]
    size = max(8.0, float(np.linalg.norm(points.max(0) - points.min(0))))
    seen = shows[rows]
    std = np.where(seen, 0.015, 0.06) * size
    points = points + rng.normal(0, 1, points.shape) * std[:, None]
    return np.column_stack((points, np.where(seen, 0.7, 0.1)))


def _is_of(pose: Pose, person: WorldPerson, shows: np.ndarray) -> bool:
    seen = np.column_stack((pose.keypoints_px, pose.confidence))
    truth = person.keypoints_px.float()
    return bool(are_of(torch.from_numpy(seen).float(), truth, torch.from_numpy(shows)))


def _sample(
    world: World, person: WorldPerson, pose: Pose, shows: np.ndarray, sets: np.ndarray
) -> Samples:
    marked = keypoints_in_crop(person.keypoints_px.numpy(), shows.astype(np.float32), pose.region)
    return Samples.of_look(
        pose.close_look(),
        world.camera,
        up_cam=world.up_cam,
        has_up=torch.tensor(True),
        rotvec=matrix_to_rotvec(person.pose),
        phenotypes=person.shape,
        root_cam_m=person.t_cam_root_m,
        has_body=torch.tensor(True),
        keypoint_shows=torch.from_numpy(shows.copy()),
        keypoints=marked,
        parts=parts_in_crop(sets.astype(np.int16), pose.region),
    )
