"""The packages that kinflow stands on, as they are installed here: all that is reached by following
what each of them requires.

Requirements are followed where they are installed, whatever their conditions on Python and platform
say, so there may be one too many but none too few. Nothing is asked of the network.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from email.message import Message
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import cast

from kinflow.about.bundled import Library, libraries_in
from kinflow.about.licence_names import spdx_of
from kinflow.errors import InputError

PROJECT = "kinflow"
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


@dataclass(frozen=True)
class Package:
    """One installed package."""

    name: str
    version: str
    licence: str
    """SPDX expression; empty where it cannot be told."""
    requires: tuple[str, ...]
    """Names of installed packages that it requires."""
    libraries: tuple[Library, ...]
    """Libraries of others inside its wheel."""


def plain_name(name: str) -> str:
    """A package's name as all its spellings have it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def extras_of_project() -> tuple[str, ...]:
    """The extras that kinflow has.

    Raises:
        InputError: kinflow is not installed as a package.
    """
    return tuple(_project().metadata.get_all("Provides-Extra", []))


def installed_packages(extras: Collection[str]) -> tuple[tuple[Package, ...], tuple[str, ...]]:
    """Packages that kinflow with these extras stands on, itself first, then by name.

    Returns:
        The packages, and the names of those that the extras ask for and that are not installed.

    Raises:
        InputError: kinflow is not installed as a package.
    """
    requires: dict[str, set[str]] = {}
    missing: set[str] = set()
    todo = [(PROJECT, frozenset(extras))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        after = requires.setdefault(name, set())
        for other, other_extras in _asked_for(name, wanted):
            if other == PROJECT:
                # an extra that names others of kinflow
                todo.append((PROJECT, wanted | other_extras))
            elif _installed(other) is not None:
                after.add(other)
                todo.append((other, other_extras))
            elif name == PROJECT:
                missing.add(other)
    names = [PROJECT, *sorted(set(requires) - {PROJECT})]
    return tuple(_package(name, requires[name]) for name in names), tuple(sorted(missing))


def complete_extras() -> tuple[str, ...]:
    """Extras of kinflow whose packages are all installed, but for those that sum up others.

    Raises:
        InputError: kinflow is not installed as a package.
    """
    complete = []
    for extra in extras_of_project():
        asked = [name for name, _ in _asked_for(PROJECT, frozenset((extra,)))]
        if PROJECT not in asked and all(_installed(name) is not None for name in asked):
            complete.append(extra)
    return tuple(complete)


def _package(name: str, requires: Iterable[str]) -> Package:
    installed = _project() if name == PROJECT else _installed(name)
    assert installed is not None
    licence = spdx_of(cast(Message, installed.metadata))
    libraries = libraries_in(installed.files or ())
    return Package(name, installed.version, licence, tuple(sorted(requires)), libraries)


def _asked_for(name: str, extras: Collection[str]) -> list[tuple[str, frozenset[str]]]:
    """What an installed package with these extras requires: names, and extras of them."""
    installed = _project() if name == PROJECT else _installed(name)
    asked = _requirements(installed) if installed else []
    return [(other, more) for other, more, extra in asked if not extra or extra in extras]


def _requirements(installed: Distribution) -> list[tuple[str, frozenset[str], str]]:
    """Name, extras of it, and the extra under which it is asked for, of each requirement."""
    requirements = []
    for text in installed.requires or ():
        what, _, condition = text.partition(";")
        if named := _NAME.match(what):
            extras = frozenset(e.strip() for e in (named[2] or "").split(",") if e.strip())
            asked = _EXTRA.search(condition)
            requirements.append((plain_name(named[1]), extras, asked[1] if asked else ""))
    return requirements


def _project() -> Distribution:
    try:
        return distribution(PROJECT)
    except PackageNotFoundError as error:
        raise InputError(
            "kinflow is not installed as a package, so nothing tells what it requires; "
            "run: pip install kinflow."
        ) from error


@cache
def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None
