"""What the detector sees of the people of any dataset, with their truth where it is known.

A `Sample` says where somebody is and what is known of them; a row of `Samples` is what the pose
predictor learns from: the detector's look at the person, the camera, and what is labelled. The
detector is led to the person by the dataset's own points or box, and what it saw is left out where
it is of somebody else; in pictures of which nothing is labelled it finds people by itself. Rows
without labels teach by what was seen (self-supervision), as photographs do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float, UInt8
from rich.progress import Progress
from torch import Tensor
from tyro.conf import Positional, arg

from kinflow.body.keypoints import BLAZEPOSE33, COCO17, COCO17_ROWS
from kinflow.body.skeleton import JOINT_NAMES
from kinflow.checks import number, path, whole
from kinflow.datasets.look_index import LookIndex, Origin
from kinflow.datasets.look_labels import keypoints_in_crop, labelled_parts_in_crop
from kinflow.datasets.readers.commands import existing_folder
from kinflow.datasets.readers.reader import Reader, Unit, chosen_units, forgiving
from kinflow.datasets.readers.records import LeftOut
from kinflow.datasets.readers.registry import reader_of
from kinflow.datasets.same_person import LEAST_SCORE, LEAST_SHOWN, are_of
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import BodyLabel
from kinflow.datasets.samples import Samples
from kinflow.errors import InputError
from kinflow.evidence.blazepose import BlazePose, Pose, region_from_box, region_from_coco
from kinflow.evidence.detector import EvidenceDetector
from kinflow.evidence.region import Region
from kinflow.evidence.weights import RuntimeConfig
from kinflow.files.destinations import check_folder_destination
from kinflow.files.names import folder_name
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import matrix_to_rotvec

SAMPLES_PER_SHARD = 1000
"""Samples of a unit that are looked at for one shard; those that the detector misses are not in."""
_OF_SOMEBODY = frozenset({"box", "keypoints", "parts", "mask", "joints", "body"})
"""Labels that are about one person of a picture."""
_TRUNK = [COCO17.index(f"{s}_{p}") for s in ("left", "right") for p in ("shoulder", "hip")]
_SURE = 0.3
_IN_BOX, _BOX_ROOM = 0.8, 0.1
_SPAN = 0.4
SMPL_FAMILY = frozenset({"smpl", "smplh", "smplx"})
"""Bodies whose joints turn as ours do: the same 22, from the same T-pose, in the same axes."""


@dataclass(frozen=True)
class SeeConfig:
    """Look at the people of a dataset and keep what the detector sees of them, to learn from.

    Exit code 0: all of it; 2: some of it could not be used and was left out.

    Args:
        name: which dataset.
        root: its folder.
        out: folder to fill; shards that are there are kept.
        split: of which split; all if not given.
        at_most: samples of each label file that are looked at; all if not given.
        fov_deg: field of view where a dataset has no cameras.
    """

    name: Annotated[str, Positional, arg(metavar="NAME")]
    root: Annotated[Path, Positional, arg(metavar="ROOT")]
    out: Path
    split: str | None = None
    at_most: int | None = None
    fov_deg: float = 55.0

    def __post_init__(self) -> None:
        path(self, "root")
        path(self, "out")
        if self.at_most is not None:
            whole(self, "at_most", at_least=1)
        number(self, "fov_deg", above=0, below=180)


@dataclass(frozen=True)
class Seen:
    """What a look at a dataset came to.

    Attributes:
        people: rows that were written now.
        passed: samples that were looked at now and not seen, or not as themselves.
        read: records of the dataset that were read.
        left_out: how many of them could not be used, by the reason.
        problems: sentences about them; of many records of one file only the first have their own.
    """

    people: int = 0
    passed: int = 0
    read: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """How many of how many records were left out, and why."""
        return [
            f"{count:,} of {self.read:,} records were left out: {reason}."
            for reason, count in self.left_out.items()
        ]


def main(config: SeeConfig) -> int:
    """Write the shards that are not there yet and say how many people are in them.

    Returns:
        The exit code: 2 if some records could not be used (which is said), else 0.
    """
    seen = see(config)
    for problem in seen.problems[:20]:
        print(problem)
    if others := seen.problems[20:]:
        print(f"... and {len(others)} more.")
    print(
        f"Wrote {seen.people} people to {config.out}; {seen.passed} were not seen, or not as "
        "themselves."
    )
    for sentence in seen.sentences():
        print(sentence)
    return 2 if seen.left_out else 0


def see(config: SeeConfig) -> Seen:
    """Write the shards of a dataset that are not there yet; a folder that is whole is left alone.

    Raises:
        InputError: the dataset cannot be read or has no pictures, or the folder holds looks at
            another one.
    """
    check_folder_destination(config.out)
    reader = reader_of(config.name)
    if "picture" not in reader.info.labels:
        raise InputError(
            f"{reader.info.title} has no pictures for the detector to look at; `kinflow data "
            "looks` shows it people in poses of motion capture."
        )
    origin = Origin.of(config)
    if (index := LookIndex.there(config.out)) is not None:
        index.check(origin, config.out)
        if not index.missing(config.out):
            return Seen(read=index.read, left_out=index.left_out)
    root = existing_folder(config.root)
    units = chosen_units(reader, root, config.split)
    config.out.mkdir(parents=True, exist_ok=True)
    looker, people, read = SampleLooker(config.fov_deg), 0, 0
    gone: list[str] = []
    faults: list[str] = []
    left_out: Counter[str] = Counter()
    shards: dict[str, int] = {}
    with Progress() as bar:
        task = bar.add_task(config.name, total=len(units))
        for unit in units:
            malformed = LeftOut(unit.key)
            for shard, some in _shards(reader, root, unit, config, malformed):
                read += len(some)
                if shard.exists():
                    shards[shard.name] = len(Samples.load(shard))
                    continue
                looked = list(looker.looks(some, gone))
                Samples.concatenate([Samples.nobody(), *looked]).save(shard)
                shards[shard.name] = len(looked)
                people += len(looked)
                bar.update(task, description=f"{unit.key} {people:,} people")
            faults += malformed.sentences()
            left_out["they cannot be right"] += malformed.count
            read += malformed.count
            bar.advance(task)
    left_out["their pictures cannot be read"] += len(gone)
    index = LookIndex(origin, shards, read, dict(+left_out))
    index.write(config.out)
    return Seen(people, looker.passed, read, index.left_out, (*faults, *gone))


def _shards(
    reader: Reader, root: Path, unit: Unit, config: SeeConfig, left_out: LeftOut
) -> Iterator[tuple[Path, list[Sample]]]:
    """The files of a unit, and the samples of each."""
    stream = islice(forgiving(reader, root, unit, left_out), config.at_most)
    stem, number_of_shard = folder_name(unit.key.replace("/", "_")), 0
    while some := list(islice(stream, SAMPLES_PER_SHARD)):
        yield config.out / f"samples_{config.name}_{stem}_{number_of_shard:05d}.safetensors", some
        number_of_shard += 1


class SampleLooker:
    """Looks at people of datasets.

    Args:
        fov_deg: field of view where a sample has no camera.

    Attributes:
        passed: samples whose pictures show nobody, or not those who are meant.
    """

    def __init__(self, fov_deg: float = 55.0) -> None:
        self._fov_deg, self.passed = fov_deg, 0
        self._blazepose = BlazePose(RuntimeConfig(threads=1))

    def looks(self, samples: list[Sample], problems: list[str]) -> Iterator[Samples]:
        """A row for everybody who is seen; sentences about unreadable pictures join `problems`."""
        for sample in samples:
            try:
                rows = self._rows(sample)
            except InputError as error:
                problems.append(str(error))
                continue
            self.passed += not rows
            yield from rows

    def _rows(self, sample: Sample) -> list[Samples]:
        if not sample.labels & _OF_SOMEBODY:
            return self.everybody_in(sample)
        row = self.look_at(sample)
        return [] if row is None else [row]

    def everybody_in(self, sample: Sample) -> list[Samples]:
        """A row for each person in a picture of which nothing is labelled.

        Raises:
            InputError: the picture cannot be read.
        """
        if sample.picture is None:
            return []
        rgb = sample.picture.read()
        found = self._detector.detect(rgb).people
        camera = self._camera(sample, rgb)
        return [Samples.of_look(person.look, camera) for person in found if person.look is not None]

    @cached_property
    def _detector(self) -> EvidenceDetector:
        return EvidenceDetector()

    def _camera(self, sample: Sample, rgb: np.ndarray) -> Camera:
        if sample.camera is not None:
            return sample.camera.pinhole()
        return Camera.from_fov((rgb.shape[1], rgb.shape[0]), self._fov_deg)

    def look_at(self, sample: Sample) -> Samples | None:
        """One row; None where nothing says who is meant, or the detector sees nobody or others.

        Raises:
            InputError: the picture cannot be read.
        """
        region = _first_region(sample)
        if sample.picture is None or sample.crowd or not sample.valid or region is None:
            return None
        rgb = sample.picture.read()
        pose = self._pose(rgb, region, sample)
        if pose is None:
            return None
        camera = self._camera(sample, rgb)
        return Samples.of_look(pose.close_look(), camera, **_truth(sample, pose.region))

    def _pose(
        self, rgb: UInt8[np.ndarray, "height width 3"], region: Region, sample: Sample
    ) -> Pose | None:
        """The second look, as the product's is, or else the first."""
        first = self._blazepose(rgb, region)
        looks = [first]
        if not first.region.resembles(first.next_region):
            looks.insert(0, self._blazepose(rgb, first.next_region))
        found = (p for p in looks if p.score >= LEAST_SCORE and _is_of(p, sample))
        return next(found, None)


def _blazepose_points(sample: Sample) -> tuple[Float[np.ndarray, "33 2"], np.ndarray]:
    """Labelled points in BlazePose's order, and how sure they are; zero is not labelled."""
    px, confidence = np.zeros((33, 2), np.float32), np.zeros(33, np.float32)
    points = sample.keypoints
    if points is None:
        return px, confidence
    row = {name: k for k, name in enumerate(points.names) if points.confidence[k] > 0}
    for i, name in enumerate(BLAZEPOSE33):
        if name in row:
            px[i], confidence[i] = points.px[row[name]], points.confidence[row[name]]
    return px, confidence


def _joints(sample: Sample) -> Float[Tensor, "33 4"]:
    """Labelled joints in the camera's frame by the keypoints of their names, and their weight."""
    joints = torch.zeros(33, 4)
    position_m = sample.joints_cam_m()
    if sample.joints is None or position_m is None:
        return joints
    for name, at_m, valid in zip(sample.joints.names, position_m, sample.joints.valid, strict=True):
        if valid and name in BLAZEPOSE33:
            joints[BLAZEPOSE33.index(name)] = torch.tensor([*at_m.tolist(), 1.0])
    return joints


def _first_region(sample: Sample) -> Region | None:
    px, confidence = _blazepose_points(sample)
    known = confidence > 0
    rows = list(COCO17_ROWS)
    if known[rows][_TRUNK].all():
        return region_from_coco(np.column_stack((px[rows], known[rows])).astype(np.float64))
    if sample.box_px is not None:
        left, top, width, height = sample.box_px
        return region_from_box(np.array([left, top, left + width, top + height]))
    if known.sum() >= LEAST_SHOWN:
        return region_from_box(np.concatenate([px[known].min(0), px[known].max(0)]))
    return None


def _is_of(pose: Pose, sample: Sample) -> bool:
    """By labelled points, or by the box where there are too few."""
    seen = np.column_stack((pose.keypoints_px, pose.confidence)).astype(np.float32)
    px, confidence = _blazepose_points(sample)
    known = confidence > 0
    if known.sum() >= LEAST_SHOWN:
        # points that nobody labelled are not part of the person's size
        filled = np.where(known[:, None], px, px[known].mean(0))
        truth = torch.from_numpy(filled.astype(np.float32))
        return bool(are_of(torch.from_numpy(seen), truth, torch.from_numpy(known)))
    sure = seen[seen[:, 2] > _SURE, :2]
    if sample.box_px is None or len(sure) < LEAST_SHOWN:
        return False
    left, top, width, height = sample.box_px
    room = _BOX_ROOM * max(width, height)
    low, high = (left - room, top - room), (left + width + room, top + height + room)
    inside = ((sure >= low) & (sure <= high)).all(1).mean()
    return bool(inside >= _IN_BOX and np.ptp(sure, axis=0).max() >= _SPAN * max(width, height))


def _truth(sample: Sample, region: Region) -> dict[str, Tensor]:
    """What is known of a sample, by the attributes of `Samples`."""
    truth: dict[str, Tensor] = {}
    px, confidence = _blazepose_points(sample)
    truth["keypoints"] = keypoints_in_crop(px, confidence, region)
    truth["joints_cam_m"] = _joints(sample)
    parts = labelled_parts_in_crop(sample.parts, sample.mask, region)
    if parts is not None:
        truth["parts"] = parts
    points = sample.keypoints
    if points is not None and points.shown is not None:
        shown = dict(zip(points.names, points.shown & (points.confidence > 0), strict=True))
        shows = [bool(shown.get(name, False)) for name in BLAZEPOSE33]
        truth["keypoint_shows"] = torch.tensor(shows)
    R, t = _to_camera(sample)
    if sample.body is not None and sample.body.model in SMPL_FAMILY:
        truth |= _turns(sample.body, R)
    if R is None or t is None:
        return truth
    if sample.up is not None:
        truth |= {"up_cam": torch.from_numpy(R @ sample.up), "has_up": torch.tensor(True)}
    body = sample.body
    if body is None or body.model != "kinflow" or body.shape is None:
        return truth
    if body.joint_names != JOINT_NAMES:
        return truth
    pose = body.R_parent_joint.copy()
    pose[0] = R @ pose[0]
    return truth | {
        "rotvec": matrix_to_rotvec(torch.from_numpy(pose)),
        "phenotypes": torch.from_numpy(body.shape),
        "root_cam_m": torch.from_numpy(R @ body.t_space_m + t),
        "has_body": torch.tensor(True),
    }


def _turns(body: BodyLabel, R_cam_space: np.ndarray | None) -> dict[str, Tensor]:
    """How joints of the SMPL family are turned, which means the same on our body.

    Shapes and places do not: they are left out.
    """
    row = {name: k for k, name in enumerate(body.joint_names)}
    if not all(name in row for name in JOINT_NAMES):
        return {}
    pose = body.R_parent_joint[[row[name] for name in JOINT_NAMES]]
    pose[0] = np.eye(3) if R_cam_space is None else R_cam_space @ pose[0]
    return {
        "rotvec": matrix_to_rotvec(torch.from_numpy(pose)),
        "has_pose": torch.tensor(True),
        "has_root": torch.tensor(R_cam_space is not None),
    }


def _to_camera(sample: Sample) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Rotation and translation of the labels' space into the camera's; None where not known."""
    label = sample.body or sample.joints
    if label is None or label.space == "camera":
        return np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
    if sample.camera is None:
        return None, None
    return sample.camera.R_cam_world, sample.camera.t_cam_world_m
