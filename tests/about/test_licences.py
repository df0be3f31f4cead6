"""Licences are understood, and what is not free to use, or not known, is refused."""

import json
import shutil
from email.message import Message
from pathlib import PurePosixPath

import pytest

from kinflow.about.audit import audit
from kinflow.about.bundled import libraries_in
from kinflow.about.licence_names import spdx_of
from kinflow.about.packages import Package, extras_of_project, installed_packages
from kinflow.about.spdx import judge
from kinflow.about.weights import shipped_files
from kinflow.assets import ASSET_ROOT, MANIFEST


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("MIT", "permissive"),
        ("BSD-3-Clause AND 0BSD AND MIT", "permissive"),
        ("Apache-2.0 WITH LLVM-exception", "permissive"),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", "permissive"),
        ("GPL-2.0-only OR MIT", "permissive"),
        ("MIT AND GPL-2.0-only OR ISC", "permissive"),  # AND binds closer
        ("MIT AND (GPL-2.0-only OR LGPL-3.0-only)", "copyleft"),
        ("MIT AND MPL-2.0", "copyleft"),
        ("AGPL-3.0-only", "copyleft"),
        ("CC-BY-NC-4.0", "copyleft"),
        ("LicenseRef-Proprietary", "unknown"),
        ("MIT AND Mystery-1.0", "unknown"),
        ("MIT OR", "unknown"),
        ("(MIT", "unknown"),
        ("MIT Apache-2.0", "unknown"),
        ("See LICENSE, section 3", "unknown"),
        ("", "unknown"),
    ],
)
def test_expressions_are_judged(expression, verdict):
    assert judge(expression) == verdict


def metadata(expression="", text="", classifiers=()) -> Message:
    message = Message()
    if expression:
        message["License-Expression"] = expression
    if text:
        message["License"] = text
    for classifier in classifiers:
        message["Classifier"] = classifier
    return message


APACHE = "License :: OSI Approved :: Apache Software License"
LGPL = "License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)"


@pytest.mark.parametrize(
    ("said", "spdx"),
    [
        (metadata("MIT", "GPL", (LGPL,)), "MIT"),
        (metadata(text="Apache 2.0", classifiers=(APACHE,)), "Apache-2.0"),
        (metadata(text="BSD-3-Clause", classifiers=(LGPL,)), "BSD-3-Clause AND LGPL-3.0-only"),
        (metadata(text="MIT License\n\nCopyright\n\nPermission is hereby granted, free of charge, "
                  "to any person obtaining a copy of"), "MIT"),
        (metadata(text="Copyright of all is mine\n" * 9, classifiers=(APACHE,)), "Apache-2.0"),
        (metadata(text="UNKNOWN", classifiers=(APACHE,)), "Apache-2.0"),
        (metadata(text="UNKNOWN"), ""),
        (metadata(text="Copyright of all is mine\n" * 9), ""),
        (metadata(classifiers=("License :: Free for non-commercial use",)), ""),
        (metadata(text="MIT", classifiers=("License :: Free for non-commercial use",)), ""),
        (metadata(), ""),
    ],
)  # fmt: skip
def test_metadata_become_expressions(said, spdx):
    assert spdx_of(said) == spdx


def test_libraries_inside_wheels_are_known_or_not():
    names = (
        "libpng16-1d1b9958.so.16.58.0",
        "libavcodec-c4204469.so.62.28.101",
        "libx264-af123456.so.164",
    )
    names += ("libgfortran-040039e1-0352e75f.so.5.0.0", "libmystery-00000000.so.1")
    files = [PurePosixPath("a.libs") / name for name in names]
    files += [PurePosixPath("a/libown.so"), PurePosixPath("cv2/opencv_videoio_ffmpeg4100_64.dll")]
    found = {library.name: library for library in libraries_in(files)}
    assert found["png16"].verdict == found["gfortran"].verdict == "permissive"
    assert found["avcodec"].verdict == "permissive" and "replaced" in found["avcodec"].why
    assert found["x264"].verdict == "copyleft"
    assert found["mystery"].verdict == "unknown"
    assert any("ffmpeg" in name and library.why for name, library in found.items())
    assert "own" not in found


def test_what_is_not_free_is_refused():
    def package(name, licence, *libraries):
        return Package(name, "1.0", licence, (), libraries_in(map(PurePosixPath, libraries)))

    packages = [
        package("good", "MIT"),
        package("viral", "GPL-3.0-only"),
        package("mystery", ""),
        package("tqdm", "MPL-2.0 AND MIT"),
        package("certifi", "GPL-3.0-only"),  # not the licence that the exception is about
        package("codec", "MIT", "codec.libs/libx265-0123abcd.so.1"),
    ]
    refused = {finding.what for finding in audit(packages, ()) if not finding.fine}
    assert refused == {"viral 1.0", "mystery 1.0", "certifi 1.0", "x265 in codec"}


def test_everything_that_kinflow_stands_on_here_may_be_used():
    packages, _ = installed_packages(extras_of_project())
    names = {package.name for package in packages}
    assert {"kinflow", "torch", "numpy", "opencv-python-headless", "filelock", "pytest"} <= names
    assert not [finding for finding in audit(packages, shipped_files()) if not finding.fine]


def test_a_plain_installation_stands_on_little():
    packages, missing = installed_packages(())
    names = {package.name for package in packages}
    assert not missing and "torch" in names and "mpmath" in names  # by torch and sympy
    assert not {"ray", "fastapi", "pytest", "accelerate"} & names


@pytest.fixture
def assets(tmp_path):
    """A copy of two small files that ship, with their manifest."""
    manifest = json.loads(MANIFEST.read_text(encoding="utf8"))
    names = ("viewer/viewer.css", "priors/gaussian.safetensors")
    for name in names:
        (tmp_path / name).parent.mkdir()
        shutil.copy(ASSET_ROOT / name, tmp_path / name)
    kept = {name: manifest[name] for name in names}
    (tmp_path / "MANIFEST.json").write_text(json.dumps(kept))
    return tmp_path


def problems(assets, notice=None):
    return {file.name: file.problem for file in shipped_files(assets, notice) if file.problem}


def test_files_that_ship_have_a_known_origin(assets):
    assert problems(assets) == {}
    assert all(file.licence and file.origin for file in shipped_files())


def test_changed_and_unlisted_files_are_found(assets):
    with (assets / "viewer" / "viewer.css").open("a") as stream:
        stream.write(" ")
    (assets / "priors" / "new.safetensors").write_bytes(b"weights from somewhere")
    (assets / "priors" / "gaussian.safetensors").unlink()
    found = problems(assets)
    assert "not the one" in found["viewer/viewer.css"]
    assert "does not list" in found["priors/new.safetensors"]
    assert "missing" in found["priors/gaussian.safetensors"]


def test_files_that_notice_does_not_name_are_found(assets):
    assert set(problems(assets, "Nothing is said here.")) == {
        "viewer/viewer.css",
        "priors/gaussian.safetensors",
    }


def test_a_file_of_unknown_origin_is_refused(assets):
    manifest = json.loads((assets / "MANIFEST.json").read_text())
    (assets / "extra").mkdir()
    (assets / "viewer" / "viewer.css").rename(assets / "extra" / "model.onnx")
    digest = manifest.pop("viewer/viewer.css")
    (assets / "MANIFEST.json").write_text(json.dumps({**manifest, "extra/model.onnx": digest}))
    files = shipped_files(assets, f"    {digest}  extra/model.onnx\n")
    refused = [finding for finding in audit((), files) if not finding.fine]
    assert [finding.what for finding in refused if "onnx" in finding.what] == [
        "kinflow/assets/extra/model.onnx"
    ]
