"""Build wheel and source archive and check all that a release has to keep:

    python tools/check_release.py [--out dist] [--python python3.10 python3.13 ...]

In an environment of its own, with `build` and `twine`: the archives are built, the wheel from the
source archive and twice, which has to give the same bytes (`SOURCE_DATE_EPOCH` is the time of the
last commit unless it is set). `tools/release_contents.py` says what is looked at in them. For each
interpreter that is named the wheel is installed alone, with the extra `demo`, far from this folder,
and has to run the demo; the extras that people ask for have to resolve. Needs the package index.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from release_contents import problems_of  # noqa: E402

EXTRAS = ("video,serve,train", "all")
"""What users ask for; has to resolve."""
TOOLS = ("build>=1.2", "twine>=6.1", "hatchling>=1.25")
DEMO_FILES = ("walk/overlay.webm", "walk/person_0.bvh", "astronaut/people.npz", "camera/scene.glb")


def main() -> None:
    parser = argparse.ArgumentParser(description="Build and check a release.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where the archives go")
    parser.add_argument("--python", nargs="*", default=[], help="interpreters to install it in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kinflow-release-") as temporary:
        work = Path(temporary)
        python = environment(sys.executable, work / "tools")
        run(python, "-m", "pip", "install", "--quiet", *TOOLS)
        archives = built(python, work)
        run(python, "-m", "twine", "check", "--strict", *archives)
        problems = problems_of(*archives, ROOT)
        for problem in problems:
            print(f"problem: {problem}")
        if problems:
            raise SystemExit(2)
        options.out.mkdir(parents=True, exist_ok=True)
        sdist, wheel = (Path(shutil.copy(archive, options.out)) for archive in archives)
        for archive in (sdist, wheel):
            print(
                f"{archive.name}: {archive.stat().st_size / 1e6:.1f} MB, contents as they should be"
            )
        for interpreter in options.python:
            installed(interpreter, wheel.resolve(), work / "alone")


def built(python: Path, work: Path) -> tuple[Path, Path]:
    """The source archive, and the wheel that is built from it."""
    env = {**os.environ, "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH") or last_commit()}
    build = (python, "-m", "build", "--no-isolation")
    run(*build, "--sdist", "--outdir", work / "sdist", ROOT, env=env)
    (sdist,) = (work / "sdist").glob("*.tar.gz")
    shutil.unpack_archive(sdist, work / "unpacked")
    (source,) = (work / "unpacked").iterdir()
    wheels = []
    for turn in ("first", "second"):
        run(*build, "--wheel", "--outdir", work / turn, source, env=env)
        wheels += (work / turn).glob("*.whl")
    first, second = wheels
    if first.read_bytes() != second.read_bytes():
        raise SystemExit("Two builds of the same source differ.")
    return sdist, first


def last_commit() -> str:
    """Seconds since 1970 of the last commit; of an unpacked archive that of its youngest file."""
    done = subprocess.run(
        ["git", "-C", ROOT, "log", "-1", "--format=%ct"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or str(int((ROOT / "pyproject.toml").stat().st_mtime))


def installed(interpreter: str, wheel: Path, folder: Path) -> None:
    """Install the wheel alone and run the demo with it, away from the sources."""
    started = time.monotonic()
    python = environment(interpreter, folder / "venv")
    pip = (python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt")
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    run(*pip, f"{wheel}[demo]", env=env, cwd=folder)
    took = time.monotonic() - started
    kinflow = python.with_name("kinflow")
    out = folder / "demo"
    run(kinflow, "demo", "--out", out, env=env, cwd=folder)
    run(kinflow, "licences", "--quiet", "--extras", "demo", env=env, cwd=folder)
    run(kinflow, "report", out / "walk", env=env, cwd=folder)
    missing = [name for name in DEMO_FILES if not (out / name).is_file()]
    if missing:
        raise SystemExit(f"{interpreter}: the demo did not write {', '.join(missing)}.")
    for extras in EXTRAS:
        run(*pip, "--dry-run", f"{wheel}[{extras}]", env=env, cwd=folder)
    version = output(python, "-c", "import platform; print(platform.python_version())")
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    print(
        f"Python {version}: installed alone in {took:.0f} s ({size / 1e9:.1f} GB), demo done, "
        f"licences fine, extras resolve, {time.monotonic() - started:.0f} s together",
        flush=True,
    )
    shutil.rmtree(folder)


def environment(interpreter: str, folder: Path) -> Path:
    """A new virtual environment; returns its Python."""
    run(interpreter, "-m", "venv", folder)
    return folder / ("Scripts" if os.name == "nt" else "bin") / "python"


def run(*command: object, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run a command; what it printed is shown if it fails.

    Raises:
        SystemExit: it failed.
    """
    done = subprocess.run(
        [str(word) for word in command],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout[-4000:], done.stderr[-4000:], sep="\n")
        raise SystemExit(f"failed: {' '.join(str(word) for word in command)}")


def output(*command: object) -> str:
    """What a command prints."""
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
