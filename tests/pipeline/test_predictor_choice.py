"""Which predictor a fit uses: the default one where it knows the prior, none where asked."""

import pytest
from clips import passing, write_clip

import kinflow
from kinflow.errors import InputError
from kinflow.pipeline.clips import ClipConfig, ClipRun
from kinflow.pipeline.reconstructor import ReconstructorConfig
from kinflow.predictors import Predictor, PredictorInfo
from kinflow.predictors.image_network import ImageNetworkConfig
from kinflow.predictors.network import NetworkConfig
from kinflow.predictors.predictor import weights_sha256


def sources(photo, **options) -> set[str]:
    people = kinflow.Reconstructor(ReconstructorConfig(parts=False, **options))(photo).people
    assert people
    return {person.start_source for person in people}


def test_the_default_predictor_proposes_bodies(astronaut_rgb):
    assert sources(astronaut_rgb) <= {"predictor", "facing"}


@pytest.mark.parametrize("options", [{"predictor": None}, {"prior": "gaussian"}])
def test_without_one_the_gallery_does(options, astronaut_rgb):
    assert sources(astronaut_rgb, **options) <= {"gallery", "facing"}


@pytest.mark.parametrize("options", [{"predictor": None}, {"prior": "gaussian"}, {"fast": True}])
def test_photos_are_looked_at_closer_only_for_fits_that_ask_a_predictor(options):
    closer = [
        (detector.mirrors, detector.things)
        for detector in (
            kinflow.Reconstructor(ReconstructorConfig(parts=False, **chosen)).detector
            for chosen in ({}, options)
        )
    ]
    assert closer == [(True, True), (False, False)]


def test_a_predictor_of_another_prior_is_refused(astronaut_rgb, tmp_path):
    path = tmp_path / "other.safetensors"
    config = NetworkConfig(42, width=12, layers=1, readout=8, blocks=1, context=4, flow_blocks=1)
    Predictor(config, PredictorInfo(prior_sha256="0" * 64)).save(path)
    with pytest.raises(InputError, match="another pose prior"):
        sources(astronaut_rgb, predictor=path)


def test_a_file_that_is_no_predictor_is_named(astronaut_rgb, tmp_path):
    with pytest.raises(InputError, match=r"none\.safetensors"):
        sources(astronaut_rgb, predictor=tmp_path / "none.safetensors")


def test_a_predictor_that_looks_at_pictures_sees_photos_and_refuses_clips(
    astronaut_rgb, prior, tmp_path
):
    path = tmp_path / "image.safetensors"
    config = ImageNetworkConfig(
        prior.latent_dim, crop_px=32, readout=8, blocks=1, context=4, flow_blocks=1, flow_hidden=8
    )
    Predictor(config, PredictorInfo(prior_sha256=weights_sha256(prior))).save(path)
    for fast, source in ((False, {"predictor", "facing"}), (True, {"network"})):
        assert sources(astronaut_rgb, predictor=path, fast=fast) <= source
    assert not kinflow.Reconstructor(ReconstructorConfig(predictor=path)).detector.mirrors
    clip = write_clip(tmp_path / "walk.avi", passing(astronaut_rgb, [10.0, 12.0]), 25.0, "MJPG")
    models = kinflow.Reconstructor(ReconstructorConfig(parts=False, predictor=path))
    with pytest.raises(InputError, match="is for photos"):
        ClipRun(clip, models, ClipConfig())
