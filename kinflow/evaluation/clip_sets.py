"""Sets of clips of people who move as recorded, each frame seen by a real detector.

    for seen in seen_clips(ClipSetConfig(motions=(folder,), split="validation"), detect, cache):
        seen.clip, seen.evidence, seen.found(0)    # truth, what was detected, who is who

Clip i is of the i-th recording of a fixed shuffle of those of the split, one after another of all
subjects, so that a larger count only adds clips.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

import kinflow.body
from kinflow.body import BodyModel
from kinflow.body.keypoints import BLAZEPOSE33, LIMB_KEYPOINTS
from kinflow.checks import nested, one_of, positive, whole
from kinflow.datasets.mocap_splits import CMU_SPLITS, Split, subject_of
from kinflow.datasets.motion_files import MotionFiles, SkippedClip, find_motions, read_motions
from kinflow.datasets.retarget import RetargetedMotion
from kinflow.errors import InputError
from kinflow.evaluation.value_files import read_values, write_values
from kinflow.evidence.camera_turns import CameraTurns
from kinflow.evidence.types import ImageEvidence, PersonEvidence
from kinflow.priors.shape import ShapePrior
from kinflow.synth.clip_picture import ClipPainter
from kinflow.synth.clips import Clip, ClipConfig, before_camera, moving
from kinflow.synth.rendering import coarse_mesh

Detect = Callable[[UInt8[np.ndarray, "height width 3"]], ImageEvidence]

_SAME_PERSON = 0.2
"""Median distance of limb keypoints, as a share of the person's extent in the image."""
_CONFIDENT = 0.3
_LIMBS = list(LIMB_KEYPOINTS)


@dataclass(frozen=True)
class ClipSetConfig:
    """Which clips.

    Attributes:
        motions: folders of motion files, a subject's in a folder of their name.
        split: whose recordings.
        count: number of clips.
        frames: of each.
        rate_hz: frames a second.
        film: how they are filmed.
        seed: clips of another seed are other clips.
    """

    motions: tuple[Path, ...]
    split: Split = "validation"
    count: int = 12
    frames: int = 60
    rate_hz: float = 30.0
    film: ClipConfig = field(default_factory=ClipConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        one_of(self, "split", get_args(Split))
        whole(self, "count", at_least=1, at_most=10_000)
        whole(self, "frames", at_least=3, at_most=10_000)
        positive(self, "rate_hz")
        nested(self, film=ClipConfig)
        whole(self, "seed")


@dataclass(frozen=True)
class SeenClip:
    """A clip, and what a detector says of its frames."""

    name: str
    """Of the recording."""
    clip: Clip
    evidence: tuple[ImageEvidence, ...]
    R_first_cam: Float[Tensor, "frames 3 3"] | None = None
    """How the camera is turned by the background; None for one that stands."""

    def found(self, person: int) -> tuple[PersonEvidence | None, ...]:
        """In each frame what was detected of a person; None where they were missed."""
        seen = self.clip.seen(person)
        points_m = seen.posed(BodyModel.load("joints")).keypoints_m()[:, : len(BLAZEPOSE33)]
        points_px = self.clip.camera.project(points_m)[:, _LIMBS]
        extent = (points_px.amax(1) - points_px.amin(1)).norm(dim=-1)
        found: list[PersonEvidence | None] = []
        for frame, evidence in enumerate(self.evidence):
            best, least = None, _SAME_PERSON * float(extent[frame])
            for one in evidence.people:
                sure = one.keypoints_px[_LIMBS, 2] > _CONFIDENT
                if not sure.any():
                    continue
                gap = (one.keypoints_px[_LIMBS, :2] - points_px[frame]).norm(dim=-1)
                if float(gap[sure].median()) < least:
                    best, least = one, float(gap[sure].median())
            found.append(best)
        return tuple(found)


def seen_clips(config: ClipSetConfig, detect: Detect, cache: Path | None) -> Iterator[SeenClip]:
    """The clips of a set, one after the other, with what a detector sees in them.

    Args:
        config: which.
        detect: the detector, as it is set up by default.
        cache: folder in which clips and detections are kept until the code of `kinflow.synth` or
            `kinflow.evidence` changes.
    """
    painter = ClipPainter.load()
    for number, (name, clip) in enumerate(clips(config)):
        path = None if cache is None else cache / f"{_key(config, number)}.safetensors"
        if path is not None and path.exists():
            stored = read_values(path)
            yield SeenClip(name, stored[0], tuple(stored[1]), stored[2])
            continue
        evidence: list[ImageEvidence] = []
        turns: list[Tensor] = []
        camera = CameraTurns(clip.camera)
        for frame in painter.paint(clip, np.random.default_rng((config.seed, number, 1))):
            evidence.append(detect(frame))
            if clip.R_cam_first is not None:
                boxes_px = [person.box_px.numpy() for person in evidence[-1].people]
                turns.append(torch.from_numpy(camera.look(frame, boxes_px)))
        R_first_cam = torch.stack(turns).float() if turns else None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_values(path, [clip, evidence, R_first_cam])
        yield SeenClip(name, clip, tuple(evidence), R_first_cam)


def clips(config: ClipSetConfig) -> Iterator[tuple[str, Clip]]:
    """The clips of a set without their pictures, with the names of the recordings.

    Raises:
        InputError: there are no recordings of the split that are long enough.
    """
    body = coarse_mesh(BodyModel.load()).body
    made = 0
    for path, motion in _recordings(config):
        rng = np.random.default_rng((config.seed, made))
        stride = max(1, round(1 / (motion.frame_time_s * config.rate_hz)))
        length = (config.frames - 1) * stride + 1
        if len(motion.rotations) < length:
            continue
        first = int(rng.integers(len(motion.rotations) - length + 1))
        s = torch.from_numpy(rng.standard_normal(6)).float()
        frames = range(first, first + length, stride)
        person = moving(motion, ShapePrior().decode(s), frames, body)
        rate_hz = 1 / (motion.frame_time_s * stride)
        try:
            clip = before_camera([person], config.film, rng, body, rate_hz)
        except RuntimeError:
            continue
        yield f"{path.parent.name}/{path.stem}", clip
        made += 1
        if made == config.count:
            return
    if not made:
        raise InputError(
            f"No recording of the {config.split} split has {config.frames} frames; name others."
        )


def _recordings(config: ClipSetConfig) -> Iterator[tuple[Path, RetargetedMotion]]:
    """Those of the split in turns of subjects, each subject's in a fixed shuffle."""
    files = find_motions(config.motions)
    rng = np.random.default_rng(config.seed)
    mine: dict[str, list[Path]] = {}
    for path in (*files.bvh, *files.amass):
        subject = subject_of(path)
        if CMU_SPLITS.of(subject) == config.split:
            mine.setdefault(subject, []).append(path)
    order: list[tuple[int, str, Path]] = []
    for subject in sorted(mine):
        paths = sorted(mine[subject])
        for rank, i in enumerate(rng.permutation(len(paths))):
            order.append((rank, subject, paths[i]))
    ranks = {path: place for place, (_, _, path) in enumerate(sorted(order))}
    chosen = MotionFiles(
        tuple(p for p in files.bvh if p in ranks), tuple(p for p in files.amass if p in ranks)
    )
    read = {
        path: motion
        for path, motion in read_motions(chosen, config.rate_hz)
        if not isinstance(motion, SkippedClip)
    }
    for path in sorted(read, key=ranks.__getitem__):
        yield path, read[path]


def _key(config: ClipSetConfig, number: int) -> str:
    """Changes with whatever may change a clip or what is detected in it."""
    nameless = asdict(replace(config, motions=(), count=1))
    digest = hashlib.sha256(json.dumps([nameless, number], sort_keys=True).encode())
    for path in find_motions(config.motions).bvh:
        digest.update(path.name.encode())
    package = Path(kinflow.body.__file__).parent.parent
    for name in ("body", "evidence", "geometry", "synth"):
        for source in sorted((package / name).rglob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
