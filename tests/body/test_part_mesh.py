"""Where the seams between parts run."""

import numpy as np
import pytest

from kinflow.body import BodyModel
from kinflow.body.part_mesh import PartMesh


@pytest.fixture(scope="module", params=[None, 0.015], ids=["full", "coarse"])
def mesh(request, body) -> PartMesh:
    return PartMesh.of(body if request.param is None else body.coarsened(request.param))


def test_triangles_within_a_part_are_of_that_part(mesh):
    corners = mesh.body.vertex_parts.numpy()[mesh.faces]
    within = (corners == corners[:, :1]).all(1)
    assert within.mean() > 0.8
    np.testing.assert_array_equal(mesh.face_parts[within], corners[within, 0])


def test_every_part_has_triangles(mesh):
    assert np.unique(mesh.face_parts).tolist() == list(range(1, 15))


def test_seams_run_along_vertices_of_one_part(mesh):
    """Of two neighbouring triangles of unlike parts, the edge that they share is of the higher."""
    edges = np.sort(mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    part_of_edge = np.repeat(mesh.face_parts, 3)
    order = np.lexsort(edges.T)
    edges, part_of_edge = edges[order], part_of_edge[order]
    one, other = part_of_edge[:-1], part_of_edge[1:]
    seam = (edges[:-1] == edges[1:]).all(1) & (one != other)
    assert seam.sum() > 100
    ends = mesh.body.vertex_parts.numpy()[edges[:-1][seam]]
    assert (ends >= np.maximum(one, other)[seam, None]).all()


def test_a_body_of_joints_has_none():
    assert len(PartMesh.of(BodyModel.load("joints")).faces) == 0
