"""Options check themselves: every dataclass of them refuses what cannot be meant, by its name."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kinflow
from kinflow import checks
from kinflow.cli.main import main
from kinflow.energy.body_energy import EnergyConfig
from kinflow.energy.part_matching import MatchingConfig
from kinflow.errors import InputError
from kinflow.evaluation.prior_table import EvaluatePriorConfig
from kinflow.evidence.candidates import WeakConfig
from kinflow.evidence.clip_people import ClipPeopleConfig
from kinflow.evidence.clip_range import ClipRange
from kinflow.evidence.cuts import CutConfig
from kinflow.evidence.detector import DetectorConfig
from kinflow.evidence.following import FollowConfig
from kinflow.evidence.looks import MoreLooksConfig
from kinflow.evidence.part_network import PartNetworkConfig
from kinflow.evidence.parts import PartParserConfig
from kinflow.evidence.pyramid import PyramidConfig
from kinflow.evidence.tracking import TrackingConfig
from kinflow.evidence.turns import TurnsConfig
from kinflow.evidence.weights import RuntimeConfig
from kinflow.export.writer import ExportOptions
from kinflow.files.destinations import check_file_destination, check_folder_destination
from kinflow.fitting.gallery import GalleryConfig
from kinflow.fitting.gravity import GravityConfig
from kinflow.fitting.multistart import MultistartConfig
from kinflow.fitting.observations import ObservationConfig as FitObservationConfig
from kinflow.fitting.parts import PartFitConfig
from kinflow.fitting.photo import PhotoFitConfig
from kinflow.fitting.solver import FitConfig
from kinflow.fitting.tilt import TiltConfig
from kinflow.optim import LMConfig
from kinflow.pipeline.clips import ClipConfig
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.own_evidence import OwnEvidenceConfig
from kinflow.synth.detections import KeypointNoiseConfig
from kinflow.synth.files import SynthConfig
from kinflow.synth.observation import ObservationConfig
from kinflow.synth.occlusion import OcclusionConfig
from kinflow.synth.people import PeopleConfig
from kinflow.synth.scene import SceneConfig
from kinflow.synth.silhouettes import ClothingConfig, SegmenterConfig
from kinflow.synth.studio import StudioConfig
from kinflow.synth.views import ViewConfig
from kinflow.training.parts.masks import MaskConfig
from kinflow.training.parts.stream import PoolConfig
from kinflow.training.parts.trainer import TrainPartsConfig
from kinflow.training.parts.views import ViewsConfig
from kinflow.training.priors.attitude_trainer import TrainAttitudeConfig
from kinflow.training.priors.dynamics_trainer import TrainDynamicsConfig
from kinflow.training.priors.flow_trainer import FlowTraining
from kinflow.training.priors.recipe import TrainPriorConfig
from kinflow.training.priors.stream import StreamConfig
from kinflow.training.priors.vae_trainer import VaeTraining

NAN = float("nan")

EXAMPLES = [
    kinflow.ReconstructorConfig(),
    PhotoFitConfig(),
    FitObservationConfig(),
    GravityConfig(),
    TiltConfig(),
    FitConfig(),
    MultistartConfig(),
    GalleryConfig(),
    LMConfig(),
    EnergyConfig(),
    PartFitConfig(),
    MatchingConfig(),
    DetectorConfig(),
    PyramidConfig(),
    TurnsConfig(),
    WeakConfig(),
    MoreLooksConfig(),
    RuntimeConfig(),
    ClipRange(),
    CutConfig(),
    TrackingConfig(),
    FollowConfig(),
    ClipPeopleConfig(),
    ClipConfig(),
    PartParserConfig(),
    PartNetworkConfig(),
    ExportOptions(),
    PipelineConfig(),
    OwnEvidenceConfig(),
    StreamConfig(),
    FlowTraining(),
    VaeTraining(),
    TrainPriorConfig(Path("poses"), Path("out")),
    TrainAttitudeConfig(Path("poses"), Path("out")),
    TrainDynamicsConfig((Path("motions"),), Path("out")),
    TrainPartsConfig(Path("out"), StudioConfig(Path("poses"))),
    EvaluatePriorConfig(Path("poses")),
    SynthConfig(Path("out")),
    SceneConfig(),
    PeopleConfig(),
    ViewConfig(),
    ObservationConfig(),
    ClothingConfig(),
    OcclusionConfig(),
    SegmenterConfig(),
    KeypointNoiseConfig(),
    MaskConfig(),
    ViewsConfig(),
    PoolConfig(),
]

FIELDS = [(example, field.name) for example in EXAMPLES for field in dataclasses.fields(example)]


def changed(example: object, name: str, value: object) -> object:
    """The same options with one field changed, type checks of the test session aside."""
    copy = object.__new__(type(example))
    for field in dataclasses.fields(example):
        object.__setattr__(copy, field.name, getattr(example, field.name))
    object.__setattr__(copy, name, value)
    type(copy).__post_init__(copy)
    return copy


def test_defaults_pass_and_stay_as_they_are():
    for example in EXAMPLES:
        for field in dataclasses.fields(example):
            value = getattr(example, field.name)
            assert getattr(changed(example, field.name, value), field.name) == value


@pytest.mark.parametrize(
    ("example", "name"), FIELDS, ids=[f"{type(e).__name__}.{n}" for e, n in FIELDS]
)
def test_every_field_is_checked(example, name):
    """A value of another kind, and a number that is none, never get in."""
    value = getattr(example, name)
    wrong: list[object] = [object(), {}]
    if isinstance(value, float | int) or value is None and name in ("fov_deg", "max_people"):
        wrong += ["1", NAN, float("inf"), -float("inf"), [1]]
        wrong += [] if isinstance(value, bool) else [True]
        wrong += [0.5] if type(value) is int else []
    if isinstance(value, tuple):
        wrong += [(object(),), "abc", (NAN,), 5]
    for bad in wrong:
        with pytest.raises(InputError, match=rf"^{name} has to be"):
            changed(example, name, bad)


@pytest.mark.parametrize(
    ("example", "name", "value", "words"),
    [
        (DetectorConfig(), "min_score", 1.01, "from 0 to 1, not 1.01"),
        (PyramidConfig(), "margin_px", 128, "from 0 to 127"),
        (GalleryConfig(), "headings", 5, "a divisor of the gallery's 16 views, not 5"),
        (GalleryConfig(), "per_heading", 10_000, "from 1 to 2048"),
        (LMConfig(), "decrease", 1.0, "above 0 and below 1"),
        (GalleryConfig(), "seed", -1, "of at least 0"),
        (ViewConfig(), "fov_deg", (80.0, 20.0), "the smaller first"),
        (ViewConfig(), "image_sizes", ((4, 4),), "16 to 8192 pixels"),
        (ViewsConfig(), "margin", (0.2, 0.1), "the smaller first"),
        (PartNetworkConfig(), "widths", (1.5, 2, 3, 4), "whole numbers"),
        (ExportOptions(), "formats", (), "one or more of npz, json"),
        (ExportOptions(), "formats", ("npz", "obj"), "one or more of npz, json"),
        (PeopleConfig(), "split", "all", "one of train, validation, test"),
        (TrainPriorConfig(Path("a"), Path("b")), "family", "vqvae", "one of nice, realnvp"),
        (EvaluatePriorConfig(Path("a")), "csv_path", Path("table.png"), "has to end in .csv"),
        (kinflow.ReconstructorConfig(), "fov_deg", 170, "below 170, not 170"),
        (kinflow.ReconstructorConfig(), "max_people", 0, "at least 1, not 0"),
        (kinflow.ReconstructorConfig(), "prior", None, "the name of a pose prior"),
    ],
)
def test_bounds(example, name, value, words):
    with pytest.raises(InputError, match=name) as refused:
        changed(example, name, value)
    assert words in str(refused.value)


def test_numbers_of_numpy_become_plain_ones():
    config = changed(kinflow.ReconstructorConfig(), "max_people", np.int64(3))
    assert type(config.max_people) is int
    assert type(changed(GalleryConfig(), "temperature", np.float32(0.5)).temperature) is float
    assert changed(PyramidConfig(), "sides_px", [np.int32(64)]).sides_px == (64,)


def test_long_values_are_cut_in_sentences():
    with pytest.raises(InputError) as refused:
        changed(GalleryConfig(), "poses", "x" * 10_000)
    assert len(str(refused.value)) < 200


def test_programs_get_input_errors_also_after_the_command_line_was_parsed(capsys):
    assert main(["sample", "--out", "x", "--count", "0"]) == 2
    assert capsys.readouterr().err == (
        "kinflow: --count has to be a whole number from 1 to 500, not 0.\n"
    )
    with pytest.raises(InputError):
        changed(GalleryConfig(), "poses", 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("reconstruct a.jpg --out x --fov 180", "--fov has to be"),
        ("reconstruct a.jpg --out x --focal-px inf", "--focal-px has to be"),
        ("sample --out x --seed -1", "--seed has to be"),
        ("synth --out x --scenes.views.fov-deg 90 20", "fov_deg has to be"),
        ("train prior --data p --out x --flow.blocks 0", "blocks has to be"),
        ("train parts --out x --studio.poses p --ema-decay 1", "ema_decay has to be"),
        ("evaluate prior --data p --num-samples 1", "num_samples has to be"),
        ("sample --out FILE/below", "is a file, not a folder"),
        ("interpolate a b --out .", "is a folder, not a file"),
        ("synth --out FILE", "is a file, not a folder"),
        ("train prior --data p --out FILE/below", "is a file, not a folder"),
        ("train attitude --data p --out FILE/below", "is a file, not a folder"),
        ("train dynamics --motions p --out FILE/below", "is a file, not a folder"),
        ("train parts --out FILE --studio.poses p", "is a file, not a folder"),
        ("evaluate prior --data p --csv-path FILE/table.csv", "is a file, not a folder"),
    ],
)
def test_commands_refuse_before_they_work(arguments, words, tmp_path, monkeypatch, capsys):
    """Inputs that do not exist are not even looked for."""
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_text("precious")
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("kinflow: ") and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["FILE"]


def test_destinations(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone" / "target")
    check_folder_destination(tmp_path)
    check_folder_destination(tmp_path / "new" / "below")
    check_file_destination(tmp_path / "file")
    check_file_destination(tmp_path / "new" / "file")
    for bad in ("file", "file/below", "nowhere/below", "a" * 300, "a\0b"):
        with pytest.raises(InputError, match="cannot be written"):
            check_folder_destination(tmp_path / bad)
    for bad in ("", "file/below", "a" * 300):
        with pytest.raises(InputError):
            check_file_destination(tmp_path / bad)
    with pytest.raises(InputError, match="device or a pipe"):
        check_file_destination("/dev/null")
    monkeypatch.setattr(os, "access", lambda *_: False)
    for check in (check_folder_destination, check_file_destination):
        with pytest.raises(InputError, match="no permission"):
            check(tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "nowhere"]


def test_the_checks_are_light():
    """The command line's help does not wait for torch."""
    code = f"import {checks.__name__}, kinflow.cli.options, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=_environment())


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(kinflow.__file__).parent.parent)}
