"""Doubt grows with what tells wrong bodies from right ones."""

import math
from dataclasses import replace

import pytest
import torch

from kinflow.fitting.describing import doubted, second_thoughts
from kinflow.fitting.doubt import MAX_DOUBT, MAX_LEAN_DEG, MAX_OFF_FLOOR_M, doubt
from kinflow.geometry.rotations import about_axis
from kinflow.results import Gravity


@pytest.fixture(scope="module")
def person(fitter, make_scene, camera):
    (person,) = fitter.fit(make_scene((20.0,)).evidence, camera).people
    return person


def test_a_person_seen_well_is_ok(person):
    assert person.code == "ok" and doubt(person) < MAX_DOUBT


def test_signs_of_trouble_raise_doubt(person):
    vague = person.keypoints_px * torch.tensor([1.0, 1.0, 0.4])
    loose = replace(person, silhouette_iou=0.6)
    somewhere = replace(person, joint_std_m=3 * person.joint_std_m)
    for worse in (loose, somewhere):
        assert doubt(worse) > 1.5 * doubt(person)
    # how certain keypoints are counts in what is stated of joints as well
    assert doubt(replace(person, keypoints_px=vague)) > doubt(person)
    everything = replace(loose, keypoints_px=vague, joint_std_m=3 * person.joint_std_m)
    assert doubt(everything) > MAX_DOUBT
    assert doubt(replace(person, silhouette_iou=0.95)) < doubt(person)


def test_a_vaguely_seen_person_is_uncertain_where_one_seen_well_is_not(
    person, fitter, make_scene, camera
):
    scene = make_scene((20.0,))
    (seen,) = scene.evidence.people
    keypoints = seen.keypoints_px * torch.tensor([1.0, 1.0, 0.56])
    evidence = replace(
        scene.evidence, people=(replace(seen, keypoints_px=keypoints, world_m=None),)
    )
    (vague,) = fitter.fit(evidence, camera).people
    assert doubt(vague) > 1.5 * doubt(person)
    seen_so = [replace(p, silhouette_iou=0.78) for p in (person, vague)]
    codes = [second_thoughts(p, doubt(p)).code for p in seen_so]
    assert codes[0] == "ok" and codes[1] in ("uncertain", "ambiguous")


@pytest.mark.parametrize("axis", ["x", "z"])
def test_who_leans_or_is_off_the_floor_is_uncertain_in_photos(person, axis):
    up = person.R_cam_root[:, 1]

    def code(lean_deg: float, above_m: float = 0.0) -> str:
        turn = about_axis(axis, torch.tensor([math.radians(lean_deg)]))[0]
        leaning = replace(person, R_cam_root=person.R_cam_root @ turn)
        (told,) = doubted([leaning], Gravity(tuple(up.tolist()), 2.0), torch.tensor([above_m]))
        return told.code

    for sign in (-1, 1):
        assert code(sign * (MAX_LEAN_DEG - 1), sign * (MAX_OFF_FLOOR_M - 0.01)) == "ok"
        assert code(sign * (MAX_LEAN_DEG + 1)) == "uncertain"
        assert code(0.0, sign * (MAX_OFF_FLOOR_M + 0.01)) == "uncertain"
    assert code(180.0) == "uncertain", "upside down"
    worse = replace(person, code="poor_fit")
    assert doubted([worse], Gravity((0.0, 0.0, 1.0), 2.0), torch.ones(1))[0].code == "poor_fit"
