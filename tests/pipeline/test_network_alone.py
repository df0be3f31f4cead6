"""`fast`: the network alone on photos and clips, and what it does not go with."""

from dataclasses import replace

import pytest
import torch
from clips import passing, write_clip
from legs import knees_deg, with_legs

import kinflow
import kinflow.body.skeleton
from kinflow.body.keypoints import LIMB_KEYPOINTS
from kinflow.errors import InputError
from kinflow.evidence.types import ImageEvidence
from kinflow.export.people_files import load
from kinflow.fitting.beliefs import BeliefConfig
from kinflow.fitting.network_alone import SOURCE, NetworkAlone
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.fitting.shape_spread import MOST
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.metrics.pose import pa_mpjpe
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.events import Outcome
from kinflow.pipeline.own_evidence import OwnEvidenceConfig
from kinflow.pipeline.photos import Pipeline
from kinflow.pipeline.reconstructor import ReconstructorConfig
from kinflow.predictors import Looks

FAST = ReconstructorConfig(fast=True)


@pytest.fixture(scope="module")
def models() -> kinflow.Reconstructor:
    return kinflow.Reconstructor(FAST)


@pytest.fixture(scope="module")
def alone(models) -> NetworkAlone:
    assert models.alone is not None
    return models.alone


@pytest.fixture(scope="module")
def evidence(models, astronaut_rgb) -> ImageEvidence:
    return models.detector.detect(astronaut_rgb)


@pytest.fixture(scope="module")
def camera(astronaut_rgb) -> Camera:
    height, width = astronaut_rgb.shape[:2]
    return Camera.from_fov((width, height), 55.0)


def test_a_photo_gets_bodies_that_nobody_fitted(models, astronaut_rgb, astronaut_result):
    result = models(astronaut_rgb)
    (person,) = result.people
    assert person.start_source == SOURCE and person.energy == {} and person.hypotheses == ()
    assert person.part_iou is None
    (fitted,) = astronaut_result.people
    seen = list(LIMB_KEYPOINTS)[:4]  # of shoulders and elbows; the legs are not in the picture
    points, other = (p.body().keypoints_m()[seen] for p in (person, fitted))
    assert pa_mpjpe(points, other) < 0.06
    torch.testing.assert_close(person.joints_cam_m, person.body().joints_m, atol=1e-4, rtol=0)
    gravity = result.only_frame.gravity
    assert gravity is not None and gravity.up_cam[1] < -0.9


def test_what_nobody_saw_is_less_certain(models, astronaut_rgb):
    (person,) = models(astronaut_rgb).people
    std = dict(zip(kinflow.body.skeleton.JOINT_NAMES, person.joint_std_m.tolist(), strict=True))
    assert std["pelvis"] == 0
    assert std["left_foot"] > 2 * std["left_shoulder"] > 0
    assert (person.t_cam_root_std_m > 0).all() and person.height_std_m > 0.01
    assert person.shape_std is not None
    assert (person.shape_std > 0.01).all() and (person.shape_std <= torch.tensor(MOST)).all()
    assert person.code in ("truncated", "few_keypoints")


def test_keypoints_that_the_network_did_not_see_make_a_poor_fit(alone, evidence, camera):
    (seen,) = evidence.people
    moved = seen.keypoints_px.clone()
    moved[list(LIMB_KEYPOINTS), 0] += 80 * torch.tensor([1.0, -1.0]).repeat(6)
    moved[:, 2] = 0.9
    elsewhere = replace(evidence, people=(replace(seen, keypoints_px=moved),))
    (person,) = alone.fit(elsewhere, camera).people
    assert person.code == "poor_fit"


def test_knees_that_are_straight_in_the_picture_are_straighter_than_the_network_has_them(
    models, alone, evidence, camera
):
    config = replace(models.fitter.config, belief=BeliefConfig(straight_limbs=False))
    off = PhotoFitter(models.fitter.fitter.model.prior, config, "cpu", False, (), alone.predictor)
    straight, bent = with_legs(evidence, 0.0), with_legs(evidence, 70.0)
    (as_learned,) = NetworkAlone(off).fit(straight, camera).people
    looks = Looks.of([p.look for p in straight.people if p.look], [camera])
    torch.testing.assert_close(as_learned.z, alone.predictor(looks).point().z[0])
    now, still = (alone.fit(legs, camera).people[0] for legs in (straight, bent))
    learned_deg, now_deg, still_deg = knees_deg([as_learned, now, still])
    assert (now_deg < learned_deg - 20).all()
    torch.testing.assert_close(still_deg, learned_deg, atol=3.0, rtol=0)


def test_who_has_no_look_is_fitted_and_all_keep_their_places(alone, evidence, camera):
    (seen,) = evidence.people
    both = replace(evidence, people=(replace(seen, look=None), seen))
    first, second = alone.fit(both, camera).people
    assert (first.person, second.person) == (0, 1)
    assert first.start_source != SOURCE and first.energy
    assert second.start_source == SOURCE


def test_a_batch_is_as_one_by_one(alone, evidence, camera):
    nobody = replace(evidence, people=())
    three = alone.fit_photos([evidence, nobody, evidence], [camera] * 3)
    assert three[1].people == () and three[1].gravity is None
    single = alone.fit(evidence, camera)
    for fit in (three[0], three[2]):
        torch.testing.assert_close(
            fit.people[0].joints_cam_m, single.people[0].joints_cam_m, atol=0.02, rtol=0
        )


def test_what_is_up_turns_with_the_camera(alone, evidence, camera):
    R = rotvec_to_matrix(torch.tensor([0.0, 0.0, 0.2]))
    still = alone.fit_frames([evidence, evidence], camera, [None, None])
    alike = alone.fit_frames([evidence, evidence], camera, [R, R])
    assert still[0].gravity is not None
    assert alike[0].gravity.up_cam == pytest.approx(still[0].gravity.up_cam, abs=1e-5)
    first, second = alone.fit_frames([evidence, evidence], camera, [None, R])
    assert second.gravity.up_cam == pytest.approx(first.gravity.turned(R.mT).up_cam, abs=1e-5)


def test_a_clip_has_the_same_person_of_one_shape_in_all_frames(models, astronaut_rgb, tmp_path):
    frames = passing(astronaut_rgb, [10.0 + 5 * i for i in range(8)])
    clip = write_clip(tmp_path / "walk.avi", frames, 25.0, "MJPG")
    config = PipelineConfig(FAST, clip_formats=("npz",))
    events = list(Pipeline(config, models).run([clip], tmp_path / "out"))
    (outcome,) = [event for event in events if isinstance(event, Outcome)]
    assert outcome.problem == ""
    people = load(outcome.folder).people
    assert len(people) == 8 and {p.person for p in people} == {0}
    assert {p.start_source for p in people} == {SOURCE}
    for person in people[1:]:
        torch.testing.assert_close(person.shape, people[0].shape)


@pytest.mark.parametrize(
    "options",
    [
        {"predictor": None},
        {"body": "body.npz"},
        {"fit": PhotoFitConfig(estimate_focal=True)},
    ],
)
def test_what_the_network_alone_cannot_do_is_refused(options):
    with pytest.raises(InputError, match="network alone"):
        ReconstructorConfig(fast=True, **options)


@pytest.mark.parametrize("own", [{"keypoints": "k.json"}, {"masks": "folder"}])
def test_evidence_of_the_users_is_refused(own, tmp_path):
    with pytest.raises(InputError, match="network alone"):
        PipelineConfig(FAST, own=OwnEvidenceConfig(**{k: tmp_path for k in own}))


def test_another_prior_is_refused(astronaut_rgb):
    other = kinflow.Reconstructor(ReconstructorConfig(fast=True, prior="gaussian"))
    with pytest.raises(InputError, match="another pose prior"):
        other(astronaut_rgb)
