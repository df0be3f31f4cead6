"""Work that is handed out to workers who die, dawdle and are stopped: every photo has one outcome.

The workers are made up, so that what happens to them is drawn by a seed; `test_cluster.py` has real
ones.
"""

import random
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from kinflow.errors import InputError
from kinflow.pipeline.clips import ClipStep
from kinflow.pipeline.crew import Assignment, Died, Free, News, Told
from kinflow.pipeline.dispatch import Dispatch, DispatchConfig
from kinflow.pipeline.events import Begun, Event, Outcome, Progress, PutOff

NAMES = [f"{number:02d}.png" for number in range(30)]
CLIP, POISON, CLAIMED = "10.webm", "poison.png", "claimed.png"
FRAMES = 5


class MadeUpCrew:
    """Workers who say one thing at a time, in an order that is drawn.

    Args:
        seed: of what happens.
        deaths: how probable a death is, whenever something is said.
        stillborn: whether workers die before they say anything.
    """

    def __init__(self, seed: int = 0, deaths: float = 0.0, stillborn: bool = False) -> None:
        self._random, self._deaths, self._stillborn = random.Random(seed), deaths, stillborn
        self._saying: dict[int, Iterator[Event]] = {}
        self._halted: set[int] = set()
        self._hired = 0
        self.claims: set[str] = {CLAIMED}
        self.made: Counter[str] = Counter()
        self.most_at_once = 0
        self.dismissed: list[int] = []

    def hire(self) -> int:
        self._hired += 1
        return self._hired

    def give(self, worker, assignments) -> None:
        assert worker not in self._saying, "it is busy"
        self._saying[worker] = self._said(worker, deque(assignments))
        self.most_at_once = max(self.most_at_once, len(self._saying))

    def halt(self, worker) -> None:
        self._halted.add(worker)

    def dismiss(self, worker) -> None:
        self.dismissed.append(worker)
        self._saying.pop(worker, None)

    def news(self, patience_s) -> list[News]:
        found: list[News] = []
        for worker in self._random.sample(list(self._saying), (len(self._saying) + 1) // 2):
            found.append(self._next(worker))
        return found

    def _next(self, worker: int) -> News:
        try:
            event = next(self._saying[worker])
        except StopIteration:
            del self._saying[worker]
            return Free(worker)
        except MemoryError:
            event = None
        if event is None or self._stillborn or self._random.random() < self._deaths:
            del self._saying[worker]
            return Died(worker, "a made-up reason")
        return Told(worker, event)

    def _said(self, worker: int, assignments: deque[Assignment]) -> Iterator[Event]:
        for each in assignments:
            if worker in self._halted:
                return
            yield Begun(each.photo, each.folder)
            if each.photo.name == POISON:
                raise MemoryError
            if each.photo.name in self.claims and each.patience_s is None:
                yield PutOff(each.photo, each.folder)
                continue
            if each.photo.name == CLIP:
                done = 0
                for frame in range(FRAMES):
                    if worker in self._halted:
                        break
                    done += 1
                    yield Progress(each.photo, each.folder, ClipStep(frame, FRAMES, 1, 1.0))
                if done < 2:
                    yield Outcome(each.photo, each.folder, 1.0, problem="too little is done")
                    continue
            self.made[each.photo.name] += 1
            yield Outcome(each.photo, each.folder, 1.0)


def dispatched(crew, names, stop=lambda: False, workers=3, kills=3) -> Iterator[Event]:
    jobs = [(Path(name), Path("out") / name) for name in names]
    config = DispatchConfig(workers, 60.0, kills)
    return Dispatch(crew, jobs, frozenset({Path(CLIP)}), config, stop).events()


def outcomes(events) -> dict[str, Outcome]:
    """What became of each photo; all that begins ends, once, before it begins again."""
    found: dict[str, Outcome] = {}
    open_: set[str] = set()
    for event in events:
        name = event.photo.name
        assert name not in found, "there is nothing after the end"
        if isinstance(event, Begun):
            assert name not in open_
            open_.add(name)
            continue
        assert name in open_
        if isinstance(event, PutOff | Outcome):
            open_.remove(name)
        if isinstance(event, Outcome):
            found[name] = event
    assert not open_
    return found


@pytest.mark.parametrize("seed", range(30))
def test_everything_is_done_once_whoever_dies(seed):
    names = [*NAMES, CLIP, CLAIMED]
    crew = MadeUpCrew(seed, deaths=0.1)
    found = outcomes(dispatched(crew, names, kills=1000))
    assert sorted(found) == sorted(names)
    assert not any(outcome.problem for outcome in found.values())
    assert set(crew.made) == set(names)
    assert crew.most_at_once == 3


def test_without_deaths_nothing_is_made_twice():
    crew = MadeUpCrew()
    assert set(outcomes(dispatched(crew, [*NAMES, CLIP]))) == {*NAMES, CLIP}
    assert set(crew.made.values()) == {1}


@pytest.mark.parametrize("seed", range(5))
def test_what_kills_workers_fails_alone(seed):
    crew = MadeUpCrew(seed)
    found = outcomes(dispatched(crew, [POISON, *NAMES], kills=2))
    bad = {name: outcome for name, outcome in found.items() if outcome.problem}
    assert set(bad) == {POISON}
    assert "poison.png is left out because 2 workers died" in bad[POISON].problem
    assert bad[POISON].unexpected
    assert set(crew.made) == set(NAMES)
    assert crew._hired == 3 + 1, "one more for the first death; after the second nothing is left"


def test_workers_who_die_before_they_begin_are_said_to():
    with pytest.raises(InputError, match="3 workers of the cluster died before .*made-up reason"):
        list(dispatched(MadeUpCrew(stillborn=True), NAMES))


def test_a_stop_ends_what_is_begun_and_no_more():
    crew, seen = MadeUpCrew(), []
    for event in dispatched(crew, NAMES, lambda: len(seen) > 5):
        seen.append(event)
    found = outcomes(seen)
    assert set(found) == set(crew.made)
    assert 0 < len(found) < len(NAMES)
    assert not crew.dismissed


@pytest.mark.parametrize("thrown", [True, False])
def test_an_interrupt_tells_of_clips_and_drops_photos(thrown):
    crew = MadeUpCrew()
    events = dispatched(crew, [CLIP, *NAMES])
    seen = []
    for event in events:
        seen.append(event)
        if isinstance(event, Progress) and event.step.frames == 2:
            break
    if not thrown:
        events.close()
    else:
        seen.append(events.throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            seen.extend(events)
        assert [e.photo.name for e in seen if isinstance(e, Outcome)][-1] == CLIP
    assert crew.made[CLIP] == 1
    assert len(crew.dismissed) == 2
    assert crew.news(0.0) == []


def test_an_interrupt_of_a_clip_that_has_just_begun_tells_nothing_of_it():
    events = dispatched(MadeUpCrew(), [CLIP])
    assert isinstance(next(events), Begun)
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt())


def test_portions_get_smaller_and_clips_go_alone():
    given = []

    class Watched(MadeUpCrew):
        def give(self, worker, assignments) -> None:
            given.append([each.photo.name for each in assignments])
            super().give(worker, assignments)

    outcomes(dispatched(Watched(), [*NAMES, CLIP], workers=2))
    assert [CLIP] in given
    assert max(map(len, given)) == 8
    assert len(given[-1]) == len(given[-2]) == 1
