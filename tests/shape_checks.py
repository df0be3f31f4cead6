"""The checker of types and shapes in tests: beartype, at a function's first call.

Compiling the checks of all of kinflow takes seconds in every process that runs tests, most of it
for functions that it never calls.
"""

from collections.abc import Callable
from typing import Any

from beartype import beartype


def at_first_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, checked: jaxtyping's `typechecker`."""
    checked: Callable[..., Any] | None = None

    def call(*arguments: Any, **keywords: Any) -> Any:
        nonlocal checked
        if checked is None:
            checked = beartype(function)
        return checked(*arguments, **keywords)

    return call
