"""Files and folders appear complete or not at all, and what killed processes left goes."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kinflow.errors import InputError
from kinflow.files import atomic, folders
from kinflow.files.atomic import write_bytes
from kinflow.files.destinations import check_file_destination
from kinflow.files.exchange import exchange
from kinflow.files.folders import Claim, check_destination, new_folder, remove_litter
from kinflow.files.marker import MARKER_NAME, Marker

ONE = Marker(("one",))


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def disk_full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def make(folder: Path, text: str, overwrite: bool = False, marker: Marker = ONE) -> None:
    with new_folder(folder, marker, overwrite) as new:
        for name in marker.files:
            (new / name).write_text(text)


def run_script(script: str, *arguments: object) -> subprocess.Popen:
    """A process with these imports that prints a line when it has come to the point."""
    header = (
        "import os, sys, time\nfrom pathlib import Path\n"
        "from kinflow.files import atomic, folders\n"
        "from kinflow.files.marker import Marker\n"
        "def wait():\n    print('there', flush=True)\n    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", header + script, *map(str, arguments)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"there\n"
    return process


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_single_files_are_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "people.npz"
    write_bytes(path, b"first")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", disk_full)
        with pytest.raises(InputError, match="The disk is full"):
            write_bytes(path, b"second")
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == {"people.npz"}
    write_bytes(path, b"third")
    assert path.read_bytes() == b"third"
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()


def test_names_as_long_as_names_can_be(tmp_path):
    name = "é" * 127 + "b"
    write_bytes(tmp_path / name, b"x")
    make(tmp_path / f"{name[:-1]}c", "x")
    make(tmp_path / f"{name[:-1]}c", "y", overwrite=True)
    assert names(tmp_path) == {name, f"{name[:-1]}c"}
    with pytest.raises(InputError, match="cannot be written"):
        write_bytes(tmp_path / ("n" * 256), b"x")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("file/below", "is a file, not a folder"),
        ("folder", "is a folder"),
        ("folder/.", "is a folder"),
        ("n" * 300 + "/x", "cannot be written"),
        ("null\0byte", "cannot be written"),
        ("/dev/null", "is a device"),
    ],
)
def test_files_that_cannot_be_are_refused_at_once(tmp_path, path, message):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    before = names(tmp_path)
    with pytest.raises(InputError, match=message):
        check_file_destination(tmp_path / path)
    assert names(tmp_path) == before
    check_file_destination(tmp_path / "new" / "file")
    check_file_destination(tmp_path / "file")
    assert names(tmp_path) == before


def test_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is a device or a pipe"):
        write_bytes(tmp_path / "pipe", b"x")
    with pytest.raises(InputError, match="cannot be written"):
        write_bytes(tmp_path / "nowhere" / "people.npz", b"x")


def test_litter_of_a_killed_writer_goes_and_that_of_a_live_one_stays(tmp_path):
    script = "atomic.os.fsync = lambda _: wait()\natomic.write_bytes(Path(sys.argv[1]), b'x')"
    dead, live = (run_script(script, tmp_path / name) for name in ("dead", "live"))
    assert len(names(tmp_path)) == 2
    kill(dead)
    (tmp_path / ".kinflow-notes.tmp").write_text("mine")
    try:
        atomic._swept.clear()
        write_bytes(tmp_path / "file", b"x")
        assert len(names(tmp_path) - {"file", ".kinflow-notes.tmp"}) == 1
    finally:
        kill(live)
    remove_litter(tmp_path)
    assert names(tmp_path) == {"file", ".kinflow-notes.tmp"}


@pytest.mark.parametrize("can_exchange", [True, False])
def test_replacing_keeps_what_is_not_ours(tmp_path, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr(folders, "exchange", lambda *_: False)
    make(tmp_path / "a", "old", marker=Marker(("one", "two")))
    (tmp_path / "a" / "mine").mkdir()
    make(tmp_path / "a", "new", overwrite=True)
    assert names(tmp_path / "a") == {MARKER_NAME, "one", "mine"}
    assert (tmp_path / "a" / "one").read_text() == "new"
    assert names(tmp_path) == {"a"}
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o777 & ~umask()


@pytest.mark.skipif(sys.platform != "linux", reason="one step only on Linux")
def test_folders_change_places_in_one_step(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("not on this file system")
    assert names(tmp_path / "a") == {"b"} and names(tmp_path / "b") == {"a"}
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "a", tmp_path / "none")


def test_a_failing_rename_puts_the_previous_folder_back(tmp_path, monkeypatch):
    make(tmp_path / "a", "old")
    rename = Path.rename
    monkeypatch.setattr(folders, "exchange", lambda *_: False)

    def fail_for_new(self, target):
        if self.parent.suffix == ".part":
            disk_full()
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail_for_new)
        with pytest.raises(InputError, match="disk is full"):
            make(tmp_path / "a", "new", overwrite=True)
    assert names(tmp_path) == {"a"}
    assert (tmp_path / "a" / "one").read_text() == "old"


POINTS = {
    "while it is filled": ("", "old"),
    "after the exchange": ("folders.sync_folder = lambda path: path == out and wait()\n", "new"),
    "between two renames": (
        "folders.exchange = lambda *_: False\nrename = Path.rename\n"
        "Path.rename = lambda p, to: rename(p, to) and p.parent == out and wait()\n",
        "old",
    ),
    "while the old one is deleted": ("Path.unlink = lambda *_, **__: wait()\n", "new"),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_while_a_folder_is_replaced_hides_nothing(tmp_path, point):
    patch, expected = POINTS[point]
    make(tmp_path / "a", "old")
    (tmp_path / "a" / "mine").write_text("mine")
    script = (
        "out = Path(sys.argv[1])\n" + patch + "\n"
        "with folders.new_folder(out / 'a', Marker(('one',)), overwrite=True) as new:\n"
        "    (new / 'one').write_text('new')\n" + ("    wait()\n" if not patch else "")
    )
    kill(run_script(script, tmp_path))
    assert names(tmp_path) != {"a"}
    remove_litter(tmp_path)
    assert names(tmp_path) == {"a"}
    assert names(tmp_path / "a") == {MARKER_NAME, "one", "mine"}
    assert (tmp_path / "a" / "one").read_text() == expected
    assert (tmp_path / "a" / "mine").read_text() == "mine"


def test_a_folder_is_claimed_once(tmp_path):
    out = tmp_path / "out"
    script = "c = folders.Claim.take(Path(sys.argv[1]))\nassert c\nwait()"
    other = run_script(script, out / "a")
    try:
        assert Claim.take(out / "a", patience_s=0.2) is None
        with pytest.raises(InputError, match="Another kinflow is working"):
            make(out / "a", "x")
        remove_litter(out)
        assert len(names(out)) == 1
        make(out / "b", "x")
    finally:
        kill(other)
    claim = Claim.take(out / "a")
    assert claim is not None
    assert Claim.take(out / "a") is None
    claim.release()
    assert names(out) == {"b"}


def test_threads_that_claim_one_folder_take_turns(tmp_path):
    inside, most, made = 0, 0, 0

    def work() -> None:
        nonlocal inside, most, made
        for _ in range(10):
            claim = Claim.take(tmp_path / "a", patience_s=20.0)
            assert claim is not None
            with claim:
                inside += 1
                most = max(most, inside)
                make_claimed(claim)
                made += 1
                inside -= 1

    def make_claimed(claim: Claim) -> None:
        with new_folder(tmp_path / "a", ONE, overwrite=True, claim=claim) as new:
            (new / "one").write_text("x")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, made) == (1, 40)
    assert names(tmp_path) == {"a"}


def test_without_locks_a_claim_is_granted_and_nothing_of_others_removed(tmp_path, monkeypatch):
    kill(run_script("folders.Claim.take(Path(sys.argv[1]) / 'b')\nwait()", tmp_path))
    left = names(tmp_path)
    monkeypatch.setattr("kinflow.files.locks.fcntl", None)
    make(tmp_path / "a", "x")
    assert names(tmp_path) == {"a", *left}


def test_destinations_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").write_text("x")
    make(tmp_path / "made", "x")
    (tmp_path / "link").symlink_to(tmp_path / "made")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for name, overwrite, message in [
        ("file", True, "is a file, not a folder"),
        ("mine", True, "was not made by kinflow"),
        ("mine", False, "was not made by kinflow"),
        ("made", False, "ask to overwrite it"),
        ("link", True, "is a link"),
        ("dangling", False, "is a link"),
        ("file/below", True, "part of its path is a file"),
        ("/", True, "not made by kinflow"),
    ]:
        with pytest.raises(InputError, match=message):
            make(tmp_path / name, "y", overwrite)
    assert names(tmp_path) == {"file", "mine", "made", "link", "dangling"}
    check_destination(tmp_path / "made", ONE.files, overwrite=True)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="no permission"):
            make(tmp_path / "a", "x")
    finally:
        tmp_path.chmod(0o700)


def test_permission_errors_have_a_sentence(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match="no permission"):
        make(tmp_path / "a", "x")


@pytest.mark.parametrize("kind", ["lock", "part"])
@pytest.mark.parametrize("thing", ["pipe", "link", "folder"])
def test_something_else_in_a_working_place_is_named_and_never_waited_for(tmp_path, kind, thing):
    place = folders._work(tmp_path, folders._key("a"), kind)
    if thing == "pipe":
        os.mkfifo(place)
    elif thing == "link":
        place.symlink_to(tmp_path / "elsewhere")
    elif kind == "lock":
        place.mkdir()
    else:
        place.mkdir()
        (place / "mine").write_text("mine")
    with pytest.raises(InputError, match=rf"{place.name}' is in the way"):
        make(tmp_path / "a", "x")
    remove_litter(tmp_path)
    assert names(tmp_path) == {place.name}


def test_one_thing_in_the_way_leaves_no_other_litter(tmp_path):
    kill(run_script("folders.Claim.take(Path(sys.argv[1]) / 'b')\nwait()", tmp_path))
    for number in "0f":
        os.mkfifo(tmp_path / f".kinflow-{number * 16}.lock")
    assert len(names(tmp_path)) == 3
    remove_litter(tmp_path)
    assert len(names(tmp_path)) == 2


def test_an_empty_folder_is_a_fine_destination(tmp_path):
    (tmp_path / "a").mkdir()
    make(tmp_path / "a", "x")
    assert names(tmp_path / "a") == {MARKER_NAME, "one"}


def test_an_output_folder_that_vanishes(tmp_path):
    out = tmp_path / "out"
    with (
        pytest.raises(InputError, match="cannot be written"),
        new_folder(out / "a", ONE) as new,
    ):
        out.rename(tmp_path / "away")
        (new / "one").write_text("x")
    make(out / "a", "x")
    assert names(out) == {"a"}
