"""Rendered people whom several tests write into trees of datasets."""

import pytest
from image_trees import Shot, shots


@pytest.fixture(scope="session")
def single() -> list[Shot]:
    """Pictures of one person."""
    return shots(2)


@pytest.fixture(scope="session")
def pairs() -> list[Shot]:
    """Pictures of two people."""
    return shots(2, people=2)
