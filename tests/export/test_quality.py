"""The quality of motion: figures that are known beforehand, of motion made by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hand_made_people import make_person
from same_people import assert_same
from torch import Tensor

from kinflow.export.people_files import load, write_json, write_npz
from kinflow.export.people_schema import QUALITY
from kinflow.export.quality import (
    TrackQuality,
    below_floor_cm,
    level_under_m,
    quality_of,
)
from kinflow.results import Frame, Person, Reconstruction

FRAMES, RATE_HZ = 24, 25.0
TIME_S = torch.arange(FRAMES) / RATE_HZ


def moving(
    x: Tensor | float = 0.0,
    y: Tensor | float = 0.0,
    contact: float | list[float] | None = None,
    missed=(),
) -> Reconstruction:
    """Somebody who keeps their pose and is moved, in the frame of a level camera.

    Args:
        x: metres to the right, one for each frame.
        y: metres down.
        contact: how surely their feet stand, in all frames or in each.
        missed: frames in which nobody saw them.
    """
    still = make_person(5, [0.0, 0.0, 3.0])
    at = torch.zeros(FRAMES, 3)
    at[:, 0], at[:, 1] = torch.as_tensor(x), torch.as_tensor(y)
    shares = [contact] * FRAMES if not isinstance(contact, list) else contact
    bodies = [moved(still, step, share) for step, share in zip(at, shares, strict=True)]
    for frame in missed:
        bodies[frame] = replace(bodies[frame], code="not_seen")
    frames = [Frame(i, float(t), still.camera) for i, t in enumerate(TIME_S)]
    return Reconstruction.of_frames(frames, [[body] for body in bodies], "clip.mp4")


def moved(person: Person, by_m: torch.Tensor, contact: float | None) -> Person:
    return replace(
        person,
        t_cam_root_m=person.t_cam_root_m + by_m,
        joints_cam_m=person.joints_cam_m + by_m,
        foot_contact=None if contact is None else torch.full((4,), contact),
    )


def quality(result: Reconstruction) -> TrackQuality:
    (only,) = quality_of(result)
    return only


def test_feet_that_stand_slide_as_fast_as_they_are_moved():
    drift = moving(x=0.07 * TIME_S, contact=0.9)
    assert quality(drift).foot_sliding_cm_s == pytest.approx(7, rel=1e-3)
    assert quality(drift).foot_down_share == 1
    # up and down is no sliding
    assert quality(moving(y=-0.07 * TIME_S, contact=0.9)).foot_sliding_cm_s < 1e-3


def test_only_what_is_down_slides_and_what_is_not_known_is_not_said():
    walks = moving(x=TIME_S, contact=0.4)
    assert math.isnan(quality(walks).foot_sliding_cm_s)
    assert quality(walks).foot_down_share == 0
    assert math.isnan(quality(moving(x=TIME_S)).foot_down_share)
    # stands while it drifts at 3 cm/s, and goes on at 1 m/s
    x = torch.where(TIME_S < 0.4, 0.03 * TIME_S, TIME_S)
    down = [1.0] * 10 + [0.0] * (FRAMES - 10)
    found = quality(moving(x=x, contact=[*down[:9], *down[10:], 0.0]))
    assert found.foot_sliding_cm_s == pytest.approx(3, rel=1e-3)
    assert found.foot_down_share == pytest.approx(9 / (FRAMES - 1))


def test_jitter_is_the_third_derivative():
    cubic = quality(moving(x=0.5 * TIME_S**3))
    assert cubic.jitter_10m_s3 == pytest.approx(6 * 0.5 / 10, rel=0.02)
    assert quality(moving(x=TIME_S**2)).jitter_10m_s3 < 0.02
    noise = 0.002 * torch.randn(FRAMES, generator=torch.Generator().manual_seed(0))
    assert quality(moving(x=noise)).jitter_10m_s3 > 3


def test_depth_below_the_floor_is_that_of_the_frames_that_sink():
    sinks = torch.zeros(FRAMES)
    sinks[[5, 6, 7]] = torch.tensor([0.01, 0.03, 0.02])
    found = quality(moving(y=sinks))
    assert found.below_floor_worst_cm == pytest.approx(3, abs=0.01)
    assert found.below_floor_cm == pytest.approx(6 / FRAMES, abs=0.01)
    assert quality(moving()).below_floor_worst_cm == pytest.approx(0, abs=1e-3)


def test_whoever_is_on_a_lower_level_does_not_sink():
    above, below = moving(), moving(x=1.0, y=1.2)
    # the lower one comes at the end only, so that the other one tells the floor
    people = [[one] for one in above.people]
    for frame in range(FRAMES - 5, FRAMES):
        people[frame].append(replace(below.people[frame], person=6))
    first, second = quality_of(Reconstruction.of_frames(above.frames, people, "clip.mp4"))

    assert (first.lower_level_cm, first.below_floor_worst_cm) == pytest.approx((0, 0), abs=1e-3)
    assert second.lower_level_cm == pytest.approx(120, abs=0.1)
    assert second.below_floor_worst_cm == pytest.approx(0, abs=1e-3)


def test_levels_are_kept_to_for_some_time():
    times_s = np.arange(100) / 25
    stairs = np.where(times_s < 2, 0.0, -1.31)
    dip = np.where((times_s > 1) & (times_s < 1.3), -0.4, 0.0)
    stumble = stairs - 0.05 * (np.arange(100) == 80)

    assert level_under_m(stairs, times_s)[60:] == pytest.approx(-1.31)
    assert below_floor_cm(stairs - level_under_m(stairs, times_s))[1] == pytest.approx(0)
    assert below_floor_cm(stumble - level_under_m(stumble, times_s))[1] == pytest.approx(5)
    # what is short is a fit that sank, and stays one
    assert not level_under_m(dip, times_s).any()
    assert not level_under_m(np.full(100, 0.5), times_s).any()


def test_gaps_are_counted_whether_they_are_filled_or_not():
    filled = moving(missed=(3, 10, 11, 12))
    left_out = [[] if f in (3, 10, 11, 12) else filled.people_of(f) for f in range(FRAMES)]
    for result in (filled, Reconstruction.of_frames(filled.frames, left_out)):
        found = quality(result)
        assert found.seen_share == pytest.approx(20 / 24)
        assert found.gaps == 2
        assert found.longest_gap_s == pytest.approx(4 / RATE_HZ)
    whole = quality(moving())
    assert (whole.seen_share, whole.gaps, whole.longest_gap_s) == (1, 0, 0)


def test_keypoints_are_off_as_in_each_frame():
    result = moving(x=0.01 * torch.arange(FRAMES), missed=(20, 21))
    errors = [p.limb_error_px() for p in result.people if p.code != "not_seen"]
    assert max(errors) > 5  # they stayed where they were seen in the first frame
    assert quality(result).keypoint_error_px == pytest.approx(float(np.median(errors)), rel=1e-4)
    unsure = [replace(p, keypoints_px=0 * p.keypoints_px) for p in result.people]
    result = Reconstruction.of_frames(result.frames, [[p] for p in unsure])
    assert math.isnan(quality(result).keypoint_error_px)


def test_photos_have_no_motion_and_short_clips_no_jitter(reconstruction):
    assert quality_of(reconstruction) == ()
    short = moving()
    few = Reconstruction.of_frames(short.frames[:3], [[p] for p in short.people[:3]])
    assert math.isnan(quality(few).jitter_10m_s3)
    assert quality(few).below_floor_worst_cm == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("write, name", [(write_npz, "people.npz"), (write_json, "people.json")])
def test_files_keep_contacts_and_the_camera_and_say_how_good_it_is(write, name, tmp_path, clip):
    contact = torch.tensor([0.25, 1.0, 0.0, 0.5])
    people = [
        [replace(p, foot_contact=contact if p.frame % 2 else None) for p in clip.people_of(f.index)]
        for f in clip.frames
    ]
    result = replace(
        Reconstruction.of_frames(clip.frames, people, clip.source), camera_motion="still"
    )
    write(result, tmp_path / name)
    loaded = load(tmp_path / name)
    assert_same(loaded, result)
    before, after = quality_of(result), quality_of(loaded)
    assert len(before) == 2
    for one, other in zip(before, after, strict=True):
        assert vars(one) == pytest.approx(vars(other), nan_ok=True, rel=1e-5)
    assert tuple(vars(before[0])) == QUALITY
