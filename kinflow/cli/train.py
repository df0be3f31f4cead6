"""`kinflow train`: commands that train models."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import tyro

from kinflow.priors.training import TrainPriorConfig, train


def parse(arguments: list[str]) -> Callable[[], int]:
    """The training command that the arguments ask for, ready to run."""
    config = tyro.extras.subcommand_cli_from_dict(
        {"prior": TrainPriorConfig},
        prog="kinflow train",
        description="Train models.",
        args=arguments,
    )
    # the command goes into the weight file, so that a prior says how it was made
    command = shlex.join(["kinflow", "train", *arguments])

    def run() -> int:
        train(config, command)
        print(f"Wrote {config.out / 'prior.safetensors'}; use it with --prior.")
        return 0

    return run
