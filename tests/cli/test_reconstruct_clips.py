"""`kinflow reconstruct` on clips: what is printed, options, ranges that cannot be."""

import json
from dataclasses import replace

import numpy as np
import pytest
from clips import counting, passing, write_clip
from PIL import Image

from kinflow.cli import reconstruct
from kinflow.cli.main import main
from kinflow.cli.progress import clip_line
from kinflow.export.people_files import load
from kinflow.export.quality import quality_of
from kinflow.fitting.clip import ClipFitConfig
from kinflow.pipeline.clips import ClipConfig, ClipStep

PLAIN = ("--format", "npz", "json", "--no-parts")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, astronaut_rgb):
    """A clip of somebody, and one of nobody."""
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "walk.webm", passing(astronaut_rgb, np.linspace(20, 60, 12)), 24, "VP80")
    write_clip(folder / "nobody.avi", counting(5), 24, "MJPG")
    return folder


def test_a_folder_of_clips_is_reconstructed_and_told(folder, tmp_path, run_kinflow):
    done = run_kinflow("reconstruct", folder, "--out", tmp_path / "out", *PLAIN)
    assert done.code == 2
    assert "No person was found in the 5 frames" in done.err
    assert "nobody.avi" in done.err
    # the whole picture moves with the person
    nobody, moving = done.err.splitlines()
    assert nobody.startswith("No person") and moving.startswith("walk.webm: the camera moves")
    header, row, said, titles, motion, camera, *_ = done.out.splitlines()
    assert header.split()[:3] == ["photo", "person", "result"]
    assert row.split()[:2] == ["walk.webm", "0"]
    assert "walk.webm: 12 frames, 1 person, 12 bodies" in said
    assert titles.split()[:6] == ["motion", "person", "seen", "gaps", "longest", "sliding"]
    assert motion.split()[:5] == ["walk.webm", "0", "100", "%", "0"]
    assert camera.startswith("walk.webm: the camera moves, and sliding")
    assert "sliding: mean speed of feet that are down" in done.out
    assert "1 of 2 files done; 1 could not be used." in done.out
    result = load(tmp_path / "out" / "walk")
    assert len(result.frames) == 12
    # what was printed is what the file holds, and what anybody computes of it again
    (quality,) = quality_of(result)
    (stored,) = json.loads((tmp_path / "out" / "walk" / "people.json").read_text())["tracks"]
    known = {name: value for name, value in vars(quality).items() if value == value}
    assert {n: v for n, v in stored.items() if v is not None} == pytest.approx(known, rel=1e-4)
    assert stored.keys() == vars(quality).keys()
    assert f"{quality.jitter_10m_s3:.1f}" in motion
    assert f"{quality.below_floor_worst_cm:.1f} cm" in motion
    assert result.camera_motion == "moves"
    # feet that stand are told for all but the last body; legs that are out of view stand nowhere
    contacts = [body.foot_contact for body in result.people]
    assert contacts[-1] is None
    assert all(one is not None and bool((one < 0.5).all()) for one in contacts[:-1])


def test_ranges_and_rates_choose_frames(folder, tmp_path, capsys):
    clip, out = str(folder / "walk.webm"), str(tmp_path)
    chosen = ("--start", "0.1", "--end", "0.4", "--fps", "12")
    assert main(["reconstruct", clip, "--out", out, *chosen, *PLAIN]) == 0
    frames = load(tmp_path / "walk").frames
    assert [frame.index for frame in frames] == [3, 5, 7, 9]
    capsys.readouterr()
    assert main(["reconstruct", clip, "--out", out, *PLAIN]) == 2
    assert "start=0.1, end=0.4, fps=12.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--start", "-1"), "--start has to be a number of at least 0"),
        (("--start", "2", "--end", "1"), "--end (1 s) has to be after --start (2 s)"),
        (("--sequence-fps", "0"), "--sequence-fps has to be a number above 0"),
        (("--fps", "0"), "--fps has to be a number above 0"),
        (("--end", "nan"), "--end has to be"),
        (("--start", "9"), "has no frame from 9 s on"),
    ],
)
def test_ranges_that_cannot_be_are_one_sentence(folder, tmp_path, capsys, options, said):
    clip, out = str(folder / "walk.webm"), tmp_path / "out"
    assert main(["reconstruct", clip, "--out", str(out), *options, *PLAIN]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert not out.exists()


def test_keypoints_of_ones_own_are_for_photos(folder, tmp_path, capsys):
    keypoints = tmp_path / "keypoints.json"
    keypoints.write_text("[]")
    arguments = ["--out", str(tmp_path / "out"), "--keypoints", str(keypoints), *PLAIN]
    assert main(["reconstruct", str(folder / "walk.webm"), *arguments]) == 2
    assert "--keypoints" in capsys.readouterr().err


def test_bvh_alone_is_for_clips(folder, tmp_path, capsys, astronaut_rgb):
    photo = tmp_path / "photo.png"
    Image.fromarray(astronaut_rgb[:64, :64]).save(photo)
    out = ("--out", str(tmp_path / "out"), "--format", "bvh", "--no-parts")
    assert main(["reconstruct", str(photo), str(folder / "walk.webm"), *out]) == 2
    assert "ask for another format (--format) as well" in capsys.readouterr().err
    assert main(["reconstruct", str(folder / "walk.webm"), *out]) == 0
    assert (tmp_path / "out" / "walk" / "person_0.bvh").read_text().startswith("HIERARCHY")


def test_a_gif_of_several_frames_is_a_clip(tmp_path, capsys, astronaut_rgb):
    pictures = [
        Image.fromarray(frame) for frame in passing(astronaut_rgb, (30, 40, 50, 60, 70, 80))
    ]
    path = tmp_path / "wave.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=80)
    assert main(["reconstruct", str(path), "--out", str(tmp_path / "out"), *PLAIN]) == 0
    result = load(tmp_path / "out" / "wave")
    assert [frame.time_s for frame in result.frames] == pytest.approx([0.08 * i for i in range(6)])
    assert len(result.tracks) == 1


def test_numbered_images_are_a_clip_with_its_gaps(tmp_path, capsys, astronaut_rgb):
    folder = tmp_path / "walk"
    folder.mkdir()
    for number, frame in enumerate(passing(astronaut_rgb, np.linspace(20, 60, 12)), 9):
        if number != 14:
            Image.fromarray(frame).save(folder / f"shot{number}.png")
    out = tmp_path / "out"
    pattern = ("--start", "0.1", "--sequence-fps", "24")
    assert (
        main(["reconstruct", str(folder / "shot%d.png"), "--out", str(out), *pattern, *PLAIN]) == 0
    )
    result = load(out / "shot")
    assert [frame.index for frame in result.frames] == [3, 4, 6, 7, 8, 9, 10, 11]
    assert [f.time_s for f in result.frames] == pytest.approx([f.index / 24 for f in result.frames])
    assert len(result.tracks) == 1
    said = capsys.readouterr().err
    assert "shot%d.png: lacks 1 of 12 numbers (14); time goes on over them." in said
    arguments = ["reconstruct", str(folder), "--out", str(out), "--sequence-fps", "24", *PLAIN]
    assert main(arguments) == 0
    assert len(load(out / "walk").frames) == 11
    capsys.readouterr()
    assert main(arguments) == 0
    assert "already there" in capsys.readouterr().out
    (folder / "shot9.png").rename(folder / "shot8.png")
    assert main(arguments) == 2  # a picture earlier: not what the results were made from
    assert "another photo" in capsys.readouterr().err


def test_an_interrupt_while_progress_is_shown_loses_no_outcome(
    folder, tmp_path, capsys, monkeypatch
):
    config = reconstruct.pipeline_config

    def in_short_windows(options):
        fit = ClipFitConfig(window=4, ahead=1)
        return replace(config(options), clips=ClipConfig(fit=fit))

    def interrupted(self, name, step):
        if step.frames == 9:
            raise KeyboardInterrupt

    monkeypatch.setattr(reconstruct, "pipeline_config", in_short_windows)
    monkeypatch.setattr(reconstruct.PhotoProgress, "step", interrupted)
    clips = [str(folder / name) for name in ("walk.webm", "nobody.avi")]
    assert main(["reconstruct", *clips, "--out", str(tmp_path / "out"), *PLAIN]) == 130
    captured = capsys.readouterr()
    frames = len(load(tmp_path / "out" / "walk").frames)
    assert frames == 9
    assert f"walk.webm: {frames} frames, 1 person" in captured.out
    assert "walk.webm: stopped after" in captured.err and "nobody" not in captured.err


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (ClipStep(50, 350, 1, 10.0), "frame 50 of 350, 1 person, 5.0 frames/s, 1:00 left"),
        (ClipStep(400, 350, 2, 100.0), "frame 400 of 400, 2 people, 4.0 frames/s, 0:00 left"),
        (ClipStep(50, None, 0, 10.0), "frame 50, 0 people, 5.0 frames/s"),
    ],
)
def test_progress_is_told_in_words(step, said):
    assert clip_line(step) == said
