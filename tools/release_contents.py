"""What has to be in a wheel and a source archive, and what must not be; no third-party package.

`problems_of` gives a sentence for everything that is not as it should be.
"""

import email
import hashlib
import json
import re
import subprocess
import tarfile
import zipfile
from email.message import Message
from pathlib import Path, PurePosixPath

MAX_WHEEL_MB = 80
"""What ships has to stay a download of a minute on a slow line."""
SDIST_HAS = ("tests", "tools", "benchmarks", "docs", "examples", "blender", "kinflow")
_LITTER = {"__pycache__", ".pytest_cache", ".ruff_cache", ".venv", ".git", ".ipynb_checkpoints"}
_LITTER_ENDINGS = (".pyc", ".tmp", ".orig", ".rej", ".swp", ".DS_Store")
_TEXT_ENDINGS = (
    ".py",
    ".md",
    ".json",
    ".toml",
    ".txt",
    ".html",
    ".js",
    ".css",
    "METADATA",
    "RECORD",
)


def problems_of(sdist: Path, wheel: Path, root: Path) -> list[str]:
    """Sentences about a wheel and a source archive.

    Args:
        sdist: the source archive.
        wheel: the wheel.
        root: the checkout that both were built from.
    """
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    problems = [*wheel_problems(files, root), *private_paths(files, root)]
    if wheel.stat().st_size > MAX_WHEEL_MB * 1e6:
        problems.append(f"The wheel has more than {MAX_WHEEL_MB} MB.")
    with tarfile.open(sdist) as archive:
        names = [PurePosixPath(*PurePosixPath(n).parts[1:]) for n in archive.getnames()]
    return problems + sdist_problems(names, root)


def wheel_problems(files: dict[str, bytes], root: Path) -> list[str]:
    """Sentences about the files of a wheel, by name."""
    version = version_of(root)
    info = f"kinflow-{version}.dist-info"
    problems = [f"'{name}' is litter." for name in files if is_litter(PurePosixPath(name))]
    tops = {name.split("/")[0] for name in files}
    problems += [f"'{top}' has no place in a wheel." for top in sorted(tops - {"kinflow", info})]
    tracked = tracked_files(root)
    if tracked is not None:
        inside = {name for name in files if name.startswith("kinflow/")}
        wanted = {name for name in tracked if name.startswith("kinflow/")}
        problems += [f"'{name}' is in no commit." for name in sorted(inside - wanted)]
        problems += [f"'{name}' is missing." for name in sorted(wanted - inside)]
    for name in ("kinflow/py.typed", f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"):
        if name not in files:
            problems.append(f"'{name}' is missing.")
    return problems + asset_problems(files) + metadata_problems(files, info, version)


def asset_problems(files: dict[str, bytes]) -> list[str]:
    """Sentences about weights and pages that are missing or are not those of the manifest."""
    manifest = json.loads(files.get("kinflow/assets/MANIFEST.json", b"{}"))
    problems = [] if manifest else ["There is no list of assets."]
    for name, digest in manifest.items():
        data = files.get(f"kinflow/assets/{name}")
        if data is None or hashlib.sha256(data).hexdigest() != digest:
            problems.append(f"The asset '{name}' is missing or another one.")
    return problems


def metadata_problems(files: dict[str, bytes], info: str, version: str) -> list[str]:
    """Sentences about what an index would say of the wheel."""
    metadata: Message = email.message_from_bytes(files.get(f"{info}/METADATA", b""))
    expected = {
        "Name": "kinflow",
        "Version": version,
        "License-Expression": "Apache-2.0",
        "Requires-Python": "<3.14,>=3.10",
        "Description-Content-Type": "text/markdown",
    }
    problems = [
        f"The metadata say {name}: {metadata[name]}, not {value}."
        for name, value in expected.items()
        if metadata[name] != value
    ]
    if {"LICENSE", "NOTICE"} - set(metadata.get_all("License-File", [])):
        problems.append("The metadata do not name LICENSE and NOTICE.")
    if {"video", "serve", "train", "demo", "all"} - set(metadata.get_all("Provides-Extra", [])):
        problems.append("The metadata lack an extra.")
    if b"kinflow = kinflow.cli.main:entry_point" not in files.get(f"{info}/entry_points.txt", b""):
        problems.append("There is no command 'kinflow'.")
    return problems


def private_paths(files: dict[str, bytes], root: Path) -> list[str]:
    """Sentences about files that name the folder they were built in or somebody's home."""
    marks = {str(place) for place in (root, Path.home()) if len(place.parts) > 2}
    return [
        f"'{name}' names '{mark}'."
        for name, data in files.items()
        if name.endswith(_TEXT_ENDINGS)
        for mark in marks
        if mark.encode() in data
    ]


def sdist_problems(names: list[PurePosixPath], root: Path) -> list[str]:
    """Sentences about the files of a source archive, without the folder that they are in."""
    problems = [f"'{name}' is litter." for name in names if is_litter(name)]
    tops = {name.parts[0] for name in names if name.parts}
    problems += [f"The source archive has no '{top}'." for top in SDIST_HAS if top not in tops]
    tracked = tracked_files(root)
    if tracked is not None:
        inside = {str(name) for name in names}
        told = {"PKG-INFO", *tracked}
        files = {n for n in inside if not any(other.startswith(f"{n}/") for other in inside)}
        problems += [f"'{name}' is in no commit." for name in sorted(files - told - {"."})]
    return problems


def is_litter(name: PurePosixPath) -> bool:
    """Whether a file is what editors, tests and Python leave behind."""
    return bool(_LITTER & set(name.parts)) or name.name.endswith(_LITTER_ENDINGS)


def tracked_files(root: Path) -> set[str] | None:
    """Files that git knows; None outside of a checkout."""
    done = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, check=False)
    return set(done.stdout.decode().split("\0")) - {""} if done.returncode == 0 else None


def version_of(root: Path) -> str:
    """The version that the package states."""
    text = (root / "kinflow" / "version.py").read_text(encoding="utf8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.M)
    return found[1] if found else ""
