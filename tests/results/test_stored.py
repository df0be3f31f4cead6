"""Bodies in little memory are the bodies that they were."""

import copy
import pickle
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from kinflow.geometry.pinhole import Camera
from kinflow.results import Frame, Person, Reconstruction, StoredPerson, stored


def person(contact: bool = True) -> Person:
    block = torch.randn(700)
    return Person(
        person=3,
        camera=Camera.centred((64, 48), 60.0),
        R_cam_root=torch.eye(3),
        t_cam_root_m=block[:3],
        pose=torch.eye(3).expand(22, 3, 3),
        z=block[3:45],
        shape=torch.full((6,), 0.5),
        joints_cam_m=block[45:111].view(22, 3),
        joint_std_m=block[111:133],
        t_cam_root_std_m=block[133:136],
        keypoints_px=block[136:235].view(33, 3),
        score=0.7,
        code="uncertain",
        energy={"prior": 0.1 + 0.2},
        foot_contact=block[235:239] if contact else None,
        shape_std=block[239:245] if contact else None,
    )


def assert_same(one: Person, other: Person) -> None:
    for field in fields(Person):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, Tensor):
            assert isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
        else:
            assert a == b or (a != a and b != b), field.name


@pytest.mark.parametrize("contact", [True, False])
def test_nothing_is_lost(contact):
    before = person(contact)
    after = stored(before)
    assert isinstance(after, StoredPerson)
    assert_same(before, after)
    assert stored(after) is after
    for again in (copy.deepcopy(after), pickle.loads(pickle.dumps(after))):
        assert_same(before, again)
    assert torch.equal(after.joints_px, before.joints_px)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = after.nothing  # pyright: ignore[reportAttributeAccessIssue]


def test_a_changed_copy_is_changed_in_that_alone():
    before = stored(person())
    after = replace(before, score=0.1, z=torch.zeros(42), foot_contact=None)
    assert (after.score, after.foot_contact) == (0.1, None) and not after.z.any()
    assert torch.equal(after.keypoints_px, before.keypoints_px)
    assert_same(after, stored(after))


def test_memory_is_a_body_s_own_and_is_shared_by_its_frames():
    before = stored(person())
    placed = before.in_frame(5, 0.2)
    assert (placed.frame, placed.time_s, before.frame) == (5, 0.2, 0)
    assert placed.pose.data_ptr() == before.pose.data_ptr()
    assert placed.pose.untyped_storage().nbytes() < 4 * 500
    frame = Frame(5, 0.2, before.camera)
    (body,) = Reconstruction.of_frames([frame], [[before]]).people
    assert body.z.data_ptr() == before.z.data_ptr()


def test_other_precision_is_left_alone():
    double = replace(person(), z=torch.zeros(42, dtype=torch.float64))
    assert stored(double) is double
