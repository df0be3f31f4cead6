"""Workers on a Ray cluster: `pip install 'kinflow[ray]'`.

The cluster is the one that RAY_ADDRESS names, or the one that the caller is connected to already;
otherwise one is started on this machine, for the run alone. Ray's reports of how it is used and its
dashboard are off, and a cluster that is started here lets nobody in without its token.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kinflow.errors import InputError, KinflowError
from kinflow.pipeline.crew import Assignment, Died, Free, News, Told
from kinflow.pipeline.photos import Task
from kinflow.pipeline.ray_worker import PhotoWorker, Place

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows lacks the last
_STORE_BYTES = 256 << 20
"""Memory for what travels between processes of this machine: results without pictures."""


@contextmanager
def cluster(workers: int | None = None) -> Iterator[Any]:
    """Ray, connected to a cluster while the block lasts.

    Args:
        workers: how many there will be, if the cluster has to be started; as many as the machine
            has cores unless given.

    Raises:
        InputError: Ray is not installed, or the cluster cannot be reached.
    """
    ray = _ray()
    if ray.is_initialized():
        yield ray
        return
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    address = os.environ.get("RAY_ADDRESS")
    if address is None:
        quiet |= {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
        quiet |= {} if workers is None else {"num_cpus": workers}
    try:
        with _own_signals():
            ray.init(address=address or "local", **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        where = f"at '{address}' (RAY_ADDRESS) cannot be reached" if address else "did not start"
        raise InputError(f"The Ray cluster {where}: {reason}") from error
    # it would print the deaths of workers to standard output, where results are told
    ray._private.worker._worker_logs_enabled = False
    try:
        yield ray
    finally:
        ray.shutdown()


def places_for_workers(ray: Any, device: str) -> int:
    """How many workers a cluster has room for: one each GPU, or each CPU core.

    Raises:
        InputError: it has none.
    """
    kind = "GPU" if _is_gpu(device) else "CPU"
    places = int(ray.cluster_resources().get(kind, 0))
    if places < 1:
        raise InputError(
            f"The Ray cluster has no {kind} for workers; choose another device or cluster.",
            {"another device": "device"},
        )
    return places


class RayCrew:
    """A `Crew` of actors, each with a core, and with a GPU where the device is one.

    Args:
        ray: connected to a cluster.
        task: what the work on all photos shares.
        place: where the run was begun.
    """

    def __init__(self, ray: Any, task: Task, place: Place) -> None:
        self._ray = ray
        needs = {"num_cpus": 1, "num_gpus": int(_is_gpu(str(task.config.reconstructor.device)))}
        # nobody but the dispatch knows what a worker that comes back should do
        options = {"max_restarts": 0, "concurrency_groups": {"control": 1}}
        self._class = ray.remote(**needs, **options)(PhotoWorker)
        self._arguments = ray.put(task), place
        self._actors: dict[int, Any] = {}
        self._telling: dict[Any, int] = {}
        """The stream of events of each worker that has something to do."""
        self._hired = 0

    def hire(self) -> int:
        self._hired += 1
        self._actors[self._hired] = self._class.remote(*self._arguments)
        return self._hired

    def give(self, worker: int, assignments: Sequence[Assignment]) -> None:
        # it waits until each of its words is heard, so that none is lost if it dies the next moment
        stream = {"num_returns": "streaming", "_generator_backpressure_num_objects": 1}
        work = self._actors[worker].work.options(**stream)
        self._telling[work.remote(list(assignments))] = worker

    def news(self, patience_s: float) -> list[News]:
        streams = list(self._telling)
        if not streams:
            threading.Event().wait(patience_s)
            return []
        ready, waiting = self._ray.wait(streams, num_returns=1, timeout=patience_s)
        if ready and waiting:  # whoever has something to say as well
            ready += self._ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
        return [self._next(stream) for stream in ready]

    def halt(self, worker: int) -> None:
        self._actors[worker].halt.options(concurrency_group="control").remote()

    def dismiss(self, worker: int) -> None:
        self._ray.kill(self._actors.pop(worker))
        self._telling = {s: number for s, number in self._telling.items() if number != worker}

    def close(self) -> None:
        """Let all workers go."""
        for worker in list(self._actors):
            self.dismiss(worker)

    def _next(self, stream: Any) -> News:
        worker = self._telling[stream]
        try:
            return Told(worker, self._ray.get(next(stream)))
        except StopIteration:
            del self._telling[stream]
            return Free(worker)
        except self._ray.exceptions.RayTaskError as error:
            raise _explained(error.cause) from error
        except self._ray.exceptions.RayError as error:
            self.dismiss(worker)
            return Died(worker, _reason(str(error)))


def _ray() -> Any:
    # before the import: Ray looks once a process
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if not {"RAY_ADDRESS", "RAY_AUTH_MODE"} & set(os.environ) and "ray" not in sys.modules:
        # a cluster of this process alone; Ray listens on all networks of the machine
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            "Work on a cluster takes Ray, which is not installed: pip install 'kinflow[ray]'."
        ) from error
    return ray


def _explained(cause: BaseException) -> KinflowError:
    """What a worker raised, whoever's fault it is."""
    if isinstance(cause, KinflowError):
        return cause
    return InputError(
        f"A worker of the cluster cannot work ({type(cause).__name__}: {cause}); all machines need "
        "the same kinflow and the same Python as this one."
    )


def _reason(told: str) -> str:
    """Why a worker died, from what Ray says of it at length."""
    for words, reason in (
        ("running low on memory", "its machine ran out of memory"),
        ("error raised in its creation", told.strip().splitlines()[-1]),
        ("node was terminated", "its machine was lost"),
        ("node has died", "its machine was lost"),
    ):
        if words in told:
            return reason
    return "it crashed or was killed"


def _is_gpu(device: str) -> bool:
    return device.startswith("cuda")


@contextmanager
def _own_signals() -> Iterator[None]:
    """Signals are handled as before once Ray has started, which takes them for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # else it was not set from Python, nor by Ray
                signal.signal(number, handler)
