"""Our bodies onto a body of the SMPL family and back, where it is known what should come out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from smpl_people import person_fields

from kinflow.body import BodyModel
from kinflow.body import users_body as users
from kinflow.body.conversion import Converter, plain_poses
from kinflow.body.point_fit import (
    PosedShapes,
    ShapeFreedom,
    points_with_jacobian,
    shape_jacobian,
)
from kinflow.body.registration import our_adult
from kinflow.body.smpl import load_smpl
from kinflow.body.users_body import UsersBody
from kinflow.errors import InputError
from kinflow.geometry.rotations import rotvec_to_matrix


@pytest.fixture(scope="module")
def theirs(smplh_file):
    return UsersBody.load(smplh_file)


def lively_poses(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    rotvec = 0.3 * torch.randn(count, 22, 3, generator=generator)
    rotvec[:, [10, 11]] = 0
    rotvec[:, 0] *= 4
    return rotvec_to_matrix(rotvec) @ plain_poses()[1]


def some_adults() -> list[torch.Tensor]:
    return [
        torch.tensor([0.1, 0.8, 0.55, 0.45, 0.5, 0.5]),
        torch.tensor([0.9, 0.75, 0.45, 0.7, 0.35, 0.6]),
    ]


def in_double(body: BodyModel) -> BodyModel:
    """In double precision and without pose blend shapes."""
    numbers = {
        name: value.double()
        for name, value in vars(body).items()
        if isinstance(value, torch.Tensor) and value.is_floating_point()
    }
    return replace(body, **{**numbers, "pose_basis_m": None})


def test_each_vertex_finds_its_place(theirs):
    """The template is our adult in another order, so where each vertex is on ours is known."""
    adult_m = our_adult().vertices_m()
    found_m = theirs.registration.theirs_on_ours.points.of(adult_m)
    truth_m = torch.from_numpy(person_fields("smplh")["v_template"]).float()
    off_mm = 1e3 * (found_m - truth_m).norm(dim=1)
    assert off_mm.mean() < 1.5 and off_mm.quantile(0.95) < 5
    assert theirs.registration.theirs_on_ours.trusted.float().mean() > 0.98


def test_keypoints_and_parts_are_ours(theirs):
    """In the same pose, at most of a shape that it was not registered in."""
    ours = BodyModel.load()
    pose, place = lively_poses(4), torch.zeros(4, 3)
    neutral = ours.shape_space.neutral()
    for shape in (neutral, some_adults()[0]):
        converter = Converter.to_theirs(ours, theirs.body, theirs.registration)
        found = converter.convert(shape, pose, place)
        posed = theirs.body.with_shape(found.shape).with_pose(found.pose, found.t_root_m)
        wanted_m = ours.with_shape(shape).with_pose(pose, place).keypoints_m()
        off_mm = 1e3 * (posed.keypoints_m() - wanted_m).norm(dim=-1).mean(0)
        assert off_mm.mean() < 3 and off_mm.max() < 14
    nearest = theirs.registration.theirs_on_ours.points.corners[:, 0]
    assert (theirs.body.vertex_parts == ours.vertex_parts[nearest]).float().mean() > 0.95


def test_there_and_back(theirs):
    ours = BodyModel.load()
    out = Converter.to_theirs(ours, theirs.body, theirs.registration)
    back = Converter.to_ours(theirs.body, ours, theirs.registration)
    pose, place = lively_poses(6), torch.tensor([0.2, 0.1, 3.0]).expand(6, 3)
    for shape in some_adults():
        there = out.convert(shape, pose, place)
        again = back.convert(there.shape, there.pose, there.t_root_m)
        joints_m, joints_again_m = (
            ours.with_shape(s).with_pose(p, t).joints_m
            for s, p, t in ((shape, pose, place), (again.shape, again.pose, again.t_root_m))
        )
        assert 1e3 * (joints_again_m - joints_m).norm(dim=-1).mean() < 2
        assert there.vertex_error_m.mean() < 0.006 and there.joint_error_m.mean() < 0.004


def test_what_is_reported_is_how_far_it_is_off(theirs):
    """Vertices of the converted body against the places of the body that was converted."""
    ours, shape = BodyModel.load(), some_adults()[0]
    pose, place = lively_poses(3), torch.zeros(3, 3)
    found = Converter.to_theirs(ours, theirs.body, theirs.registration).convert(shape, pose, place)
    points = theirs.registration.theirs_on_ours
    wanted_m = points.points.of(ours.with_shape(shape).with_pose(pose, place).vertices_m())
    posed = theirs.body.with_shape(found.shape).with_pose(found.pose, found.t_root_m)
    off_m = (posed.vertices_m() - wanted_m).norm(dim=-1)[:, points.trusted]
    torch.testing.assert_close(found.vertex_error_m, off_m.mean(1), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.vertex_max_m, off_m.amax(1), atol=1e-6, rtol=0)


def test_poses_do_not_change_the_shape(theirs):
    """One shape a person, whatever they do, and each pose by itself."""
    converter = Converter.to_theirs(BodyModel.load(), theirs.body, theirs.registration)
    pose = lively_poses(3)
    together = converter.convert(some_adults()[1], pose, torch.zeros(3, 3))
    alone = converter.convert(some_adults()[1], pose[2:], torch.zeros(1, 3))
    torch.testing.assert_close(together.shape, alone.shape)
    torch.testing.assert_close(together.pose[2:], alone.pose, atol=1e-4, rtol=0)


def test_jacobian_is_the_slope(theirs):
    """Against central differences, without pose blend shapes, whose change is left out."""
    body = load_smpl(theirs.path).select_vertices(torch.arange(0, 3000, 300))
    body = in_double(body)
    generator = torch.Generator().manual_seed(0)
    pose = rotvec_to_matrix(0.5 * torch.randn(1, 1, 22, 3, generator=generator).double())
    betas = torch.randn(1, 10, generator=generator).double()
    freedom = ShapeFreedom(torch.zeros(10), torch.ones(10))
    state = PosedShapes(pose, torch.randn(1, 1, 3, generator=generator).double(), betas, freedom)

    def posed(at: PosedShapes):
        return body.with_shape(at.shape).with_pose(at.pose[:, 0], at.t_root_m[:, 0])

    _, own = points_with_jacobian(posed(state))
    jacobian = torch.cat([own, shape_jacobian(posed(state))], -1)[0]
    for column in range(jacobian.shape[-1]):
        step = torch.zeros(1, jacobian.shape[-1]).double()
        step[0, column] = 1e-6
        ahead, behind = (points_with_jacobian(posed(state.step(way)))[0] for way in (step, -step))
        torch.testing.assert_close(
            (ahead - behind)[0] / 2e-6, jacobian[..., column], atol=1e-6, rtol=1e-6
        )


def test_what_was_found_is_kept(theirs, monkeypatch):
    def never(_theirs):
        raise AssertionError("it was registered a second time")

    monkeypatch.setattr(users, "register", never)
    again = UsersBody.load(theirs.path)
    assert torch.equal(
        again.registration.theirs_on_ours.points.corners,
        theirs.registration.theirs_on_ours.points.corners.int().long(),
    )
    more = UsersBody.load(theirs.path, 5)
    assert len(more.registration.shape_of(more.body)) == 5
    assert again.gender == "male"


def test_what_is_kept_and_damaged_is_found_anew(theirs, tmp_path, monkeypatch):
    monkeypatch.setenv("KINFLOW_CACHE", str(tmp_path))
    monkeypatch.setattr(users, "register", lambda _theirs: theirs.registration)
    UsersBody.load(theirs.path)
    (kept,) = (tmp_path / "registrations").iterdir()
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 255
    kept.write_bytes(data)
    assert torch.equal(UsersBody.load(theirs.path).registration.pose, theirs.registration.pose)
    assert kept.read_bytes() != bytes(data)


def test_a_cache_that_cannot_be_written_does_not_matter(theirs, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KINFLOW_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(users, "register", lambda _theirs: theirs.registration)
    assert UsersBody.load(theirs.path).num_joints == 52


def test_bodies_that_do_not_stand_as_ours_are_refused(tmp_path):
    fields = person_fields("smpl", cube_m=0.05)
    np.savez(tmp_path / "mm.npz", **{**fields, "v_template": 1e3 * fields["v_template"]})
    with pytest.raises(InputError, match="does not come to lie over"):
        UsersBody.load(tmp_path / "mm.npz")
    np.savez(tmp_path / "none.npz", **{**fields, "f": fields["f"][:0]})
    with pytest.raises(InputError, match="no triangles"):
        UsersBody.load(tmp_path / "none.npz")


def test_a_program_in_double_precision_gets_the_same(theirs, smplh_file, tmp_path, monkeypatch):
    """Whatever the default type of tensors is, a body is registered and converted as usual."""
    ours, pose, place = BodyModel.load(), lively_poses(2), torch.zeros(2, 3)
    shape = some_adults()[0]

    def converted(body: UsersBody) -> list[torch.Tensor]:
        there = Converter.to_theirs(ours, body.body, body.registration)
        found = there.convert(shape, pose, place)
        back = Converter.to_ours(body.body, ours, body.registration)
        return [*vars(found).values(), *vars(back.convert(found.shape, pose, place)).values()]

    usual = converted(theirs)
    monkeypatch.setenv("KINFLOW_CACHE", str(tmp_path))  # so that it is registered again
    our_adult.cache_clear()
    torch.set_default_dtype(torch.float64)
    try:
        again = UsersBody.load(smplh_file)
        double = converted(again)
    finally:
        torch.set_default_dtype(torch.float32)
        our_adult.cache_clear()
    for one, other in zip(usual, double, strict=True):
        assert other.dtype == torch.float32 and torch.equal(one, other)
