"""Threads and forks: what is made once, what runs one at a time, what a forked child needs anew.

- `lazy` attributes are made by the first thread that asks; others wait for it.
- `without_warnings` mutes warnings and puts filters back, however threads overlap.
- `one_thread` holds what torch computes to one thread, and lets one thread at a time do so.
- `ahead` makes values in a thread of its own while others are worked on.
- A forked child has only the thread that forked. Locks that others held would never open there, so
  it gets new ones; and OpenMP would wait for ever for workers that did not come along, so torch
  computes with one thread in it, as it does in the workers of its own data loaders.
"""

from __future__ import annotations

import os
import queue
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar, cast, overload

import torch

T = TypeVar("T")


class _Process:
    """What belongs to this process alone."""

    def __init__(self) -> None:
        self.making = threading.RLock()
        self.computing = threading.RLock()
        self.muting = threading.Lock()
        self.mutes = 0
        self.filters = warnings.catch_warnings()
        self.has_computed = False


_process = _Process()


class lazy(Generic[T]):
    """An attribute that is computed at first use and kept; safe with threads and after a fork.

    What makes it must not wait for `one_thread`, whose holder may be waiting for an attribute.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazy[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> lazy[T] | T:
        if instance is None:
            return self
        with _process.making:
            values = vars(instance)
            if self._name not in values:
                _process.has_computed = True
                # from now on Python finds the value before it finds this descriptor
                values[self._name] = self._make(instance)
            return values[self._name]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread, and one caller at a time.

    A fit's matrices are small: other threads would mostly wait for each other, and for the
    interpreter. torch keeps the number for each thread, and one more that threads yet to come begin
    with; the latter is put back at once.
    """
    with _process.computing:
        _process.has_computed = True
        threads = torch.get_num_threads()
        if threads == 1:
            yield
            return
        torch.set_num_threads(1)
        _for_new_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Show no warnings inside.

    Filters belong to the whole process. `warnings.catch_warnings` puts back those that it found,
    which with two threads may be the other's, for ever; here the last one that leaves does.
    """
    process = _process
    with process.muting:
        process.mutes += 1
        if process.mutes == 1:
            process.filters = warnings.catch_warnings()
            process.filters.__enter__()
            warnings.simplefilter("ignore")
    try:
        yield
    finally:
        with process.muting:
            process.mutes -= 1
            if process.mutes == 0:
                process.filters.__exit__(None, None, None)


def ahead(values: Iterable[T], count: int) -> Generator[T, None, None]:
    """The same values, made in another thread, up to `count` before they are asked for.

    An error in making them is raised where its value would have come. Whoever does not go through
    all of them closes this, which waits for the value that is being made.
    """
    made: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(count)
    unwanted = threading.Event()

    def put(*entry: Any) -> None:
        while not unwanted.is_set():
            with suppress(queue.Full):
                made.put(entry, timeout=0.1)
                return

    def make() -> None:
        try:
            for value in values:
                put(value, None, False)
                if unwanted.is_set():
                    return
        except BaseException as error:  # raised again below, in the thread that asks
            put(None, error, True)
        else:
            put(None, None, True)

    maker = threading.Thread(target=make, daemon=True)
    maker.start()
    try:
        while True:
            value, error, is_last = made.get()
            if error is not None:
                raise error
            if is_last:
                return
            yield cast(T, value)
    finally:
        unwanted.set()
        maker.join()


def _for_new_threads(threads: int) -> None:
    """Set what new threads begin with, and nothing of this one."""
    setter = threading.Thread(target=torch.set_num_threads, args=(threads,))
    setter.start()
    setter.join()


def _begin_child() -> None:
    global _process
    has_computed = _process.has_computed
    _process = _Process()
    if has_computed:
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)
