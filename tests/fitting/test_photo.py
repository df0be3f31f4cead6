"""Fitting photos of known people: accuracy, uncertainty, truncation, focal length, batches."""

from dataclasses import replace

import pytest
import torch

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.evidence.types import ImageEvidence
from kinflow.fitting.observations import ObservationConfig, view_rotation
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.geometry import Camera
from kinflow.metrics.pose import mpjpe, pa_mpjpe

LEGS = tuple(n for n in BLAZEPOSE33 if n.split("_")[1:] and n.split("_")[1] in
             ("hip", "knee", "ankle", "heel", "big"))  # fmt: skip


def joints(people) -> torch.Tensor:
    return torch.stack([p.joints_cam_m for p in people])


def test_recovers_people_whichever_way_they_face(fitter, make_scene, camera):
    scene = make_scene((0.0, 120.0, 180.0, -90.0))
    people = fitter.fit(scene.evidence, camera).people
    assert pa_mpjpe(joints(people), scene.joints_m).max() < 0.05
    assert mpjpe(joints(people), scene.joints_m).max() < 0.09
    assert all(p.code == "ok" for p in people)
    assert max(p.limb_error_px() for p in people) < 8
    depth = torch.stack([p.t_cam_root_m[2] for p in people])
    assert (depth / scene.t_cam_root_m[:, 2] - 1).abs().max() < 0.15


def test_keypoints_alone_suffice_for_most_people(make_scene, prior, camera):
    alone = PhotoFitter(prior, PhotoFitConfig(observations=ObservationConfig(use_hint=False)))
    scene = make_scene((0.0, 60.0, 180.0, -120.0), seed=3)
    people = alone.fit(scene.evidence, camera).people
    assert pa_mpjpe(joints(people), scene.joints_m).median() < 0.06


def test_people_of_a_photo_share_what_is_up_and_else_do_not_influence_each_other(
    fitter, make_scene, camera
):
    """More people know better what is up, which turns each of them by little."""
    scene = make_scene((10.0, 200.0, 90.0))
    together = fitter.fit(scene.evidence, camera)
    middle = ImageEvidence(camera.image_size, scene.evidence.people[1:2])
    alone = fitter.fit(middle, camera)
    assert together.gravity.std_deg < alone.gravity.std_deg
    one, other = together.people[1].joints_cam_m, alone.people[0].joints_cam_m
    assert mpjpe(one, other) < 0.03 and pa_mpjpe(one, other) < 0.01


def test_same_input_same_result(fitter, make_scene, camera):
    scene = make_scene((30.0,))
    first, second = (fitter.fit(scene.evidence, camera).people[0] for _ in range(2))
    assert torch.equal(first.joints_cam_m, second.joints_cam_m)
    assert torch.equal(first.z, second.z)


def test_hidden_legs_get_a_plausible_rest_and_more_uncertainty(fitter, make_scene, camera):
    seen = fitter.fit(make_scene((20.0,)).evidence, camera).people[0]
    hidden = fitter.fit(make_scene((20.0,), hidden=LEGS).evidence, camera).people[0]
    assert hidden.code == "truncated"
    ankles = [7, 8]
    assert (hidden.joint_std_m[ankles] > 2 * seen.joint_std_m[ankles]).all()
    # the prior keeps what nobody saw within a body's reach and below the hips
    assert (hidden.joints_cam_m - hidden.t_cam_root_m).norm(dim=-1).max() < 1.3
    assert 1.0 < hidden.measures().height_m < 2.2
    assert hidden.z.norm() < 10


def test_laplace_covers_the_error_where_all_is_as_it_is_reckoned_with(fitter, make_scene, camera):
    """Of joints, about as many lie within Laplace's 50 and 90 % regions as should.

    The noise is the one that the fitter reckons with; regions are balls, whose radii in standard
    deviations are those of a chi distribution with three degrees of freedom. What is stated is
    wider, for nothing else is as it is reckoned with.
    """
    inside: dict[float, list[torch.Tensor]] = {1.538: [], 2.500: []}
    for seed in range(6):
        scene = make_scene((0.0, 140.0, -70.0), noise_px=3.0, seed=seed, rough=True)
        with torch.no_grad():
            found = fitter.found_bodies((scene.evidence,), (camera,))
            told = [
                fitter.describer.with_signs(i, seen, camera, *found.of(i))
                for i, seen in enumerate(scene.evidence.people)
            ]
        people = [person for person, *_ in told]
        truth = scene.joints_m - scene.joints_m[:, :1]
        error_m = (joints(people) - joints(people)[:, :1] - truth)[:, 1:].norm(dim=-1)
        std_m = torch.stack([signs.laplace_m for _, signs, _ in told])[:, 1:]
        assert (torch.stack([p.joint_std_m for p in people])[:, 1:] > std_m).float().mean() > 0.9
        for radius, hits in inside.items():
            hits.append(error_m < radius * std_m)
    half, most = (float(torch.cat(hits).float().mean()) for hits in inside.values())
    assert 0.4 < half < 0.7
    assert 0.8 < most < 0.98


def test_estimates_the_focal_length(make_scene, prior, camera):
    scene = make_scene((0.0, 40.0, 90.0, 180.0), noise_px=0.3)
    wrong = replace(camera, focal_px=camera.focal_px * 1.35)
    estimating = PhotoFitter(prior, PhotoFitConfig(estimate_focal=True))
    found = estimating.fit(scene.evidence, wrong).people[0].camera.focal_px
    before = abs(wrong.focal_px / camera.focal_px - 1)
    assert abs(found / camera.focal_px - 1) < before


def test_nothing_is_made_for_a_focal_length_that_nobody_asked_for(prior, make_scene, camera):
    fitter = PhotoFitter(prior, PhotoFitConfig(), align_parts=False)
    fitter.fit(make_scene((0.0,)).evidence, camera)
    assert "focal_fitter" not in vars(fitter)


def test_a_photo_is_fitted_among_others_as_it_is_alone(fitter, make_scene, camera):
    """With the camera it was taken with; what is up in one photo says nothing of another."""
    narrow = Camera.from_fov((800, 1200), 30.0)
    one, other = make_scene((0.0, 90.0)), make_scene((200.0,), camera=narrow, seed=1)
    together = fitter.fit_photos((one.evidence, other.evidence), (camera, narrow))
    alone = fitter.fit(one.evidence, camera), fitter.fit(other.evidence, narrow)
    for among, lonely in zip(together, alone, strict=True):
        assert among.camera == lonely.camera
        assert among.gravity.up_cam == lonely.gravity.up_cam
        assert among.gravity.std_deg == pytest.approx(lonely.gravity.std_deg, rel=1e-3)
        assert all(person.camera == among.camera for person in among.people)
        torch.testing.assert_close(
            joints(among.people), joints(lonely.people), atol=0.002, rtol=0.0
        )


def test_energy_terms_are_reported(fitter, make_scene, camera):
    person = fitter.fit(make_scene((0.0,)).evidence, camera).people[0]
    upright, priors = {"attitude", "trunk"}, {"pose_prior", "shape_prior"}
    assert set(person.energy) == {"keypoints", "hint_3d"} | upright | priors
    assert all(value >= 0 for value in person.energy.values())
    assert person.energy["pose_prior"] == pytest.approx(0.5 * float(person.z @ person.z), rel=1e-3)
    total = sum(person.energy.values())
    assert all(h.energy > total - 1e-2 for h in person.hypotheses)


def test_nobody_gives_nobody(fitter, camera):
    nothing = fitter.fit(ImageEvidence(camera.image_size, ()), camera)
    assert nothing.people == () and nothing.gravity is None and nothing.camera == camera


def test_hardly_any_keypoints_are_called_a_guess(fitter, make_scene, camera):
    names = tuple(n for n in BLAZEPOSE33 if n not in ("nose", "left_shoulder", "right_shoulder"))
    person = fitter.fit(make_scene((0.0,), hidden=names).evidence, camera).people[0]
    assert person.code == "few_keypoints"
    assert person.joints_cam_m.isfinite().all()


def bodies_of(fitter, targets):
    """The best body of each row."""
    found = fitter.fitter.fit(targets)
    return found.unknowns[torch.stack([found.of(row)[0] for row in range(len(targets.focal_px))])]


def test_one_person_without_3d_landmarks_costs_nobody_else_theirs(fitter, make_scene, camera):
    scene = make_scene((0.0, 120.0, 200.0))
    first, second, third = scene.evidence.people
    mixed = replace(scene.evidence, people=(first, replace(second, world_m=None), third))
    best = [
        # without gravity, which people of a photo do share
        bodies_of(fitter, fitter.targets(evidence, camera))
        for evidence in (scene.evidence, mixed, replace(mixed, people=mixed.people[1:2]))
    ]
    everybody, people, alone = (fitter.fitter.joints_m(bodies) for bodies in best)
    torch.testing.assert_close(everybody[[0, 2]], people[[0, 2]], atol=0.01, rtol=0.0)
    torch.testing.assert_close(people[1], alone[0], atol=0.01, rtol=0.0)
    energy = [person.energy["hint_3d"] for person in fitter.fit(mixed, camera).people]
    assert energy[0] > 0 and energy[1] == 0 and energy[2] > 0


def test_view_rotation_turns_the_optical_axis_to_the_person(fitter, make_scene, camera):
    scene = make_scene((0.0, 0.0))
    targets = fitter.targets(scene.evidence, camera)
    R = view_rotation(targets, targets.inverse_std_px > 0)
    eye = torch.eye(3).expand(2, 3, 3)
    torch.testing.assert_close(R @ R.mT, eye, atol=1e-5, rtol=0)
    centre = scene.joints_m.mean(1)
    axis = R[:, :, 2]
    cosine = torch.nn.functional.cosine_similarity(axis, centre)
    assert cosine.min() > 0.999


def test_small_and_distant_people_do_not_break_the_fit(fitter, make_scene):
    tiny = Camera.from_fov((64, 48), 55.0)
    scene = make_scene((0.0,), noise_px=0.1, camera=tiny)
    person = fitter.fit(scene.evidence, tiny).people[0]
    assert pa_mpjpe(person.joints_cam_m, scene.joints_m[0]) < 0.1
    assert abs(float(person.t_cam_root_m[2] / scene.t_cam_root_m[0, 2]) - 1) < 0.15


def test_the_hint_says_nothing_about_size(fitter, make_scene, camera):
    scene = make_scene((0.0, 150.0))
    smaller = tuple(
        replace(person, world_m=0.85 * person.world_m)
        for person in scene.evidence.people
        if person.world_m is not None
    )
    plain = fitter.fit(scene.evidence, camera).people
    scaled = fitter.fit(replace(scene.evidence, people=smaller), camera).people
    for a, b in zip(plain, scaled, strict=True):
        assert abs(a.measures().height_m - b.measures().height_m) < 0.01
