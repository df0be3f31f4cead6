"""A pipeline as a server drives it: several at once, cancelled, with bad photos among good ones."""

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from small_photos import FIGURE_PX, small_photos

import kinflow
from kinflow.errors import InputError
from kinflow.export.writer import ExportOptions
from kinflow.files.folders import Claim
from kinflow.fitting.photo import PhotoFitConfig
from kinflow.pipeline import photos as pipeline_photos
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.events import Begun, Event, Outcome, PutOff
from kinflow.pipeline.own_evidence import OwnEvidenceConfig
from kinflow.pipeline.photos import Pipeline
from kinflow.pipeline.reconstructor import Reconstructor, ReconstructorConfig

NAMES = ("a.png", "b.png", "c.png", "d.png")
MODELS = ReconstructorConfig(parts=False)


@pytest.fixture(scope="module")
def models() -> Reconstructor:
    return Reconstructor(MODELS)


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    return small_photos(tmp_path, NAMES)[0]


@pytest.fixture
def config(tmp_path, photos) -> PipelineConfig:
    own = OwnEvidenceConfig(keypoints=tmp_path / "keypoints.json")
    return PipelineConfig(MODELS, ExportOptions(("npz", "json")), own)


@pytest.fixture
def pipeline(config, models) -> Pipeline:
    return Pipeline(config, models)


def written(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def outcomes(events: Iterable[Event]) -> dict[str, Outcome]:
    """What became of each photo; every begin has to be followed by its end."""
    found, current = {}, None
    for event in events:
        if isinstance(event, Begun):
            assert current is None
            current = event
            continue
        assert current is not None
        assert (current.photo, current.folder) == (event.photo, event.folder)
        current = None
        if isinstance(event, Outcome):
            assert event.photo.name not in found
            found[event.photo.name] = event
    assert current is None
    return found


def test_two_threads_write_what_one_after_another_writes(config, models, photos, tmp_path, capsys):
    expected = tmp_path / "expected"
    assert list(outcomes(Pipeline(config, models).run(photos, expected))) == list(NAMES)
    begin = threading.Barrier(2)

    def run(folder: str) -> dict[str, Outcome]:
        pipeline = Pipeline(config)  # with models of its own
        begin.wait()
        return outcomes(pipeline.run(photos, tmp_path / folder))

    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(run, ("one", "other")):
            assert [bool(outcome.result) for outcome in found.values()] == [True] * len(NAMES)
    assert written(tmp_path / "one") == written(tmp_path / "other") == written(expected)
    assert len(written(expected)) == 3 * len(NAMES)
    assert capsys.readouterr() == ("", "")


def test_two_threads_share_one_folder_and_the_models(pipeline, photos, tmp_path):
    out = tmp_path / "out"
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: outcomes(pipeline.run(photos, out)), range(2)))
    made = [name for found in both for name, outcome in found.items() if outcome.result]
    assert sorted(made) == list(NAMES)
    assert all(len(found) == len(NAMES) for found in both)
    assert not any(outcome.problem for found in both for outcome in found.values())
    assert {path.name for path in out.iterdir()} == {Path(name).stem for name in NAMES}


def test_a_cancel_between_photos_stops_cleanly(pipeline, photos, tmp_path):
    out, cancelled, seen = tmp_path / "out", threading.Event(), []
    for event in pipeline.run(photos, out, cancelled.is_set):
        seen.append(event)
        if isinstance(event, Outcome) and event.photo.name == "b.png":
            cancelled.set()
    assert list(outcomes(seen)) == ["a.png", "b.png"]
    assert {path.name for path in out.iterdir()} == {"a", "b"}
    found = outcomes(pipeline.run(photos, out))
    assert [name for name, outcome in found.items() if outcome.already] == ["a.png", "b.png"]
    assert [name for name, outcome in found.items() if outcome.result] == ["c.png", "d.png"]


def test_events_that_are_closed_early_leave_nothing_behind(pipeline, photos, tmp_path):
    out = tmp_path / "new" / "out"
    events = pipeline.run(photos, out)
    assert isinstance(next(events), Begun)
    events.close()
    assert not out.parent.exists()


def test_one_bad_photo_is_one_problem(pipeline, photos, tmp_path):
    photos[1].write_text("no image")
    found = outcomes(pipeline.run([*photos, tmp_path / "missing.png"], tmp_path / "out"))
    bad = {name: outcome.problem for name, outcome in found.items() if outcome.problem}
    assert set(bad) == {"b.png", "missing.png"}
    assert "is not an image that can be read" in bad["b.png"]
    assert not any(outcome.unexpected for outcome in found.values())
    for name in ("a.png", "c.png", "d.png"):
        folder, result = found[name].folder, found[name].result
        assert result is not None and len(result.people) == 1
        assert kinflow.load(folder).source == str(tmp_path / name)
    assert "keypoints.json: read as COCO" in found["a.png"].notes[0]


def test_a_lens_that_the_floor_tells_is_said(tmp_path):
    """From the stands, by a long lens: feet of those farther away are as much higher."""
    places = ((47, 303, 0.39), (143, 234, 0.31), (161, 170, 0.23), (83, 122, 0.16))
    figures = [
        tuple((x + size * (u - 120), foot + size * (v - 295)) for u, v in FIGURE_PX)
        for x, foot, size in places
    ]
    photos, keypoints = small_photos(tmp_path, ("a.png",), figures)
    own, told = OwnEvidenceConfig(keypoints=keypoints), "a.png: the field of view is"
    estimated = replace(MODELS, fit=PhotoFitConfig(estimate_focal=True))
    for number, models in enumerate((MODELS, replace(MODELS, fov_deg=55.0), estimated)):
        config = PipelineConfig(models, ExportOptions(("json",)), own)
        (outcome,) = outcomes(Pipeline(config).run(photos, tmp_path / f"{number}")).values()
        assert outcome.result is not None
        camera, said = outcome.result.only_frame.camera, models is MODELS
        assert sum(told in note for note in outcome.notes) == said
        assert (camera.fov_deg < 30.0) == said or models is estimated
        if said:
            assert f"{told} {camera.fov_deg:.0f} degrees by the floor" in outcome.notes[-1]


def test_a_problem_names_the_option_that_helps_but_no_flag(config, models, photos, tmp_path):
    outcomes(Pipeline(config, models).run(photos[:1], tmp_path / "out"))
    photos[0].write_bytes(photos[1].read_bytes())
    (outcome,) = outcomes(Pipeline(config, models).run(photos[:1], tmp_path / "out")).values()
    assert outcome.problem.endswith("; overwrite them, or choose another output folder.")
    assert outcome.options == {"overwrite them": "overwrite"}


def test_a_defect_is_told_from_a_bad_photo(pipeline, photos, tmp_path, monkeypatch):
    def fails(path):
        if path.name == "a.png":
            raise ZeroDivisionError("no luck")
        return read_photo(path)

    read_photo = pipeline_photos.read_photo
    monkeypatch.setattr(pipeline_photos, "read_photo", fails)
    found = outcomes(pipeline.run(photos[:2], tmp_path / "out"))
    assert found["a.png"].unexpected
    assert found["a.png"].problem.endswith("a.png failed with ZeroDivisionError: no luck")
    assert found["b.png"].result is not None


def test_a_stop_that_raises_is_no_defect_of_the_photo(pipeline, photos, tmp_path, monkeypatch):
    """As in a process with signals: foreign code may turn what a handler raised into another."""
    pressed = threading.Event()

    def stop() -> bool:
        if pressed.is_set():
            raise KeyboardInterrupt
        return False

    def interrupted(_path):
        pressed.set()
        raise RuntimeError("a callback failed")

    monkeypatch.setattr(pipeline_photos, "read_photo", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(pipeline.run(photos, tmp_path / "out", stop))
    assert not (tmp_path / "out").exists()


def test_a_photo_that_others_work_on_comes_last(pipeline, photos, tmp_path):
    out = tmp_path / "out"
    claim = Claim.take(out / "b")
    assert claim is not None
    seen = []
    for event in pipeline.run(photos, out):
        seen.append(event)
        if isinstance(event, PutOff):
            assert event.photo.name == "b.png"
            claim.release()
    assert list(outcomes(seen)) == ["a.png", "c.png", "d.png", "b.png"]
    assert sum(isinstance(event, PutOff) for event in seen) == 1


@pytest.mark.parametrize("stopped", [False, True])
def test_patience_ends(config, models, photos, tmp_path, stopped):
    """At once where it is none; long before its end for whoever cancels meanwhile."""
    config = PipelineConfig(config.reconstructor, config.export, config.own, 300.0 * stopped)
    claim = Claim.take(tmp_path / "out" / "a")
    assert claim is not None
    waiting = threading.Event()
    asked = []

    def stop() -> bool:
        asked.append(waiting.is_set())
        return stopped and sum(asked) > 2

    seen = []
    with claim:
        for event in Pipeline(config, models).run(photos[:1], tmp_path / "out", stop):
            seen.append(event)
            if isinstance(event, PutOff):
                waiting.set()
    found = outcomes(seen)
    if stopped:
        assert [type(event) for event in seen] == [Begun, PutOff, Begun, PutOff]
    else:
        assert "still works on" in found["a.png"].problem


def test_models_have_to_be_those_of_the_options(config):
    with pytest.raises(InputError, match="other options"):
        Pipeline(config, Reconstructor(ReconstructorConfig(fov_deg=50.0, parts=False)))


def test_nothing_to_begin_with_is_said_at_once(models, photos, tmp_path):
    own = OwnEvidenceConfig(keypoints=tmp_path / "none.json")
    for config, out, message in (
        (PipelineConfig(MODELS, own=own), "out", "none.json"),
        (PipelineConfig(MODELS), "a.png", "is a file, not a folder"),
    ):
        with pytest.raises(InputError, match=message):
            Pipeline(config, models).run(photos, tmp_path / out)


def test_options_that_contradict_each_other():
    with pytest.raises(InputError, match="Without parts all labels are ignored"):
        PipelineConfig(MODELS, own=OwnEvidenceConfig(masks=Path("masks")))
    with pytest.raises(InputError, match="either part maps or silhouettes"):
        OwnEvidenceConfig(part_maps=Path("maps"), masks=Path("masks"))
    with pytest.raises(InputError, match="give that too"):
        OwnEvidenceConfig(keypoints_format="coco")
    with pytest.raises(InputError, match="no part palette"):
        OwnEvidenceConfig(palette="lipp")
