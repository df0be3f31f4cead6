"""Clips as the detector sees them: always the same, and labelled with the truth."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import kinflow.priors
from kinflow.body import BodyModel
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.datasets.look_clips import LookClips
from kinflow.datasets.retarget import RetargetedMotion
from kinflow.errors import InputError
from kinflow.priors.shape import ShapePrior
from kinflow.synth.clip_looks import Filming, Hiding, LookClipsConfig, in_mirror, main
from kinflow.synth.rendering import coarse_mesh
from kinflow.synth.walks import walking
from kinflow.training.predictors.batches import crop_points
from kinflow.training.predictors.losses import LossConfig, PredictorLoss
from kinflow.training.predictors.sequences import looks_of, truth_of

FRAMES = 6


@pytest.fixture(scope="module")
def motion() -> RetargetedMotion:
    body = coarse_mesh(BodyModel.load()).body
    walk = walking(torch.full((6,), 0.5), 40, 30.0, body)
    return RetargetedMotion(walk.pose.numpy(), walk.root_m.numpy(), 1 / 30)


@pytest.fixture(scope="module")
def filming(motion, tmp_path_factory) -> Filming:
    out = tmp_path_factory.mktemp("clips")
    return Filming(LookClipsConfig((out,), out, frames=FRAMES, clips=1), {"walker": [motion]})


@pytest.fixture(scope="module")
def clip(filming) -> LookClips:
    return filming.clip(0)


def test_a_clip_is_always_the_same(filming, clip):
    again = filming.clip(0)
    assert len(again) == FRAMES
    for name, value in vars(again).items():
        assert torch.equal(value, getattr(clip, name)), name


def test_the_detector_sees_people_where_the_truth_has_them(clip):
    prior = kinflow.priors.load()
    seen = clip[clip.seen]
    assert len(seen) >= 3
    points_m = PredictorLoss(prior, LossConfig()).points_m(truth_of(seen, prior, ShapePrior()))
    gap = (crop_points(points_m, looks_of(seen)) - seen.landmarks[..., :2]).norm(dim=-1)
    assert float(gap[seen.landmarks[..., 2] > 0.5].median()) < 0.06  # of the region's side


def test_a_shard_comes_back_from_its_file(clip, tmp_path):
    clip.save(tmp_path / "clips_00000.safetensors")
    again = LookClips.load_all([tmp_path])
    for name, value in vars(again).items():
        assert torch.equal(value, getattr(clip, name)), name


def test_a_mirror_twice_is_none(motion):
    body = BodyModel.load("joints")
    walk = walking(torch.full((6,), 0.5), 3, 30.0, coarse_mesh(BodyModel.load()).body)
    once = in_mirror(walk)
    twice = in_mirror(once)
    torch.testing.assert_close(twice.pose, walk.pose)
    left, right = JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]
    feet, mirrored = (p.posed(body).joints_m for p in (walk, once))
    flip = torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(mirrored[:, left], feet[:, right] * flip, atol=1e-3, rtol=0)


def test_what_hides_drifts_and_stays_in_the_picture():
    hiding = Hiding(np.array([-4.0, 5.0]), np.array([10.0, 8.0]), np.array([2.0, 0.0]), np.zeros(3))
    rgb = np.full((20, 30, 3), 200, np.uint8)
    first, later = hiding.before(rgb, 0), hiding.before(rgb, 5)
    assert (first[5:13, :6] == 0).all() and (first[:, 6:] == 200).all()
    assert (later[5:13, 6:16] == 0).all() and (later[:, :6] == 200).all() and (rgb == 200).all()


def test_motion_that_is_too_short_is_refused(filming, motion):
    short = replace(
        motion, rotations=motion.rotations[:2], root_positions_m=motion.root_positions_m[:2]
    )
    with pytest.raises(InputError, match="too short"):
        Filming(filming.config, {"walker": [short]}).clip(0)


def test_folders_without_recordings_are_refused(tmp_path):
    with pytest.raises(InputError):
        main(LookClipsConfig((tmp_path,), tmp_path / "out"))
    with pytest.raises(InputError):
        LookClipsConfig((tmp_path,), tmp_path, frames=2)
