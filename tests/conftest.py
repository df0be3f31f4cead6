"""Shared fixtures: the expensive things are loaded once a session."""

import pytest
import torch

import kinflow.priors
from kinflow.body import BodyModel
from kinflow.priors.shape import ShapePrior

torch.set_num_threads(2)


@pytest.fixture(scope="session")
def body() -> BodyModel:
    return BodyModel.load()


@pytest.fixture(scope="session")
def joints_body() -> BodyModel:
    return BodyModel.load("joints")


@pytest.fixture(scope="session")
def prior():
    return kinflow.priors.load()


@pytest.fixture(scope="session")
def shape_prior() -> ShapePrior:
    return ShapePrior()
