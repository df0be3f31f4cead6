"""JSON that nobody vouches for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from kinflow.errors import InputError
from kinflow.files.reading import guarded, read_text

MAX_JSON_BYTES = 256 << 20
_LONG_NUMBER = re.compile(r"\d{19}")


def read_json(path: Path | str, at_most: int = MAX_JSON_BYTES) -> Any:
    """The content of a JSON file in UTF-8 or UTF-16, with or without a byte order mark.

    Whole numbers beyond 64 bits become floats, so that no reader meets an integer that numpy
    cannot hold; NaN and Infinity, which JSON does not know but Python writes, are read.

    Args:
        path: the file.
        at_most: its size in bytes.

    Raises:
        InputError: the file cannot be read, is too large, or is not JSON.
    """
    return parse_json(read_text(path, at_most), path)


def parse_json(text: str | bytes, path: Path | str) -> Any:
    """The content of JSON text; `path` is where it came from.

    Raises:
        InputError: the text is not JSON, or is nested too deeply.
    """
    with guarded(path, "valid JSON"):
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        try:
            return json.loads(text, parse_int=_whole if _LONG_NUMBER.search(text) else None)
        except RecursionError as error:
            raise InputError(f"'{path}' is nested too deeply to be what is wanted.") from error
        except json.JSONDecodeError as error:
            raise InputError(
                f"'{path}' is not valid JSON ({error.msg} in line {error.lineno})."
            ) from error


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < 19 else float(digits)
