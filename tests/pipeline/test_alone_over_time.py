"""The network alone in clips: motion, not frames; it goes on after a stop, and shots are apart."""

from dataclasses import replace

import pytest
import torch
from legs import knees_deg, with_legs

import kinflow
from kinflow.evidence.types import ImageEvidence
from kinflow.fitting.clip import FittedFrame, SeenPeople
from kinflow.fitting.clip_alone import ClipAlone
from kinflow.fitting.network_alone import NetworkAlone
from kinflow.fitting.over_time import Along, steadied
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.metrics.motion import jitter
from kinflow.pipeline.reconstructor import ReconstructorConfig
from kinflow.predictors.sequence_predictor import SequencePredictor, SequencePredictorInfo
from kinflow.predictors.temporal import TemporalConfig

FRAMES, RATE_HZ = 40, 25.0


@pytest.fixture(scope="module")
def alone() -> NetworkAlone:
    photos = kinflow.Reconstructor(ReconstructorConfig(fast=True)).fitter
    torch.manual_seed(0)
    config = TemporalConfig(latent_size=photos.fitter.model.prior.latent_dim)
    # untrained, it averages
    return NetworkAlone(photos, sequence=SequencePredictor(config, SequencePredictorInfo()).eval())


@pytest.fixture(scope="module")
def camera(astronaut_rgb) -> Camera:
    height, width = astronaut_rgb.shape[:2]
    return Camera.from_fov((width, height), 55.0)


@pytest.fixture(scope="module")
def frames(astronaut_rgb) -> list[SeenPeople]:
    """Somebody who keeps still before a detector that trembles, missed in one frame."""
    detector = kinflow.Reconstructor(ReconstructorConfig(fast=True)).detector
    evidence = detector.detect(astronaut_rgb)
    g = torch.Generator().manual_seed(0)
    found = []
    for i in range(FRAMES):
        seen = _trembling(evidence, g) if i != 7 else replace(evidence, people=())
        found.append(SeenPeople(i / RATE_HZ, 0, seen, (3,) * len(seen.people)))
    return found


def _trembling(evidence: ImageEvidence, g: torch.Generator) -> ImageEvidence:
    (person,) = evidence.people
    look = person.look
    assert look is not None
    noise = {
        name: getattr(look, name) + std * torch.randn(getattr(look, name).shape, generator=g)
        for name, std in (("landmarks", 0.004), ("world_m", 0.005), ("features", 0.02))
    }
    return replace(evidence, people=(replace(person, look=replace(look, **noise)),))


def fitted(clip: ClipAlone, frames: list[SeenPeople]) -> list[FittedFrame]:
    return [done for frame in frames for done in clip.add(frame)]


def joints(frames: list[FittedFrame]) -> torch.Tensor:
    return torch.stack([frame.people[0].joints_cam_m for frame in frames if frame.people])


@pytest.fixture(scope="module")
def whole(alone, camera, frames) -> list[FittedFrame]:
    clip = ClipAlone(alone, camera)
    return fitted(clip, frames) + clip.finish()


def test_bodies_tremble_less_than_those_of_single_frames(alone, camera, frames, whole):
    by_itself = alone.fit_frames([f.evidence for f in frames], camera, [None] * FRAMES)
    single = torch.stack([fit.people[0].joints_cam_m for fit in by_itself if fit.people])
    assert len(whole) == FRAMES and len(single) == FRAMES - 1
    assert [len(frame.people) for frame in whole].count(0) == 1
    assert {p.person for frame in whole for p in frame.people} == {3}
    assert float(jitter(joints(whole), RATE_HZ)) < 0.3 * float(jitter(single, RATE_HZ))
    gap_m = (joints(whole) - joints(whole)[:, :1]) - (single - single[:, :1])
    assert float(gap_m.norm(dim=-1).mean()) < 0.15  # and are the same person


def test_legs_whose_angles_tremble_in_the_picture_keep_still(alone, camera, frames):
    seen = [with_legs(frame.evidence, 45.0 * (i % 2)) for i, frame in enumerate(frames[8:20])]
    when = [(frame.time_s, frame.identities) for frame in frames[8:20]]
    still = alone.fit_frames(seen, camera, [None] * 12, when)
    single = alone.fit_frames(seen, camera, [None] * 12)
    jumps = [
        knees_deg([fit.people[0] for fit in fits]).diff(dim=0).abs().mean(0)
        for fits in (still, single)
    ]
    assert (jumps[0] < 2.0).all() and (jumps[1] > 10.0).all()


def test_a_clip_goes_on_from_its_state(alone, camera, frames, whole):
    first, second = ClipAlone(alone, camera), ClipAlone(alone, camera)
    done = fitted(first, frames[:38])
    second.resume(first.state())
    done += fitted(second, frames[38:]) + second.finish()
    assert torch.equal(joints(done), joints(whole))


def test_another_shot_knows_nothing_of_the_one_before(alone, camera, frames):
    later = [replace(frame, shot=1) for frame in frames[20:30]]
    clip, only = ClipAlone(alone, camera), ClipAlone(alone, camera)
    both = fitted(clip, [*frames[:20], *later]) + clip.finish()
    own = fitted(only, later) + only.finish()
    assert len(both) == 30
    torch.testing.assert_close(joints(both[20:]), joints(own), atol=1e-5, rtol=0)


def test_the_way_to_keypoints_is_averaged_over_a_moment():
    g = torch.Generator().manual_seed(0)
    times = torch.arange(60) / 30
    believed = torch.tensor([0.2, 0.0, 4.0]) + times[:, None] * torch.tensor([0.5, 0.0, 0.0])
    way = torch.tensor([0.05, -0.02, 0.2])
    placed = believed + way + 0.02 * torch.randn(60, 3, generator=g)
    turned = rotvec_to_matrix(torch.tensor([[0.0, 0.4, 0.0]])).expand(60, 3, 3)
    along = Along((1, 2) * 30, times, torch.eye(3).expand(60, 3, 3))
    steady = steadied(placed, believed, along)
    assert float((steady - believed - way).norm(dim=1).mean()) < 0.02
    assert float(jitter(steady[::2, None], 15.0)) < 0.3 * float(jitter(placed[::2, None], 15.0))
    again = steadied(placed, believed, replace(along, R_still_cam=turned))
    torch.testing.assert_close(again, steady, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(steadied(believed, believed, along), believed)
