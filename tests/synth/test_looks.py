"""Rendered people as the detector sees them: always the same, and labelled with the truth."""

import numpy as np
import pytest
import torch

import kinflow.priors
from kinflow.datasets.samples import Samples
from kinflow.errors import InputError
from kinflow.priors.shape import ShapePrior
from kinflow.synth.looks import Looker, LooksConfig, spoilt, world_kinds
from kinflow.training.predictors.batches import crop_points, labelled
from kinflow.training.predictors.losses import LossConfig, PredictorLoss


@pytest.fixture(scope="module")
def looker() -> Looker:
    return Looker(world_kinds(None, "train")[:1])


@pytest.fixture(scope="module")
def samples(looker) -> Samples:
    return Samples.concatenate([s for number in range(6) for s in looker.samples(number)])


def test_a_world_is_always_the_same(looker, samples):
    again = list(looker.samples(0))
    assert again
    for name, value in vars(again[0]).items():
        assert torch.equal(value[0], getattr(samples, name)[0]), name


def test_the_detector_sees_people_where_the_truth_has_them(samples):
    prior = kinflow.priors.load()
    batch = labelled(samples, prior, ShapePrior())
    points_m = PredictorLoss(prior, LossConfig()).points_m(batch.truth)
    gap = (crop_points(points_m, batch.looks) - samples.landmarks[..., :2]).norm(dim=-1)
    assert len(samples) >= 3
    assert float(gap[samples.keypoint_shows].median()) < 0.05  # of the region's side


def test_what_is_up_is_known(samples):
    torch.testing.assert_close(samples.up_cam.norm(dim=1), torch.ones(len(samples)))
    assert bool(samples.has_up.all()) and bool(samples.has_body.all())


def test_splits_are_of_other_worlds():
    kinds = {split: world_kinds(None, split) for split in ("train", "validation", "test")}
    seeds = [{kind.seed + i for i, kind in enumerate(some)} for some in kinds.values()]
    assert not seeds[0] & seeds[1] and not seeds[1] & seeds[2] and not seeds[0] & seeds[2]


def test_spoiling_changes_pixels_and_nothing_else():
    rgb = np.random.default_rng(0).integers(0, 255, (60, 40, 3), np.uint8)
    several = [spoilt(rgb, np.random.default_rng(i)) for i in range(12)]
    assert all(one.shape == rgb.shape and one.dtype == np.uint8 for one in several)
    assert sum(not np.array_equal(one, rgb) for one in several) > 6
    assert np.array_equal(several[3], spoilt(rgb, np.random.default_rng(3)))


def test_options_out_of_range_are_refused(tmp_path):
    with pytest.raises(InputError):
        LooksConfig(poses=tmp_path, out=tmp_path, shards=0)
