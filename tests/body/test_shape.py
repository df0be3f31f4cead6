"""The phenotype shape space: table corners, derivatives, and what the numbers do to a body."""

from dataclasses import replace

import pytest
import torch

from kinflow.body import BodyModel
from kinflow.body.parts import PART_INDEX
from kinflow.body.shape import (
    BREASTS_FROM,
    BREASTS_WHOLE_FROM,
    PHENOTYPES,
    LinearShapeSpace,
    PhenotypeSpace,
    ShapeSpace,
)
from kinflow.body.skeleton import JOINT_INDEX


@pytest.fixture(scope="module")
def space(joints_body: BodyModel) -> PhenotypeSpace:
    assert isinstance(joints_body.shape_space, PhenotypeSpace)
    return joints_body.shape_space


def double(space: PhenotypeSpace) -> PhenotypeSpace:
    return replace(space, table=space.table.double(), first_anchor=space.first_anchor.double())


def test_codes_at_corners_are_rows_of_the_table(space):
    """The last phenotype varies fastest; the newborn's corner of age lies below the range."""
    strides = [360 // 2, 36, 12, 4, 2, 1]
    for corner in ([0, 1, 0, 0, 0, 0], [1, 4, 2, 2, 1, 1], [0, 3, 1, 2, 1, 0], [1, 2, 0, 1, 0, 1]):
        lowest = space.first_anchor
        steps = torch.tensor(corner) / (torch.tensor(space.counts) - 1)
        shape = lowest + (1 - lowest) * steps
        row = sum(i * s for i, s in zip(corner, strides, strict=True))
        # neither a man nor a woman lacks anything of their own breasts
        own = space.table.shape[1] - space.breasts
        expected = torch.nn.functional.pad(space.table[row, :own], (0, space.breasts))
        torch.testing.assert_close(space.code(shape), expected, atol=2e-5, rtol=1e-5)


def test_codes_between_corners_are_linear_in_each_phenotype(space):
    base = torch.tensor([0.3, 0.75, 0.6, 0.7, 0.2, 0.8])
    for i in range(len(PHENOTYPES)):
        ends = base.repeat(3, 1)
        ends[:, i] += torch.tensor([-0.05, 0.0, 0.05])
        low, middle, high = space.code(ends)
        torch.testing.assert_close(middle, (low + high) / 2, atol=1e-5, rtol=0)


def test_values_outside_the_range_are_clamped(space):
    inside = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    outside = torch.tensor([-2.0, 3.0, -0.1, 1.5, -1.0, 9.0])
    torch.testing.assert_close(space.code(outside), space.code(inside))


@pytest.mark.parametrize("place", ["away from anchors", "neutral", "on anchors", "at the top"])
def test_jacobian_matches_finite_differences(space, place):
    """Derivatives jump at anchors, where the one to the right counts (to the left at the top)."""
    space, h = double(space), 1e-6
    shapes = {
        "away from anchors": torch.rand(8, 6, generator=torch.Generator().manual_seed(0)),
        "neutral": space.neutral()[None],
        "on anchors": torch.tensor(
            [
                [0.0, 1 / 3, 0.5, 0.5, 0.0, 0.0],
                [0.4, 2 / 3, 0, 0, 0.5, 0.5],
                [BREASTS_FROM, 0.8, 0.3, 0.3, 0.5, 0.5],
                [BREASTS_WHOLE_FROM, 0.8, 0.3, 0.3, 0.5, 0.5],
            ],
            dtype=torch.float64,
        ),
        "at the top": torch.ones(1, 6),
    }
    shape = shapes[place].double()
    code, jacobian = space.code_with_jacobian(shape)
    torch.testing.assert_close(code, space.code(shape))
    for i in range(6):
        step = torch.zeros(6, dtype=torch.float64)
        step[i] = -h if place == "at the top" else h
        numeric = (space.code(shape + step) - code) / step[i]
        torch.testing.assert_close(jacobian[:, i], numeric, atol=1e-4, rtol=1e-5)
        assert jacobian[:, i].norm(dim=-1).min() > 1e-2, PHENOTYPES[i]


def test_autograd_agrees_with_the_jacobian(space):
    space = double(space)
    shape = torch.rand(6, generator=torch.Generator().manual_seed(1)).double()
    autograd = torch.autograd.functional.jacobian(space.code, shape)
    torch.testing.assert_close(space.code_with_jacobian(shape)[1], autograd.T)


def height_m(body: BodyModel, shape: torch.Tensor) -> torch.Tensor:
    """From the ankles to the head joint."""
    rest = body.with_shape(shape).rest_joints_m
    return rest[..., JOINT_INDEX["head"], 1] - rest[..., JOINT_INDEX["left_ankle"], 1]


@pytest.mark.parametrize("age", [0.1, 0.5, 0.83, 1.0])
@pytest.mark.parametrize("gender", [0.0, 1.0])
def test_height_grows_with_the_height_phenotype(joints_body, age, gender):
    shape = torch.tensor([gender, age, 0.5, 0.5, 0.5, 0.5]).repeat(11, 1)
    shape[:, 4] = torch.linspace(0, 1, 11)
    assert (height_m(joints_body, shape).diff() > 0.005).all()


def test_people_grow_up_and_the_heavy_are_wide(body):
    neutral = body.shape_space.neutral()
    ages = neutral.repeat(5, 1)
    ages[:, 1] = torch.linspace(0, 2 / 3, 5)
    assert (height_m(body, ages).diff() > 0.02).all()
    thin_and_heavy = neutral.repeat(2, 1)
    thin_and_heavy[:, 3] = torch.tensor([0.0, 1.0])
    shaped = body.with_shape(thin_and_heavy)
    trunk = body.vertex_parts == PART_INDEX["torso"]
    waist_m = shaped.rest_joints_m[0, JOINT_INDEX["spine2"], 1]
    level = trunk & ((shaped.rest_vertices_m[0, :, 1] - waist_m).abs() < 0.03)
    thin, heavy = (v[level].amax(0) - v[level].amin(0) for v in shaped.rest_vertices_m)
    assert (heavy[[0, 2]] > 1.1 * thin[[0, 2]]).all()


def test_betas_are_their_own_code():
    space = LinearShapeSpace(4)
    shape = torch.rand(2, 3, 4)
    code, jacobian = space.code_with_jacobian(shape)
    torch.testing.assert_close(code, shape)
    torch.testing.assert_close(jacobian, torch.eye(4).expand(2, 3, 4, 4))
    assert space.names == ("beta0", "beta1", "beta2", "beta3")
    assert isinstance(space, ShapeSpace) and space.to("meta").neutral().device.type == "meta"
