"""Tests share what the detector's networks say of a picture, and nothing else."""

import numpy as np
import pytest
import seen_before
from seen_before import FittersBefore, SeenBefore

from kinflow.evidence.weights import Network, RuntimeConfig
from kinflow.fitting.photo import PhotoFitConfig
from kinflow.pipeline.reconstructor import Reconstructor, ReconstructorConfig

CROP = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), np.uint8)


@pytest.fixture
def network() -> Network:
    return Network("selfie_multiclass.onnx", RuntimeConfig(threads=1))


def test_what_was_seen_is_said_again_and_is_ones_own(network, networks_run_each_time):
    asked = []

    def run(network, image):
        asked.append(image)
        return Network.run(network, image)

    seen = SeenBefore(run)
    expected = network.run(CROP)
    for changed in (False, True):
        answer = seen(network, CROP.copy())
        assert answer.keys() == expected.keys()
        for name, values in answer.items():
            assert np.array_equal(values, expected[name])
            values[:] = 7.0  # whoever asked may write on it
        assert len(asked) == 1, changed
    other = CROP.copy()
    other[0, 5, 5, 0] ^= 1
    seen(network, other)
    assert len(asked) == 2


def test_the_oldest_is_forgotten(network, networks_run_each_time, monkeypatch):
    asked = []

    def run(network, image):
        asked.append(image)
        return {"answer": np.zeros(100, np.float32)}

    monkeypatch.setattr(seen_before, "KEPT_BYTES", 1000)
    seen = SeenBefore(run)
    pictures = [np.full((1, 2, 2, 3), value, np.float32) for value in range(3)]
    for picture in pictures:
        seen(network, picture)
    seen(network, pictures[2])
    assert len(asked) == 3
    seen(network, pictures[0])
    assert len(asked) == 4


def test_networks_of_these_tests_are_asked_like_that(network):
    first = network.run(CROP)
    assert Network.run.__name__ == "<lambda>"
    assert all(np.array_equal(first[name], values) for name, values in network.run(CROP).items())


def test_a_network_is_opened_once_by_those_who_run_it_alike(network):
    alike = Network("selfie_multiclass.onnx", RuntimeConfig(threads=1))
    other = Network("selfie_multiclass.onnx", RuntimeConfig(threads=2))
    assert alike._session is network._session
    assert other._session is not network._session


def test_fitters_are_shared_by_those_who_fit_alike_with_models_that_ship():
    made: list[Reconstructor] = []
    fitter = FittersBefore(lambda reconstructor: made.append(reconstructor) or object())  # pyright: ignore

    def of(**options: object) -> object:
        return fitter(Reconstructor(ReconstructorConfig(**options)))  # pyright: ignore

    assert of() is of(max_people=1)
    assert len(made) == 1
    others = ({"parts": False}, {"predictor": None}, {"fit": PhotoFitConfig(max_hypotheses=0)})
    for options in others:
        assert of(**options) is of(**options) is not of()
    for options in ({"prior": "gmm"}, {"predictor": "a file"}, {"body": "a file"}):
        assert of(**options) is not of(**options)
