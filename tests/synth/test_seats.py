"""Who sits, and how."""

import pytest
import torch

from kinflow.body import BodyModel
from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.sides import SIDES
from kinflow.body.skeleton import NUM_JOINTS
from kinflow.synth.studio.dice import Dice
from kinflow.synth.studio.seats import BICYCLE, CHAIR, SADDLE, SEATS, SQUAT, Seat, seated

COUNT = 400


@pytest.fixture(scope="module")
def sitting():
    pose = torch.eye(3).repeat(COUNT, NUM_JOINTS, 1, 1)
    return seated(pose, Dice(torch.Generator().manual_seed(0)))


@pytest.fixture(scope="module")
def points_m(sitting):
    body = BodyModel.load("joints")
    shaped = body.with_shape(body.shape_space.neutral())
    return shaped.with_pose(sitting.pose, torch.zeros(COUNT, 3)).keypoints_m()


def of(points_m: torch.Tensor, name: str) -> torch.Tensor:
    return points_m[:, [KEYPOINT_INDEX[f"{side}_{name}"] for side in SIDES]]


def rows(sitting, seat: Seat) -> torch.Tensor:
    return sitting.seat == SEATS.index(seat)


def test_shares_are_of_everybody(sitting):
    assert sum(seat.share for seat in SEATS) == pytest.approx(1.0)
    assert float(sitting.on_chair.float().mean()) == pytest.approx(CHAIR.share, abs=0.08)
    rides = SADDLE.share + BICYCLE.share
    assert float(sitting.rides.float().mean()) == pytest.approx(rides, abs=0.08)


def test_thighs_are_raised_as_far_whichever_way_trunks_lean(sitting, points_m):
    """From hanging down; those that are spread are not in one plane."""
    thigh = of(points_m, "knee") - of(points_m, "hip")
    raised = torch.rad2deg(torch.atan2(thigh[..., 2], -thigh[..., 1]))
    for seat in (CHAIR, BICYCLE, SQUAT):
        low, high = seat.thigh_deg
        mine = raised[rows(sitting, seat)]
        assert float(mine.min()) > low - 25  # trunks that lean back take thighs along, or aside
        assert float(mine.max()) < high + 25
        assert float(mine.mean()) == pytest.approx((low + high) / 2, abs=12)


def test_who_rides_has_knees_apart_and_who_pedals_leans(sitting, points_m):
    apart = (of(points_m, "knee")[:, 0] - of(points_m, "knee")[:, 1])[:, 0]
    saddle, bicycle = rows(sitting, SADDLE), rows(sitting, BICYCLE)
    assert float(apart[saddle].mean()) > 1.4 * float(apart[bicycle].mean())
    trunk = of(points_m, "shoulder").mean(1) - of(points_m, "hip").mean(1)
    lean = torch.rad2deg(torch.atan2(trunk[:, 2], trunk[:, 1]))
    assert float(lean[bicycle].mean()) > float(lean[saddle].mean()) + 10


def test_who_squats_has_feet_below_the_hips(sitting, points_m):
    away = (of(points_m, "ankle") - of(points_m, "hip"))[rows(sitting, SQUAT)]
    chair = (of(points_m, "ankle") - of(points_m, "hip"))[rows(sitting, CHAIR)]
    assert float(away[..., 2].mean()) < float(chair[..., 2].mean()) - 0.1
    assert float(away[..., 1].mean()) > -0.35


def test_arms_and_heads_stay(sitting):
    legs = [i for i in range(NUM_JOINTS) if not torch.equal(sitting.pose[0, i], torch.eye(3))]
    assert len(legs) == 7  # hips, knees, ankles, and the root
