"""The same job as `kinflow.pipeline.photos.Pipeline`, done by many workers on a Ray cluster.

All machines of the cluster need the same kinflow, and have to see the photos and the results under
the same paths. Workers load the models once. When one dies, what it was at is done by others; what
costs several workers their life becomes a failure of its own. Several runs, on clusters or not, may
share an output folder as ever, because each result folder is claimed by whoever works on it.

    for event in ClusterPipeline(PipelineConfig(), ClusterConfig()).run(photos, Path("results")):
        ...
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from kinflow.checks import whole
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.dispatch import Dispatch, DispatchConfig
from kinflow.pipeline.events import Event
from kinflow.pipeline.photos import Task, never, tidied
from kinflow.pipeline.ray_crew import RayCrew, cluster, places_for_workers
from kinflow.pipeline.ray_worker import Place


@dataclass(frozen=True)
class ClusterConfig:
    """Who works."""

    workers: int | None = None
    """Each with one core, or one GPU; as many as the cluster has unless given."""
    kills: int = 3
    """Workers that may die of a photo before it is left out."""

    def __post_init__(self) -> None:
        whole(self, "workers", at_least=1, or_none=True)
        whole(self, "kills", at_least=1)


@dataclass(frozen=True)
class ClusterPipeline:
    """Reconstructs photos and clips on a cluster and writes a result folder for each."""

    config: PipelineConfig = PipelineConfig()
    cluster: ClusterConfig = ClusterConfig()

    def run(
        self,
        photos: Sequence[str | os.PathLike],
        out: str | os.PathLike,
        stop: Callable[[], bool] = never,
    ) -> Generator[Event, None, None]:
        """Work on photos and clips while the events are consumed, as `Pipeline.run` does.

        Events of several photos come mixed. Whoever closes the events, or raises a
        `KeyboardInterrupt` among them, ends work on photos at once.

        Raises:
            InputError: no photo can be worked on with these options, or there is no cluster.
            AssetError: a file of kinflow itself is missing or damaged; while events are consumed,
                too.
        """
        task, jobs = Task.of(self.config, photos, out)
        return self._events(task, jobs, Path(out), stop)

    def _events(
        self,
        task: Task,
        jobs: Sequence[tuple[Path, Path]],
        out: Path,
        stop: Callable[[], bool],
    ) -> Generator[Event, None, None]:
        with tidied(out), Place.of(out) as place, cluster(self.cluster.workers) as ray:
            places = places_for_workers(ray, str(self.config.reconstructor.device))
            config = DispatchConfig(
                self.cluster.workers or places, self.config.patience_s, self.cluster.kills
            )
            with closing(RayCrew(ray, task, place)) as crew:
                yield from Dispatch(crew, jobs, task.clips, config, stop).events()
