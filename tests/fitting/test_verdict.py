"""What the code of a body rests on."""

import math

import pytest
import torch

from kinflow.body.keypoints import KEYPOINT_INDEX, LIMB_KEYPOINTS
from kinflow.evidence.types import PersonEvidence
from kinflow.fitting.verdict import (
    MAX_LIMB_ERROR,
    MIN_SILHOUETTE_IOU,
    is_ambiguous,
    judge,
    parts_belong,
    without_parts,
)

LEGS = ("left_hip", "right_hip", "left_knee", "right_knee")


def seen(confidence: float = 0.9, **changed: float) -> PersonEvidence:
    """Somebody 100 pixels tall whose keypoints all lie at (50, 50)."""
    keypoints = torch.tensor([[50.0, 50.0, confidence]]).repeat(33, 1)
    for name, value in changed.items():
        keypoints[KEYPOINT_INDEX[name], 2] = value
    box = torch.tensor([30.0, 0.0, 70.0, 100.0])
    return PersonEvidence(keypoints, torch.ones(33), None, box, score=1.0)


def limbs(off_px: float = 0.0) -> torch.Tensor:
    return torch.tensor([[50.0, 50.0 + off_px]]).repeat(len(LIMB_KEYPOINTS), 1)


def test_a_body_on_its_keypoints_is_ok_unless_others_are_as_good():
    assert judge(limbs(), seen(), ambiguous=False) == "ok"
    assert judge(limbs(), seen(), ambiguous=True) == "ambiguous"


@pytest.mark.parametrize(("off_px", "code"), [(5.9, "ok"), (6.1, "poor_fit")])
def test_limbs_may_be_off_by_six_percent_of_the_person(off_px, code):
    assert judge(limbs(off_px), seen(), ambiguous=False) == code


def test_what_is_not_seen_for_certain_does_not_count():
    hidden = {"left_wrist": 0.5, "right_wrist": 0.5}
    moved = limbs()
    for name in hidden:
        moved[LIMB_KEYPOINTS.index(KEYPOINT_INDEX[name])] += 1000.0
    assert judge(moved, seen(**hidden), ambiguous=False) == "ok"
    assert judge(moved, seen(), ambiguous=False) == "poor_fit"
    assert judge(limbs(), seen(confidence=0.5), ambiguous=False) == "few_keypoints"


@pytest.mark.parametrize("count", range(5))
def test_two_of_hips_and_knees_out_of_view_are_a_truncated_person(count):
    person = seen(**dict.fromkeys(LEGS[:count], 0.2))
    assert judge(limbs(), person, ambiguous=False) == ("truncated" if count >= 2 else "ok")


@pytest.mark.parametrize(
    ("energies", "expected"),
    [((1.0,), False), ((1.0, 2.9), True), ((1.0, 3.1), False), ((1.0, 3.1, 2.0), True)],
)
def test_another_body_within_two_nats_makes_a_result_ambiguous(energies, expected):
    assert is_ambiguous(torch.tensor(energies)) is expected


def test_parts_that_spoil_a_good_body_are_not_its_own():
    good, bad = 0.5 * MAX_LIMB_ERROR, 2 * MAX_LIMB_ERROR
    assert parts_belong(good, 1.5 * good, 0.8)
    assert not parts_belong(good, bad, 0.8)
    assert parts_belong(bad, 1.1 * bad, 0.8), "it was no better without them"
    assert not parts_belong(good, good, MIN_SILHOUETTE_IOU - 0.01)
    assert parts_belong(math.nan, math.nan, math.nan), "nothing says otherwise"


def test_unusable_parts_are_told_unless_something_worse_is():
    codes = ("ok", "truncated", "ambiguous", "poor_fit", "few_keypoints")
    told = [without_parts(code) for code in codes]
    assert told == ["no_parts"] * 3 + ["poor_fit", "few_keypoints"]
