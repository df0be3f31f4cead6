"""Do bodies by networks alone lie on the people of real clips, and how much do they tremble?

    python benchmarks/clips_in_picture.py --clips CLIP... [--sequence WEIGHTS --predictor WEIGHTS]

Nobody knows the bodies of real clips, but where their limbs are seen is known: distances are those
of the confident limb keypoints (`kinflow.fitting.verdict.limb_error`), means and nine tenths over
frames, in percent of the person's size. Jitter is of joints in the camera's frame, and about the
root. The people of each clip who are largest in the picture are followed as by `--fast`, who last a
second at least. Bodies over time that lag behind are farther from keypoints than those of single
frames, which tremble with them: the aim is not more than a tenth farther.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
import tyro
from torch import Tensor

from kinflow.evidence.clip_people import ClipPeople, ClipPeopleConfig
from kinflow.evidence.clip_range import ClipRange
from kinflow.evidence.image_sequences import open_frames
from kinflow.evidence.types import PersonEvidence
from kinflow.fitting.network_alone import NetworkAlone
from kinflow.fitting.over_time import Along
from kinflow.fitting.photo import PhotoFitConfig
from kinflow.fitting.verdict import LIMB_ROWS, limb_error
from kinflow.geometry.pinhole import Camera
from kinflow.metrics.motion import jitter
from kinflow.pipeline.reconstructor import Reconstructor, ReconstructorConfig
from kinflow.predictors import DEFAULT as DEFAULT_PREDICTOR
from kinflow.predictors.sequence_predictor import DEFAULT, SequencePredictor

_NAMES = ("mean %", "9 of 10 %", "jitter 10 m/s³", "about the root")


@dataclass(frozen=True)
class ClipsInPictureBenchmark:
    """Which clips, and which network.

    Attributes:
        clips: files.
        sequence: weights of the temporal network; the shipped one if not given.
        predictor: weights of the frame network; the shipped one if not given.
        frames: of each clip, at most.
        people: of each clip, at most, the largest.
        least_s: who is followed for less does not count.
        fit: its `belief.straight_limbs` is whether knees and elbows are straightened.
    """

    clips: tuple[Path, ...]
    sequence: Path | None = None
    predictor: Path | None = None
    frames: int = 90
    people: int = 2
    least_s: float = 1.0
    fit: PhotoFitConfig = field(default_factory=PhotoFitConfig)


@dataclass(frozen=True)
class Followed:
    """One person through a clip, in the frames in which the detector had a close look."""

    seen: list[PersonEvidence]
    times_s: list[float]
    shots: list[int]


def main(config: ClipsInPictureBenchmark) -> None:
    torch.set_num_threads(1)
    predictor = config.predictor or DEFAULT_PREDICTOR
    models = Reconstructor(ReconstructorConfig(fast=True, predictor=predictor, fit=config.fit))
    sequence = SequencePredictor.load(config.sequence or DEFAULT)
    assert models.fitter.predictor is not None and sequence.is_of(models.fitter.predictor)
    manners = {
        "network alone": NetworkAlone(models.fitter),
        "over time, full": NetworkAlone(models.fitter, sequence=sequence),
        "over time, causal": NetworkAlone(models.fitter, sequence=sequence, causal=True),
    }
    rows: dict[str, list[Tensor]] = defaultdict(list)
    print(", ".join(_NAMES))
    for path in config.clips:
        camera = models.camera_of(open_frames(path).info.size)
        everybody = followed(path, models, config)
        for name, alone in manners.items() if everybody else ():
            found = torch.stack([_figures(alone, one, camera) for one in everybody]).mean(0)
            rows[name].append(found)
            print(f"{path.stem:24s}{name:20s}" + " ".join(f"{v:8.2f}" for v in found.tolist()))
    for name, clips in rows.items():
        mean = torch.stack(clips).mean(0)
        print(f"{len(clips):2d} clips {'':15s}{name:20s}" + " ".join(f"{v:8.2f}" for v in mean))


def followed(path: Path, models: Reconstructor, config: ClipsInPictureBenchmark) -> list[Followed]:
    """The people of a clip who count, the largest first."""
    watcher = ClipPeople(models.detector, ClipPeopleConfig(), parts=False)
    frames = open_frames(path).frames(ClipRange())
    found: dict[int, Followed] = {}
    for frame in islice(watcher.watch(frames), config.frames):
        for person, who in zip(frame.evidence.people, frame.identities, strict=True):
            if person.look is not None:
                one = found.setdefault(who, Followed([], [], []))
                one.seen.append(person)
                one.times_s.append(frame.time_s)
                one.shots.append(frame.shot)
    lasting = [one for one in found.values() if one.times_s[-1] - one.times_s[0] >= config.least_s]
    lasting.sort(key=lambda one: -sum(person.height_px for person in one.seen))
    return lasting[: config.people]


def _figures(alone: NetworkAlone, one: Followed, camera: Camera) -> Tensor:
    times = torch.tensor(one.times_s) - one.times_s[0]
    along = Along(tuple(one.shots), times, torch.eye(3).expand(len(times), 3, 3))
    body = alone.predicted(one.seen, [camera] * len(times), along).body
    limbs_px = camera.project(body.points_m[:, LIMB_ROWS])
    apart = torch.tensor([limb_error(px, p) for px, p in zip(limbs_px, one.seen, strict=True)])
    apart = 100 * apart[~apart.isnan()]
    rate_hz = (len(times) - 1) / float(times[-1])
    joints = body.joints_m
    trembling = [float(jitter(j, rate_hz)) for j in (joints, joints - joints[:, :1])]
    return torch.tensor([float(apart.mean()), float(apart.quantile(0.9)), *trembling])


if __name__ == "__main__":
    main(tyro.cli(ClipsInPictureBenchmark))
