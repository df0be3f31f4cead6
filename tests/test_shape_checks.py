"""Types and shapes of every call in kinflow are checked while tests run."""

import random
from dataclasses import dataclass

import jaxtyping
import pytest
import torch
from jaxtyping import Float, TypeCheckError
from shape_checks import at_first_call
from torch import Tensor

from kinflow.geometry.rotations import matrix_to_rotvec


def checked(function):
    return jaxtyping.jaxtyped(function, typechecker=at_first_call)


@checked
def product(
    a: Float[Tensor, "n k"], b: Float[Tensor, "k m"], wrong: int = 0
) -> Float[Tensor, "n m"]:
    return a @ b if not wrong else torch.zeros(*((wrong,) * 2))


@checked
def named(number: int, /, *more: int, name: str = "", **others: float) -> str:
    return name or number  # pyright: ignore[reportReturnType]


@checked
def counted(count: int):
    yield from range(count)


def test_kinflow_is_checked():
    with pytest.raises(TypeCheckError):
        matrix_to_rotvec(torch.zeros(4, 2))


def test_axes_of_one_name_are_one_size_across_arguments_and_what_is_returned():
    assert product(torch.ones(2, 3), torch.ones(3, 4)).shape == (2, 4)
    for arguments in (
        (torch.ones(2, 3), torch.ones(2, 4)),
        (torch.ones(2, 3), torch.ones(3)),
        (torch.ones(2, 3), torch.ones(3, 4), 5),
        (torch.ones(2, 3), torch.ones(3, 4).int()),
        (torch.ones(2, 3), torch.ones(3, 4), "5"),
    ):
        with pytest.raises(TypeCheckError):
            product(*arguments)
    # of the next call the sizes are others
    assert product(torch.ones(1, 5), torch.ones(5, 1)).shape == (1, 1)


def test_each_check_is_made_once():
    """Arguments before the call, with nothing of the result; the result alone after it."""
    looked_at = []

    class Seen(type):
        def __instancecheck__(cls, value):
            looked_at.append(value)
            return isinstance(value, str)

    class Word(metaclass=Seen):
        pass

    @checked
    def joined(a: Word, b: Word) -> Word:
        looked_at.append("called")
        return a + b  # pyright: ignore

    joined("a", "b")
    looked_at.clear()
    assert joined("c", "d") == "cd"
    assert looked_at == ["c", "d", "called", "cd"]
    with pytest.raises(TypeCheckError):
        joined("c", 1)
    assert looked_at[-1] == 1


def test_every_kind_of_argument_is_checked():
    assert named(1, 2, name="a", more=3.0) == "a"
    for arguments, keywords in (
        (("1",), {"name": "a"}),
        ((1, "2"), {"name": "a"}),
        ((1,), {"name": 2}),
        ((1,), {"name": "a", "more": "3"}),
        ((1,), {}),  # returns the number
    ):
        with pytest.raises(TypeCheckError):
            named(*arguments, **keywords)
    assert list(counted(3)) == [0, 1, 2]
    with pytest.raises(TypeCheckError):
        counted("3")


def test_a_call_like_one_that_passed_is_not_checked_again_and_any_other_is():
    looked_at = []

    class Seen(type):
        def __instancecheck__(cls, value):
            looked_at.append(value)
            return isinstance(value, (list, tuple, Tensor))

    class Given(metaclass=Seen):
        pass

    @checked
    def given(a: Given, b: Float[Tensor, "n"], returned: list) -> Float[Tensor, "n"]:
        return returned[0]

    one, other = torch.zeros(3), torch.zeros(3)
    round_: list = [one]
    round_.append(round_)  # it holds itself
    for a, b, count in (
        (one, one, 1),
        (other, other, 0),
        (other[:2], other, 1),
        (other.double(), other, 1),
        (torch.nn.Parameter(one), other, 1),
        ((one, "a"), other, 1),
        ((other, "a"), other, 0),
        ((other, "b"), other, 1),
        ([other] * 100, other, 1),  # each time
        ([other] * 100, other, 1),
        (round_, other, 1),
        (round_, other, 1),
    ):
        looked_at.clear()
        given(a, b, [b])
        assert sum(seen is a for seen in looked_at) == count
    # of arguments that have passed, too, a result that has not is looked at
    for wrong in (torch.zeros(2), torch.zeros(3).int(), None):
        for _ in range(2):
            with pytest.raises(TypeCheckError):
                given(one, one, [wrong])
    # and what is wrong is wrong each time
    for _ in range(2):
        with pytest.raises(TypeCheckError):
            given(one, "b", [one])


def test_results_of_many_kinds_for_the_same_kind_of_arguments():
    @checked
    def either(word: str, answers: object) -> int | None:
        return answers()  # pyright: ignore

    for answer in (1, None, 2, 1):
        assert either("a", lambda answer=answer: answer) == answer
    for wrong in ("1", 1.0, torch.zeros(1)):
        with pytest.raises(TypeCheckError):
            either("a", lambda wrong=wrong: wrong)


def test_dataclasses_are_checked_where_they_inherit_too():
    @jaxtyping.jaxtyped(typechecker=at_first_call)
    @dataclass(frozen=True)
    class Pair:
        a: Float[Tensor, "n"]
        b: Float[Tensor, "n"]

    @jaxtyping.jaxtyped(typechecker=at_first_call)
    class Two(Pair):
        pass

    for kind in (Pair, Two):
        for _ in range(2):
            assert kind(torch.zeros(2), b=torch.ones(2)).b.sum() == 2
            with pytest.raises(TypeCheckError):
                kind(torch.zeros(2), torch.zeros(3))
            with pytest.raises(TypeCheckError):
                kind(torch.zeros(2), b="b")


def test_checks_draw_no_numbers_of_the_programs():
    @checked
    def first(words: list[str], pair: dict[str, list[int]]) -> list[str]:
        return words

    before = random.getstate()
    first(["a"] * 100, {"a": [1, 2]})
    assert random.getstate() == before
    with pytest.raises(TypeCheckError):
        first([1] * 100, {})
    assert random.getstate() == before
