"""Flags in messages: the library speaks of values, a person at a terminal of flags.

Importing this module imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping

_OTHERWISE = {
    "follow_parts": "--no-parts",
    "part_maps": "--parts",
    "palette": "--parts-palette",
}
"""Options of the library that are not called like their flags."""


def flag_of(option: str) -> str:
    """The flag that sets an option of the library."""
    return _OTHERWISE.get(option, "--" + option.replace("_", "-"))


def with_flags(message: str, options: Mapping[str, str]) -> str:
    """A message with the flag in brackets behind the words that speak of an option.

    Args:
        message: one sentence.
        options: words of it, and the option that each speaks of (`kinflow.errors.KinflowError`).
    """
    for words, option in options.items():
        # the last place: names of files, which may hold any words, come first
        before, found, after = message.rpartition(words)
        if found:
            message = f"{before}{words} ({flag_of(option)}){after}"
    return message
