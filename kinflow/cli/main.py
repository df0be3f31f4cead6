"""`kinflow`: the command line.

Options of the everyday commands are light to import. The commands for training keep their options
beside heavy code, so a group of them is imported only when it is named.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Annotated

import tyro

from kinflow.cli.options import Demo, Reconstruct, Version
from kinflow.errors import KinflowError

Command = (
    Annotated[Reconstruct, tyro.conf.subcommand("reconstruct")]
    | Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Version, tyro.conf.subcommand("version")]
)

GROUPS = {"train": "kinflow.cli.train", "data": "kinflow.cli.data"}
"""Modules whose `parse(arguments)` understands the commands of a group."""

DESCRIPTION = """Photos of people to posed, shaped 3D bodies.

Commands for training have help of their own: kinflow train --help, kinflow data --help."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 fine, 2 bad input, 1 anything else."""
    run = _parse(sys.argv[1:] if arguments is None else arguments)
    try:
        return run()
    except KinflowError as error:
        print(f"kinflow: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("kinflow: interrupted", file=sys.stderr)
        return 130


def _parse(arguments: list[str]) -> Callable[[], int]:
    """The command that the arguments ask for, ready to run; prints help or usage and exits."""
    if arguments and arguments[0] in GROUPS:
        return import_module(GROUPS[arguments[0]]).parse(arguments[1:])
    command = tyro.cli(
        Command,
        prog="kinflow",
        description=DESCRIPTION,
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
    )
    return command.run


def entry_point() -> None:
    """What the `kinflow` script calls."""
    sys.exit(main())


if __name__ == "__main__":
    entry_point()
