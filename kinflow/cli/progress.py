"""A bar at the bottom of the terminal, on standard error, while photos are worked on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kinflow.files.names import one_line
from kinflow.pipeline.clips import ClipStep


class PhotoProgress:
    """Shows the photo in work and how many are done; nothing where there is no terminal.

    Args:
        count: photos in all.
    """

    def __init__(self, count: int) -> None:
        console = Console(stderr=True)
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(
                TextColumn("{task.description}"),
                *columns,
                console=console,
                transient=True,
                # rich would send standard output to standard error
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._task = self._bar.add_task("", total=count)

    def __enter__(self) -> PhotoProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, name: str) -> None:
        """A photo is begun."""
        if self._bar is not None:
            self._bar.update(self._task, description=escape(one_line(name)))

    def step(self, name: str, step: ClipStep) -> None:
        """A frame of a clip is seen."""
        if self._bar is not None:
            said = f"{one_line(name)}: {clip_line(step)}"
            self._bar.update(self._task, description=escape(said))

    @contextmanager
    def done(self) -> Iterator[None]:
        """A photo is done; inside, lines may be printed above the bar."""
        if self._bar is None:
            yield
            return
        self._bar.advance(self._task)
        self._bar.stop()
        yield
        self._bar.start()


def clip_line(step: ClipStep) -> str:
    """How far the work on a clip is, in words."""
    if step.drawn:
        return f"drawing frame {step.drawn} of {step.frames}"
    of = "" if step.of_frames is None else f" of {max(step.of_frames, step.frames)}"
    people = "1 person" if step.people == 1 else f"{step.people} people"
    words = [f"frame {step.frames}{of}", people, f"{step.frames_per_s:.1f} frames/s"]
    if step.left_s is not None:
        minutes, seconds = divmod(round(step.left_s), 60)
        words.append(f"{minutes}:{seconds:02d} left")
    return ", ".join(words)
