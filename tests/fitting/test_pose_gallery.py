"""Looking up poses to start from by their keypoints."""

import pytest
import torch

from kinflow.body.keypoints import COCO17
from kinflow.fitting.gallery import GalleryConfig, PoseGallery
from kinflow.fitting.starts import R_CAM_UPRIGHT, resting
from kinflow.geometry.rotations import rotvec_to_matrix
from tests.fitting.test_search import observe, person_fitter

VIEWS = 8


@pytest.fixture(scope="module")
def fitter(joints_body, prior):
    return person_fitter(joints_body, prior)


@pytest.fixture(scope="module")
def gallery(fitter) -> PoseGallery:
    return PoseGallery(fitter.model, GalleryConfig(poses=32, views=VIEWS))


def members(fitter, gallery, rolls_deg):
    """Far-away people in poses, headings and at rolls that the gallery can reproduce."""
    count = len(rolls_deg)
    pose = torch.arange(count) * 5
    yaw = torch.arange(count) * (2 * torch.pi / VIEWS)
    roll = torch.deg2rad(torch.tensor(rolls_deg))
    zero = torch.zeros(count)
    R = rotvec_to_matrix(torch.stack([zero, zero, roll], -1)) @ (
        R_CAM_UPRIGHT @ rotvec_to_matrix(torch.stack([zero, yaw, zero], -1))
    )
    rest = resting(fitter.model, count, "cpu")
    t = torch.tensor([0.0, 0.0, 30.0]).expand(count, 3)
    return type(rest)(R, t, gallery.latents[pose], rest.s, rest.log_focal)


def test_finds_a_pose_of_its_own_in_its_sector(fitter, gallery):
    truth = members(fitter, gallery, [0.0, 30.0, -90.0, 170.0])
    starts = gallery.starts(observe(fitter, truth), COCO17, sectors=VIEWS, per_sector=1)
    for person in range(len(truth.z)):
        row = person * VIEWS + person  # its heading is the sector of its own number
        torch.testing.assert_close(starts.z[row], truth.z[person])
        turn = starts.R_cam_root[row].mT @ truth.R_cam_root[person]
        assert torch.rad2deg(torch.arccos((turn.trace() - 1).clamp(-3, 2) / 2)) < 3
        # seen from afar, so that size and place in the image give the position
        assert float((starts.t_cam_root_m[row] / truth.t_cam_root_m[person])[2]) == pytest.approx(
            1, abs=0.05
        )


def test_hidden_keypoints_do_not_matter(fitter, gallery):
    targets = observe(fitter, members(fitter, gallery, [10.0, 20.0]))
    targets.inverse_std_px[:, 9] = 0
    clean = gallery.starts(targets, COCO17, 4, 2)
    targets.observed_px[:, 9] += 500
    disturbed = gallery.starts(targets, COCO17, 4, 2)
    torch.testing.assert_close(clean.z, disturbed.z)
    torch.testing.assert_close(clean.t_cam_root_m, disturbed.t_cam_root_m)


@pytest.mark.parametrize("seen", [0, 1, 2])
def test_hardly_any_keypoints_still_give_places_to_start(fitter, gallery, seen):
    targets = observe(fitter, members(fitter, gallery, [0.0]))
    targets.inverse_std_px[:, seen:] = 0
    starts = gallery.starts(targets, COCO17, 4, 1)
    assert starts.R_cam_root.isfinite().all() and starts.t_cam_root_m.isfinite().all()
    assert (starts.t_cam_root_m[:, 2] > 0).all()


def test_starts_are_the_same_every_time(fitter):
    config = GalleryConfig(poses=8, views=4, headings=4)
    first, second = (PoseGallery(fitter.model, config).latents for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert float(first[0].abs().max()) == 0
