"""Straight edges that may be upright."""

import cv2
import numpy as np

from kinflow.evidence.lines import MAX_LINES, upright_lines


def picture(lines, size=(480, 640)) -> np.ndarray:
    image = np.full((*size, 3), 200, np.uint8)
    for (x0, y0), (x1, y1) in lines:
        cv2.line(image, (x0, y0), (x1, y1), (40, 40, 40), 5)
    return image


def test_upright_edges_are_found_where_they_are():
    found = upright_lines(picture([((300, 50), (320, 430))]))
    assert len(found) >= 1
    x0, y0, x1, y1 = found[0]
    assert abs(abs(x1 - x0) - 20) < 4 and abs(abs(y1 - y0) - 380) < 20
    assert abs((x0 + x1) / 2 - 310) < 6


def test_level_short_and_own_edges_are_left_out():
    level, short = ((50, 240), (600, 250)), ((100, 100), (102, 118))
    upright = ((300, 50), (320, 430))
    assert len(upright_lines(picture([level, short]))) == 0
    box = np.array([280.0, 40.0, 340.0, 440.0])
    assert len(upright_lines(picture([upright]), [box])) == 0


def test_nothing_and_too_much():
    assert upright_lines(np.zeros((64, 48, 3), np.uint8)).shape == (0, 4)
    assert upright_lines(np.zeros((1, 1, 3), np.uint8)).shape == (0, 4)
    fence = picture([((x, 20), (x, 460)) for x in range(10, 640, 10)])
    found = upright_lines(fence)
    assert len(found) == MAX_LINES
    length = np.linalg.norm(found[:, 2:] - found[:, :2], axis=1)
    assert (np.diff(length) <= 1e-6).all()


def test_large_photos_are_searched_at_one_size():
    small = picture([((300, 50), (320, 430))])
    large = cv2.resize(small, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    few, many = upright_lines(small), upright_lines(large)
    np.testing.assert_allclose(np.sort(many[0]) / 4, np.sort(few[0]), atol=8)
