"""The marker of a result folder: what kinflow made in it, so that nothing else is ever deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kinflow.errors import InputError
from kinflow.files.json_files import read_json
from kinflow.version import __version__

MARKER_NAME = ".kinflow"
MARKER_FORMAT = "kinflow result folder 1"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Marker:
    """What a result folder says about itself."""

    files: tuple[str, ...]
    """Names of the files that kinflow wrote into the folder, beside the marker itself."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the files were made from, as plain JSON."""
    version: str = __version__

    def write(self, folder: Path) -> None:
        """Put the marker into a folder."""
        document = {
            "format": MARKER_FORMAT,
            "version": self.version,
            "files": list(self.files),
            **self.details,
        }
        text = json.dumps(document, indent=1, ensure_ascii=True) + "\n"
        (folder / MARKER_NAME).write_text(text, encoding="ascii")

    @staticmethod
    def read(folder: Path) -> Marker | None:
        """The marker of a folder; None where there is none, or it is damaged."""
        path = folder / MARKER_NAME
        if path.is_symlink() or not path.is_file():
            return None
        try:
            document = read_json(path, _MAX_BYTES)
        except InputError:
            return None
        if not isinstance(document, dict) or document.pop("format", None) != MARKER_FORMAT:
            return None
        files, version = document.pop("files", None), document.pop("version", "")
        if not isinstance(files, list) or not all(_is_plain_name(name) for name in files):
            return None
        return Marker(tuple(files), document, str(version))


def _is_plain_name(name: object) -> bool:
    """Whether a name stays in its folder, whoever wrote the marker."""
    return (
        isinstance(name, str)
        and name not in ("", ".", "..", MARKER_NAME)
        and not set(name) & set("/\\\0")
    )
