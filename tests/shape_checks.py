"""The checker of types and shapes in tests: beartype, at a function's first call.

Compiling the checks of all of kinflow takes seconds in every process that runs tests, most of it
for functions that it never calls.
"""

from collections.abc import Callable
from typing import Any

from beartype import beartype


def at_first_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, checked: jaxtyping's `typechecker`.

    jaxtyping gives two functions for each of kinflow's. The first takes the arguments, before the
    call. The second, after it, takes them again, to return what was returned; of that one only the
    result is checked, by the sizes of axes that the first has found. (To check arrays twice would
    be half of the time that many tests take.)
    """
    annotations = function.__annotations__
    if annotations.get("return", Any) is not Any:
        function.__annotations__ = {"return": annotations["return"]}
    checked: Callable[..., Any] | None = None

    def call(*arguments: Any, **keywords: Any) -> Any:
        nonlocal checked
        if checked is None:
            checked = beartype(function)
        return checked(*arguments, **keywords)

    return call
