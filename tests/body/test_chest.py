"""Chests: flat unless `gender` is nearly a woman's, and nothing else moves."""

import pytest
import torch

from kinflow.body import BodyModel
from kinflow.body.chest import with_flat_chests
from kinflow.body.shape import AVERAGE_ADULT, BREASTS_FROM, BREASTS_WHOLE_FROM
from kinflow.body.skeleton import JOINT_INDEX

BODIES = [
    pytest.param({}, id="average"),
    pytest.param({"weight": 0.8}, id="heavy"),
    pytest.param({"weight": 0.2}, id="thin"),
    pytest.param({"muscle": 0.8}, id="muscular"),
    pytest.param({"age": 0.88}, id="old"),
]
_NAMES = ("gender", "age", "muscle", "weight", "height", "proportions")


def shape_of(gender: float, **others: float) -> torch.Tensor:
    values = dict(zip(_NAMES, AVERAGE_ADULT, strict=True)) | others | {"gender": gender}
    return torch.tensor([values[name] for name in _NAMES])


def depth_m(body: BodyModel, shape: torch.Tensor) -> float:
    """How far the breasts come forward of the breastbone beside them, at their furthest."""
    shaped = body.with_shape(shape)
    x, y, z = shaped.rest_vertices_m.unbind(-1)
    spine2, spine3 = (shaped.rest_joints_m[JOINT_INDEX[n]] for n in ("spine2", "spine3"))
    level = (y > spine3[1] - 0.1) & (y < spine3[1]) & (z > spine3[2] + 0.03) & (x.abs() < 0.16)
    assert spine2[1] < spine3[1] - 0.1
    beside, middle = level & (x.abs() > 0.05), level & (x.abs() < 0.015)
    return float(z[beside].max() - z[middle].max())


@pytest.mark.parametrize("others", BODIES)
def test_nobody_between_man_and_woman_has_breasts(body, anny_body, others):
    """Their breastbone is deeper than a man's, as their ribs are narrower, but nothing like a
    blend's."""
    man = depth_m(anny_body, shape_of(0.0, **others))
    for gender in (0.5, 0.6, BREASTS_FROM):
        own, blended = (depth_m(model, shape_of(gender, **others)) for model in (body, anny_body))
        assert blended > man + 0.006
        assert own - man < 0.008
        assert own - man < 0.5 * (blended - man)


@pytest.mark.parametrize("others", BODIES)
def test_breasts_grow_towards_women(body, others):
    genders = torch.linspace(BREASTS_FROM, 1, 8).tolist()
    depths = torch.tensor([depth_m(body, shape_of(gender, **others)) for gender in genders])
    assert (depths.diff() > 0).all()
    assert depths[-1] > depths[0] + 0.006


def test_men_women_and_children_are_as_they_were(body, anny_body):
    generator = torch.Generator().manual_seed(0)
    shapes = torch.rand(12, 6, generator=generator)
    shapes[:4, 0] = 0.0
    shapes[4:8, 0] = BREASTS_WHOLE_FROM + 0.15 * torch.rand(4, generator=generator)
    shapes[8:, 1] = torch.rand(4, generator=generator) / 3
    for name in ("rest_vertices_m", "rest_joints_m"):
        ours, theirs = (getattr(model.with_shape(shapes), name) for model in (body, anny_body))
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_nothing_but_the_front_of_the_trunk_moves(body, anny_body):
    shapes = torch.rand(20, 6, generator=torch.Generator().manual_seed(1))
    shapes[:, 0] = 0.6
    ours, theirs = body.with_shape(shapes), anny_body.with_shape(shapes)
    torch.testing.assert_close(ours.rest_joints_m, theirs.rest_joints_m, atol=1e-6, rtol=0)
    torch.testing.assert_close(ours.rest_virtual_m, theirs.rest_virtual_m, atol=1e-6, rtol=0)
    moved = (ours.rest_vertices_m - theirs.rest_vertices_m).norm(dim=-1).amax(0) > 1e-5
    assert 200 < moved.sum() < 500
    spine2, spine3, neck = (
        theirs.rest_joints_m[:, JOINT_INDEX[name]] for name in ("spine2", "spine3", "neck")
    )
    _, y, z = theirs.rest_vertices_m[:, moved].unbind(-1)
    assert (y > spine2[:, 1:2] - 0.03).all() and (y < neck[:, 1:2]).all()
    assert (z > spine3[:, 2:]).all()


def test_both_sides_are_alike(body):
    """A body is its own mirror image, breasts on their way included."""
    vertices = body.with_shape(shape_of(0.75)).rest_vertices_m
    mirrored = vertices * torch.tensor([-1.0, 1.0, 1.0])
    assert torch.cdist(mirrored, vertices).amin(1).max() < 1e-3


def test_breasts_are_made_once(body):
    with pytest.raises(AssertionError, match="linear blend"):
        with_flat_chests(body.shape_space, body.rest_mean_m, body.rest_basis_m, body.vertex_parts)
