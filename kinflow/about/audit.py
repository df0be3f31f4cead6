"""Whether everything that kinflow stands on and ships may be used in a product of any kind.

Each package, each library inside its wheel and each file that ships gets a finding. What is neither
permissive nor in the list of exceptions, and what nothing is known of, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kinflow.about.bundled import Library
from kinflow.about.packages import Package
from kinflow.about.spdx import judge
from kinflow.about.weights import ShippedFile

_MPL = "MPL-2.0 asks that its own files stay open and for nothing of programs; unchanged here, "
EXCEPTIONS: tuple[tuple[str, str, str], ...] = (
    ("certifi", "MPL-2.0", f"{_MPL}not in a plain installation"),
    ("pathspec", "MPL-2.0", f"{_MPL}not in a plain installation"),
    ("tqdm", "MPL-2.0 AND MIT", f"{_MPL}not in a plain installation"),
    (
        "pi-heif",
        "BSD-3-Clause AND LGPL-3.0-only",
        "BSD itself; libheif and libde265 inside are shared libraries that can be replaced",
    ),
    ("cuda-toolkit", "", "a list of NVIDIA's packages, without files of its own"),
    (
        r"nvidia-.*",
        r"(Apache-2\.0 AND )?LicenseRef-(NVIDIA-)?Proprietary( AND LicenseRef-Proprietary)?",
        "NVIDIA's runtime, which may be passed on with programs; torch for CPUs has none",
    ),
)
"""Packages that may be used although their licence is not permissive: name and licence as patterns,
and why. Another licence than this one is refused."""


@dataclass(frozen=True)
class Finding:
    """What is said of one thing."""

    what: str
    licence: str
    """SPDX expression, or that it is not known."""
    fine: bool
    why: str
    """Why it is fine though not permissive, or why it is refused; empty for all others."""


def audit(packages: Sequence[Package], files: Iterable[ShippedFile]) -> list[Finding]:
    """Findings about packages, libraries in their wheels, and files that ship, in this order."""
    libraries = [_of_library(p, library) for p in packages for library in p.libraries]
    return [*map(_of_package, packages), *libraries, *map(_of_file, files)]


def _of_package(package: Package) -> Finding:
    what = f"{package.name} {package.version}"
    licence = package.licence
    for name, stated, why in EXCEPTIONS:
        if re.fullmatch(name, package.name) and re.fullmatch(stated, licence):
            return Finding(what, licence or "not stated", True, why)
    return _judged(what, licence)


def _of_library(package: Package, library: Library) -> Finding:
    what = f"{library.name} in {package.name}"
    if library.why:
        return Finding(what, library.licence, True, library.why)
    return _judged(what, library.licence)


def _of_file(file: ShippedFile) -> Finding:
    what = f"kinflow/assets/{file.name}"
    if file.problem:
        return Finding(what, file.licence or "not known", False, file.problem)
    return _judged(what, file.licence)


def _judged(what: str, licence: str) -> Finding:
    verdict = judge(licence)
    reasons = {
        "permissive": "",
        "copyleft": "It asks for more than to be named.",
        "unknown": "Nothing is known of this licence.",
    }
    return Finding(what, licence or "not known", verdict == "permissive", reasons[verdict])
