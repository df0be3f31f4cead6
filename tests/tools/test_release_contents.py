"""What the release check finds in archives, on archives made by hand."""

import hashlib
import json
import sys
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import release_contents  # noqa: E402

VERSION = release_contents.version_of(ROOT)
INFO = f"kinflow-{VERSION}.dist-info"
METADATA = f"""Metadata-Version: 2.4
Name: kinflow
Version: {VERSION}
License-Expression: Apache-2.0
License-File: LICENSE
License-File: NOTICE
Requires-Python: <3.14,>=3.10
Provides-Extra: all
Provides-Extra: demo
Provides-Extra: serve
Provides-Extra: train
Provides-Extra: video
Description-Content-Type: text/markdown

# kinflow
"""


@pytest.fixture
def wheel(monkeypatch):
    """The files of a wheel that is as it should be."""
    weights = b"weights"
    files = {
        "kinflow/__init__.py": b"",
        "kinflow/py.typed": b"",
        "kinflow/assets/a.onnx": weights,
        "kinflow/assets/MANIFEST.json": json.dumps(
            {"a.onnx": hashlib.sha256(weights).hexdigest()}
        ).encode(),
        f"{INFO}/METADATA": METADATA.encode(),
        f"{INFO}/entry_points.txt": b"[console_scripts]\nkinflow = kinflow.cli.main:entry_point\n",
        f"{INFO}/licenses/LICENSE": b"",
        f"{INFO}/licenses/NOTICE": b"",
    }
    tracked = {name for name in files if name.startswith("kinflow/")}
    monkeypatch.setattr(release_contents, "tracked_files", lambda _root: tracked)
    return files


def test_a_good_wheel_has_no_problems(wheel):
    assert release_contents.wheel_problems(wheel, ROOT) == []
    assert release_contents.private_paths(wheel, ROOT) == []


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("tests/test_a.py", b"", "'tests' has no place"),
        ("kinflow/__pycache__/a.pyc", b"", "is litter"),
        ("kinflow/scratch.py", b"", "is in no commit"),
        ("kinflow/assets/a.onnx", b"other weights", "missing or another one"),
        ("kinflow/assets/MANIFEST.json", b"{}", "no list of assets"),
        (f"{INFO}/METADATA", METADATA.replace("Apache-2.0", "MIT").encode(), "License-Expression"),
        (f"{INFO}/METADATA", METADATA.replace("Extra: all", "Extra: al").encode(), "lack an extra"),
        (f"{INFO}/entry_points.txt", b"", "no command"),
    ],
)
def test_what_is_wrong_with_a_wheel_is_said(wheel, name, data, said):
    wheel[name] = data
    problems = release_contents.wheel_problems(wheel, ROOT)
    assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize(
    "name", ["kinflow/py.typed", "kinflow/__init__.py", f"{INFO}/licenses/NOTICE"]
)
def test_what_a_wheel_lacks_is_said(wheel, name):
    del wheel[name]
    assert any(name in p and "missing" in p for p in release_contents.wheel_problems(wheel, ROOT))


def test_files_that_name_where_they_were_built_are_found(wheel):
    wheel["kinflow/__init__.py"] = f"# built in {ROOT}/kinflow".encode()
    assert any("__init__" in problem for problem in release_contents.private_paths(wheel, ROOT))


def test_a_source_archive_has_tests_and_pages_and_no_litter():
    tracked = release_contents.tracked_files(ROOT)
    if tracked is None:
        pytest.skip("this is no checkout")
    names = [PurePosixPath(name) for name in tracked if (ROOT / name).exists()]
    assert release_contents.sdist_problems(names, ROOT) == []
    problems = release_contents.sdist_problems(
        [n for n in names if n.parts[0] != "tests"] + [PurePosixPath("docs/.DS_Store")], ROOT
    )
    assert len(problems) == 3  # no tests; litter that is in no commit either
