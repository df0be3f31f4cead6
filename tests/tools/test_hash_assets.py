"""The manifest of bundled files is complete and right."""

import json
import runpy
from pathlib import Path

import pytest

from kinflow.assets import ASSET_ROOT, MANIFEST, checked_path

TOOL = Path(__file__).parents[2] / "tools" / "hash_assets.py"


def test_every_bundled_file_is_in_the_manifest():
    suffixes = runpy.run_path(str(TOOL))["SUFFIXES"]
    files = {
        p.relative_to(ASSET_ROOT).as_posix() for p in ASSET_ROOT.rglob("*") if p.suffix in suffixes
    }
    assert files == set(json.loads(MANIFEST.read_text(encoding="utf8")))


@pytest.mark.parametrize("name", sorted(json.loads(MANIFEST.read_text(encoding="utf8"))))
def test_every_file_has_the_checksum_of_the_manifest(name):
    assert checked_path(ASSET_ROOT, name).is_file()


def test_checksums_in_the_notice_are_replaced_by_name():
    with_hashes = runpy.run_path(str(TOOL))["with_hashes"]
    old, new = "0" * 64, "1" * 64
    notice = f"Body\n    {old}  body/a.onnx\n    {old}  body/a.onnx.js\nText {old}\n"
    assert with_hashes(notice, {"body/a.onnx": new}) == notice.replace(
        f"{old}  body/a.onnx\n", f"{new}  body/a.onnx\n"
    )
