"""Shared fixtures: the expensive things are loaded once a session."""

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest
import shape_checks  # noqa: F401 - before kinflow, whose functions it checks
import skimage.data
import torch
from seen_before import FittersBefore, OpenBefore, SeenBefore

import kinflow
import kinflow.priors
from kinflow.assets import asset_path
from kinflow.body import BodyModel
from kinflow.body.asset import read_body
from kinflow.evidence.weights import Network
from kinflow.files.locks import try_lock
from kinflow.pipeline.reconstructor import Reconstructor
from kinflow.priors.shape import ShapePrior

TESTS = Path(__file__).parent
LONGEST_FIRST = (
    "docs/test_pages.py",
    "pipeline/test_clip_pipeline.py",
    "docs/test_tutorials.py",
    "fuzz/test_fuzz.py",
    "service/test_serving.py",
    "pipeline/test_cluster.py",
    "cli/test_manners.py",
    "cli/test_reconstruct.py",
    "training/test_predictor_recipe.py",
    "training/test_several_processes.py",
    "training/test_loop.py",
    "training/test_live_predictor.py",
    "cli/test_reconstruct_clips.py",
    "pipeline/test_users_body.py",
    "evidence/test_camera_turns.py",
    "training/test_prior_training.py",
    "training/test_fits_in_the_loop.py",
    "datasets/readers/test_training_mixture.py",
    "evidence/test_detector.py",
    "evidence/test_clip_people.py",
    "fitting/test_part_alignment.py",
    "fitting/test_sequence.py",
    "files/test_plain_pickle.py",
    "synth/test_studio.py",
    "priors/test_priors.py",
    "evidence/test_tracking.py",
    "body/test_conversion.py",
    "export/test_clean_motion.py",
    "fitting/test_photo.py",
    "test_api_input.py",
    "training/test_part_training.py",
    "training/test_image_predictor.py",
)
"""Files that take the longest. A process that is given one of them last keeps the others waiting,
and by the number of their tests, which is how pytest-xdist would sort files, they are the last."""

NETWORK_OPEN, NETWORK_RUN = Network._open, Network.run
MAKE_FITTER = Reconstructor.fitter._make

# the matrices in these tests are small: more threads would mostly wait for each other, here and in
# the commands that tests start
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection() -> None:
    """Nothing that is imported and collected goes again; to look for it is in vain."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {TESTS / name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(scope="session")
def body() -> BodyModel:
    return BodyModel.load()


@pytest.fixture(scope="session")
def anny_body() -> BodyModel:
    """The body with Anny's chest, as it is in the file."""
    return BodyModel.of(read_body(asset_path("body/anny.safetensors")))


@pytest.fixture(scope="session")
def common_folder(tmp_path_factory) -> Path:
    """A folder of this run, the same for all processes of the tests."""
    folder = tmp_path_factory.getbasetemp()
    # where there are several, each has a folder in that of the run
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session", autouse=True)
def _cache_of_this_run(common_folder):
    """What is kept from run to run of a user, in a folder of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINFLOW_CACHE", str(common_folder / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _options_of_commands():
    """What tyro finds out about options it keeps, which takes longer than to read any command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tyro._unsafe_cache.clear_cache", lambda: None, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _networks_of_the_detector():
    """They look at a picture once, not once a test."""
    opened, seen = OpenBefore(NETWORK_OPEN), SeenBefore(NETWORK_RUN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "_open", lambda network: opened(network))
        patch.setattr(Network, "run", lambda network, image: seen(network, image))
        yield


@pytest.fixture(scope="session", autouse=True)
def _fitters_of_photos():
    """They are made once, not for each command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reconstructor.fitter, "_make", FittersBefore(MAKE_FITTER))
        yield


@pytest.fixture
def fitters_made_each_time(monkeypatch):
    monkeypatch.setattr(Reconstructor.fitter, "_make", MAKE_FITTER)


@pytest.fixture
def networks_run_each_time(monkeypatch):
    monkeypatch.setattr(Network, "_open", NETWORK_OPEN)
    monkeypatch.setattr(Network, "run", NETWORK_RUN)


@pytest.fixture(scope="session")
def smplh_file(tmp_path_factory) -> Path:
    """A file in the format of SMPL-H, made of our own body."""
    from smpl_people import person_fields

    path = tmp_path_factory.mktemp("models") / "SMPLH_MALE.npz"
    np.savez(path, **person_fields("smplh", pose_std_m=3e-4))
    return path


@pytest.fixture(scope="session")
def joints_body() -> BodyModel:
    return BodyModel.load("joints")


@pytest.fixture(scope="session")
def prior():
    return kinflow.priors.load()


@pytest.fixture(scope="session")
def shape_prior() -> ShapePrior:
    return ShapePrior()


@pytest.fixture(scope="session")
def astronaut_rgb() -> np.ndarray:
    """A real photo of one person, seen from the hips up."""
    return skimage.data.astronaut()


@pytest.fixture(scope="session")
def reconstructor() -> kinflow.Reconstructor:
    return kinflow.Reconstructor()


@pytest.fixture(scope="session")
def astronaut_result(reconstructor, astronaut_rgb) -> kinflow.Reconstruction:
    return reconstructor(astronaut_rgb)


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str


STARTER = (sys.executable, "-I", "-S", "-c", """
import resource, subprocess, sys
from pathlib import Path
code = subprocess.call(sys.argv[2:])
Path(sys.argv[1]).write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
""")  # fmt: skip
"""Runs a command and writes the most memory, in KiB, that it has taken.

What the system says of a process begins with the most that the one that started it ever took: of
these tests that is more than what they measure, depending on those that ran before. This takes next
to nothing.
"""


@pytest.fixture(scope="session")
def run_kinflow() -> Callable[..., Finished]:
    """Runs the command line in a process of its own, as a shell would."""

    def run(*arguments: object, cwd: Path | None = None, peak_kib: Path | None = None) -> Finished:
        done = subprocess.run(
            [
                *((*STARTER, str(peak_kib)) if peak_kib is not None else ()),
                *(sys.executable, "-m", "kinflow.cli.main", *map(str, arguments)),
            ],
            capture_output=True,
            text=True,
            cwd=cwd,
            timeout=300,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(kinflow.__file__).parent.parent)},
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def demo_run(run_kinflow, common_folder) -> tuple[Finished, Path]:
    """One run of `kinflow demo` and its folder, for all processes of the tests."""
    kept, out = common_folder / "demo.json", common_folder / "demo"
    while (lock := try_lock(common_folder / "demo.lock")) is None:
        time.sleep(0.2)
    try:
        if not kept.exists():
            kept.write_text(json.dumps(asdict(run_kinflow("demo", "--out", out))))
        return Finished(**json.loads(kept.read_text())), out
    finally:
        lock.release()
