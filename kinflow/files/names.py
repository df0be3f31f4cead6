"""Names for folders that are safe wherever they are carried, and text that prints anywhere."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from pathlib import Path

from kinflow.files.marker import MARKER_NAME

_MAX_BYTES = 240
"""Of a name in UTF-8; file systems take 255, and a number may have to be added."""
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{i}" for port in ("com", "lpt") for i in range(1, 10)}
)
_NOT_IN_NAMES = frozenset('<>:"/\\|?*')
_NOT_PRINTED = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's control characters, halves of characters (bytes that are no text) and line ends."""
_TURNS_TEXT = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Controls of direction: they make `gpj.exe` look like `exe.jpg`, and lines like other lines."""
_SUBSTITUTE = "photo"


def folder_name(stem: str) -> str:
    """A name like `stem` for one folder: never empty, a path, hidden from a program or too long.

    What Windows forbids, control characters and bytes that are no text become underscores, as does
    a first character that shells and this package read in a way of their own (`-`, `~`,
    `.kinflow`).
    """
    name = "".join("_" if _is_unsafe(char) else char for char in stem)
    name = name.strip().rstrip(". ")
    if name[:1] in ("-", "~") or name.casefold().startswith(MARKER_NAME):
        name = f"_{name[1:]}"
    if name.split(".")[0].rstrip().casefold() in _RESERVED:
        name = f"_{name}"
    name = name.encode("utf8")[:_MAX_BYTES].decode("utf8", "ignore").rstrip(". ")
    return name or _SUBSTITUTE


def folder_names(stems: Collection[str]) -> list[str]:
    """A name for each; those that some file system takes for the same get numbers."""
    taken: set[str] = set()
    names = []
    for stem in stems:
        plain = folder_name(stem)
        name, number = plain, 1
        while folded(name) in taken:
            number += 1
            name = f"{plain}_{number}"
        taken.add(folded(name))
        names.append(name)
    return names


def printable(path: Path | str) -> str:
    """A path as text that can be written to any file; bytes that are no text become U+FFFD."""
    return "".join(
        char if unicodedata.category(char) != "Cs" else "\N{REPLACEMENT CHARACTER}"
        for char in str(path)
    )


def one_line(text: str) -> str:
    """Text whose control characters, line ends among them, show as escapes and do nothing."""
    return "".join(
        _escape(char) if char in _TURNS_TEXT or unicodedata.category(char) in _NOT_PRINTED else char
        for char in text
    )


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def _is_unsafe(char: str) -> bool:
    return (
        char in _NOT_IN_NAMES or char in _TURNS_TEXT or unicodedata.category(char) in _NOT_PRINTED
    )


def folded(name: str) -> str:
    """Equal for names that some file system takes for the same."""
    return unicodedata.normalize("NFC", name).casefold()
