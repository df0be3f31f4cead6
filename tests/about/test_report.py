"""The report says what a maintainer needs, and nothing of who and where somebody is."""

import platform
import socket
from pathlib import Path

import numpy as np
import pytest
from moving_people import walking_clip
from PIL import Image

from kinflow.about.privacy import Scrubber
from kinflow.about.report import report
from kinflow.cli.main import main
from kinflow.export.clip_writer import ClipExportOptions, write_clip
from kinflow.export.results import Origin

USER, HOST, PROJECT = "wilhelmina", "secretbox", "unreleased-film"


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A home, a user and a machine whose names must not be told."""
    home = tmp_path / "home" / USER
    (home / PROJECT).mkdir(parents=True)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in ("USER", "LOGNAME", "USERNAME"):
        monkeypatch.setenv(name, USER)
    monkeypatch.setenv("HOSTNAME", f"{HOST}.example.org")
    monkeypatch.setenv("KINFLOW_CACHE", str(home / "cache"))
    monkeypatch.setattr(socket, "gethostname", lambda: f"{HOST}.example.org")
    monkeypatch.setattr(platform, "node", lambda: HOST)
    monkeypatch.setattr(platform, "release", lambda: f"6.1.0-{USER}@{HOST}")
    monkeypatch.chdir(home / PROJECT)
    return home / PROJECT


def tells_nothing(text):
    low = text.lower()
    for secret in (USER, HOST, PROJECT, "/home", "anna", "tmp"):
        assert secret not in low, text
    return True


def test_the_machine_is_told_without_names(planted):
    text = report()
    assert tells_nothing(text)
    for said in ("kinflow: 0.", "torch: ", "Python: CPython 3.", "cores", "GPU: ", "extras: "):
        assert said in text
    assert "6.1.0-<user>@<host>" in text
    assert "KINFLOW_CACHE: <" in text


def test_a_result_folder_is_told_in_numbers(planted):
    clip = walking_clip(12, gap=(9, 10))
    options = {
        "prior": str(planted / "anna.safetensors"),
        "keypoints": "shots/anna/kp.json",
        "body": "anna.npz",
        "parts": "shots/anna",
        "fov": 40,
    }
    origin = Origin(str(planted / "anna_walks.mp4"), "0" * 64, options)
    folder = planted / "anna_walks"
    write_clip(clip, folder, ClipExportOptions(("npz", "glb")), origin=origin)
    for subject in (folder, Path("anna_walks")):
        text = report(subject)
        assert tells_nothing(text)
        assert "of: a file .mp4" in text
        assert "frames: 12, 0.000 to" in text and "picture: 320 x 240" in text
        assert "person 0: ok 12; score 0.90" in text
        assert "person 3: ok 3;" in text
        assert "fov = 40" in text and "people.npz" in text and "prior = a file .safetensors" in text


def test_a_photo_is_told_by_its_kind(planted):
    rgb = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    photo = planted / "anna.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).save(photo, exif=exif)
    text = report(photo)
    assert tells_nothing(text)
    assert "kind: JPEG, RGB" in text and "stored: 60 x 40" in text
    assert "orientation 6" in text and "decoded: whole" in text


@pytest.mark.parametrize("name", ["anna.jpg", "anna.mp4", "anna"])
def test_what_cannot_be_read_is_told_by_its_sentence(planted, name):
    path = planted / name
    path.write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    text = report(path)
    assert tells_nothing(text)
    assert "read: " in text and "<input>" in text


def test_a_damaged_result_folder_is_told(planted):
    folder = planted / "anna"
    folder.mkdir()
    (folder / "people.npz").write_bytes(b"PK\x03\x04nothing")
    text = report(folder)
    assert tells_nothing(text)
    assert "read: " in text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("see /home/ann/a b.txt", "see <path> b.txt"),
        ("at C:\\Users\\ann\\x.npz, and", "at <path>.npz, and"),
        (r"\\server\share\x.mp4", "<path>.mp4"),
        ("~/.config/kinflow", "<path>"),
        ("prior = weights/mine.safetensors", "prior = <path>.safetensors"),
        ("'/a/b/c.jpg' is damaged.", "'<path>.jpg' is damaged."),
        ("'/a b/c d.jpg' is no \"x y/z w.png\".", "'<path>.jpg' is no \"<path>.png\"."),
        ("30 frames, 1.5 m, 640 x 480; ok 3", "30 frames, 1.5 m, 640 x 480; ok 3"),
    ],
)
def test_paths_of_any_kind_are_taken_out(text, clean):
    assert Scrubber(())(text) == clean


def test_names_are_taken_out_as_words():
    scrub = Scrubber((("eva", "<user>"),))
    assert scrub("Eva evaluates eva's") == "<user> evaluates <user>'s"


def test_the_command_writes_a_file(tmp_path, capsys):
    assert main(["report", "--out", str(tmp_path / "report.txt")]) == 0
    assert "read it before you send it" in capsys.readouterr().out
    assert (tmp_path / "report.txt").read_text().startswith("[Installation]\nkinflow: ")
    assert main(["report", str(tmp_path / "nothing.jpg")]) == 2
    assert "There is no" in capsys.readouterr().err
