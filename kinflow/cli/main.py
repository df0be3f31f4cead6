"""`kinflow`: the command line.

Importing this module imports nothing, so that signals are handled before anything takes time.
Options of the everyday commands are light to import. The commands of those who train keep their
options beside heavy code, which is imported only when one of them is named.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RESEARCH_GROUPS = ("data", "synth", "train", "evaluate")

DESCRIPTION = """Photos of people to posed, shaped 3D bodies.

For training there are also: kinflow data, synth, train and evaluate (see their --help)."""

_WORK = {
    "Reconstruct": "kinflow.cli.reconstruct",
    "Demo": "kinflow.cli.reconstruct",
    "Sample": "kinflow.cli.gallery",
    "Interpolate": "kinflow.cli.gallery",
}
"""The heavy module of each everyday command."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0: fine; 2: bad input; 1: anything else; 130 and 143: ended by Ctrl-C or SIGTERM.
    """
    from importlib import import_module

    from kinflow.checks import command_line
    from kinflow.cli import signals
    from kinflow.cli.output import complain
    from kinflow.errors import KinflowError
    from kinflow.files.names import one_line

    try:
        _check_working_folder()
        with command_line():  # options check themselves while they are parsed
            run = parse(sys.argv[1:] if arguments is None else arguments)
        if work := _WORK.get(type(getattr(run, "__self__", None)).__name__):
            import_module(work)  # before signals raise exceptions, which imports do not stand well
        with signals.Working():
            code = run()
            signals.raise_if_stopped()
            return code
    except KinflowError as error:
        complain(f"kinflow: {one_line(str(error))}")
        return error.exit_code
    except KeyboardInterrupt as error:
        complain("kinflow: interrupted")
        return getattr(error, "exit_code", 130)


def _check_working_folder() -> None:
    from kinflow.errors import InputError

    try:
        os.getcwd()
    except OSError as error:
        raise InputError(
            f"The folder you are in cannot be used any more ({error.strerror or error}); "
            "change to another one."
        ) from error


def parse(arguments: list[str]) -> "Callable[[], int]":
    """The command that the arguments ask for, ready to run; prints help or usage and exits."""
    if arguments[:1] == ["--version"]:
        arguments = ["version"]
    if arguments and arguments[0] in RESEARCH_GROUPS:
        from kinflow.cli import research

        return research.parse(arguments)
    import tyro

    from kinflow.cli.options import Command

    command = tyro.cli(
        Command,
        prog="kinflow",
        description=DESCRIPTION,
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
    )
    return command.run


def entry_point() -> None:
    """What the `kinflow` script calls: `main` with the manners of a process of its own."""
    try:
        from kinflow.cli import signals

        signals.install()
    except KeyboardInterrupt:
        os.write(2, b"kinflow: interrupted\n")
        os._exit(130)
    from kinflow.cli import output

    output.prepare()
    try:
        code = main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BrokenPipeError:
        code = output.BROKEN_PIPE
    sys.exit(output.flushed(code))


if __name__ == "__main__":
    entry_point()
