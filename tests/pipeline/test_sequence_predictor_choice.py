"""Which temporal network makes motion of clips: the shipped one where it knows the predictor."""

import copy

import pytest
import torch
from clips import passing, write_clip

import kinflow
from kinflow.cli.options import Output, Reconstruct
from kinflow.cli.reconstruct import reconstructor_config
from kinflow.errors import InputError
from kinflow.export.writer import ExportOptions
from kinflow.fitting.network_alone import NetworkAlone
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.events import Outcome
from kinflow.pipeline.photos import Pipeline
from kinflow.pipeline.reconstructor import ReconstructorConfig
from kinflow.predictors import Predictor
from kinflow.predictors.sequence_predictor import (
    SequencePredictor,
    SequencePredictorInfo,
    predictor_sha256,
)
from kinflow.predictors.temporal import TemporalConfig


def alone_with(**options) -> NetworkAlone:
    alone = kinflow.Reconstructor(ReconstructorConfig(fast=True, **options)).alone_in_clips
    assert alone is not None
    return alone


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The weights of a predictor that says something else than the shipped one."""
    predictor = copy.deepcopy(Predictor.load())
    with torch.no_grad():
        next(predictor.parameters()).add_(0.01)
    path = tmp_path_factory.mktemp("other") / "other.safetensors"
    predictor.save(path)
    return path


def written(path, of: Predictor) -> TemporalConfig:
    """A small untrained network that reads a predictor's words."""
    config = TemporalConfig(readout=of.config.readout, window=9, width=8, layers=1, heads=1)
    SequencePredictor(config, SequencePredictorInfo("", 0, predictor_sha256(of))).save(path)
    return config


def test_the_shipped_one_reads_the_words_of_the_shipped_predictor():
    sequence = alone_with().sequence
    assert sequence is not None and sequence.is_of(Predictor.load())
    assert sequence.info.clips > 100 and sequence.info.command.startswith("kinflow train sequence")


def test_one_of_ones_own_takes_its_place_and_none_goes_frame_by_frame(tmp_path):
    path = tmp_path / "mine.safetensors"
    config = written(path, Predictor.load())
    sequence = alone_with(sequence_predictor=path).sequence
    assert sequence is not None and sequence.config == config
    assert alone_with(sequence_predictor=None).sequence is None


def test_photos_are_never_asked_of_it():
    alone = kinflow.Reconstructor(ReconstructorConfig(fast=True)).alone
    assert alone is not None and alone.sequence is None
    assert kinflow.Reconstructor().alone_in_clips is None


def test_with_another_predictor_the_default_one_is_left_out_and_it_is_said(
    other, tmp_path, astronaut_rgb
):
    clip = write_clip(tmp_path / "walk.avi", passing(astronaut_rgb, [10.0, 12.0, 14.0]), 25, "MJPG")

    def said(**options) -> str:
        models = ReconstructorConfig(fast=True, predictor=other, **options)
        config = PipelineConfig(models, ExportOptions(("npz",)), clip_formats=("npz",))
        events = Pipeline(config).run([clip], tmp_path / str(len(options)))
        (outcome,) = [event for event in events if isinstance(event, Outcome)]
        assert not outcome.problem
        return " ".join(outcome.notes)

    assert alone_with(predictor=other).sequence is None
    assert "does not know this predictor" in said()
    assert "predictor" not in said(sequence_predictor=None)


def test_one_that_was_named_has_to_know_the_predictor(other, tmp_path):
    path = tmp_path / "mine.safetensors"
    config = written(path, Predictor.load(other))
    with pytest.raises(InputError, match="another predictor"):
        alone_with(sequence_predictor=path)
    sequence = alone_with(predictor=other, sequence_predictor=path).sequence
    assert sequence is not None and sequence.config == config
    with pytest.raises(InputError, match=r"gone\.safetensors"):
        alone_with(sequence_predictor=tmp_path / "gone.safetensors")


def test_fits_do_not_take_one(tmp_path):
    with pytest.raises(InputError, match="not for fits"):
        ReconstructorConfig(sequence_predictor=tmp_path / "mine.safetensors")
    ReconstructorConfig(sequence_predictor=None)


def test_the_command_line_names_it_or_none(tmp_path):
    def named(**options):
        asked = Reconstruct(("clip.mp4",), Output(tmp_path), fast=True, **options)
        return reconstructor_config(asked).sequence_predictor

    assert named() == ReconstructorConfig().sequence_predictor
    assert named(sequence_predictor="none") is None
    assert named(sequence_predictor="mine.safetensors") == "mine.safetensors"
