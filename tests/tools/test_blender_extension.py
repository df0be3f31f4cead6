"""The zip file of the Blender extension."""

import ast
import runpy
import zipfile
from pathlib import Path

import pytest

from kinflow.version import __version__

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "build_blender_extension.py"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return TOOL["build"](tmp_path_factory.mktemp("dist"))


def test_it_holds_the_add_on_and_nothing_else(archive):
    with zipfile.ZipFile(archive) as inside:
        names = inside.namelist()
    assert {name.split("/")[0] for name in names} == {"kinflow_import"}
    assert {"kinflow_import/__init__.py", "kinflow_import/blender_manifest.toml"} <= set(names)
    assert "kinflow_import/LICENSE" in names
    assert {Path(name).suffix for name in names} == {".py", ".toml", ""}


def test_it_is_the_same_again(archive, tmp_path):
    assert TOOL["build"](tmp_path).read_bytes() == archive.read_bytes()


def test_manifest_add_on_and_package_have_one_version():
    text = (ROOT / "blender" / "kinflow_import" / "__init__.py").read_text(encoding="utf8")
    # Blender 3 reads the assignment without running the file
    info = next(n for n in ast.parse(text).body if isinstance(n, ast.Assign))
    assert ".".join(map(str, ast.literal_eval(info.value)["version"])) == __version__
    assert TOOL["manifest_version"]() == __version__


def test_what_blender_does_not_bundle_is_not_imported():
    known = {"bpy", "addon_utils", "numpy", "mathutils"}
    standard = {"base64", "dataclasses", "hashlib", "json", "math", "os", "pathlib", "re", "struct"}
    standard |= {"tempfile", "zipfile"}
    for path in TOOL["files"]():
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Import):
                assert {a.name.split(".")[0] for a in node.names} <= known | standard, path
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                assert str(node.module).split(".")[0] in known | standard, path
