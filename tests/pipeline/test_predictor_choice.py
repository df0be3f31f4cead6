"""Which predictor a fit uses: the default one where it knows the prior, none where asked."""

import pytest

import kinflow
from kinflow.errors import InputError
from kinflow.pipeline.reconstructor import ReconstructorConfig
from kinflow.predictors import Predictor, PredictorInfo
from kinflow.predictors.network import NetworkConfig


def sources(photo, **options) -> set[str]:
    people = kinflow.Reconstructor(ReconstructorConfig(parts=False, **options))(photo).people
    assert people
    return {person.start_source for person in people}


def test_the_default_predictor_proposes_bodies(astronaut_rgb):
    assert sources(astronaut_rgb) <= {"predictor", "facing"}


@pytest.mark.parametrize("options", [{"predictor": None}, {"prior": "gaussian"}])
def test_without_one_the_gallery_does(options, astronaut_rgb):
    assert sources(astronaut_rgb, **options) <= {"gallery", "facing"}


def test_a_predictor_of_another_prior_is_refused(astronaut_rgb, tmp_path):
    path = tmp_path / "other.safetensors"
    config = NetworkConfig(42, width=12, layers=1, readout=8, blocks=1, context=4, flow_blocks=1)
    Predictor(config, PredictorInfo(prior_sha256="0" * 64)).save(path)
    with pytest.raises(InputError, match="another pose prior"):
        sources(astronaut_rgb, predictor=path)


def test_a_file_that_is_no_predictor_is_named(astronaut_rgb, tmp_path):
    with pytest.raises(InputError, match=r"none\.safetensors"):
        sources(astronaut_rgb, predictor=tmp_path / "none.safetensors")
