"""The weights that ship: that they load, decode to human poses, and are mirror-symmetric."""

import math

import pytest
import torch

import kinflow.priors
from kinflow.body.skeleton import FREE_JOINTS, JOINT_NAMES
from kinflow.evaluation.prior_figures import hinge_angles_rad
from kinflow.priors.pose_space import matrix_to_rotvec, mirror_rotvec, rotvec_to_matrix

NAMES = ("realnvp", "gaussian", "gmm", "vae")
EXACT = [name for name in NAMES if name != "vae"]
FREE_NAMES = [JOINT_NAMES[joint] for joint in FREE_JOINTS]


@pytest.fixture(scope="module", params=NAMES)
def shipped(request):
    return kinflow.priors.load(request.param)


@pytest.fixture(scope="module", params=EXACT)
def exact(request):
    """Priors with an exact density and an invertible decoder."""
    return kinflow.priors.load(request.param)


def test_the_default_is_the_flow():
    assert kinflow.priors.load().family == "realnvp"


def test_origin_is_recorded(shipped):
    assert len(shipped.info.data_sha256) == 64
    assert shipped.info.noise_rad == pytest.approx(0.02)
    assert shipped.info.command.startswith("kinflow train prior")


def test_samples_bend_knees_and_elbows_the_right_way(shipped):
    samples = shipped.sample(2000, torch.Generator().manual_seed(0))
    degrees = hinge_angles_rad(samples).rad2deg()
    # Measured motion stays between -9 and 155 degrees.
    assert ((degrees > -13) & (degrees < 160)).all(-1).float().mean() > 0.93
    assert degrees.mean(0).min() > 20


def standing() -> torch.Tensor:
    """A person who stands with hanging arms."""
    rotvec = torch.zeros(19, 3)
    rotvec[FREE_NAMES.index("left_shoulder"), 2] = -math.radians(75)
    rotvec[FREE_NAMES.index("right_shoulder"), 2] = math.radians(75)
    rotvec[FREE_NAMES.index("left_elbow"), 1] = -math.radians(15)
    rotvec[FREE_NAMES.index("right_elbow"), 1] = math.radians(15)
    return rotvec


def test_standing_is_likelier_than_impossible_poses(shipped):
    rotvec = standing()
    backwards = rotvec.clone()
    backwards[FREE_NAMES.index("left_knee"), 0] = -1.0
    twisted = rotvec.clone()
    twisted[FREE_NAMES.index("head"), 1] = 2.5
    plausible, *impossible = (
        shipped.log_prob(rotvec_to_matrix(v)) for v in (rotvec, backwards, twisted)
    )
    assert all(plausible > nats + 10 for nats in impossible)


def test_a_score_ranks_a_pose_among_real_ones(shipped):
    rotvec = standing()
    backwards = rotvec.clone()
    backwards[FREE_NAMES.index("left_knee"), 0] = -1.0
    crumpled = torch.full((19, 3), 1.0)
    scores = shipped.score(rotvec_to_matrix(torch.stack([rotvec, backwards, crumpled])))
    assert scores.percentile[0] > 20
    assert scores.percentile[1] < scores.percentile[0]
    assert scores.percentile[2] == 0
    # The flow is sharp enough for one wrong joint to count in an otherwise common pose.
    assert shipped.family != "realnvp" or scores.percentile[1] < 5


def test_density_is_mirror_symmetric(exact):
    samples = matrix_to_rotvec(exact.sample(500, torch.Generator().manual_seed(0)))
    nats = exact.log_prob(rotvec_to_matrix(samples))
    mirrored = exact.log_prob(rotvec_to_matrix(mirror_rotvec(samples)))
    # The Kullback-Leibler divergence between the prior and its mirror image, over 57 dimensions.
    assert (nats - mirrored).mean() < 5.0


def test_round_trip_in_single_precision(exact):
    z = torch.randn(500, exact.latent_dim, generator=torch.Generator().manual_seed(0))
    R_free = exact.decode(z)
    again = exact.decode(exact.encode(R_free))
    assert matrix_to_rotvec(again @ R_free.mT).norm(dim=-1).quantile(0.99) < 1e-4


def test_the_vae_reconstructs_roughly():
    vae, flow = kinflow.priors.load("vae"), kinflow.priors.load()
    R_free = flow.sample(500, torch.Generator().manual_seed(0))
    error = matrix_to_rotvec(vae.decode(vae.encode(R_free)) @ R_free.mT).norm(dim=-1)
    assert error.mean() < math.radians(6)


def test_loading_leaves_the_random_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    kinflow.priors.load()
    assert torch.equal(torch.rand(3), expected)
