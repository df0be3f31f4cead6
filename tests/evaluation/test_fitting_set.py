"""The two fitting sets share everything but bodies."""

import pytest
import torch

from kinflow.datasets.poses import PoseSet
from kinflow.evaluation.fitting_set import (
    Condition,
    FittingSet,
    any_adult,
    build,
    errors_mm,
    make_fitter,
    targets,
)

PEOPLE = 8


@pytest.fixture(scope="module")
def poses() -> PoseSet:
    rotvec = 0.2 * torch.randn(PEOPLE, 19, 3, generator=torch.Generator().manual_seed(0))
    number = torch.arange(PEOPLE, dtype=torch.int32)
    names = tuple(str(i) for i in range(PEOPLE))
    return PoseSet(rotvec, 0 * rotvec[:, 0], number, 0 * number, names, ("05",) * PEOPLE)


@pytest.fixture(scope="module")
def typical(poses) -> FittingSet:
    return build(poses, PEOPLE)


@pytest.fixture(scope="module")
def even(poses) -> FittingSet:
    return build(poses, PEOPLE, shapes="even")


def directions(scenes: FittingSet) -> torch.Tensor:
    """Of the thighs, which no shape turns by more than a little."""
    thighs = scenes.joints_m[:, [4, 5]] - scenes.joints_m[:, [1, 2]]
    return torch.nn.functional.normalize(thighs, dim=-1)


def test_sets_differ_in_bodies_alone(typical, even):
    assert torch.equal(typical.clip, even.clip)
    assert torch.equal(typical.noise_px, even.noise_px)
    assert (directions(typical) * directions(even)).sum(-1).min() > 0.98
    assert (typical.shape - even.shape).abs().amax(1).min() > 0.05


def test_people_of_any_height_stand_equally_tall_in_the_image(typical, even):
    def extent(scenes: FittingSet) -> torch.Tensor:
        pixels = targets(scenes, Condition(noise_px=0.0)).observed_px[..., 1]
        return pixels.amax(1) - pixels.amin(1)

    assert (extent(even) / extent(typical) - 1).abs().max() < 0.15


def test_hashes_name_the_content(poses, typical, even):
    again = build(poses, PEOPLE, shapes="even")
    others = build(poses, PEOPLE, seed=1, shapes="even")
    assert again.sha256 == even.sha256
    assert len({typical.sha256, even.sha256, others.sha256}) == 3


def test_any_adult_is_any_adult():
    generator = torch.Generator().manual_seed(0)
    shapes = torch.stack([any_adult(generator) for _ in range(2000)])
    age, others = shapes[:, 1], shapes[:, [0, 2, 3, 4, 5]]
    assert 0.77 <= age.min() < 0.772 and 0.888 < age.max() <= 0.89
    # evenly: a tenth in each tenth, to four standard deviations
    share = torch.stack([(others * 10).long() == tenth for tenth in range(10)]).float().mean(1)
    assert (share - 0.1).abs().max() < 4 * (0.1 * 0.9 / 2000) ** 0.5
    correlation = torch.corrcoef(shapes.T) - torch.eye(6)
    assert correlation.abs().max() < 4 / 2000**0.5


def test_errors_of_the_shape_are_of_the_best_body(prior, typical, even):
    fitter = make_fitter(prior)
    easy, hard = (errors_mm(scenes, fitter, Condition()) for scenes in (typical, even))
    for errors in (easy, hard):
        assert (errors.pa_mpjpe_of_any <= errors.pa_mpjpe).all()
        assert (errors.t_pose_scaled <= errors.t_pose + 1e-3).all()
    assert hard.height.mean() > 2 * easy.height.mean()
