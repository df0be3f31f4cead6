"""Write the tables of docs/evaluation.md from the code: protocols, their fields, the file format.

    python tools/protocol_tables.py

A test compares the page with what this would write.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from kinflow.datasets.person_rows import FIELDS
from kinflow.evaluation.protocols.joint_sets import JOINT_SETS
from kinflow.evaluation.protocols.named import PROTOCOLS
from kinflow.evaluation.protocols.protocol import Protocol

PAGE = Path(__file__).parents[1] / "docs" / "evaluation.md"
KINDS = {"f": "numbers", "i": "whole numbers", "b": "0 or 1", "U": "text"}


def with_tables(page: str) -> str:
    """The page with what lies between its marks written anew."""
    for name, table in TABLES.items():
        mark = f"<!-- {name} -->"
        end = f"<!-- end of {name} -->"
        before, _, rest = page.partition(mark)
        _, _, after = rest.partition(end)
        page = f"{before}{mark}\n{table()}\n{end}{after}"
    return page


def protocols() -> str:
    """A line for each protocol."""
    head = ("protocol", "truth", "joints", "root", "figures", "follows", "hash")
    rows = (
        (
            f"`{p.name}`",
            _truth(p),
            _joints(p),
            " and ".join(p.root) or "–",
            ", ".join(p.figures),
            p.source,
            f"`{p.hash}`",
        )
        for p in PROTOCOLS.values()
    )
    return _table(head, rows)


def fields() -> str:
    """A line for each field: what it says, its default, and who has it otherwise."""
    meanings = _docstrings(Protocol)
    rows = []
    for field in dataclasses.fields(Protocol):
        has_default = field.default is not dataclasses.MISSING
        default = _shown(field.default) if has_default else "–"
        others = {
            p.name: getattr(p, field.name)
            for p in PROTOCOLS.values()
            if has_default and getattr(p, field.name) != field.default
        }
        rows.append((f"`{field.name}`", meanings[field.name], default, _others(field.name, others)))
    return _table(("field", "what it says", "default", "otherwise"), rows)


def file_format() -> str:
    """A line for each array."""
    rows = (
        (
            f"`{name}`" + (" *" if f.required else ""),
            f"({', '.join(map(str, f.axes))}{',' if len(f.axes) == 1 else ''})",
            KINDS[f.kind],
            f.meaning,
        )
        for name, f in FIELDS.items()
    )
    return _table(("array", "shape", "kind", "meaning"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "protocols": protocols,
    "fields": fields,
    "file format": file_format,
}


def _truth(p: Protocol) -> str:
    words = [f"{p.dataset}, {p.split}", p.selection]
    words += [f"subjects {' and '.join(p.subjects)}"] if p.subjects else []
    words += [f"camera {' and '.join(p.cameras)}"] if p.cameras else []
    words += [f"every {p.every_nth}th frame"] if p.every_nth > 1 else []
    return "; ".join(words)


def _joints(p: Protocol) -> str:
    if not p.joint_set:
        return "–"
    own = "" if p.predicted_joints == p.truth_joints else f", predicted `{p.predicted_joints}`"
    return f"{len(p.joints)} of {p.joint_set}, `{p.truth_joints}`{own}"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        if len(value) > 6:
            return f"{value[0]}, {value[1]} … {value[-1]}"
        return ", ".join(map(str, value)) or "–"
    return str(value) if value != "" else "–"


def _others(name: str, values: dict[str, object]) -> str:
    """Values that differ from the default; what the first table has is not said again."""
    if name in ("selection", "source", "joints"):
        return "see above"
    grouped: dict[str, list[str]] = {}
    for protocol, value in values.items():
        shown = _shown(value)
        grouped.setdefault(shown, []).append(protocol)
    return "; ".join(f"{shown}: {', '.join(names)}" for shown, names in grouped.items())


def _docstrings(kind: type) -> dict[str, str]:
    """The text below each field, or its name where there is none."""
    (body,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(body, ast.ClassDef)
    found = {field.name: field.name.replace("_", " ") for field in dataclasses.fields(kind)}
    for before, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr):
            assert isinstance(before.target, ast.Name) and isinstance(after.value, ast.Constant)
            found[before.target.id] = re.sub(r"\s+", " ", str(after.value.value))
    return found


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cell or ' ' for cell in line)} |" for line in lines)


def joint_sets() -> str:
    """Names of each set, for the page."""
    rows = ((f"`{name}`", ", ".join(names)) for name, names in JOINT_SETS.items())
    return _table(("set", "joints in their order"), rows)


TABLES["joint sets"] = joint_sets

if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf8")), encoding="utf8")
