"""Errors a user can cause or has to know about, each carrying one clear sentence.

`InputError` means the input is bad (the command line exits with code 2); `AssetError` means that a
file that belongs to kinflow itself (weights, body model) is missing or damaged.
"""


class KinflowError(Exception):
    """Base of all errors that kinflow raises on purpose."""

    exit_code = 1


class InputError(KinflowError, ValueError):
    """The input is unusable; the message says what is wrong and what to do."""

    exit_code = 2


class OptionError(KinflowError):
    """An option of the command line is out of range; programs get an `InputError` instead."""

    exit_code = 2


class AssetError(KinflowError):
    """A file that is part of kinflow is missing or damaged; reinstalling mends it."""

    exit_code = 2
