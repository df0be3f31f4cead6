"""Result folders appear complete or not at all."""

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from kinflow.errors import InputError
from kinflow.evidence.types import PartLabels
from kinflow.export import writer
from kinflow.export.parts_seen import draw_parts_seen
from kinflow.export.people_files import load
from kinflow.export.writer import FILE_NAMES, FORMATS, ExportOptions, write_all
from kinflow.files.atomic import write_bytes
from kinflow.files.folders import check_destination, new_folder


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def disk_full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_all_formats(reconstruction, photo, tmp_path):
    folder = tmp_path / "results" / "photo"
    paths = write_all(reconstruction, photo, folder, ExportOptions(side_view=True))
    assert names(folder) == set(FILE_NAMES.values())
    assert set(paths) == set(FORMATS)
    assert all(p.stat().st_size > 100 for p in paths.values())
    assert names(folder.parent) == {"photo"}
    assert len(load(folder).people) == 2


def test_some_formats(reconstruction, photo, tmp_path):
    paths = write_all(reconstruction, photo, tmp_path / "a", ExportOptions(formats=("json", "glb")))
    assert names(tmp_path / "a") == {"people.json", "scene.glb"}
    assert paths["glb"].read_bytes()[:4] == b"glTF"


def test_parts_are_shown_beside_the_bodies(reconstruction, photo, tmp_path):
    options = ExportOptions(formats=("overlay",), show_parts=True)
    labels = PartLabels(torch.full((30, 20), 1 << 2), torch.ones(30, 20), (40.0, 50.0), 2.0)
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
    with pytest.raises(InputError, match="exists already.*--overwrite"):
        write_all(nobody, photo, folder, only_npz)
    assert len(load(folder).people) == 2
    write_all(nobody, photo, folder, ExportOptions(formats=("json",), overwrite=True))
    assert names(folder) == {"people.json"}
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


def test_a_failing_rename_puts_the_previous_folder_back(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_text("old")
    replace = Path.replace

    def fail_once_new(self, target):
        if self.suffix == ".part":
            disk_full()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail_once_new)
    with pytest.raises(InputError, match="disk is full"), new_folder(tmp_path / "a", True) as new:
        (new / "new").write_text("new")
    assert names(tmp_path) == {"a"}
    assert names(tmp_path / "a") == {"old"}


def test_single_files_are_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "people.npz"
    write_bytes(path, b"first")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", disk_full)
        with pytest.raises(InputError, match="The disk is full"):
            write_bytes(path, b"second")
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == {"people.npz"}
    write_bytes(path, b"third")
    assert path.read_bytes() == b"third"
    assert path.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_destinations_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file, not a folder"):
        check_destination(tmp_path / "file", overwrite=True)
    with (
        pytest.raises(InputError, match="part of its path is a file"),
        new_folder(tmp_path / "file" / "below"),
    ):
        pass
    with pytest.raises(InputError, match="cannot be written"):
        write_bytes(tmp_path / "nowhere" / "people.npz", b"x")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="no permission"), new_folder(tmp_path / "a"):
            pass
    finally:
        tmp_path.chmod(0o700)


def test_permission_errors_have_a_sentence(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match="no permission"), new_folder(tmp_path / "a"):
        pass


def test_an_empty_folder_is_a_fine_destination(tmp_path):
    (tmp_path / "a").mkdir()
    with new_folder(tmp_path / "a") as new:
        (new / "x").write_text("x")
    assert names(tmp_path / "a") == {"x"}
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o777 & ~current_umask()
