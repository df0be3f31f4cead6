"""Result folders appear complete or not at all."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import kinflow
from kinflow.errors import InputError
from kinflow.evidence.types import PartLabels
from kinflow.export import writer
from kinflow.export.parts_seen import draw_parts_seen
from kinflow.export.people_files import load
from kinflow.export.results import NAMES_OF_FILES, Origin, is_made
from kinflow.export.writer import FILE_NAMES, FORMATS, ExportOptions, write_all
from kinflow.files.marker import MARKER_NAME, Marker
from kinflow.geometry.image_grid import ImageGrid


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def disk_full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_all_formats(reconstruction, photo, tmp_path):
    folder = tmp_path / "results" / "photo"
    paths = write_all(reconstruction, photo, folder, ExportOptions(side_view=True))
    assert names(folder) == {MARKER_NAME, *FILE_NAMES.values()}
    assert set(paths) == set(FORMATS)
    assert all(p.stat().st_size > 100 for p in paths.values())
    assert names(folder.parent) == {"photo"}
    assert len(load(folder).people) == 2


def test_some_formats(reconstruction, photo, tmp_path):
    paths = write_all(reconstruction, photo, tmp_path / "a", ExportOptions(formats=("json", "glb")))
    assert names(tmp_path / "a") == {MARKER_NAME, "people.json", "scene.glb"}
    assert paths["glb"].read_bytes()[:4] == b"glTF"


def test_parts_are_shown_beside_the_bodies(reconstruction, photo, tmp_path):
    options = ExportOptions(formats=("overlay",), show_parts=True)
    grid = ImageGrid((40.0, 50.0), 2.0, (20, 30))
    labels = PartLabels(torch.full((30, 20), 1 << 2), torch.ones(30, 20), grid)
    pictures = {}
    for name, seen in (("seen", [labels]), ("unseen", [])):
        path = write_all(reconstruction, photo, tmp_path / name, options, seen)["overlay"]
        pictures[name] = cv2.imread(str(path))[..., ::-1]
    height, width = photo.shape[:2]
    assert pictures["unseen"].shape == photo.shape
    assert pictures["seen"].shape[0] == height
    assert pictures["seen"].shape[1] > 2 * width
    np.testing.assert_array_equal(pictures["seen"][:, -width:], pictures["unseen"])
    np.testing.assert_array_equal(pictures["seen"][:, :width], draw_parts_seen(photo, [labels]))


def test_no_people(nobody, photo, tmp_path):
    write_all(nobody, photo, tmp_path / "a", ExportOptions(side_view=True))
    assert load(tmp_path / "a").people == ()


def test_overwriting_must_be_asked_for(reconstruction, nobody, photo, tmp_path):
    folder, only_npz = tmp_path / "a", ExportOptions(formats=("npz",))
    write_all(reconstruction, photo, folder, only_npz)
    with pytest.raises(InputError, match="exists already.*ask to overwrite it"):
        write_all(nobody, photo, folder, only_npz)
    assert len(load(folder).people) == 2
    write_all(nobody, photo, folder, ExportOptions(formats=("json",), overwrite=True))
    assert names(folder) == {MARKER_NAME, "people.json"}
    assert names(tmp_path) == {"a"}


def test_a_full_disk_leaves_nothing_behind(reconstruction, photo, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "write_bytes", disk_full)
    with pytest.raises(InputError, match="The disk is full"):
        write_all(reconstruction, photo, tmp_path / "a", ExportOptions(formats=("npz",)))
    assert names(tmp_path) == set()


def test_a_failure_half_way_keeps_the_previous_results(
    reconstruction, photo, tmp_path, monkeypatch
):
    folder = tmp_path / "a"
    write_all(reconstruction, photo, folder, ExportOptions(formats=("npz", "glb")))
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def crash(*_args):
        raise RuntimeError("crash")

    monkeypatch.setattr(writer, "scene_glb", crash)
    with pytest.raises(RuntimeError, match="crash"):
        options = ExportOptions(formats=("npz", "glb"), overwrite=True)
        write_all(reconstruction, photo, folder, options)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert names(tmp_path) == {"a"}


def test_the_marker_says_what_was_made_from_what(reconstruction, photo, tmp_path):
    origin = Origin("photos/a.jpg", "0123", {"fov": 70.0})
    options = ExportOptions(formats=("glb", "npz", "glb"))
    write_all(reconstruction, photo, tmp_path / "a", options, origin=origin)
    marker = Marker.read(tmp_path / "a")
    assert marker is not None
    assert marker.files == ("scene.glb", "people.npz")
    assert marker.details == origin.details()
    assert marker.version == kinflow.__version__
    assert is_made(tmp_path / "a", ("people.npz",), origin)


@pytest.mark.parametrize(
    ("files", "origin", "message"),
    [
        (("people.json",), Origin(), "no people.json"),
        (("people.npz",), Origin("b.jpg", "4567"), "another photo"),
        (("people.npz",), Origin("a.jpg", "0123", {}), "other options .fov=70.0"),
        (("people.npz",), Origin("a.jpg", "0123", {"fov": 70.0}, "cd"), "before the keypoints"),
    ],
)
def test_results_of_something_else_are_told(
    reconstruction, photo, tmp_path, files, origin, message
):
    made = Origin("a.jpg", "0123", {"fov": 70.0}, "ab")
    options = ExportOptions(formats=("npz",))
    write_all(reconstruction, photo, tmp_path / "a", options, origin=made)
    with pytest.raises(InputError, match=message):
        is_made(tmp_path / "a", files, origin)


def test_what_the_user_put_into_a_result_folder_stays(reconstruction, nobody, photo, tmp_path):
    folder = tmp_path / "a"
    write_all(reconstruction, photo, folder, ExportOptions(formats=("npz", "glb")))
    (folder / "notes.txt").write_text("mine")
    (folder / "frames").mkdir()
    (folder / "frames" / "1.png").write_text("mine too")
    write_all(nobody, photo, folder, ExportOptions(formats=("json",), overwrite=True))
    assert names(folder) == {MARKER_NAME, "people.json", "notes.txt", "frames"}
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "frames" / "1.png").read_text() == "mine too"
    assert names(tmp_path) == {"a"}


def test_a_file_of_the_user_is_never_replaced(reconstruction, photo, tmp_path):
    folder = tmp_path / "a"
    write_all(reconstruction, photo, folder, ExportOptions(formats=("npz",)))
    (folder / "scene.glb").write_text("mine")
    with pytest.raises(InputError, match="scene.glb' was not made by kinflow"):
        write_all(reconstruction, photo, folder, ExportOptions(overwrite=True))
    assert (folder / "scene.glb").read_text() == "mine"


def test_a_marker_that_lists_what_kinflow_does_not_write(reconstruction, photo, tmp_path):
    folder = tmp_path / "a"
    write_all(reconstruction, photo, folder, ExportOptions(formats=("npz",)))
    Marker(("people.npz", "notes.txt")).write(folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="lists 'notes.txt', which kinflow does not write"):
        write_all(reconstruction, photo, folder, ExportOptions(overwrite=True))
    assert (folder / "notes.txt").read_text() == "mine"
    assert set(FILE_NAMES.values()) == NAMES_OF_FILES


def without_marker(folder: Path) -> Path:
    (folder / MARKER_NAME).unlink()
    return folder


@pytest.mark.parametrize("formats", [("npz", "overlay"), ("json",), FORMATS])
def test_folders_of_0_1_0_are_recognised(reconstruction, nobody, photo, tmp_path, formats):
    write_all(reconstruction, photo, tmp_path / "a", ExportOptions(formats=formats))
    folder = without_marker(tmp_path / "a")
    options = ExportOptions(formats=("npz",), overwrite=True)
    assert is_made(folder, ExportOptions(formats=formats).files, Origin("a", "1", {}))
    with pytest.raises(InputError, match="ask to overwrite it"):
        write_all(nobody, photo, folder, ExportOptions(formats=formats))
    write_all(nobody, photo, folder, options)
    assert names(folder) == {MARKER_NAME, "people.npz"}
    assert names(tmp_path) == {"a"}


def make_foreign(folder: Path, kind: str) -> None:
    if kind == "more":
        (folder / "thesis.tex").write_text("years of work")
    elif kind == "people of another":
        (folder / "people.npz").write_bytes(b"another program's")
    elif kind == "json of another":
        (folder / "people.npz").unlink()
        (folder / "people.json").write_text('{"format": "something else"}')
    elif kind == "no people":
        (folder / "people.npz").unlink()
    elif kind == "folder":
        (folder / "viewer.html").mkdir()
    elif kind == "damaged marker":
        (folder / MARKER_NAME).write_text('{"format": "kinflow result fol')
        (folder / "thesis.tex").write_text("years of work")
    elif kind == "marker that lies":
        text = '{"format": "kinflow result folder 1", "files": ["../precious.txt"]}'
        (folder / MARKER_NAME).write_text(text)
        (folder / "thesis.tex").write_text("years of work")


@pytest.mark.parametrize(
    "kind",
    [
        *("more", "people of another", "json of another", "no people", "folder"),
        *("damaged marker", "marker that lies"),
    ],
)
def test_foreign_folders_are_refused(reconstruction, photo, tmp_path, kind):
    (tmp_path / "precious.txt").write_text("precious")
    options = ExportOptions(formats=("npz", "overlay"), overwrite=True)
    write_all(reconstruction, photo, tmp_path / "a", options)
    folder = without_marker(tmp_path / "a")
    make_foreign(folder, kind)
    before = names(folder)
    with pytest.raises(InputError, match="was not made by kinflow"):
        write_all(reconstruction, photo, folder, options)
    assert names(folder) == before
    assert names(tmp_path) == {"a", "precious.txt"}


def test_names_that_are_no_text_are_written_as_text(reconstruction, photo, tmp_path):
    source = os.fsdecode(b"caf\xe9.jpg")
    written = write_all(replace(reconstruction, source=source), photo, tmp_path / "a")
    for kind in ("npz", "json"):
        assert load(written[kind]).source == "caf\ufffd.jpg"
    assert "caf\ufffd.jpg" in written["viewer"].read_text(encoding="utf8")
    assert rb"caf\ufffd.jpg" in written["glb"].read_bytes()
