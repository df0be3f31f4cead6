"""Reading a result folder as the extension does, compared with what kinflow wrote."""

import shutil
from typing import get_args

import numpy as np
import pytest
from kinflow_import.result import (
    SENTENCES,
    ResultError,
    code_at,
    code_runs,
    read,
    summary,
)
from kinflow_import.timing import Timing
from made_results import write_clip_result, write_photo_result

from kinflow.results import RESULT_SENTENCES
from kinflow.results.codes import ResultCode


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def clip(folder):
    return write_clip_result(folder)


@pytest.fixture(scope="module")
def photo(folder):
    return write_photo_result(folder)


@pytest.mark.parametrize("lacking", ["people.json", "people.npz"])
def test_frames_and_bodies_are_those_of_the_result(clip, folder, tmp_path, lacking):
    copy = shutil.copytree(folder / "zoom", tmp_path / "zoom")
    (copy / lacking).unlink()
    result = read(copy)
    assert result.source == "zoom.webm" and result.is_clip
    assert [view.index for view in result.views] == [frame.index for frame in clip.frames]
    for view, frame in zip(result.views, clip.frames, strict=True):
        assert view.lens.focal_px == frame.camera.focal_px
        assert view.lens.principal_px == frame.camera.principal_px
        assert view.lens.image_size == frame.camera.image_size
        assert view.time_s == frame.time_s
    assert result.people() == [0, 3]
    for track in clip.tracks:
        bodies = result.of_person(track.identity)
        assert [body.frame for body in bodies] == [body.frame for body in track.bodies]
        assert [body.code for body in bodies] == [body.code for body in track.bodies]


def test_a_photo_has_one_view(photo, folder):
    result = read(folder / "held")
    assert not result.is_clip and len(result.bodies) == 1
    assert "m; detection" in summary(result, 0)


def test_sentences_are_those_of_kinflow():
    assert SENTENCES == RESULT_SENTENCES
    assert set(SENTENCES) == set(get_args(ResultCode))


def test_codes_change_when_they_do(clip, folder):
    result = read(folder / "zoom")
    timing = Timing.of(result.views)
    runs = code_runs(result, 3, timing.of_view)
    # counted from 0 the person is not there before frame 8 nor from 12 to 14
    assert runs == [[1, ""], [9, "ok"], [13, ""], [16, "ok"]]
    runs = [[1, "ok"], [5, "not_seen"], [8, "ok"]]
    assert [code_at(runs, frame) for frame in (0, 1, 4, 5, 7, 8, 100)] == (
        ["ok"] * 3 + ["not_seen"] * 2 + ["ok"] * 2
    )


def damaged_archive(folder):
    (folder / "people.npz").write_bytes((folder / "people.npz").read_bytes()[:3000])


def no_scene(folder):
    (folder / "scene.glb").unlink()


def cut_scene(folder):
    (folder / "scene.glb").write_bytes((folder / "scene.glb").read_bytes()[:-100])


def no_people(folder):
    (folder / "people.npz").unlink()
    (folder / "people.json").unlink()


def pickled(folder):
    np.savez(folder / "people.npz", format=np.array([{}], dtype=object))


def other_format(folder):
    np.savez(folder / "people.npz", format="kinflow people 9")


def no_focal(folder):
    with np.load(folder / "people.npz") as arrays:
        fields = dict(arrays)
    fields["frame_focal_px"] = np.zeros(20)
    np.savez(folder / "people.npz", **fields)


def unknown_frame(folder):
    with np.load(folder / "people.npz") as arrays:
        fields = dict(arrays)
    fields["frame"] = fields["frame"] + 1000
    np.savez(folder / "people.npz", **fields)


@pytest.mark.parametrize(
    "damage",
    [
        damaged_archive,
        no_scene,
        cut_scene,
        no_people,
        pickled,
        other_format,
        no_focal,
        unknown_frame,
    ],
)
def test_damaged_folders_are_refused_with_a_sentence(clip, folder, tmp_path, damage):
    copy = shutil.copytree(folder / "zoom", tmp_path / "zoom")
    damage(copy)
    with pytest.raises(ResultError, match=r"'?zoom|\w.*\.$"):
        read(copy)


def test_a_folder_of_results_names_one(clip, folder):
    with pytest.raises(ResultError, match="several results; choose one of them, such as '"):
        read(folder)


def test_an_older_file_without_frames_is_one_view(photo, folder, tmp_path):
    copy = shutil.copytree(folder / "held", tmp_path / "held")
    with np.load(copy / "people.npz") as arrays:
        fields = {name: array for name, array in arrays.items() if not name.startswith("frame_")}
    np.savez(copy / "people.npz", **fields)
    assert read(copy).views == read(folder / "held").views
