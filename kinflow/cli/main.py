"""`kinflow`: the command line.

Options of the everyday commands are light to import. The commands of those who train keep their
options beside heavy code, which is imported only when one of them is named.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import tyro

from kinflow.checks import command_line
from kinflow.cli.options import Demo, Interpolate, Reconstruct, Sample, Version
from kinflow.errors import KinflowError

Command = (
    Annotated[Reconstruct, tyro.conf.subcommand("reconstruct")]
    | Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Sample, tyro.conf.subcommand("sample")]
    | Annotated[Interpolate, tyro.conf.subcommand("interpolate")]
    | Annotated[Version, tyro.conf.subcommand("version")]
)

RESEARCH_GROUPS = ("data", "synth", "train", "evaluate")

DESCRIPTION = """Photos of people to posed, shaped 3D bodies.

For training there are also: kinflow data, synth, train and evaluate (see their --help)."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 fine, 2 bad input, 1 anything else."""
    try:
        # options check themselves while they are parsed
        return parse(sys.argv[1:] if arguments is None else arguments)()
    except KinflowError as error:
        print(f"kinflow: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("kinflow: interrupted", file=sys.stderr)
        return 130


@command_line()
def parse(arguments: list[str]) -> Callable[[], int]:
    """The command that the arguments ask for, ready to run; prints help or usage and exits."""
    if arguments and arguments[0] in RESEARCH_GROUPS:
        from kinflow.cli import research

        return research.parse(arguments)
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
