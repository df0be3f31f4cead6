"""Which files a command works on, and where their results go."""

import os
from pathlib import Path

import pytest

from kinflow.cli.inputs import check_output, find_photos, result_folders
from kinflow.errors import InputError


@pytest.fixture
def photos(tmp_path) -> Path:
    for name in ("b.jpg", "a.PNG", "notes.txt", "c[1].jpeg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.jpg").mkdir()
    return tmp_path


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_a_folder_gives_its_photos_in_order(photos):
    assert names(find_photos((str(photos),))) == ["a.PNG", "b.jpg", "c[1].jpeg"]


def test_patterns_and_repetitions(photos):
    found = find_photos((str(photos / "b.jpg"), str(photos / "*.jpg"), str(photos / "c[1].jpeg")))
    assert names(found) == ["b.jpg", "c[1].jpeg"]


def test_a_missing_path_is_kept_for_the_report(photos):
    assert names(find_photos((str(photos / "none.jpg"),))) == ["none.jpg"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("folder.jpg", "holds no photos"), ("*.webp", "matches no file"), (None, "No photos were")],
)
def test_nothing_to_work_on(photos, name, message):
    with pytest.raises(InputError, match=message):
        find_photos((str(photos / name),) if name else ())


def test_photos_of_the_same_name_get_numbered_folders():
    photos = [Path("x/a.jpg"), Path("y/a.png"), Path("a_2.jpg"), Path(".jpg")]
    assert names(result_folders(photos, Path("out"))) == ["a", "a_2", "a_2_2", ".jpg"]


def test_output_that_cannot_be_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "deep" / "er"):
        with pytest.raises(InputError, match="is a file, not a folder"):
            check_output(out)
    check_output(tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_output_without_permission_is_refused_at_once(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="no permission"):
            check_output(tmp_path / "new")
    finally:
        tmp_path.chmod(0o700)
