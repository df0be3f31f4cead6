"""Errors a user can cause or has to know about, each carrying one clear sentence.

A message speaks of values, since a program may be the one that reads it. Where another option
would help, the error says so on the side (`options`), and the command line adds its flag.

`InputError` means the input is bad (the command line exits with code 2); `AssetError` means that a
file that belongs to kinflow itself (weights, body model) is missing or damaged.
"""

from collections.abc import Mapping


class KinflowError(Exception):
    """Base of all errors that kinflow raises on purpose."""

    exit_code = 1
    options: Mapping[str, str] = {}
    """Words of the message that speak of an option, and how the library calls that option."""


class InputError(KinflowError, ValueError):
    """The input is unusable; the message says what is wrong and what to do.

    Args:
        message: one sentence.
        options: words of the sentence that speak of an option, each with the option's name, as in
            `InputError("... ask to overwrite it.", {"overwrite it": "overwrite"})`.
    """

    exit_code = 2

    def __init__(self, message: str = "", options: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.options = dict(options or {})


class OptionError(KinflowError):
    """An option of the command line is out of range; programs get an `InputError` instead."""

    exit_code = 2


class AssetError(KinflowError):
    """A file that is part of kinflow is missing or damaged; reinstalling mends it."""

    exit_code = 2
