"""Whose body has breasts: whom an outline shows to be a woman, nobody of whom nothing is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kinflow.body import BodyModel
from kinflow.body.part_mesh import PartMesh
from kinflow.body.parts import ANY_PART, BACKGROUND
from kinflow.body.shape import BREASTS_FROM
from kinflow.evidence.types import ImageEvidence, PartLabels, PersonEvidence
from kinflow.fitting.drawing import drawn_parts
from kinflow.fitting.photo import PhotoFitter
from kinflow.geometry import Camera
from kinflow.geometry.image_grid import ImageGrid
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.results import Person

CAMERA = Camera.from_fov((480, 640), 40.0)


def seen(body: BodyModel, gender: float, outline: bool) -> PersonEvidence:
    """Exact keypoints of somebody who stands half turned, with the outline of their skin."""
    shape = body.shape_space.neutral()
    shape[0] = gender
    rotvec = torch.zeros(22, 3)
    rotvec[[16, 17], 2] = torch.tensor([-1.0, 1.0])  # arms down
    rotvec[0, 1] = 0.7
    pose = rotvec_to_matrix(rotvec)
    pose[0] = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ pose[0]
    posed = body.with_shape(shape).with_pose(pose, torch.tensor([0.0, 0.1, 3.2]))
    points = CAMERA.project(posed.keypoints_m()[:33])
    low, high = points.amin(0), points.amax(0)
    person = PersonEvidence(
        keypoints_px=torch.cat([points, torch.ones(33, 1)], 1),
        keypoint_std_px=torch.full((33,), 0.02 * float((high - low).max())),
        world_m=None,
        box_px=torch.cat([low, high]),
        score=1.0,
        mask=None,
    )
    if not outline:
        return person
    drawn = drawn_parts(posed.vertices_m().numpy(), CAMERA, PartMesh.of(body))
    shows = torch.from_numpy(drawn.astype(np.int32)) > 0
    allowed = torch.where(shows, ANY_PART, BACKGROUND).int()
    grid = ImageGrid((0.0, 0.0), 1.0, CAMERA.image_size)
    return replace(person, parts=PartLabels(allowed, torch.ones(allowed.shape), grid))


def fitted(fitter: PhotoFitter, person: PersonEvidence) -> Person:
    (found,) = fitter.fit(ImageEvidence(CAMERA.image_size, (person,)), CAMERA).people
    return found


def breasts_m(body: BodyModel, anny_body: BodyModel, person: Person) -> float:
    """How far a body is from a flat chest, where a blend of man and woman is farther."""
    flat = person.shape.clone()
    flat[0] = BREASTS_FROM
    per_gender = _farthest_m(body, anny_body, flat) / BREASTS_FROM
    return per_gender * float(person.shape[0]) - _farthest_m(body, anny_body, person.shape)


def _farthest_m(body: BodyModel, anny_body: BodyModel, shape: torch.Tensor) -> float:
    ours, blended = (model.with_shape(shape).rest_vertices_m for model in (body, anny_body))
    return float((ours - blended).norm(dim=-1).max())


@pytest.mark.parametrize("gender", [0.03, 0.97])
def test_keypoints_alone_make_nobody_a_woman(fitter, body, anny_body, gender):
    person = fitted(fitter, seen(body, gender, outline=False))
    assert breasts_m(body, anny_body, person) < 1e-3


def test_an_outline_of_skin_tells_women_from_men(fitter, body, anny_body):
    man, woman = (fitted(fitter, seen(body, gender, outline=True)) for gender in (0.03, 0.97))
    assert breasts_m(body, anny_body, man) < 1e-3
    assert breasts_m(body, anny_body, woman) > 0.01
    assert woman.shape[0] > BREASTS_FROM > man.shape[0] + 0.2
