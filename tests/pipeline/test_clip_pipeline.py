"""Clips through the pipeline: people, frames and times; bad ones, stopped ones, with photos."""

import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from clips import counting, cut_off, passing, paste, write_clip
from small_photos import small_photos

from kinflow.errors import InputError
from kinflow.evidence.clip_range import ClipRange
from kinflow.evidence.video_files import Clip
from kinflow.export.clip_writer import ClipFormat
from kinflow.export.people_files import load
from kinflow.export.stage import Stage
from kinflow.export.writer import ExportOptions
from kinflow.fitting.clip import ClipFitConfig
from kinflow.fitting.multistart import MultistartConfig
from kinflow.fitting.photo import PhotoFitConfig
from kinflow.fitting.sequence_config import SequenceConfig
from kinflow.fitting.solver import FitConfig
from kinflow.geometry.pinhole import Camera
from kinflow.optim import LMConfig
from kinflow.pipeline.clips import ClipConfig
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.events import Begun, Event, Outcome, Progress
from kinflow.pipeline.own_evidence import OwnEvidenceConfig
from kinflow.pipeline.photos import Pipeline
from kinflow.pipeline.reconstructor import Reconstructor, ReconstructorConfig

FITTED = ReconstructorConfig(parts=False)
FEW_STEPS = LMConfig(max_iterations=2)
MODELS = replace(
    FITTED,
    fit=PhotoFitConfig(fit=FitConfig(search=MultistartConfig(FEW_STEPS, keep=1, polish=FEW_STEPS))),
)
"""What is stopped, kept and written does not depend on how far fits have come."""
QUICK = SequenceConfig(
    begin=FEW_STEPS, solve=FEW_STEPS, begin_far=FEW_STEPS, solve_far=FEW_STEPS, votes=2
)
FORMATS: tuple[ClipFormat, ...] = ("npz", "json")
EXPORT = ExportOptions(("npz", "json"))
FPS = 29.97


@pytest.fixture(scope="module")
def models() -> Reconstructor:
    return Reconstructor(MODELS)


@pytest.fixture(scope="module")
def fitted_models() -> Reconstructor:
    return Reconstructor(FITTED)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, astronaut_rgb) -> Path:
    """Somebody who comes in after a third of a second and moves to the right."""
    empty = passing(astronaut_rgb, [-500.0] * 10)
    folder = tmp_path_factory.mktemp("clip")
    frames = empty + passing(astronaut_rgb, np.linspace(10, 70, 14))
    return write_clip(folder / "walk.avi", frames, FPS, "MJPG")


@pytest.fixture(scope="module")
def events(clip, fitted_models, tmp_path_factory) -> list[Event]:
    return list(pipeline(fitted_models, window=8).run([clip], tmp_path_factory.mktemp("out")))


def pipeline(models: Reconstructor, window: int = 48, **options: object) -> Pipeline:
    clips = windows_of(window, SequenceConfig() if models.config == FITTED else QUICK)
    config = PipelineConfig(models.config, EXPORT, clips=clips, clip_formats=FORMATS, **options)
    return Pipeline(config, models)


def windows_of(frames: int, sequence: SequenceConfig = QUICK) -> ClipConfig:
    return ClipConfig(fit=ClipFitConfig(sequence, window=frames, ahead=min(8, frames // 4)))


def outcome_of(events: list[Event]) -> Outcome:
    (outcome,) = [event for event in events if isinstance(event, Outcome)]
    return outcome


def test_somebody_is_one_person_of_one_shape_from_where_they_appear(events, clip):
    outcome = outcome_of(events)
    assert outcome.problem == ""
    assert outcome.result is not None
    result = load(outcome.folder)
    assert result.source == str(clip)
    assert [frame.index for frame in result.frames] == list(range(24))
    assert np.allclose([f.time_s for f in result.frames], np.arange(24) / FPS, atol=1e-3)
    assert len({frame.camera for frame in result.frames}) == 1
    assert len({frame.gravity for frame in result.frames}) == 1
    (track,) = result.tracks
    assert track.identity == 0
    seen = [body.frame for body in track.bodies]
    assert seen == list(range(seen[0], 24))
    assert 10 <= seen[0] <= 20
    # they move to the right by as much as was drawn
    shown = np.array([float(body.joints_px[0, 0]) for body in track.bodies])
    assert np.polyfit(seen, shown, 1)[0] == pytest.approx(60 / 13, rel=0.25)
    assert all(body.limb_error_px() < 15 for body in track.bodies)


PAN_DEG = 13.0


def panned_clip(path: Path, astronaut_rgb: np.ndarray) -> Path:
    """Somebody who stays in the middle of the picture while a camera pans to the right."""
    size = (560, 320)
    camera, wide = Camera.from_fov(size, 55.0), Camera.from_fov((1500, 900), 100.0)
    lens, world_lens = (np.diag([c.focal_px, c.focal_px, 1.0]) for c in (camera, wide))
    lens[:2, 2], world_lens[:2, 2] = camera.principal_px, wide.principal_px
    rng = np.random.default_rng(0)
    world = rng.integers(60, 200, (45, 75, 3)).astype(np.uint8)
    world = cv2.resize(world, wide.image_size, interpolation=cv2.INTER_CUBIC)
    person = cv2.resize(astronaut_rgb, (240, 240), interpolation=cv2.INTER_AREA)
    frames = []
    for i in range(16):
        R = cv2.Rodrigues(np.array([0, -np.radians(PAN_DEG) * i / 15, 0]))[0]
        H = lens @ R @ np.linalg.inv(world_lens)
        frame = cv2.warpPerspective(world, H, size, flags=cv2.INTER_LINEAR)
        paste(frame, person, 160)
        frames.append(frame)
    return write_clip(path, frames, FPS, "MJPG")


def test_whoever_a_camera_follows_moves_if_it_is_told_to_move(
    fitted_models, astronaut_rgb, tmp_path
):
    models = fitted_models
    clip = panned_clip(tmp_path / "panned.avi", astronaut_rgb)
    still = outcome_of(list(pipeline(models).run([clip], tmp_path / "still")))
    assert any("its turns can be estimated" in note for note in still.notes)
    assert still.result is not None
    assert all(frame.turn is None for frame in still.result.frames)
    config = ClipConfig(moving_camera=True)
    moving = Pipeline(PipelineConfig(FITTED, EXPORT, clips=config, clip_formats=FORMATS), models)
    outcome = outcome_of(list(moving.run([clip], tmp_path / "moving")))
    assert not any("carried" in note or "guessed" in note for note in outcome.notes)
    result = load(outcome.folder)
    assert outcome.result is not None
    assert result.frames == outcome.result.frames
    turn = result.frames[-1].turn
    assert turn is not None
    pan = np.arctan2(float(turn.R_first_cam[0, 2]), float(turn.R_first_cam[2, 2]))
    assert np.degrees(pan) == pytest.approx(PAN_DEG, rel=0.06)
    stages = [Stage.of(r) for r in (still.result, result)]
    ways = []
    for r, stage in zip((still.result, result), stages, strict=True):
        _, root_m = stage.track_pose(r.tracks[0])
        ways.append(float(root_m[-1, 0] - root_m[0, 0]))
    distance_m = float(result.tracks[0].bodies[0].t_cam_root_m[2])
    assert abs(ways[0]) < 0.1 * distance_m
    assert ways[1] - ways[0] == pytest.approx(np.sin(pan) * distance_m, rel=0.25)
    assert len({frame.gravity for frame in result.frames}) > 1


def test_turns_are_told_by_a_focal_length_that_is_known():
    models = ReconstructorConfig(fit=PhotoFitConfig(estimate_focal=True))
    with pytest.raises(InputError, match="focal length"):
        PipelineConfig(models, clips=ClipConfig(moving_camera=True))


def test_progress_counts_frames_and_people(events):
    begun, *steps, outcome = events
    assert isinstance(begun, Begun)
    assert isinstance(outcome, Outcome)
    steps = [event.step for event in steps if isinstance(event, Progress)]
    assert [step.frames for step in steps] == list(range(1, 25))
    assert {step.of_frames for step in steps} == {24}
    assert steps[0].people == 0
    assert steps[-1].people == 1
    assert steps[-1].left_s == 0
    assert all(a.seconds <= b.seconds for a, b in pairwise(steps))


def test_results_that_are_there_are_left_alone(events, clip, fitted_models):
    models = fitted_models
    folder = outcome_of(events).folder
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = outcome_of(list(pipeline(models, window=8).run([clip], folder.parent)))
    assert again.already
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    shorter = PipelineConfig(
        FITTED, EXPORT, clips=ClipConfig(range=ClipRange(end_s=0.5)), clip_formats=FORMATS
    )
    other = outcome_of(list(Pipeline(shorter, models).run([clip], folder.parent)))
    assert "made with other options" in other.problem


def test_a_clip_that_is_stopped_keeps_what_is_done(clip, models, tmp_path):
    seen = []

    def stop() -> bool:
        seen.append(True)
        return len(seen) > 21

    events = list(pipeline(models, window=8).run([clip], tmp_path, stop))
    outcome = outcome_of(events)
    assert outcome.problem == ""
    assert any("stopped after" in note for note in outcome.notes)
    result = load(outcome.folder)
    assert [frame.index for frame in result.frames] == list(range(len(result.frames)))
    # all that were seen, settled or not
    steps = [event.step.frames for event in events if isinstance(event, Progress)]
    assert len(result.frames) == steps[-1] + 1
    assert result.tracks
    # other options are another matter
    shorter = replace(windows_of(8), range=ClipRange(end_s=0.5))
    config = PipelineConfig(MODELS, EXPORT, clips=shorter, clip_formats=FORMATS)
    other = outcome_of(list(Pipeline(config, models).run([clip], tmp_path)))
    assert "made with other options" in other.problem
    # the same again makes the whole clip, once
    again = outcome_of(list(pipeline(models, window=8).run([clip], tmp_path)))
    assert (again.problem, again.already) == ("", False)
    assert len(load(outcome.folder).frames) == 24
    assert outcome_of(list(pipeline(models, window=8).run([clip], tmp_path))).already


class Counted:
    """A detector that counts the frames it measures."""

    def __init__(self, models: Reconstructor, monkeypatch: pytest.MonkeyPatch) -> None:
        self.frames, measured = 0, models.detector.measured

        def counted(*args: Any, **options: Any) -> Any:
            self.frames += 1
            return measured(*args, **options)

        monkeypatch.setattr(models.detector, "measured", counted)


def kept_often(moving: bool = False) -> ClipConfig:
    return replace(windows_of(8), keep_every=3, moving_camera=moving)


@pytest.mark.parametrize("asked, moving", [(7, False), (16, True)])
def test_work_that_is_stopped_goes_on(clip, models, tmp_path, monkeypatch, asked, moving):
    """Stopped early or in the middle; killed at the same moment, too."""
    config = PipelineConfig(MODELS, EXPORT, clips=kept_often(moving), clip_formats=FORMATS)
    whole = outcome_of(list(Pipeline(config, models).run([clip], tmp_path / "whole")))
    out, killed = tmp_path / "out", tmp_path / "killed"
    counted = Counted(models, monkeypatch)
    running = Pipeline(config, models).run([clip], out)
    for event in running:
        if isinstance(event, Progress) and event.step.frames == asked:
            shutil.copytree(out, killed, ignore=shutil.ignore_patterns("*.lock"))
            break
    running.close()
    before = counted.frames
    for folder in (out, killed):
        counted.frames = 0
        steps = list(Pipeline(config, models).run([clip], folder))
        again = outcome_of(steps)
        assert again.problem == ""
        assert any("where an earlier run had come to" in note for note in again.notes)
        # what was looked at but not yet kept is looked at again, and not more than that
        assert before + counted.frames <= 24 + 3 + 8 + 8
        assert counted.frames < 24
        first = (
            next(event.step for event in steps if isinstance(event, Progress))
            if asked < 24
            else None
        )
        assert first is None or first.frames > 1
        result, wanted = load(again.folder), load(whole.folder)
        assert result.frames == wanted.frames
        assert len(result.people) == len(wanted.people)
        for body, other in zip(result.people, wanted.people, strict=True):
            assert torch.allclose(body.pose, other.pose, atol=1e-5)
            assert torch.allclose(body.t_cam_root_m, other.t_cam_root_m, atol=1e-5)
            assert (body.code, body.person) == (other.code, other.person)
        assert [path.name for path in folder.iterdir()] == ["walk"]


def test_what_was_kept_of_other_options_is_forgotten(clip, models, tmp_path):
    config = PipelineConfig(MODELS, EXPORT, clips=kept_often(), clip_formats=FORMATS)
    running = Pipeline(config, models).run([clip], tmp_path)
    while not (isinstance(event := next(running), Progress) and event.step.frames == 7):
        pass
    running.close()
    kept = [path for path in tmp_path.iterdir() if path.name != "walk"]
    assert len(kept) == 1
    shorter = replace(config, clips=replace(kept_often(), range=ClipRange(end_s=0.7)))
    again = outcome_of(list(Pipeline(shorter, models).run([clip], tmp_path)))
    assert not any("earlier run" in note for note in again.notes)
    assert not kept[0].exists()


def test_whoever_stops_sooner_loses_nothing(clip, models, tmp_path):
    config = replace(windows_of(4), range=ClipRange(0.33))
    run = Pipeline(PipelineConfig(MODELS, EXPORT, clips=config, clip_formats=FORMATS), models).run
    reached = []
    for asked in (11, 7, 99):
        seen = iter([False] * asked)
        outcome = outcome_of(list(run([clip], tmp_path, lambda seen=seen: next(seen, True))))
        assert outcome.problem == ""
        assert any("go further" in note for note in outcome.notes) == (asked == 7)
        reached.append(len(load(outcome.folder).frames))
    assert reached[0] == reached[1] < reached[2] == 14
    # all of it is there, which whoever overwrites it and stops does not lose either
    export = ExportOptions(EXPORT.formats, overwrite=True)
    again = PipelineConfig(MODELS, export, clips=config, clip_formats=FORMATS)
    seen = iter([False] * 9)
    outcome = outcome_of(
        list(Pipeline(again, models).run([clip], tmp_path, lambda: next(seen, True)))
    )
    assert any("go further" in note for note in outcome.notes)
    assert len(load(outcome.folder).frames) == 14


@pytest.mark.parametrize("how", ["ctrl-c", "close"])
def test_whoever_interrupts_a_clip_finds_what_is_done(clip, models, tmp_path, how):
    class Stopped(KeyboardInterrupt):
        pass

    seen = []

    def stop() -> bool:
        seen.append(True)
        if how == "ctrl-c" and len(seen) > 21:
            raise Stopped
        return False

    events = pipeline(models, window=8).run([clip], tmp_path, stop)
    outcome = None
    if how == "ctrl-c":
        with pytest.raises(Stopped):
            for event in events:
                outcome = event if isinstance(event, Outcome) else outcome
        assert outcome is not None
        assert outcome.result is not None
    else:
        for event in events:
            if isinstance(event, Progress) and event.step.frames == 20:
                break
        events.close()
    assert load(tmp_path / "walk").tracks
    assert [path.name for path in tmp_path.iterdir()] == ["walk"]


def test_an_interrupt_before_anything_is_done_leaves_nothing(clip, models, tmp_path):
    out = tmp_path / "out"

    def stop() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(pipeline(models).run([clip], out, stop))
    assert not out.exists()


@pytest.mark.parametrize("fast", [False, True])
def test_an_interrupt_within_the_first_window_loses_nothing(clip, models, tmp_path, fast):
    if fast:
        models = Reconstructor(ReconstructorConfig(fast=True))
    config = PipelineConfig(models.config, EXPORT, clips=windows_of(48), clip_formats=FORMATS)
    whole = outcome_of(list(Pipeline(config, models).run([clip], tmp_path / "whole")))
    running = Pipeline(config, models).run([clip], tmp_path / "out")
    while not (isinstance(event := next(running), Progress) and event.step.frames == 18):
        pass
    running.close()
    result = load(tmp_path / "out" / "walk")
    assert [frame.index for frame in result.frames] == list(range(18))
    assert result.tracks[0].bodies[-1].frame == 17
    # the results of the rest are those of a run that was never stopped
    again = outcome_of(list(Pipeline(config, models).run([clip], tmp_path / "out")))
    assert (again.problem, again.already) == ("", False)
    for body, other in zip(load(again.folder).people, load(whole.folder).people, strict=True):
        assert torch.allclose(body.pose, other.pose, atol=1e-5)


@pytest.mark.parametrize("kept", [0, 6])
def test_an_interrupt_before_anybody_was_seen_says_what_is_kept(models, clip, tmp_path, kept):
    class Stopped(KeyboardInterrupt):
        pass

    def seen_of(run: Pipeline, frames: int) -> Outcome:
        """What is said of the clip by whoever interrupts it after so many frames."""
        outcomes = []
        events = run.run([clip], tmp_path)
        for event in events:
            if isinstance(event, Progress) and event.step.frames == frames:
                outcomes.append(events.throw(Stopped()))
                break
        with pytest.raises(Stopped):
            outcomes += events
        (outcome,) = outcomes
        return outcome

    config = replace(windows_of(48), keep_every=kept or 100)
    run = Pipeline(PipelineConfig(MODELS, EXPORT, clips=config, clip_formats=FORMATS), models)
    outcome = seen_of(run, 8)
    assert outcome.result is None
    assert "before there was anybody to write" in outcome.problem
    said = "nothing of the work on it is kept" if not kept else "first 6 frames is kept"
    assert said in outcome.problem
    assert bool(list(tmp_path.glob("*.kept"))) == bool(kept)
    if kept:
        assert outcome_of(list(run.run([clip], tmp_path))).problem == ""
        assert load(tmp_path / "walk").tracks


def test_bad_clips_stop_nothing(clip, models, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    nobody = write_clip(folder / "nobody.avi", counting(4), codec="MJPG")
    half = cut_off(write_clip(folder / "whole.mp4", counting(9)), folder / "half.mp4")
    text = folder / "text.mp4"
    text.write_text("no video at all")
    (photo,), keypoints = small_photos(folder, ("a.png",))
    own = OwnEvidenceConfig(keypoints=keypoints)
    events = pipeline(models, own=own).run([nobody, half, text, photo, clip], tmp_path / "out")
    found = {e.photo.name: e for e in events if isinstance(e, Outcome)}
    assert found["a.png"].problem == ""
    assert "for photos" in found["walk.avi"].problem
    assert not any(outcome.unexpected for outcome in found.values())
    alone = {
        e.photo.name: e.problem
        for e in pipeline(models).run([nobody, half, text], tmp_path / "alone")
        if isinstance(e, Outcome)
    }
    assert "No person was found in the 4 frames" in alone["nobody.avi"]
    assert "holds no picture that can be decoded" in alone["half.mp4"]
    assert "not a video that can be read" in alone["text.mp4"]
    assert not (tmp_path / "alone").exists()


def test_what_is_cut_off_is_used_and_said(clip, models, tmp_path):
    half = cut_off(clip, tmp_path / "half.avi", 0.8)
    outcome = outcome_of(list(pipeline(models).run([half], tmp_path / "out")))
    assert outcome.problem == ""
    result = load(outcome.folder)
    assert 12 < len(result.frames) < 24


def test_the_focal_length_is_estimated_once_for_all_frames(clip, tmp_path):
    models = Reconstructor(
        ReconstructorConfig(parts=False, fit=PhotoFitConfig(estimate_focal=True))
    )
    clips = windows_of(8, SequenceConfig())
    config = PipelineConfig(models.config, EXPORT, clips=clips, clip_formats=FORMATS)
    outcome = outcome_of(list(Pipeline(config, models).run([clip], tmp_path)))
    assert outcome.result is not None
    (camera,) = {frame.camera for frame in outcome.result.frames}
    assert camera != models.camera_of(camera.image_size)


ALL = {"people.npz", "people.json", "overlay.webm", "scene.glb", "viewer.html", "person_0.bvh"}


def test_every_file_of_a_clip_is_written_and_drawing_is_progress(clip, models, tmp_path):
    config = PipelineConfig(MODELS, clips=replace(windows_of(48), range=ClipRange(0.4)))
    events = list(Pipeline(config, models).run([clip], tmp_path))
    folder = outcome_of(events).folder
    assert {path.name for path in folder.iterdir()} == {*ALL, ".kinflow"}
    assert [path.name for path in tmp_path.iterdir()] == ["walk"]
    drawn = [event.step.drawn for event in events if isinstance(event, Progress)]
    frames = load(folder).frames
    assert drawn[-len(frames) :] == list(range(1, len(frames) + 1))
    overlay = list(Clip.open(folder / "overlay.webm").frames())
    assert len(overlay) == len(frames)
    assert overlay[0].rgb.shape[1::-1] == frames[0].camera.image_size
    already = outcome_of(list(Pipeline(config, models).run([clip], tmp_path)))
    assert already.already


def test_whoever_interrupts_the_drawing_has_all_but_the_drawing(
    clip, models, tmp_path, monkeypatch
):
    config = PipelineConfig(MODELS, clips=replace(windows_of(48), range=ClipRange(0.4)))
    events = []
    with pytest.raises(KeyboardInterrupt):
        stop = iter([False] * 17)
        for event in Pipeline(config, models).run(
            [clip], tmp_path, lambda: next(stop, None) is None and interrupted()
        ):
            events.append(event)
    folder = outcome_of(events).folder
    assert {path.name for path in folder.iterdir()} == {*ALL, ".kinflow"} - {"overlay.webm"}
    assert len(load(folder).frames) == 12
    counted = Counted(models, monkeypatch)
    again = outcome_of(list(Pipeline(config, models).run([clip], tmp_path)))
    assert counted.frames == 0
    assert [path.name for path in tmp_path.iterdir()] == ["walk"]
    assert (again.problem, again.already) == ("", False)
    assert {path.name for path in folder.iterdir()} == {*ALL, ".kinflow"}


def interrupted() -> bool:
    raise KeyboardInterrupt
