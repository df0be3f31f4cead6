"""A second opinion on keypoints: what one network lends to the confidence of the other's."""

import numpy as np
import pytest
import torch

from kinflow.body.keypoints import BLAZEPOSE33, COCO17, LIMB_KEYPOINTS
from kinflow.evidence.agreement import COCO_ROWS, confirmed
from kinflow.evidence.blazepose import Pose
from kinflow.evidence.detector import EvidenceDetector
from kinflow.evidence.looks import Person
from kinflow.evidence.movenet import Detection
from kinflow.evidence.region import Region

SIZE_PX = 100.0
LIMBS = list(LIMB_KEYPOINTS)


def both(visibility: float, heat: float) -> tuple[Pose, Detection]:
    """The same points by both networks, in a box of SIZE_PX a side."""
    points = np.random.default_rng(0).uniform(20, 80, (33, 2))
    nothing, mask = np.zeros((33, 3)), np.zeros((256, 256))
    activations = np.zeros(1152), np.zeros((33, 288)), np.zeros(4608)
    region = Region((50.0, 50.0), 120.0)
    seen = np.full(33, visibility), np.ones(33)
    pose = Pose(points, *seen, nothing, 1.0, *activations, mask, region, region)
    keypoints = np.column_stack((points[COCO_ROWS], np.full(17, heat)))
    return pose, Detection(keypoints, np.array([0.0, 0.0, SIZE_PX, SIZE_PX]), 0.9)


def evidence(person: Person) -> tuple[torch.Tensor, torch.Tensor]:
    image = np.zeros((100, 100, 3), np.uint8)
    (seen,) = EvidenceDetector().measured(image, [person])
    return seen.keypoints_px[:, 2], seen.keypoint_std_px


def test_hidden_limbs_that_both_see_at_one_place_are_seen():
    pose, detection = both(visibility=0.05, heat=0.6)
    confidence, std_px = evidence(Person(detection, pose))
    assert bool((confidence[LIMBS] > 0.8).all())
    others = [i for i in range(33) if i not in LIMBS]
    assert confidence[others].tolist() == pytest.approx([0.05] * len(others))
    # ... and closer to the truth than they were taken to be
    hidden = evidence(Person(detection, pose, seen_twice=False))
    assert hidden[0].tolist() == pytest.approx([0.05] * 33)
    assert bool((std_px[LIMBS] < 0.5 * hidden[1][LIMBS]).all())


def test_what_movenet_sees_elsewhere_or_hardly_stays_hidden():
    pose, detection = both(visibility=0.05, heat=0.6)
    wrist = BLAZEPOSE33.index("left_wrist")
    detection.keypoints_px[COCO17.index("left_wrist"), 0] += 0.3 * SIZE_PX
    detection.keypoints_px[COCO17.index("right_knee"), 2] = 0.05
    confidence, _ = evidence(Person(detection, pose))
    assert confidence[wrist] < 0.05
    assert confidence[BLAZEPOSE33.index("right_knee")] < 0.1
    assert confidence[BLAZEPOSE33.index("right_wrist")] > 0.8


def test_more_heat_and_less_distance_confirm_more_and_nobody_loses():
    lent = [confirmed(*both(0.05, heat))[LIMBS] for heat in (0.1, 0.3, 0.6, 0.9)]
    assert all((low < high).all() for low, high in zip(lent[:3], lent[1:3], strict=False))
    assert (lent[3] <= 1).all()
    pose, detection = both(visibility=0.95, heat=0.1)
    kept, _ = evidence(Person(detection, pose))
    assert kept[LIMBS].tolist() == pytest.approx([0.95] * 12)
