"""The work on one clip from its first frame to its files, and what is left where it is stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from pathlib import Path

from kinflow.errors import InputError
from kinflow.files.names import printable
from kinflow.pipeline.clip_memory import ClipMemory
from kinflow.pipeline.clip_results import ClipResults
from kinflow.pipeline.clips import ClipRun
from kinflow.pipeline.events import Progress
from kinflow.results import Reconstruction


class StoppedEarly(InputError):
    """There is nothing to write of a clip that was stopped.

    Args:
        path: the clip.
        kept_frames: so many of its first frames need not be worked on again.
        interrupt: what ended it, to go on with once that is told.
    """

    def __init__(self, path: Path, kept_frames: int, interrupt: KeyboardInterrupt | None) -> None:
        kept = f"the work on its first {kept_frames} frames is kept, and the same command goes on"
        none = "nothing of the work on it is kept, and the same command begins anew"
        super().__init__(
            f"{printable(path)}: stopped before there was anybody to write; "
            f"{kept if kept_frames else none}."
        )
        self.interrupt = interrupt


def worked_on(
    path: Path,
    run: ClipRun,
    results: ClipResults,
    memory: ClipMemory,
    stop: Callable[[], bool],
    notes: list[str],
) -> Generator[Progress, None, tuple[Reconstruction, KeyboardInterrupt | None]]:
    """Work on a clip and write its folder; whoever interrupts that gets what is done until then.

    Args:
        path: the clip.
        run: the work on it.
        results: where they go.
        memory: where the work is kept.
        stop: asked after every step.
        notes: grows by what one should know.

    Returns:
        What was written, and what ended it early.

    Raises:
        StoppedEarly: there was nothing to write when it was stopped.
        InputError: there is nobody in the clip, or the folder cannot be written.
    """

    def stopped(interrupt: KeyboardInterrupt | None = None) -> Reconstruction:
        run.end_early()
        if not run.has_people:
            raise StoppedEarly(path, run.kept_frames, interrupt)
        return results.written_quickly(run, notes)

    try:
        for step in run.steps():
            if stop():
                return stopped(), None
            yield Progress(path, results.folder, step)
        if not run.has_people:  # which another run would only find again
            memory.forget()
        with contextlib.closing(results.written(run, notes)) as drawing:
            while True:
                try:
                    step = next(drawing)
                except StopIteration as end:
                    memory.forget()
                    return end.value, None
                if stop():
                    break
                yield Progress(path, results.folder, step)
        return results.written_quickly(run, notes), None
    except GeneratorExit:
        run.end_early()
        if run.has_people:
            results.written_quickly(run, notes)
        raise
    except KeyboardInterrupt as interrupt:
        return stopped(interrupt), interrupt
