"""For the reference of the site: what `kinflow.threads.lazy` decorates is an attribute."""

from __future__ import annotations

from typing import Any

import griffe


class LazyAttributes(griffe.Extension):
    """Shows lazily loaded attributes as such; their functions are never called by programs."""

    def on_function_instance(self, *, func: griffe.Function, **_: Any) -> None:
        """Replace a function that is decorated by `lazy`."""
        names = {decorator.callable_path.rpartition(".")[2] for decorator in func.decorators}
        if "lazy" not in names or func.parent is None:
            return
        attribute = griffe.Attribute(
            func.name,
            lineno=func.lineno,
            endlineno=func.endlineno,
            annotation=func.returns,
            docstring=func.docstring,
        )
        attribute.labels |= {"property"}
        func.parent.set_member(func.name, attribute)
