"""`kinflow`: the command line. Commands import what they need only when they run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated

import tyro

from kinflow import __version__
from kinflow.cli.options import Demo, Reconstruct
from kinflow.errors import KinflowError


@dataclass(frozen=True)
class Version:
    """Print the version."""

    def run(self) -> int:
        print(__version__)
        return 0


Command = (
    Annotated[Reconstruct, tyro.conf.subcommand("reconstruct")]
    | Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Version, tyro.conf.subcommand("version")]
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 fine, 2 bad input, 1 anything else."""
    command = tyro.cli(
        Command,
        prog="kinflow",
        description="Photos and videos of people to posed, shaped 3D bodies.",
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
    )
    try:
        return command.run()
    except KinflowError as error:
        print(f"kinflow: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("kinflow: interrupted", file=sys.stderr)
        return 130


def entry_point() -> None:
    """What the `kinflow` script calls."""
    sys.exit(main())


if __name__ == "__main__":
    entry_point()
