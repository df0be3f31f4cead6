"""Which files a command works on, and where their results go."""

import os
from pathlib import Path

import pytest

from kinflow.errors import InputError
from kinflow.evidence import image_files
from kinflow.files.destinations import check_folder_destination
from kinflow.pipeline.sources import find_photos, is_clip_or_sequence, passed_over, result_folders


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


def test_a_photo_counts_once_however_it_is_spelt(photos, monkeypatch):
    monkeypatch.chdir(photos)
    (photos / "other.jpg").symlink_to("b.jpg")
    spellings = ("b.jpg", "./b.jpg", str(photos / "b.jpg"), f"../{photos.name}/b.jpg", "other.jpg")
    assert find_photos(spellings) == [Path("b.jpg"), Path("other.jpg")]


def test_an_empty_name_is_not_the_folder_one_is_in(photos, monkeypatch):
    monkeypatch.chdir(photos)
    with pytest.raises(InputError, match="name of a photo is empty"):
        find_photos(("a.PNG", ""))


def test_numbered_images_are_one_clip_by_a_pattern_or_as_a_folder(photos, monkeypatch):
    monkeypatch.chdir(photos)
    for name in ("2.png", "10.png"):
        (photos / "folder.jpg" / name).write_bytes(b"x")
    pattern = "folder.jpg/%d.png"
    assert find_photos((pattern, "a.PNG")) == [Path(pattern), Path("a.PNG")]
    assert find_photos(("folder.jpg", "b.jpg"), sequences=True) == [
        Path("folder.jpg"),
        Path("b.jpg"),
    ]
    assert names(find_photos(("folder.jpg",))) == ["10.png", "2.png"]  # else a batch
    found = [Path(pattern), Path("folder.jpg"), Path("folder.jpg/2.png"), Path("no.txt")]
    assert [is_clip_or_sequence(path) for path in found] == [True, True, False, False]
    folders = result_folders([Path(pattern), Path("shots/walk_%04d.png"), Path()], Path("out"))
    assert names(folders) == ["folder.jpg", "walk", photos.name]
    (photos / "%d.png").write_bytes(b"x")  # a file is what it is called
    assert not is_clip_or_sequence(Path("%d.png"))
    for name, said in (("c_%03d.png", "matches no file"), ("%d_%d.png", "several numbers")):
        with pytest.raises(InputError, match=said):
            find_photos((name,))


def test_a_missing_path_is_kept_for_the_report(photos):
    assert names(find_photos((str(photos / "none.jpg"),))) == ["none.jpg"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("folder.jpg", "holds no photos"), ("*.webp", "matches no file"), (None, "No photos were")],
)
def test_nothing_to_work_on(photos, name, message):
    with pytest.raises(InputError, match=message):
        find_photos((str(photos / name),) if name else ())


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.fixture
def no_plugin(monkeypatch):
    monkeypatch.setattr(image_files, "HEIF_PLUGINS", ("no_such_plugin_of_heif",))
    monkeypatch.delitem(image_files.Image.OPEN, "HEIF", raising=False)


def test_a_folder_says_what_it_passes_over(photos, no_plugin):
    for name in ("IMG_1.HEIC", "d.jpg"):
        (photos / name).write_bytes(HEIC)
    for name in ("a.mp4", "raw.NEF", ".hidden", "._b.jpg", *(f"{i}.md" for i in range(5))):
        (photos / name).write_bytes(b"x")
    assert names(find_photos((str(photos),))) == ["a.PNG", "b.jpg", "c[1].jpeg"]
    (sentence,) = passed_over((str(photos), str(photos), str(photos / "b.jpg")))
    assert sentence.startswith(f"Passed over in '{photos}': ")
    for part in (
        "2 hidden files",
        "IMG_1.HEIC, d.jpg (needs pip install 'kinflow[heif]')",
        "a.mp4 (no video)",
        "raw.NEF (a raw photo)",
        "0.md, 1.md, 2.md and 3 more (no image)",
        "folder.jpg (a folder)",
    ):
        assert part in sentence


def test_a_name_without_photos_does_not_stop_the_others(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    problems: list[str] = []
    wrong = (str(tmp_path / "empty"), str(photos / "*.webp"), "")
    found = find_photos((*wrong, str(photos / "b.jpg")), problems)
    assert names(found) == ["b.jpg"]
    for problem, words in zip(
        problems, ("holds no photos", "matches no file", "is empty"), strict=True
    ):
        assert words in problem
    with pytest.raises(InputError, match="holds no photos.*matches no file.*is empty"):
        find_photos(wrong, [])


def test_nothing_is_said_where_nothing_is_passed_over(tmp_path):
    for suffix in ("jpg", "JFIF", "jpe", "mpo", "jp2", "j2k", "tif", "gif", "bmp", "webp"):
        (tmp_path / f"photo.{suffix}").write_bytes(b"x")
    assert len(find_photos((str(tmp_path),))) == 10
    assert passed_over((str(tmp_path),)) == []


def test_heic_counts_as_a_photo_where_it_can_be_read(tmp_path, monkeypatch):
    (tmp_path / "IMG_1.HEIC").write_bytes(HEIC)
    monkeypatch.setitem(image_files.Image.OPEN, "HEIF", (None, None))
    assert names(find_photos((str(tmp_path),))) == ["IMG_1.HEIC"]
    assert passed_over((str(tmp_path),)) == []


def test_a_folder_of_unreadable_photos_says_why(tmp_path, no_plugin):
    (tmp_path / "IMG_1.HEIC").write_bytes(HEIC)
    with pytest.raises(InputError, match=r"holds no photos.*IMG_1.HEIC \(needs pip install"):
        find_photos((str(tmp_path),))


def test_names_that_no_file_can_have_are_kept_for_the_report():
    assert find_photos(("a" * 400, "null\0byte.jpg")) == [Path("a" * 400), Path("null\0byte.jpg")]


def test_photos_of_the_same_name_get_numbered_folders():
    photos = [Path("x/a.jpg"), Path("y/a.png"), Path("a_2.jpg"), Path(".jpg")]
    assert names(result_folders(photos, Path("out"))) == ["a", "a_2", "a_2_2", ".jpg"]


@pytest.mark.parametrize(
    ("photo", "name"),
    [
        *(("..jpg", "photo"), ("...jpg", "photo"), ("....png", "photo"), (" .jpg", "photo")),
        *(("-rf.jpg", "_rf"), ("~.jpg", "_"), ("~user.jpg", "_user"), ("a. .jpg", "a")),
        *(("con.jpg", "_con"), ("COM1.backup.jpg", "_COM1.backup"), ("console.jpg", "console")),
        *(("a:b|c?.jpg", "a_b_c_"), ("a\\b.jpg", "a_b"), ("a\nb\x1b.jpg", "a_b_")),
        *((".kinflow-0123456789abcdef.part.jpg", "_kinflow-0123456789abcdef.part"),),
        *((".kinflow.jpg", "_kinflow"), (".hidden.jpg", ".hidden"), ("写真.jpg", "写真")),
        *(("a\u202egpj.exe.jpg", "a_gpj.exe"), ("\u2066.jpg", "_")),
        *(("caf\udce9.jpg", "caf_"), ("IMG 0001 (2) [b].jpg", "IMG 0001 (2) [b]")),
        *(("a" * 251 + ".jpg", "a" * 240), ("é" * 125 + ".jpg", "é" * 120)),
    ],
)
def test_every_photo_has_a_safe_folder_inside_the_output(photo, name):
    (folder,) = result_folders([Path(photo)], Path("out"))
    assert folder == Path("out") / name
    assert folder.parent == Path("out") and len(os.fsencode(folder.name)) <= 240


def test_names_that_a_file_system_takes_for_one_get_numbers():
    photos = [Path(name) for name in ("A.jpg", "a.jpg", "caf\u00e9.jpg", "cafe\u0301.jpg")]
    photos += [Path("a" * 250 + end) for end in (".jpg", ".png")]
    folders = names(result_folders(photos, Path("out")))
    assert folders[:3] == ["A", "a_2", "caf\u00e9"]
    assert folders[3:] == ["cafe\u0301_2", "a" * 240, "a" * 240 + "_2"]


def test_output_that_cannot_be_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "deep" / "er"):
        with pytest.raises(InputError, match="is a file, not a folder"):
            check_folder_destination(out)
    check_folder_destination(tmp_path / "new" / "folder")
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_output_without_permission_is_refused_at_once(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="no permission"):
            check_folder_destination(tmp_path / "new")
    finally:
        tmp_path.chmod(0o700)
