"""Doubt grows with what tells wrong bodies from right ones."""

from dataclasses import replace

import pytest
import torch

from kinflow.fitting.describing import second_thoughts
from kinflow.fitting.doubt import MAX_DOUBT, doubt


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
    seen_so = [replace(p, silhouette_iou=0.75) for p in (person, vague)]
    codes = [second_thoughts(p, doubt(p)).code for p in seen_so]
    assert codes[0] == "ok" and codes[1] in ("uncertain", "ambiguous")
