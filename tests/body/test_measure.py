"""Measures: closed forms on simple solids, sensible adults, monotone in the phenotypes."""

import math

import numpy as np
import pytest
import torch

from kinflow.body.measure import DENSITY_KG_M3, BodyMeasures, cut_girth, measure, mesh_volume
from kinflow.body.model import BodyModel
from kinflow.body.shape import PHENOTYPES


def adult(**phenotypes: float) -> BodyMeasures:
    model = BodyModel.load()
    shape = model.shape_space.neutral().clone()
    for name, value in phenotypes.items():
        shape[PHENOTYPES.index(name)] = value
    return measure(model.with_shape(shape))


def prism(sides: int, radius: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    """A closed upright prism with outward-facing triangles."""
    angle = np.arange(sides) * 2 * math.pi / sides
    ring = np.stack([radius * np.sin(angle), np.zeros(sides), radius * np.cos(angle)], -1)
    points = np.concatenate([ring, ring + [0, height, 0], [[0, 0, 0], [0, height, 0]]])
    faces = []
    for i in range(sides):
        j = (i + 1) % sides
        faces += [(i, j, sides + j), (i, sides + j, sides + i)]
        faces += [(2 * sides, j, i), (2 * sides + 1, sides + i, sides + j)]
    return points.astype(np.float32), np.array(faces)


def test_volume_and_girth_of_a_prism():
    points, faces = prism(40, 0.2, 1.7)
    side, apothem = 0.4 * math.sin(math.pi / 40), 0.2 * math.cos(math.pi / 40)
    assert mesh_volume(points, faces) == pytest.approx(40 * side * apothem / 2 * 1.7, rel=1e-5)
    assert cut_girth(points, faces, 0.9) == pytest.approx(40 * side, rel=2e-3)
    assert cut_girth(points, faces, 1.8) == 0


def test_a_tape_spans_hollows():
    first, faces = prism(40, 0.1, 1.0)
    second = first + np.float32([0.5, 0, 0])
    both = np.concatenate([first, second])
    girth = cut_girth(both, np.concatenate([faces, faces + len(first)]), 0.5)
    assert girth == pytest.approx(2 * 0.5 + 2 * math.pi * 0.1, rel=1e-2)


def test_the_body_is_closed():
    model = BodyModel.load()
    faces = model.faces.numpy()
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    _, count = np.unique(np.sort(edges, 1), axis=0, return_counts=True)
    assert (count == 2).all()


def test_adults_are_of_human_size():
    for gender in (0.0, 1.0):
        body = adult(gender=gender)
        assert 1.55 < body.height_m < 1.95
        assert 45 < body.weight_kg < 95
        assert 0.6 < body.waist_girth_m < body.hip_girth_m < 1.15
        assert body.waist_girth_m < body.chest_girth_m < 1.15
        assert body.weight_kg == pytest.approx(DENSITY_KG_M3 * body.volume_m3)


@pytest.mark.parametrize("gender", [0.0, 1.0])
def test_weight_and_height_grow_with_their_phenotypes(gender):
    thin, heavy = adult(gender=gender, weight=0.1), adult(gender=gender, weight=0.9)
    for name in ("weight_kg", "chest_girth_m", "waist_girth_m", "hip_girth_m"):
        assert getattr(heavy, name) > 1.02 * getattr(thin, name)
    assert heavy.height_m == pytest.approx(thin.height_m, rel=0.01)
    small, tall = adult(gender=gender, height=0.3), adult(gender=gender, height=0.7)
    assert tall.height_m > small.height_m + 0.2
    # bodies of one build weigh about as the cube of their height
    exponent = math.log(tall.weight_kg / small.weight_kg) / math.log(tall.height_m / small.height_m)
    assert 1.8 < exponent < 3.2


def test_children_are_smaller():
    heights = [adult(age=age).height_m for age in (0.0, 0.2, 1 / 3, 0.5, 0.75)]
    assert heights == sorted(heights)


def test_measures_do_not_depend_on_where_the_body_stands():
    model = BodyModel.load()
    shaped = model.with_shape(model.shape_space.neutral())
    from dataclasses import replace

    moved = replace(
        shaped,
        rest_joints_m=shaped.rest_joints_m + torch.tensor([0.3, 1.0, -2.0]),
        rest_vertices_m=shaped.rest_vertices_m + torch.tensor([0.3, 1.0, -2.0]),
    )
    here, there = vars(measure(shaped)), vars(measure(moved))
    assert here == pytest.approx(there, rel=1e-3)


def test_vertex_subsets_and_batches_are_refused():
    subset = BodyModel.load("fit")
    with pytest.raises(ValueError, match="single person of a full body"):
        measure(subset.with_shape(subset.shape_space.neutral()))
    full = BodyModel.load()
    with pytest.raises(ValueError, match="single person"):
        measure(full.with_shape(full.shape_space.neutral().expand(2, -1)))
