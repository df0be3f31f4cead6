"""The datasets that can be read, by name. A reader's module is imported when it is asked for."""

from __future__ import annotations

import importlib

from kinflow.datasets.readers.reader import Reader
from kinflow.errors import InputError

READERS: dict[str, str] = {
    "folder": "kinflow.datasets.readers.folder:Folder",
    "shards": "kinflow.datasets.shards.reader:ShardFolder",
}
"""Name as typed to module and class."""


def reader_of(name: str) -> Reader:
    """The reader of this name.

    Raises:
        InputError: there is none, or a package that it needs is not installed.
    """
    if name not in READERS:
        raise InputError(f"No dataset is called '{name}'; there are: {', '.join(READERS)}.")
    module, kind = READERS[name].split(":")
    try:
        return getattr(importlib.import_module(module), kind)()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("kinflow"):
            raise
        raise InputError(
            f"Reading '{name}' needs the package '{error.name}': pip install 'kinflow[datasets]'."
        ) from error
