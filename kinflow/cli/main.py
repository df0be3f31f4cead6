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

RESEARCH_GROUPS = ("data", "synth", "train", "evaluate", "motion")

DESCRIPTION = """Photos of people to posed, shaped 3D bodies.

For motion files there is kinflow motion, for training there are kinflow data, synth, train and
evaluate (see their --help)."""

_WORK = {
    "Reconstruct": ("kinflow.cli.reconstruct", "run"),
    "Demo": ("kinflow.cli.demo", "run"),
    "Sample": ("kinflow.cli.gallery", "run_sample"),
    "Interpolate": ("kinflow.cli.gallery", "run_interpolate"),
    "Convert": ("kinflow.cli.convert", "run"),
    "Serve": ("kinflow.service.server", "run"),
    "Licences": ("kinflow.cli.about", "run_licences"),
    "Report": ("kinflow.cli.about", "run_report"),
    "Version": ("kinflow.cli.main", "print_version"),
}
"""What works on the options of each everyday command: a module, heavy as a rule, and its function,
which returns the exit code."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0: fine; 2: bad input; 1: anything else; 130 and 143: ended by Ctrl-C or SIGTERM.
    """
    from kinflow.checks import command_line
    from kinflow.cli import signals
    from kinflow.cli.flags import with_flags
    from kinflow.cli.output import complain
    from kinflow.errors import KinflowError
    from kinflow.files.names import one_line

    try:
        _check_working_folder()
        with command_line():  # options check themselves while they are parsed
            # imports the work, too: once signals raise exceptions, imports do not stand them well
            run = parse(sys.argv[1:] if arguments is None else arguments)
        with signals.Working():
            code = run()
            signals.raise_if_stopped()
            return code
    except KinflowError as error:
        complain(f"kinflow: {one_line(with_flags(str(error), error.options))}")
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
    from functools import partial
    from importlib import import_module

    import tyro

    from kinflow.cli.options import Command

    command = tyro.cli(
        Command,
        prog="kinflow",
        description=DESCRIPTION,
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
    )
    module, function = _WORK[type(command).__name__]
    return partial(getattr(import_module(module), function), command)


def print_version(_options: object) -> int:
    """Print the version; returns the exit code."""
    from kinflow.version import __version__

    print(f"kinflow {__version__}")
    return 0


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
