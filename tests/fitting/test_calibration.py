"""Spreads as they are stated: they grow with each sign, and regions hold what they should."""

import math
from dataclasses import replace

import pytest
import torch

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.errors import InputError
from kinflow.fitting.calibration import JointSigns, deviation_m, unseen, weights


def signs(laplace=0.03, others=0.0, hidden=0.1, network=0.06) -> JointSigns:
    return JointSigns(*(torch.full((22,), v) for v in (laplace, others, hidden, network)))


@pytest.mark.parametrize("network", [0.06, math.nan])
def test_every_sign_widens_what_is_stated(network):
    std_m = signs(network=network).std_m()
    wider = [
        signs(laplace=0.05, network=network),
        signs(others=0.05, network=network),
        signs(hidden=0.9, network=network),
    ]
    if not math.isnan(network):
        wider.append(signs(network=0.2))
    for other in wider:
        assert (other.std_m()[1:] >= std_m[1:]).all()
        assert float((other.std_m()[1:] / std_m[1:]).mean()) > 1.1
    assert std_m[0] == 0
    assert (std_m[1:] > 0.03).all(), "Laplace's deviations are too small"


@pytest.mark.parametrize("network", [1e-6, 1e3, math.nan])
def test_what_is_stated_is_within_a_bodys_reach(network):
    for value in (0.0, 1e-9, 1e3):
        std_m = signs(value, value, 1.0, network).std_m()[1:]
        assert std_m.isfinite().all() and (std_m > 0).all() and (std_m < 1).all()


def test_deviation_is_about_the_pelvis_and_follows_weights():
    body = torch.randn(22, 3, generator=torch.Generator().manual_seed(0))
    far = body.clone()
    far[5] += torch.tensor([0.3, 0.0, 0.0])
    bodies = torch.stack([body, far + 2.0])
    deviation = deviation_m(bodies, body, torch.tensor([0.75, 0.25]))
    assert deviation[5] == pytest.approx(0.3 * math.sqrt(0.25 / 3), rel=1e-4)
    assert deviation[[0, 4, 6]].abs().max() < 1e-5
    together = deviation_m(bodies.expand(4, -1, -1, -1), body.expand(4, -1, -1), torch.ones(4, 2))
    assert together.shape == (4, 22)


def test_bodies_of_less_energy_count_for_more():
    weight = weights(torch.tensor([3.0, 5.0, 40.0]))
    assert float(weight.sum()) == pytest.approx(1.0)
    assert weight[0] > weight[1] > 100 * weight[2]


def test_a_joint_is_unseen_as_its_keypoints_are():
    keypoints = torch.ones(2, 33, 3)
    keypoints[1, BLAZEPOSE33.index("left_wrist"), 2] = 0.2
    keypoints[1, BLAZEPOSE33.index("right_big_toe"), 2] = 0.5
    hidden = unseen(keypoints)
    assert hidden[0].abs().max() < 1e-6
    assert hidden[1, JOINT_INDEX["left_wrist"]] == pytest.approx(0.8)
    assert hidden[1, JOINT_INDEX["right_foot"]] == pytest.approx(0.5)
    assert hidden[1].count_nonzero() <= 3


def test_a_person_is_stated_with_what_else_was_found(fitter, make_scene, camera):
    """Another body that explains the image as well widens what is stated of the first."""
    scene = make_scene((20.0,))
    with torch.no_grad():
        found = fitter.found_bodies((scene.evidence,), (camera,))
        targets, bodies = found.of(0)
        alone = bodies[torch.tensor([0])]
        turned = replace(alone.unknowns, z=alone.unknowns.z + 1.0)
        rival = replace(alone, unknowns=turned, energy=alone.energy + 0.5)
        seen = scene.evidence.people[0]
        one, signs_of_one, _ = fitter.describer.with_signs(0, seen, camera, targets, alone)
        both = fitter.describer.person(
            0, seen, camera, targets, type(alone).concatenate([alone, rival])
        )
    assert signs_of_one.network_m.isnan().all() and signs_of_one.others_m.abs().max() < 1e-4
    torch.testing.assert_close(one.joint_std_m, signs_of_one.std_m())
    assert (one.joint_radius_m(0.9)[1:] > one.joint_radius_m(0.5)[1:]).all()
    for share in (1.0, -0.1, math.nan):
        with pytest.raises(InputError, match="share has to be"):
            one.joint_radius_m(share)
    wrist = JOINT_INDEX["left_wrist"]
    assert both.joint_std_m[wrist] > 1.1 * one.joint_std_m[wrist]
