"""How the command behaves as a process: signals, kills, pipes, odd names, and others beside it."""

import contextlib
import os
import pty
import random
import re
import signal
import subprocess
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path

import forked
import numpy as np
import pytest
from clips import passing, write_clip
from small_photos import small_photos

import kinflow
from kinflow.cli.main import main
from kinflow.export.results import reach_s

NAMES = tuple(f"photo_{number}.png" for number in range(6))


def make_photos(folder: Path, names: tuple[str, ...]) -> list[str]:
    """Small photos with keypoints, so that runs are short; returns the command without `--out`."""
    photos, keypoints = small_photos(folder, names)
    options = ("--keypoints", str(keypoints), "--no-parts", "--format", "json")
    return ["reconstruct", *map(str, photos), *options]


@pytest.fixture
def command(tmp_path) -> list[str]:
    return [*make_photos(tmp_path, NAMES), "--out", str(tmp_path / "out")]


def start(arguments: list[str], **options) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(Path(kinflow.__file__).parent.parent)}
    environment |= {"OMP_NUM_THREADS": "1", **options.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, "-m", "kinflow", *arguments],
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=options.pop("stderr", subprocess.PIPE),
        env=environment,
        # whoever runs the tests in the background may have had signals ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **options,
    )


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, (out or b"").decode(), (err or b"").decode()


def wait_for_rows(process: subprocess.Popen, count: int) -> list[bytes]:
    assert process.stdout is not None
    return [process.stdout.readline() for _ in range(count + 1)]


class Forked:
    """The command in a process that has torch at hand; for what is killed, and for what ends."""

    def __init__(self, words: list[str], folder: Path) -> None:
        self._out, self._err = folder / "out.txt", folder / "err.txt"
        folder.mkdir()
        self._process = forked.start(forked.kinflow, words, told=self._out, complained=self._err)

    def wait_for_rows(self, count: int) -> None:
        """Until it has said as many rows after the first, or has ended."""
        while not self._out.exists() or self._out.read_bytes().count(b"\n") <= count:
            if wait([self._process.sentinel], timeout=0.01):
                break

    def kill(self) -> None:
        self._process.kill()

    def finish(self) -> tuple[int | None, str, str]:
        self._process.join(120)
        return self._process.exitcode, self._out.read_text(), self._err.read_text()


def complete(out: Path) -> set[str]:
    """Names of results; every folder that is there has to be whole."""
    names = {p.name for p in out.iterdir() if not p.name.startswith(".")} if out.exists() else set()
    for name in names:
        assert {p.name for p in (out / name).iterdir()} >= {".kinflow", "people.json"}
        assert kinflow.load(out / name).people
    return names


READ = "keypoints.json: read as COCO annotations, 17 points (COCO)\n"
ALL = {Path(name).stem for name in NAMES}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_work_and_leaves_nothing_behind(command, tmp_path, number, code):
    process = start(command)
    wait_for_rows(process, 1)
    process.send_signal(number)
    returned, out, err = finish(process)
    assert returned == code
    assert err == READ + "kinflow: interrupted\n"
    assert "of 6 files done" in out and "Results:" in out
    assert complete(tmp_path / "out") == {p.name for p in (tmp_path / "out").iterdir()} < ALL


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="libraries cannot be watched")
def test_ctrl_c_in_a_clip_leaves_a_shorter_clip(tmp_path, astronaut_rgb):
    """The first window of 72 frames is fitted, others are on their way."""
    frames = passing(astronaut_rgb, np.linspace(20, 60, 140))
    clip = write_clip(tmp_path / "walk.avi", frames, 25, "MJPG")
    out = tmp_path / "out"
    formats = ("--format", "npz", "json", "bvh", "viewer")
    terminal, stderr = pty.openpty()
    process = start(
        ["reconstruct", str(clip), "--out", str(out), "--no-parts", *formats],
        stderr=stderr,
        env={"COLUMNS": "200"},
    )
    os.close(stderr)
    shown = b""
    while not re.search(rb"frame (7[3-9]|[89][0-9]|1[0-3][0-9]) of 140", shown):
        shown += os.read(terminal, 4096)
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):  # the other end is closed
        while more := os.read(terminal, 4096):
            shown += more
    code, said, _ = finish(process)
    os.close(terminal)
    assert code == 130
    result = kinflow.load(out / "walk")
    assert 60 <= len(result.frames) < 140
    assert f"{len(result.frames)} frames, 1 person" in said
    assert b"walk.avi: stopped after" in shown and b"kinflow: interrupted" in shown
    kept, made = sorted(path.name for path in out.iterdir())
    assert made == "walk" and re.fullmatch(r"\.kinflow-[0-9a-f]{16}\.kept", kept)
    wanted = {"people.npz", "people.json", "person_0.bvh", "viewer.html", ".kinflow"}
    assert {path.name for path in (out / "walk").iterdir()} == wanted
    assert reach_s(out / "walk") == pytest.approx(result.frames[-1].time_s, abs=1e-3)


@pytest.mark.parametrize("library", ["_multiarray_umath", "libtorch_cpu"])
def test_a_signal_while_libraries_are_imported(command, library):
    process = start(command)
    maps = Path(f"/proc/{process.pid}/maps")
    while library not in maps.read_text():
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, out, err) == (130, "", "kinflow: interrupted\n")


def test_kills_hide_nothing_and_the_next_run_tidies_up(command, tmp_path):
    out, rng = tmp_path / "out", random.Random(0)
    for number, options in enumerate(([], ["--overwrite"])):
        before = complete(out)
        process = Forked([*command, *options], tmp_path / f"run {number}")
        process.wait_for_rows(rng.randrange(4))
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.finish()
        assert complete(out) >= before
    code, _, err = Forked(command, tmp_path / "last run").finish()
    assert code == 0 and err in ("", READ)  # the kill may have come after the last photo
    assert complete(out) == {p.name for p in out.iterdir()} == ALL


def test_two_processes_share_the_work(command, tmp_path):
    processes = [Forked(command, tmp_path / name) for name in ("one", "other")]
    rows = []
    for process in processes:
        code, out, err = process.finish()
        assert code == 0, err
        assert set(err.split("\n")) <= {
            *READ.split("\n"),
            *(f"{name}: another kinflow made it meanwhile." for name in NAMES),
        }
        rows += [line for line in out.splitlines() if line.startswith("photo_")]
    made = [row.split()[0] for row in rows if "already there" not in row]
    assert sorted(made) == sorted(NAMES)
    assert len(rows) == 2 * len(NAMES)
    assert complete(tmp_path / "out") == {p.name for p in (tmp_path / "out").iterdir()} == ALL


def test_a_reader_that_has_seen_enough(command, tmp_path):
    process = start(command)
    wait_for_rows(process, 0)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    code, _, err = finish(process)
    assert code == 141 and err in ("", READ)
    assert complete(tmp_path / "out") == {p.name for p in (tmp_path / "out").iterdir()}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device")
def test_output_that_nobody_can_write_to():
    with open("/dev/full", "wb") as full:
        code, _, err = finish(start(["version"], stdout=full))
    assert code == 2
    assert err == "kinflow: Standard output cannot be written (No space left on device).\n"
    for arguments in (["version"], ["--help"]):
        line = f"exec {sys.executable} -m kinflow {' '.join(arguments)} >&- 2>&- <&-"
        environment = {**os.environ, "PYTHONPATH": str(Path(kinflow.__file__).parent.parent)}
        assert subprocess.run(["sh", "-c", line], env=environment, check=False).returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names have to be text")
def test_names_that_are_no_text_on_a_console_that_knows_ascii_only(tmp_path):
    name = os.fsdecode(b"caf\xe9 \xc3\xa9.png")
    command = [*make_photos(tmp_path, (name,)), "--out", str(tmp_path / "out")]
    command += ["--format", "npz", "json", "glb", "viewer", "overlay"]
    environment = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "1"}
    code, out, err = finish(start(command, env=environment))
    assert (code, err) == (0, READ)
    assert "caf\\udce9 \\xe9.png" in out
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.name == "caf_ é"
    assert kinflow.load(folder).source.endswith("caf\ufffd é.png")


def test_photos_beside_their_results(tmp_path, monkeypatch, capsys):
    """Whatever a photo is called, no folder of the user is touched, nor the output folder."""
    command = make_photos(tmp_path, ("holiday.png", "..png", "-rf.png"))
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "diary.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    photos = ["holiday.png", "./..png", "./-rf.png"]
    for _ in range(2):
        assert main([command[0], *photos, *command[4:], "--out", ".", "--overwrite"]) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("The folder 'holiday' is there already")
        assert "2 of 3 files done; 1 could not be used." in captured.out
        assert {path: path.read_bytes() for path in before} == before
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {"holiday", "photo", "_rf"}


def test_results_through_links_are_not_replaced(tmp_path, capsys):
    command = make_photos(tmp_path, ("a.png",))
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    command += ["--out", str(tmp_path / "out")]
    assert main(command) == 0
    (tmp_path / "real" / "a").rename(tmp_path / "elsewhere")
    (tmp_path / "real" / "a").symlink_to(tmp_path / "elsewhere")
    written = (tmp_path / "elsewhere" / "people.json").stat()
    assert main(command) == 0
    assert main([*command, "--overwrite"]) == 2
    assert "is a link" in capsys.readouterr().err
    assert (tmp_path / "elsewhere" / "people.json").stat() == written


def test_a_signal_when_everything_is_done(tmp_path):
    """Python gives up its handlers when it ends; a process that is done must not die of a signal.

    The last thing that runs is a destructor, which sends one."""
    script = (
        "import os, signal, sys\n"
        "from kinflow.cli.main import entry_point\n"
        "class Last:\n"
        "    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGTERM):\n"
        "        kill(pid, number)\n"
        "sys.last = Last()\n"
        "sys.argv = ['kinflow', 'version']\n"
        "entry_point()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_folder_that_was_removed_under_the_command(tmp_path):
    (tmp_path / "gone").mkdir()
    script = (
        "import os, sys\n"
        "from kinflow.cli.main import main\n"
        "os.rmdir(os.getcwd())\n"
        "sys.exit(main(['sample', '--out', 'x']))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(kinflow.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path / "gone",
        env=environment,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert b"The folder you are in cannot be used any more" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_results_on_a_disk_that_nobody_may_write_to(tmp_path, monkeypatch):
    command = [*make_photos(tmp_path, NAMES[:1]), "--out", str(tmp_path / "out")]
    assert main(command) == 0

    def refuse(_folder):
        raise AssertionError("a place to write to was looked for")

    monkeypatch.setattr("kinflow.pipeline.photos.check_folder_destination", refuse)
    assert main(command) == 0
