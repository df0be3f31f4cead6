"""`kinflow data look-clips`: people who move as recorded, as the detector sees them over time.

Each clip is of one person before a camera that stands or turns, in small pictures: the detector's
crop has no more pixels. BlazePose looks at every frame, in half of the clips as the product follows
people (where the frame before suggests to look), in the others as it looks at photos; where the
answer is of nobody or somebody else, the frame counts as one in which nobody was seen. Something
stands before some of the people. Nothing but what a predictor is given is kept, and the truth.

Shard number k depends on its number and the settings alone, so that several processes can fill one
folder and an interrupted run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from rich.progress import track

from kinflow.body import BodyModel
from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.sides import other_side
from kinflow.body.skeleton import JOINT_INDEX, JOINT_NAMES
from kinflow.checks import one_of, path, whole
from kinflow.datasets.look_clips import LookClips
from kinflow.datasets.mocap_splits import CMU_SPLITS, Split, subject_of
from kinflow.datasets.motion_files import MotionFiles, SkippedClip, find_motions, read_motions
from kinflow.datasets.retarget import RetargetedMotion
from kinflow.datasets.same_person import LEAST_SCORE, LEAST_SHOWN, are_of
from kinflow.errors import InputError
from kinflow.evidence.blazepose import BlazePose, Pose, region_from_coco
from kinflow.evidence.region import Region
from kinflow.evidence.weights import RuntimeConfig
from kinflow.files.destinations import check_folder_destination
from kinflow.geometry.rotations import matrix_to_rotvec
from kinflow.priors.shape import ShapePrior
from kinflow.synth.camera_turns import CameraTurning
from kinflow.synth.clip_picture import ClipPainter
from kinflow.synth.clips import Clip, ClipConfig, MovingPerson, before_camera, moving
from kinflow.synth.looks import as_movenet, spoilt
from kinflow.synth.rendering import coarse_mesh

_RATE_HZ = 30.0
_STRIDES, _STRIDE_SHARES = (1, 2, 3), (0.4, 0.35, 0.25)
_SIZES = ((320, 240), (240, 320), (288, 288))
_TURNING_SHARE, _FOLLOWED_SHARE, _HIDDEN_SHARE = 0.35, 0.5, 0.35
_TRIES = 50
_MIRROR = [JOINT_INDEX[other_side(name)] for name in JOINT_NAMES]


@dataclass(frozen=True)
class LookClipsConfig:
    """Film people who move as recorded, and keep what the detector sees of them.

    Attributes:
        motions: folders of motion files, a subject's in a folder of their name.
        out: folder to fill; shards that are there are kept.
        split: whose recordings.
        shards: number of files.
        first: number of the first one.
        clips: in each shard.
        frames: of each clip, at most.
        seed: another one films others.
    """

    motions: tuple[Path, ...]
    out: Path
    split: Split = "train"
    shards: int = 10
    first: int = 0
    clips: int = 8
    frames: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        path(self, "out")
        one_of(self, "split", get_args(Split))
        whole(self, "shards", "clips", at_least=1)
        whole(self, "frames", at_least=3, at_most=1000)
        whole(self, "first", "seed")


def main(config: LookClipsConfig) -> None:
    """Write the shards that are not there yet and say how many there were."""
    check_folder_destination(config.out)
    torch.set_num_threads(1)
    filming = Filming(config, motions_by_subject(config))
    config.out.mkdir(parents=True, exist_ok=True)
    numbers = range(config.first, config.first + config.shards)
    paths = {n: config.out / f"clips_{n:05d}.safetensors" for n in numbers}
    missing = [number for number in numbers if not paths[number].exists()]
    for number in track(missing, "shards", disable=not missing):
        filming.shard(number).save(paths[number])
    there = len(numbers) - len(missing)
    print(f"Wrote {len(missing)} shards to {config.out}; {there} were there already.")


class Filming:
    """Films clips and looks at the people in them.

    Args:
        config: how long.
        motions: how each subject moves.
    """

    def __init__(
        self, config: LookClipsConfig, motions: Mapping[str, Sequence[RetargetedMotion]]
    ) -> None:
        self.config, self._motions = config, motions
        self._body = coarse_mesh(BodyModel.load()).body
        self._painter = ClipPainter.load()
        self._blazepose = BlazePose(RuntimeConfig(threads=1))
        self._joints = BodyModel.load("joints")

    def shard(self, number: int) -> LookClips:
        """The clips of one shard."""
        first = number * self.config.clips
        return LookClips.concatenate([self.clip(first + i) for i in range(self.config.clips)])

    def clip(self, number: int) -> LookClips:
        """One clip."""
        rng = np.random.default_rng((self.config.seed, number))
        clip = self._filmed(rng)
        person = clip.seen(0)
        points_m = person.posed(self._joints).keypoints_m()[:, : len(BLAZEPOSE33)]
        points_px = clip.camera.project(points_m).numpy()
        hiding = Hiding.random(points_px, rng) if rng.random() < _HIDDEN_SHARE else None
        followed, spoiling = rng.random() < _FOLLOWED_SHARE, int(rng.integers(1 << 31))
        rotvec = matrix_to_rotvec(person.pose)
        camera = (clip.camera.focal_px, *clip.camera.principal_px, *clip.camera.image_size)
        frames, region = [], None
        for i, rgb in enumerate(self._painter.paint(clip, rng)):
            if hiding is not None:
                rgb = hiding.before(rgb, i)
            rgb = spoilt(rgb, np.random.default_rng(spoiling))  # alike in all frames
            shows = _shows(points_px[i], rgb, None if hiding is None else hiding.box(i))
            pose = self._look(rgb, points_px[i], shows, region if followed else None, rng)
            region = None if pose is None else pose.next_region
            frame = {
                "clip": torch.tensor(number),
                "time_s": torch.tensor(i / clip.rate_hz),
                "seen": torch.tensor(pose is not None),
                "camera": torch.tensor(camera),
                "R_still_cam": torch.eye(3) if clip.R_cam_first is None else clip.R_cam_first[i].mT,
                "rotvec": rotvec[i],
                "phenotypes": person.shape,
                "root_cam_m": person.root_m[i],
            }
            frames.append(frame | ({} if pose is None else _columns(pose)))
        return LookClips.of_frames(frames)

    def _filmed(self, rng: np.random.Generator) -> Clip:
        """Somebody, their motion and a camera."""
        subjects = sorted(self._motions)
        for _ in range(_TRIES):
            mine = self._motions[subjects[rng.integers(len(subjects))]]
            motion = mine[int(rng.integers(len(mine)))]
            stride = int(rng.choice(_STRIDES, p=_STRIDE_SHARES))
            length = (self.config.frames - 1) * stride + 1
            first = int(rng.integers(max(1, len(motion.rotations) - length + 1)))
            rows = range(first, min(first + length, len(motion.rotations)), stride)
            s = torch.from_numpy(rng.standard_normal(6)).float()
            mirrored, film = rng.random() < 0.5, _film(rng)
            if len(rows) < min(self.config.frames, 16):
                continue
            person = moving(motion, ShapePrior().decode(s), rows, self._body)
            person = in_mirror(person) if mirrored else person
            rate_hz = 1 / (motion.frame_time_s * stride)
            try:
                return before_camera([person], film, rng, self._body, rate_hz)
            except RuntimeError:
                continue
        raise InputError(
            f"The recordings of the {self.config.split} split are too short for clips of "
            f"{self.config.frames} frames; ask for fewer.",
            {"fewer": "frames"},
        )

    def _look(
        self,
        rgb: UInt8[np.ndarray, "height width 3"],
        points_px: Float[np.ndarray, "33 2"],
        shows: Bool[np.ndarray, " 33"],
        region: Region | None,
        rng: np.random.Generator,
    ) -> Pose | None:
        """BlazePose's answer; None where it is of nobody or somebody else."""
        if int(shows.sum()) < LEAST_SHOWN:
            return None
        if region is None:
            region = region_from_coco(as_movenet(points_px, shows, rng))
        pose = self._blazepose(rgb, region)
        seen = torch.from_numpy(np.column_stack((pose.keypoints_px, pose.confidence))).float()
        truth = torch.from_numpy(points_px).float()
        is_them = pose.score >= LEAST_SCORE and are_of(seen, truth, torch.from_numpy(shows))
        return pose if is_them else None


@dataclass(frozen=True)
class Hiding:
    """A box of one colour before a person, which may drift."""

    corner_px: Float[np.ndarray, " 2"]
    size_px: Float[np.ndarray, " 2"]
    drift_px: Float[np.ndarray, " 2"]
    """From frame to frame."""
    color: Float[np.ndarray, " 3"]

    @staticmethod
    def random(points_px: Float[np.ndarray, "frames 33 2"], rng: np.random.Generator) -> Hiding:
        """One that hides something in at least one frame."""
        frame = int(rng.integers(len(points_px)))
        extent = np.ptp(points_px[frame], 0).max()
        middle = points_px[frame, rng.integers(33)]
        size = extent * rng.uniform((0.12, 0.25), (0.5, 1.2))
        drift = rng.normal(0, 0.01, 2) * extent
        return Hiding(middle - size / 2 - frame * drift, size, drift, rng.uniform(10, 245, 3))

    def box(self, frame: int) -> tuple[int, int, int, int]:
        """Its left, top, right and lower edge in a frame."""
        low = np.rint(self.corner_px + frame * self.drift_px).astype(int)
        high = np.rint(low + self.size_px).astype(int)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def before(
        self, rgb: UInt8[np.ndarray, "height width 3"], frame: int
    ) -> UInt8[np.ndarray, "height width 3"]:
        """A picture with it."""
        left, top, right, bottom = (max(0, edge) for edge in self.box(frame))
        rgb = rgb.copy()
        rgb[top:bottom, left:right] = self.color.astype(np.uint8)
        return rgb


def in_mirror(person: MovingPerson) -> MovingPerson:
    """The same motion with sides exchanged."""
    flip = torch.tensor([-1.0, 1.0, 1.0])
    pose = person.pose[:, _MIRROR] * flip[:, None] * flip
    return replace(person, pose=pose, root_m=person.root_m * flip)


def _film(rng: np.random.Generator) -> ClipConfig:
    return ClipConfig(
        image_size=_SIZES[rng.integers(len(_SIZES))],
        fov_deg=(35.0, 80.0),
        pitch_deg=(-10.0, 25.0),
        roll_std_deg=3.0,
        closer=float(rng.uniform(0.55, 1.0)),
        turning=CameraTurning() if rng.random() < _TURNING_SHARE else None,
    )


def motions_by_subject(config: LookClipsConfig) -> dict[str, list[RetargetedMotion]]:
    """The recordings of a split.

    Raises:
        InputError: there are none.
    """
    files = find_motions(config.motions)
    mine = MotionFiles(
        *(
            tuple(p for p in paths if CMU_SPLITS.of(subject_of(p)) == config.split)
            for paths in (files.bvh, files.amass)
        )
    )
    found: dict[str, list[RetargetedMotion]] = {}
    for one, motion in read_motions(mine, _RATE_HZ):
        if not isinstance(motion, SkippedClip):
            found.setdefault(subject_of(one), []).append(motion)
    if not found:
        raise InputError(f"There are no recordings of the {config.split} split; name others.")
    return found


def _shows(
    points_px: Float[np.ndarray, "33 2"],
    rgb: UInt8[np.ndarray, "height width 3"],
    box: tuple[int, int, int, int] | None,
) -> Bool[np.ndarray, " 33"]:
    """Which keypoints are in the picture and not behind the box."""
    x, y = points_px.T
    inside = (x >= 0) & (y >= 0) & (x < rgb.shape[1]) & (y < rgb.shape[0])
    if box is None:
        return inside
    left, top, right, bottom = box
    return inside & ~((x >= left) & (x < right) & (y >= top) & (y < bottom))


def _columns(pose: Pose) -> dict[str, torch.Tensor]:
    look = pose.close_look()
    region = (*look.region.center_px, look.region.size_px, look.region.roll)
    names = ("features", "joint_features", "map_features", "landmarks", "world_m")
    return {name: getattr(look, name) for name in names} | {"region": torch.tensor(region)}
