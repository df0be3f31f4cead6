"""The modules of kinflow as trees of syntax, for tests of how they are written."""

import ast
import functools
from pathlib import Path

import kinflow

PACKAGE = Path(kinflow.__file__).parent
PATHS = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
"""Every module's file by its path in the package."""


@functools.cache
def trees() -> dict[str, ast.Module]:
    """Every module by its path in the package; parsed once, by the process that looks at them."""
    return {name: ast.parse(path.read_text(encoding="utf8")) for name, path in PATHS.items()}
