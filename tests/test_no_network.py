"""Nothing is sent: a run never opens a socket, and writes nowhere but where it was told to.

The proof is the kernel's: a seccomp filter ends the process at its first `socket` call for anything
but a local one. onnxruntime's reports leave after some ten seconds, later than the run
ends, but their device id appears in the home folder at once, so that it has to stay empty. Tests
that show that the filter bites stand beside those that rely on it.
"""

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

import kinflow

ROOT = Path(kinflow.__file__).parent.parent

SHIELD = """
import ctypes, os, socket, struct, sys

NUMBERS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # architecture, socket()
arch, number = NUMBERS[os.uname().machine]
load, jump_equal, give = 0x20, 0x15, 0x06
allow, kill = 0x7FFF0000, 0x80000000
program = b"".join(
    struct.pack("HBBI", *step)
    for step in [
        (load, 0, 0, 4), (jump_equal, 0, 5, arch),
        (load, 0, 0, 0), (jump_equal, 0, 3, number),
        (load, 0, 0, 16), (jump_equal, 1, 0, socket.AF_UNIX),
        (give, 0, 0, kill), (give, 0, 0, allow),
    ]
)
steps = ctypes.create_string_buffer(program)
whole = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(steps))
prctl = ctypes.CDLL(None, use_errno=True).prctl
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2
if prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or prctl(SECCOMP, FILTER, whole, 0, 0):
    sys.exit(77)
"""

RUN_KINFLOW = "\nfrom kinflow.cli.main import main\nsys.exit(main(sys.argv[1:]))\n"

linux_only = pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="seccomp filters are Linux's",
)


def python(code: str, *arguments: object, home: Path, **environment: str):
    """Run code with a home folder and environment of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "ORT_"))}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("this system allows no seccomp filters")
    return done


@pytest.fixture
def home(tmp_path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.jpg"
    Image.fromarray(skimage.data.astronaut()).resize((256, 256)).save(path)
    return path


@linux_only
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_NETLINK"])
def test_the_shield_bites(family, home):
    done = python(SHIELD + f"\nsocket.socket(socket.{family}, socket.SOCK_DGRAM)", home=home)
    assert done.returncode == -signal.SIGSYS
    assert python(SHIELD + "\nsocket.socketpair()", home=home).returncode == 0


@linux_only
def test_a_run_opens_no_socket_and_leaves_the_home_folder_empty(photo, home, tmp_path):
    out = tmp_path / "results"
    done = python(SHIELD + RUN_KINFLOW, "reconstruct", photo, "--out", out, home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert (out / "photo" / "people.npz").is_file()
    assert list(home.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "photo.jpg", "results"]


def test_the_switch_holds_in_every_order_of_imports(home):
    """Also where a program says otherwise, and where onnxruntime comes right after kinflow."""
    code = """
import os, kinflow
import onnxruntime
import kinflow.evidence.weights
assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
"""
    done = python(code, home=home, ORT_DISABLE_TELEMETRY="0")
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []


def test_onnxruntime_is_imported_in_one_place():
    """Where its reports are switched off; anywhere else they might be forgotten."""
    pattern = re.compile(r"^\s*(import|from) onnxruntime", re.MULTILINE)
    folders = ("kinflow", "tools", "benchmarks", "examples")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    found = [
        path.relative_to(ROOT).as_posix() for path in files if pattern.search(path.read_text())
    ]
    assert found == ["kinflow/evidence/onnx_runtime.py"]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_files_that_a_run_opens_for_writing(photo, home, tmp_path):
    """All of them are below the output folder."""
    out, trace = tmp_path / "results", tmp_path / "trace"
    code = "import sys" + RUN_KINFLOW
    options = [
        "-f",
        "-qq",
        "--seccomp-bpf",
        "-e",
        "trace=openat,open,creat,mkdir,connect",
        "-o",
        str(trace),
    ]
    launch = f"import os, sys; os.execvp('strace', ['strace', *{options!r}, *sys.argv[1:]])"
    arguments = [sys.executable, "-B", "-c", code, "reconstruct", photo, "--out", out]
    done = python(launch, *arguments, home=home)
    if "ptrace" in done.stderr or not trace.exists():
        pytest.skip("this system allows no tracing")
    assert done.returncode == 0, done.stderr
    calls = trace.read_text().splitlines()
    assert not [call for call in calls if "connect(" in call]
    making = [c for c in calls if re.search(r"O_WRONLY|O_RDWR|O_CREAT|mkdir\(|creat\(", c)]
    elsewhere = [
        call
        for call in making
        if str(out) not in call and "/dev/" not in call and " = -1 " not in call
    ]
    assert making and elsewhere == []
