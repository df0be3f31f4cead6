"""The arrows of the architecture: whoever imports from a package stands above it, and no module
imports itself by a detour."""

import ast
import functools
import graphlib
from pathlib import PurePosixPath

import pytest
from parsed import PATHS, trees

LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "version"),
    ("checks", "threads"),
    ("assets", "files", "tensors"),
    ("geometry", "optim"),
    ("body",),
    ("priors", "metrics"),
    ("evidence",),
    ("energy",),
    ("results",),
    ("predictors",),
    ("fitting",),
    ("export",),
    ("datasets",),
    ("synth",),
    ("training",),
    ("evaluation",),
    ("pipeline",),
    ("about",),
    ("api", "client"),
    ("service",),
    ("cli",),
)
"""From the bottom up; modules of one layer do not know each other."""
LEVEL = {name: level for level, layer in enumerate(LAYERS) for name in layer}

MODULES: dict[str, str] = {
    ".".join(("kinflow", *PurePosixPath(path).with_suffix("").parts)): path for path in PATHS
}
"""Every module by its dotted name, packages as `kinflow.x.__init__`."""


@functools.cache
def imports() -> dict[str, set[str]]:
    """The modules of kinflow that each module imports, wherever in it, for typing too."""
    return {module: imported(trees()[path]) for module, path in MODULES.items()}


def imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {module_of(f"{node.module}.{alias.name}") for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {module_of(alias.name) for alias in node.names}
    return names - {""}


def module_of(name: str) -> str:
    """The module that an imported name lives in; empty for those of others."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        stem = ".".join(parts[:length])
        for module in (stem, f"{stem}.__init__"):
            if module in MODULES:
                return module
    return ""


def part_of(module: str) -> str:
    """The package of a module, or the module itself where it lies at the top."""
    return module.split(".")[1]


PARTS = sorted({part_of(module) for module in MODULES} - {"__init__", "__main__"})


@pytest.mark.parametrize("part", PARTS)
def test_imports_point_down(part):
    assert part in LEVEL, f"'{part}' has no layer yet"
    for module in MODULES:
        if part_of(module) == part:
            others = {part_of(name) for name in imports()[module]} - {part}
            above = {name for name in others if LEVEL[name] >= LEVEL[part]}
            assert not above, f"{module} imports {above}"


def test_no_module_imports_itself_by_a_detour():
    graph = {module: names - {module} for module, names in imports().items()}
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_files_stand_on_errors_alone():
    for module, names in imports().items():
        if part_of(module) == "files":
            assert {part_of(name) for name in names} <= {"files", "errors", "checks", "version"}


def test_nobody_uses_the_public_names_within():
    # `kinflow/__init__.py` imports everything, so that whoever imports it has all layers above him
    for module, names in imports().items():
        assert "kinflow.__init__" not in names, module
