"""Photos and clips on a Ray cluster of two workers on this machine, which are killed meanwhile."""

import importlib.util
import os
import signal
import sys
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest
from clips import passing, write_clip
from small_photos import small_photos

from kinflow.cli.main import main
from kinflow.errors import InputError
from kinflow.export.results import reach_s
from kinflow.export.writer import ExportOptions
from kinflow.fitting.clip import ClipFitConfig
from kinflow.pipeline import ray_worker
from kinflow.pipeline.clips import ClipConfig, ClipStep
from kinflow.pipeline.cluster import ClusterConfig, ClusterPipeline
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.dispatch import Dispatch, DispatchConfig
from kinflow.pipeline.events import Begun, Outcome, Progress
from kinflow.pipeline.own_evidence import OwnEvidenceConfig
from kinflow.pipeline.photos import Pipeline, Task, Work, never
from kinflow.pipeline.ray_crew import RayCrew, cluster
from kinflow.pipeline.ray_worker import Place
from kinflow.pipeline.reconstructor import Reconstructor, ReconstructorConfig

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None or not Path("/proc").is_dir(),
    reason="needs Ray (pip install 'kinflow[ray]'), and Linux to find its workers",
)
NAMES = tuple(f"{letter}.png" for letter in "abcdefgh")
BAD = {"b.png", "g.png"}
MODELS = ReconstructorConfig(parts=False)


@pytest.fixture(scope="module")
def ray():
    with pytest.MonkeyPatch.context() as patch:
        # Ray would let its workers wait for all other tests, who have the cores
        patch.setenv("RAY_worker_niceness", "0")
        with cluster(2) as ray:
            yield ray


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    photos = small_photos(tmp_path, NAMES)[0]
    (tmp_path / "b.png").write_text("no image")
    (tmp_path / "g.png").write_bytes((tmp_path / "g.png").read_bytes()[:5000])
    return photos


@pytest.fixture
def config(tmp_path) -> PipelineConfig:
    own = OwnEvidenceConfig(keypoints=tmp_path / "keypoints.json")
    return PipelineConfig(MODELS, ExportOptions(("npz", "json")), own)


def workers_of_this_process() -> list[int]:
    """Processes of workers that belong to the cluster of this one."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and title_of(int(folder.name)).startswith("ray::PhotoWorker"):
            ancestor = int(folder.name)
            while ancestor > 1 and ancestor != os.getpid():
                ancestor = parent_of(ancestor)
            found += [int(folder.name)] * (ancestor == os.getpid())
    return sorted(found)


def title_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:  # it has ended
        return ""


def parent_of(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def written(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


@needs_ray
def test_a_worker_is_killed_and_nothing_is_lost_or_done_twice(
    ray, photos, config, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    names, out = [Path(photo.name) for photo in photos], Path("out")  # not as workers would be
    found: list[Outcome] = []
    killed: list[int] = []
    for event in ClusterPipeline(config, ClusterConfig(2)).run(names, out):
        found += [event] if isinstance(event, Outcome) else []
        if len(found) == 2 and not killed:  # the other worker may be on its way still
            killed.append(workers_of_this_process()[0])
            os.kill(killed[0], signal.SIGKILL)
    assert killed
    assert sorted(outcome.photo.name for outcome in found) == list(NAMES)
    assert {outcome.photo.name for outcome in found if outcome.problem} == BAD
    assert not any(outcome.unexpected for outcome in found)
    # what was done just before the kill may be found rather than told
    assert sum(outcome.already for outcome in found) <= 1
    assert all(len(o.result.people) == 1 for o in found if o.result is not None)
    list(Pipeline(config).run(names, Path("expected")))
    assert written(out) == written(Path("expected"))
    assert len(written(out)) == 3 * (len(NAMES) - len(BAD))

    # another run finds everything done
    assert capsys.readouterr() == ("", "")
    keypoints = ("--keypoints", "keypoints.json", "--no-parts", "--format", "npz", "json")
    arguments = ("--out", "out", "--on", "ray", "--workers", "1")
    config = replace(config, own=OwnEvidenceConfig(Path("keypoints.json")))
    assert main(["reconstruct", *map(str, names), *arguments, *keypoints]) == 2
    told = capsys.readouterr()
    assert told.out.count("already there") == len(NAMES) - len(BAD) + 1, "and a line with the sum"
    assert "b.png is not an image" in told.err


@dataclass(frozen=True)
class PoisonedTask(Task):
    """One photo of which kills whoever works on it; the others take no work."""

    def work(self, reconstructor: Reconstructor, stop=never) -> Work:
        return PoisonedWork(self.config, reconstructor, self.own, self.clips, self.began_ns, stop)


@dataclass(frozen=True)
class PoisonedWork(Work):
    def told(self, photo, folder, patience_s=None):
        yield Begun(photo, folder)
        if photo.name == "c.png":
            os.kill(os.getpid(), signal.SIGKILL)
        yield Outcome(photo, folder, 0.0)
        return False


@needs_ray
def test_a_photo_that_kills_its_workers_fails_alone(ray, photos, config, tmp_path, capfd):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import it
    task, jobs = Task.of(config, photos, tmp_path / "out")
    poisoned = PoisonedTask(*(getattr(task, field.name) for field in fields(task)))
    with Place.of(tmp_path / "out") as place, closing(RayCrew(ray, poisoned, place)) as crew:
        shared = DispatchConfig(workers=1, patience_s=60.0, kills=2)
        events = list(Dispatch(crew, jobs, task.clips, shared, never).events())
    found = {event.photo.name: event for event in events if isinstance(event, Outcome)}
    assert sorted(found) == list(NAMES)
    assert [name for name, outcome in found.items() if outcome.problem] == ["c.png"]
    assert "c.png is left out because 2 workers died" in found["c.png"].problem
    assert capfd.readouterr().out == "", "Ray says nothing where results are told"


@needs_ray
def test_an_interrupt_keeps_what_is_done_of_a_clip(ray, tmp_path, astronaut_rgb):
    clip = tmp_path / "walk.webm"
    write_clip(clip, passing(astronaut_rgb, np.linspace(20, 60, 40)), 24, "VP80")
    clips = ClipConfig(fit=ClipFitConfig(window=8, ahead=2))
    config = PipelineConfig(MODELS, clips=clips, clip_formats=("npz", "json"))
    events = ClusterPipeline(config, ClusterConfig(1)).run([clip], tmp_path / "out")
    for event in events:
        if isinstance(event, Progress) and event.step.frames > 10:
            break
    seen = [events.throw(KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        seen.extend(events)
    outcome = seen[-1]
    assert isinstance(outcome, Outcome) and outcome.result is not None
    assert 0 < len(outcome.result.frames) < 40
    assert reach_s(outcome.folder) < 1e9
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["walk"]


def test_workers_do_not_tell_of_every_frame(monkeypatch):
    seconds = iter(range(0, 100, 1))
    monkeypatch.setattr(ray_worker.time, "monotonic", lambda: next(seconds) / 10)
    steps = [Progress(Path("a"), Path("b"), ClipStep(n, None, 0, 0.0)) for n in range(40)]
    told = list(ray_worker.thinned([Begun(Path("a"), Path("b")), *steps]))
    assert isinstance(told[0], Begun) and told[1] is steps[0]
    assert 4 <= len(told) <= 12


def test_without_ray_it_is_said_how_to_get_it(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    out = tmp_path / "out"
    assert main(["reconstruct", str(photos[0]), "--out", str(out), "--on", "ray"]) == 2
    assert "pip install 'kinflow[ray]'" in capsys.readouterr().err
    assert not out.exists()


def test_workers_go_with_a_cluster(photos, tmp_path, capsys):
    assert main(["reconstruct", str(photos[0]), "--out", str(tmp_path), "--workers", "2"]) == 2
    assert "--workers goes with --on ray" in capsys.readouterr().err


def test_machines_have_to_share_files_and_versions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Place.of(tmp_path / "out") as place:
        place.enter()
        (tmp_path / "elsewhere").mkdir()
        for other in (
            replace(place, out=tmp_path / "elsewhere"),
            replace(place, out=tmp_path / "nowhere"),
            replace(place, working_folder=tmp_path / "nowhere"),
        ):
            with pytest.raises(InputError, match="does not see the same"):
                other.enter()
        with pytest.raises(InputError, match="has kinflow .* in place of 0.0.1"):
            replace(place, version="0.0.1").enter()
    assert not list((tmp_path / "out").iterdir())
