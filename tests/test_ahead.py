"""Values that are made ahead in another thread: order, errors, limits, early ends."""

import threading
import time
from collections.abc import Iterator

import pytest

from kinflow.threads import ahead


def test_values_come_in_their_order():
    assert list(ahead(range(100), 3)) == list(range(100))
    assert list(ahead([], 3)) == []
    assert list(ahead([None, None], 1)) == [None, None]


def test_no_more_are_made_than_are_asked_for():
    made = []

    def making() -> Iterator[int]:
        for value in range(100):
            made.append(value)
            yield value

    values = ahead(making(), 4)
    assert next(values) == 0
    time.sleep(0.3)
    assert len(made) <= 1 + 4 + 1
    values.close()
    assert len(made) <= 1 + 4 + 2


def test_errors_come_where_their_value_would_have_come():
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("no second one")

    values = ahead(failing(), 5)
    assert next(values) == 1
    with pytest.raises(ValueError, match="no second one"):
        next(values)


@pytest.mark.parametrize("asked", [0, 1, 50])
def test_nothing_goes_on_after_the_end(asked):
    before = threading.active_count()
    values = ahead(iter(range(10_000)), 2)
    for _ in range(asked):
        next(values)
    values.close()
    assert threading.active_count() == before


def test_values_are_made_while_others_are_worked_on():
    def slow() -> Iterator[int]:
        for value in range(5):
            time.sleep(0.05)
            yield value

    begin = time.perf_counter()
    for _ in ahead(slow(), 5):
        time.sleep(0.05)
    assert time.perf_counter() - begin < 0.42
