"""The real networks on real photos."""

import dataclasses

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.errors import InputError
from kinflow.evidence.blazepose import Region
from kinflow.evidence.detector import DetectorConfig, EvidenceDetector
from kinflow.evidence.weights import RuntimeConfig

NOSE, LEFT_EYE, RIGHT_EYE = (BLAZEPOSE33.index(n) for n in ("nose", "left_eye", "right_eye"))
LEFT_HIP, RIGHT_HIP = BLAZEPOSE33.index("left_hip"), BLAZEPOSE33.index("right_hip")


@pytest.fixture(scope="module")
def evidence(detector, astronaut):
    return detector.detect(astronaut)


def test_one_person_with_a_face(evidence):
    assert evidence.image_size == (512, 512)
    (person,) = evidence.people
    assert person.score > 0.9
    face = {NOSE: (224, 112), LEFT_EYE: (248, 104), RIGHT_EYE: (206, 104)}
    for row, expected in face.items():
        x, y, confidence = person.keypoints_px[row].tolist()
        assert np.hypot(x - expected[0], y - expected[1]) < 12
        assert confidence > 0.8
    assert (person.keypoint_std_px > 0).all()
    # What is below the picture's edge is not known.
    ankles = [BLAZEPOSE33.index(f"{side}_ankle") for side in ("left", "right")]
    assert (person.keypoints_px[ankles, 2] < 0.2).all()


def test_world_landmarks_are_metric_and_hip_centred(evidence):
    world = evidence.people[0].world_m
    assert world is not None
    hips = world[[LEFT_HIP, RIGHT_HIP]]
    assert hips.mean(dim=0).norm() < 0.02
    assert 0.1 < float((hips[0] - hips[1]).norm()) < 0.4
    assert world[NOSE, 1] < -0.4  # the head is above: y points down
    assert world[LEFT_EYE, 0] > world[RIGHT_EYE, 0]  # she faces the camera


def test_silhouette_covers_the_person_only(evidence, astronaut):
    mask = evidence.people[0].mask
    assert mask is not None
    inside = torch.tensor([[224.0, 112.0], [120.0, 330.0], [224.0, 60.0]])
    outside = torch.tensor([[420.0, 150.0], [330.0, 60.0], [100.0, 60.0]])
    assert (mask.sample(inside) > 0.6).all()
    assert (mask.sample(outside) < 0.3).all()


def test_mirror_images_are_looked_at_where_somebody_asks(detector, evidence, astronaut):
    asked = EvidenceDetector(detector.config, mirrors=True).detect(astronaut)
    for seen, unasked in zip(asked.people, evidence.people, strict=True):
        assert unasked.look_in_mirror is None
        assert seen.look_in_mirror is not None and seen.look is not None
        assert seen.look_in_mirror.region == seen.look.region
        apart = seen.look_in_mirror.landmarks[:, :2] - seen.look.landmarks[:, :2]
        assert float(apart.abs().amax()) > 0.05


def test_image_without_people(detector):
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    assert detector.detect(noise).people == ()


def test_two_people_side_by_side(detector, astronaut):
    """Nobody is counted twice, the larger comes first, and silhouettes do not overlap."""
    small = cv2.resize(astronaut[:, ::-1], None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    canvas = np.full((512, 900, 3), 200, np.uint8)
    canvas[:, :400] = astronaut[:, :400]
    canvas[102 : 102 + small.shape[0], 490 : 490 + small.shape[1]] = small
    evidence = detector.detect(canvas)
    assert len(evidence.people) == 2
    assert evidence.people[0].height_px > evidence.people[1].height_px
    assert evidence.people[0].keypoints_px[NOSE, 0] < 400 < evidence.people[1].keypoints_px[NOSE, 0]
    masks = [person.mask for person in evidence.people]
    total = sum(mask.rasterize(evidence.image_size) for mask in masks if mask is not None)
    assert torch.as_tensor(total).max() <= 1 + 1e-3
    assert len(detector.detect(canvas, max_people=1).people) == 1


def test_small_person_in_a_large_photo(detector, astronaut):
    """A head and shoulders of 110 pixels in 8 megapixels; at 512 pixels it has 17."""
    height, width = 2400, 3400
    x, y = np.meshgrid(np.linspace(60, 180, width), np.linspace(0, 60, height))
    canvas = np.stack((x, x + y / 2, 200 - x / 2), axis=-1).astype(np.uint8)
    person = cv2.resize(astronaut[:, :400], None, fx=0.22, fy=0.22, interpolation=cv2.INTER_AREA)
    top, left = 1500, 2300
    canvas[top : top + person.shape[0], left : left + person.shape[1]] = person
    people = detector.detect(canvas).people
    assert len(people) == 1
    nose = people[0].keypoints_px[NOSE, :2].numpy() - (left, top)
    assert np.linalg.norm(nose - np.array([224, 112]) * 0.22) < 6


def test_blazepose_turns_with_the_image(detector, astronaut):
    """A quarter turn of image and region turns the keypoints and the 3D landmarks."""
    region = Region((200.0, 400.0), 700.0)
    upright = detector.blazepose(astronaut, region)
    # Turned clockwise: (x, y) goes to (512 - y, x), and up goes to the right.
    turned_image = np.ascontiguousarray(np.rot90(astronaut, -1))
    turned = detector.blazepose(turned_image, Region((112.0, 200.0), 700.0, np.pi / 2))
    expected = np.column_stack((512 - upright.keypoints_px[:, 1], upright.keypoints_px[:, 0]))
    assert np.abs(turned.keypoints_px - expected).mean() < 1.5
    x, y, z = upright.world_m.T
    assert np.abs(turned.world_m - np.column_stack((-y, x, z))).mean() < 0.01


def test_evidence_moves_between_devices(evidence):
    """The meta device stands for any other one: whatever did not move is still on the CPU."""
    tensors = [t for person in evidence.to("meta").people for t in tensors_of(person)]
    assert len(tensors) >= 5
    assert {t.device.type for t in tensors} == {"meta"}
    assert {t.device.type for p in evidence.people for t in tensors_of(p)} == {"cpu"}


def tensors_of(value) -> list[torch.Tensor]:
    """The tensors of a person's evidence, those of masks and labels too."""
    if isinstance(value, torch.Tensor):
        return [value]
    if dataclasses.is_dataclass(value):
        return [t for item in vars(value).values() for t in tensors_of(item)]
    return []


def test_an_unknown_execution_provider():
    config = DetectorConfig(runtime=RuntimeConfig(providers=("AbacusExecutionProvider",)))
    with pytest.raises(InputError, match="no execution provider 'Abacus.*CPUExecutionProvider"):
        EvidenceDetector(config).detect(np.zeros((64, 64, 3), np.uint8))


@pytest.mark.parametrize("turns", [1, 2])
def test_blurred_photo_on_its_side_or_head(detector, astronaut, turns):
    """Sharp, she is found at any angle; blurred, only in a copy that is turned back."""
    blurred = cv2.GaussianBlur(astronaut, (0, 0), 4)
    (person,) = detector.detect(np.ascontiguousarray(np.rot90(blurred, turns))).people
    nose = person.keypoints_px[NOSE, :2].numpy()
    expected = {1: (112, 512 - 224), 2: (512 - 224, 512 - 112)}[turns]
    assert np.linalg.norm(nose - expected) < 25


@pytest.mark.parametrize("turns", [0, 3])
def test_everybody_in_a_crowd(detector, astronaut, turns):
    """Two rows of eight, shoulder to shoulder: MoveNet is unsure of a quarter of them, and of most
    when the photo lies on its side."""
    person = cv2.resize(astronaut[:, :400], None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    row = np.concatenate([person, person[:, ::-1]] * 4, axis=1)
    crowd = np.rot90(np.concatenate((row, row[:, ::-1])), turns)
    assert len(detector.detect(np.ascontiguousarray(crowd)).people) == 16


def test_somebody_cut_off_by_the_edge(detector, astronaut):
    """Without the head above the mouth MoveNet is unsure, and its hips are guesses."""
    (person,) = detector.detect(np.ascontiguousarray(astronaut[140:])).people
    left, right = (BLAZEPOSE33.index(f"{side}_shoulder") for side in ("left", "right"))
    assert person.keypoints_px[left, 0] > person.keypoints_px[right, 0] + 100


def test_no_person_in_photos_of_things(detector):
    """What BlazePose confirms is a person also where MoveNet is asked for its faintest guesses."""
    for photo in (skimage.data.coffee(), skimage.data.chelsea(), skimage.data.rocket()):
        for turns in (0, 2):
            assert detector.detect(np.ascontiguousarray(np.rot90(photo, turns))).people == ()
