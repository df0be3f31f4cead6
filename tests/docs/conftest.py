"""What users of pages have at hand: a photo, a clip, motion, the results of the demo."""

import shutil
import sys
from pathlib import Path

import pytest
from page_session import Session

TESTS = Path(__file__).parents[1]
sys.path += [str(TESTS / "service")]  # serving.py


@pytest.fixture(scope="module")
def session(tmp_path_factory, demo_run, smplh_file):
    """A user's folder, in which `kinflow demo --out demo` was typed before."""
    finished, demo = demo_run
    assert finished.code == 0, finished.err
    folder = tmp_path_factory.mktemp("user")
    shutil.copytree(demo, folder / "demo")
    shutil.copy(smplh_file, folder / "SMPLH_MALE.npz")
    session = Session(folder)
    yield session
    session.end()
