"""Laws of outlines in grids of sets."""

import cv2
import numpy as np
import pytest

from kinflow.energy.outlines import SetOutlines, nearest

HEAD, TORSO, BACKGROUND, UNKNOWN = 1 << 1, 1 << 2, 1, (1 << 15) - 1


@pytest.fixture(scope="module")
def disc() -> np.ndarray:
    """A head of radius 20 before the background, all unknown in the last columns."""
    allowed = np.full((80, 80), BACKGROUND)
    row, column = np.indices(allowed.shape)
    allowed[(row - 40) ** 2 + (column - 40) ** 2 < 400] = HEAD
    allowed[:, 55:] = UNKNOWN
    return allowed


def test_nearest_agrees_with_a_distance_transform():
    rng = np.random.default_rng(0)
    mask = cv2.GaussianBlur(rng.random((60, 70)), (0, 0), 4) > 0.51
    cells = np.argwhere(~mask)
    exact = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    rim = SetOutlines(np.where(mask, HEAD, BACKGROUND)).rim(HEAD)
    assert len(rim) < mask.sum()
    found = np.linalg.norm(nearest(cells, rim) - cells, axis=1)
    np.testing.assert_allclose(found, exact[~mask], atol=1e-3)


def test_normals_point_out_of_a_disc(disc):
    angle = np.linspace(np.pi / 2, 3 * np.pi / 2, 40)
    cells = np.stack([40 + 19 * np.sin(angle), 40 + 19 * np.cos(angle)], -1).round().astype(int)
    normal = SetOutlines(disc).normal(cells, HEAD)
    outwards = np.stack([np.cos(angle), np.sin(angle)], -1)
    assert ((normal * outwards).sum(1) > 0.97).all()


def test_there_is_no_direction_far_from_the_rim(disc):
    assert not SetOutlines(disc).normal(np.array([[40, 40], [5, 5]]), HEAD).any()


def test_the_unknown_is_not_outside(disc):
    outlines = SetOutlines(disc)
    cells = np.array(
        [[40, 54], [40, 21], [40, 40]]
    )  # before the unknown, at the rim, in the middle
    assert outlines.touches_outside(cells, HEAD).tolist() == [False, True, False]
    assert outlines.touches_outside(cells, TORSO).tolist() == [True, True, True]


def test_the_border_of_the_grid_is_neither_outside_nor_without_neighbours():
    outlines = SetOutlines(np.full((9, 9), HEAD))
    corners = np.array([[0, 0], [8, 8], [0, 4]])
    assert not outlines.touches_outside(corners, HEAD).any()
    assert len(outlines.rim(HEAD)) == 32 and not len(outlines.rim(TORSO))
