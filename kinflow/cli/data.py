"""`kinflow data`: commands that prepare training data."""

from __future__ import annotations

from collections.abc import Callable

import tyro

from kinflow.datasets.poses import BuildPosesConfig
from kinflow.datasets.poses import main as build_poses


def parse(arguments: list[str]) -> Callable[[], int]:
    """The data command that the arguments ask for, ready to run."""
    config = tyro.extras.subcommand_cli_from_dict(
        {"poses": BuildPosesConfig},
        prog="kinflow data",
        description="Prepare training data.",
        args=arguments,
    )

    def run() -> int:
        build_poses(config)
        return 0

    return run
