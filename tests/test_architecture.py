"""The arrows of the architecture: whoever imports from a layer stands above it."""

import ast
from pathlib import Path

import pytest

import kinflow

PACKAGE = Path(kinflow.__file__).parent
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "__version__"),
    ("checks", "rotations", "run_log", "threads"),
    ("assets", "files", "tensors"),
    ("checkpoint", "optim", "camera"),
    ("body", "evidence"),
    ("datasets", "metrics", "reconstruction"),
    ("priors",),
    ("alignment", "synth"),
    ("fitting",),
    ("api", "evaluation", "export"),
    ("cli",),
)
"""From the bottom up; modules of one layer do not know each other."""
LEVEL = {name: level for level, layer in enumerate(LAYERS) for name in layer}


def imported(path: Path) -> set[str]:
    """The parts of kinflow that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "kinflow":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module))
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    parts = {name.removeprefix("kinflow.").split(".")[0] for name in names if own(name)}
    return parts


def own(name: str) -> bool:
    return name.startswith("kinflow.") or name in LEVEL


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)
MODULES += sorted(path for path in PACKAGE.glob("*.py") if not path.name.startswith("__"))


@pytest.mark.parametrize("part", sorted({part_of(path) for path in MODULES}))
def test_imports_point_down(part):
    assert part in LEVEL, f"'{part}' has no layer yet"
    for path in MODULES:
        if part_of(path) == part:
            above = {name for name in imported(path) - {part} if LEVEL[name] >= LEVEL[part]}
            assert not above, f"{path} imports {above}"


def test_files_stand_on_errors_alone():
    for path in (PACKAGE / "files").glob("*.py"):
        assert imported(path) <= {"files", "errors", "checks", "__version__"}, path
