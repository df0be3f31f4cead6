"""Threads share a `Reconstructor`, forked children go on with it, pickles carry it elsewhere."""

import os
import pickle
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import kinflow
from kinflow.threads import lazy, one_thread, without_warnings

pytestmark = pytest.mark.usefixtures("networks_run_each_time", "fitters_made_each_time")


@pytest.fixture
def photos(astronaut_rgb) -> list[np.ndarray]:
    """Two photos of different sizes."""
    return [astronaut_rgb, np.ascontiguousarray(astronaut_rgb[:448, 32:])]


def test_four_threads_at_once_give_what_one_gives(reconstructor, photos):
    expected = [reconstructor(photo) for photo in photos]
    fresh = kinflow.Reconstructor()  # its models are loaded while four threads ask for them
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fresh, photos * 2))
    for one, other in zip(expected * 2, together, strict=True):
        assert len(one.people) == len(other.people) > 0
        for a, b in zip(one.people, other.people, strict=True):
            assert torch.equal(a.joints_cam_m, b.joints_cam_m)
            assert torch.equal(a.shape, b.shape)
            assert a.energy == b.energy


def test_warnings_are_as_before_when_threads_have_overlapped():
    before = list(warnings.filters)
    one, other = without_warnings(), without_warnings()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert warnings.filters[0][0] == "ignore"  # the other is still inside
    other.__exit__(None, None, None)
    assert warnings.filters == before


FORK = """
import os, sys, time
import skimage.data, torch
import kinflow
from kinflow.evidence.detector import DetectorConfig
from kinflow.evidence.weights import RuntimeConfig

torch.set_num_threads(2)  # workers that do not come along
runtime = RuntimeConfig(threads=2)
config = kinflow.ReconstructorConfig(detector=DetectorConfig(runtime=runtime))
reconstructor = kinflow.Reconstructor(config)
rgb = skimage.data.astronaut()
expected = reconstructor(rgb).people[0]
expected.vertices()
child = os.fork()
if child == 0:
    person = reconstructor(rgb).people[0]
    person.vertices()
    gap_m = float((person.joints_cam_m - expected.joints_cam_m).abs().max())
    sys.exit(0 if gap_m < 1e-3 else 3)  # an exit that also takes the parent's networks down
begin = time.monotonic()
while time.monotonic() < begin + 20:
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        print(os.waitstatus_to_exitcode(status))
        break
    time.sleep(0.02)
else:
    os.kill(child, 9)
    print("hung")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_goes_on():
    done = subprocess.run(
        [sys.executable, "-c", FORK],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(kinflow.__file__).parent.parent),
            "OMP_NUM_THREADS": "2",
            "OMP_WAIT_POLICY": "passive",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "0\n"


def test_results_and_reconstructors_travel_between_processes(reconstructor, astronaut_result):
    copy = pickle.loads(pickle.dumps(astronaut_result))
    assert torch.equal(copy.people[0].pose, astronaut_result.people[0].pose)
    assert copy.camera == astronaut_result.camera
    assert pickle.loads(pickle.dumps(reconstructor)).config == reconstructor.config
    detector = pickle.loads(pickle.dumps(reconstructor.detector))
    assert detector.detect(np.zeros((64, 64, 3), np.uint8)).people == ()


def test_a_lazy_attribute_is_made_once():
    made = []

    class Thing:
        @lazy
        def value(self) -> object:
            """Its documentation."""
            made.append(threading.current_thread())
            pause.wait(0.05)
            return object()

    pause = threading.Event()
    thing = Thing()
    with ThreadPoolExecutor(8) as pool:
        values = set(pool.map(lambda _: thing.value, range(8)))
    assert len(values) == len(made) == 1
    assert Thing().value is not thing.value
    assert Thing.value.__doc__ == "Its documentation."


def test_fits_take_turns_and_leave_the_number_of_threads_alone():
    before, inside, overlapping = torch.get_num_threads(), [], []
    torch.set_num_threads(3)
    try:

        def work(_: int) -> int:
            with one_thread():
                overlapping.append(len(inside))
                inside.append(torch.get_num_threads())
                pause.wait(0.01)
                inside.pop()
            return torch.get_num_threads()

        pause = threading.Event()
        with ThreadPoolExecutor(4) as pool:
            # also threads that begin while another has torch for itself
            assert set(pool.map(work, range(8))) == {3}
        assert set(overlapping) == {0}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_number_of_threads_comes_back_after_an_error():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError), one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
