"""Hands out the photos and clips of a run to workers, so that each has one outcome, come what may.

Workers tell what they begin and end, so when one dies it is known which photo it was at: that one
is given to others, and after several deaths it alone is a failure. What it had not begun counts for
nothing. Results that it wrote but could not tell of any more are found by whoever comes next.

Photos are handed out a few at a time, clips one by one, and fewer towards the end, so that all
workers end at about the same time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kinflow.errors import InputError
from kinflow.pipeline.crew import Assignment, Crew, Died, Free, News
from kinflow.pipeline.events import Begun, Event, Outcome, PutOff

_ASKING_S = 0.25
"""How often `stop` is asked."""
_MOST_AT_ONCE = 8
"""Photos that a worker is given together: one message for several seconds of work."""
_DEATHS_AT_REST = 3
"""Workers that may die one after another without having begun anything."""


@dataclass(frozen=True)
class DispatchConfig:
    """How work is shared."""

    workers: int
    """How many there are at a time."""
    patience_s: float
    """How long a worker waits in the end for somebody else who works on the same photo."""
    kills: int
    """Workers that a photo may cost before it is left out."""


@dataclass
class _Worker:
    """What a worker still has to do, and what it is at."""

    given: deque[Assignment] = field(default_factory=deque)
    current: Assignment | None = None
    is_busy: bool = False
    """From when it is given something until it says that it is free, with nothing left or not."""


class Dispatch:
    """The work of one run, handed out.

    Args:
        crew: who works.
        jobs: photos and clips, and the folders of their results.
        clips: those of them that are clips.
        config: how it is shared.
        stop: asked again and again; True lets workers finish what they are at, and no more.
    """

    def __init__(
        self,
        crew: Crew,
        jobs: Sequence[tuple[Path, Path]],
        clips: frozenset[Path],
        config: DispatchConfig,
        stop: Callable[[], bool],
    ) -> None:
        self._crew, self._clips, self._config, self._stop = crew, clips, config, stop
        self._queue = deque(Assignment(photo, folder) for photo, folder in jobs)
        self._later: deque[Assignment] = deque()
        self._workers: dict[int, _Worker] = {}
        self._news: deque[News] = deque()
        self._kills: dict[Path, int] = {}
        self._deaths_at_rest = 0

    def events(self) -> Generator[Event, None, None]:
        """What becomes of all photos, in the order in which workers tell of it.

        An interrupt ends work on photos at once; of clips, what is done until then is written and
        told before the interrupt goes on.

        Raises:
            InputError: no worker lives long enough to begin anything.
        """
        try:
            while self._queue or self._later or self._is_anyone_busy:
                if self._stop():
                    yield from self._finished()
                    return
                self._hand_out()
                yield from self._heard(_ASKING_S)
        except GeneratorExit:
            for _ in self._cut_short():
                pass
            raise
        except KeyboardInterrupt:
            yield from self._cut_short()
            raise

    @property
    def _is_anyone_busy(self) -> bool:
        return any(worker.is_busy for worker in self._workers.values())

    def _hand_out(self) -> None:
        """Give everybody who is free something to do; hire whoever is missing."""
        waiting = len(self._queue) + len(self._later)
        free = [number for number, worker in self._workers.items() if not worker.is_busy]
        missing = min(self._config.workers - len(self._workers), waiting - len(free))
        for _ in range(missing):
            free.append(number := self._crew.hire())
            self._workers[number] = _Worker()
        for number in free:
            assignments = self._portion()
            if not assignments:
                return
            worker = self._workers[number]
            worker.given, worker.is_busy = deque(assignments), True
            self._crew.give(number, assignments)

    def _portion(self) -> list[Assignment]:
        """What a worker is given: a clip, some photos, or one that was put off."""
        if not self._queue:
            return [self._later.popleft()] if self._later else []
        fair = -(-len(self._queue) // (2 * self._config.workers))
        portion = [self._queue.popleft()]
        while (
            self._queue
            and len(portion) < min(fair, _MOST_AT_ONCE)
            and not {portion[0].photo, self._queue[0].photo} & self._clips
        ):
            portion.append(self._queue.popleft())
        return portion

    def _heard(self, patience_s: float) -> Generator[Event, None, None]:
        """What workers say, once something has been said or nothing was for so long."""
        if not self._news:
            self._news.extend(self._crew.news(patience_s))
        while self._news:
            yield from self._understood(self._news.popleft())

    def _understood(self, news: News) -> Generator[Event, None, None]:
        if isinstance(news, Died):
            yield from self._mourned(news)
            return
        self._deaths_at_rest = 0
        worker = self._workers[news.worker]
        if isinstance(news, Free):
            self._queue.extendleft(reversed(worker.given))  # not begun, because it was halted
            worker.given, worker.is_busy = deque(), False
            return
        event = news.event
        if isinstance(event, Begun):
            worker.current = worker.given[0]
        elif isinstance(event, PutOff | Outcome):
            ended, worker.current = worker.given.popleft(), None
            if isinstance(event, PutOff):
                self._put_off(ended)
        yield event

    def _put_off(self, assignment: Assignment) -> None:
        patience_s = self._config.patience_s
        self._later.append(Assignment(assignment.photo, assignment.folder, patience_s))

    def _mourned(self, death: Died) -> Generator[Event, None, None]:
        """Take back what a worker leaves behind."""
        worker = self._workers.pop(death.worker)
        current = worker.current
        if current is not None:
            worker.given.popleft()
        self._queue.extendleft(reversed(worker.given))
        if current is None:
            self._deaths_at_rest += 1
            if self._deaths_at_rest >= _DEATHS_AT_REST:
                raise InputError(
                    f"{_DEATHS_AT_REST} workers of the cluster died before they began anything "
                    f"({death.reason}); look at their memory and at the logs of Ray."
                )
            return
        kills = self._kills[current.photo] = self._kills.get(current.photo, 0) + 1
        if kills < self._config.kills:
            self._put_off(current)  # the others first
            yield PutOff(current.photo, current.folder)
        else:
            problem = (
                f"{current.photo} is left out because {kills} workers died while they were at it "
                f"({death.reason}); it needs more memory than they have, or crashes kinflow."
            )
            yield Outcome(current.photo, current.folder, 0.0, problem=problem, unexpected=True)

    def _finished(self) -> Generator[Event, None, None]:
        """The end of what workers are at; nothing new is begun."""
        for number in self._workers:
            self._crew.halt(number)
        while self._is_anyone_busy:
            yield from self._heard(_ASKING_S)

    def _cut_short(self) -> Generator[Event, None, None]:
        """The end of work on clips, as far as anything is done of them; of photos there is none."""
        for number, worker in list(self._workers.items()):
            if worker.current is not None and worker.current.photo in self._clips:
                self._crew.halt(number)
            else:
                self._crew.dismiss(number)
                del self._workers[number]
        self._news = deque(news for news in self._news if news.worker in self._workers)
        while self._is_anyone_busy:
            for event in self._heard(_ASKING_S):
                if isinstance(event, Outcome) and not event.problem:
                    yield event
