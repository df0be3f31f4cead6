"""Commands that need heavy options: `kinflow data`, `synth`, `train`, `evaluate` and `motion`.

Their options live beside the code they configure; this module is imported only when one is named.
"""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from typing import Any

import tyro

from kinflow.cli import motion
from kinflow.datasets import build_poses, photo_samples, sample_looks
from kinflow.datasets.readers import commands as dataset_commands
from kinflow.datasets.results import command as results_command
from kinflow.datasets.shards import commands as shard_commands
from kinflow.evaluation import dataset_truth, prior_table
from kinflow.evaluation.protocols import collect
from kinflow.evaluation.protocols import command as protocols
from kinflow.synth import clip_looks, crops, files, looks
from kinflow.synth.studio import backgrounds
from kinflow.training.parts import trainer as part_trainer
from kinflow.training.predictors import config as predictor_config
from kinflow.training.predictors import fits, image_recipe, sequence_recipe
from kinflow.training.predictors import recipe as predictor_recipe
from kinflow.training.priors import attitude_trainer, dynamics_trainer
from kinflow.training.priors import recipe as prior_recipe


@dataclass(frozen=True)
class ResearchCommand:
    """One command: the dataclass of its options and what runs on them."""

    options: type
    run: Callable[[Any, str], int | None]
    """Called with the options and the command line, which trained weights record; returns the exit
    code, None for 0."""


def _train_prior(config: prior_recipe.TrainPriorConfig, command_line: str) -> None:
    prior_recipe.train(config, command_line)
    print(f"Wrote {config.out / 'prior.safetensors'}; `kinflow reconstruct --prior` takes it.")


def _train_parts(config: part_trainer.TrainPartsConfig, command_line: str) -> None:
    weights = part_trainer.train(config, command_line)
    print(f"Wrote {weights}; PartParserConfig(weights=...) takes it.")


def _train_attitude(config: attitude_trainer.TrainAttitudeConfig, command_line: str) -> None:
    print(f"Wrote {attitude_trainer.train(config, command_line)}.")


def _train_dynamics(config: dynamics_trainer.TrainDynamicsConfig, command_line: str) -> None:
    print(f"Wrote {dynamics_trainer.train(config, command_line)}; Dynamics.load takes it.")


def _train_predictor(config: predictor_config.TrainPredictorConfig, command_line: str) -> None:
    print(f"Wrote {predictor_recipe.train(config, command_line)}.")


def _train_image_predictor(
    config: image_recipe.TrainImagePredictorConfig, command_line: str
) -> None:
    print(f"Wrote {image_recipe.train(config, command_line)}.")


def _train_sequence_predictor(
    config: sequence_recipe.TrainSequencePredictorConfig, command_line: str
) -> None:
    print(f"Wrote {sequence_recipe.train(config, command_line)}.")


COMMANDS: dict[str, ResearchCommand | dict[str, ResearchCommand]] = {
    "synth": ResearchCommand(files.SynthConfig, lambda config, _: files.main(config)),
    "data": {
        "check": ResearchCommand(
            dataset_commands.CheckConfig, lambda config, _: dataset_commands.check(config)
        ),
        "truth": ResearchCommand(
            dataset_truth.TruthConfig, lambda config, _: dataset_truth.main(config)
        ),
        "show": ResearchCommand(
            dataset_commands.ShowConfig, lambda config, _: dataset_commands.show(config)
        ),
        "list": ResearchCommand(
            dataset_commands.ListConfig, lambda config, _: dataset_commands.listed(config)
        ),
        "shard": ResearchCommand(
            shard_commands.ShardCommand, lambda config, _: shard_commands.shard(config)
        ),
        "poses": ResearchCommand(
            build_poses.BuildPosesConfig, lambda config, _: build_poses.main(config)
        ),
        "crops": ResearchCommand(crops.CropsConfig, lambda config, _: crops.main(config)),
        "looks": ResearchCommand(looks.LooksConfig, lambda config, _: looks.main(config)),
        "look-clips": ResearchCommand(
            clip_looks.LookClipsConfig, lambda config, _: clip_looks.main(config)
        ),
        "see": ResearchCommand(sample_looks.SeeConfig, lambda config, _: sample_looks.main(config)),
        "fits": ResearchCommand(fits.FitLooksConfig, lambda config, _: fits.main(config)),
        "backgrounds": ResearchCommand(
            backgrounds.BackgroundsConfig, lambda config, _: backgrounds.main(config)
        ),
        "results": ResearchCommand(
            results_command.ResultsConfig, lambda config, _: results_command.main(config)
        ),
        "photos": ResearchCommand(
            photo_samples.PhotosConfig, lambda config, _: photo_samples.main(config)
        ),
    },
    "train": {
        "prior": ResearchCommand(prior_recipe.TrainPriorConfig, _train_prior),
        "parts": ResearchCommand(part_trainer.TrainPartsConfig, _train_parts),
        "predictor": ResearchCommand(predictor_config.TrainPredictorConfig, _train_predictor),
        "image-predictor": ResearchCommand(
            image_recipe.TrainImagePredictorConfig, _train_image_predictor
        ),
        "sequence-predictor": ResearchCommand(
            sequence_recipe.TrainSequencePredictorConfig, _train_sequence_predictor
        ),
        "attitude": ResearchCommand(attitude_trainer.TrainAttitudeConfig, _train_attitude),
        "dynamics": ResearchCommand(dynamics_trainer.TrainDynamicsConfig, _train_dynamics),
    },
    "motion": {
        "clean": ResearchCommand(motion.CleanMotion, lambda config, _: motion.run_clean(config)),
        "sample": ResearchCommand(motion.SampleMotion, lambda config, _: motion.run_sample(config)),
        "inbetween": ResearchCommand(
            motion.FillMotion, lambda config, _: motion.run_inbetween(config)
        ),
    },
    "evaluate": {
        "prior": ResearchCommand(
            prior_table.EvaluatePriorConfig, lambda config, _: prior_table.main(config)
        ),
        "reconstruction": ResearchCommand(
            protocols.EvaluateReconstructionConfig, lambda config, _: protocols.main(config)
        ),
        "collect": ResearchCommand(collect.CollectConfig, lambda config, _: collect.main(config)),
        "table": ResearchCommand(
            protocols.TableConfig, lambda config, _: protocols.table_main(config)
        ),
    },
}


def parse(arguments: list[str]) -> Callable[[], int]:
    """The command that `[group, name, options...]` asks for, ready to run; some need no name."""
    group, *rest = arguments
    commands = COMMANDS[group]
    if isinstance(commands, ResearchCommand):
        command = commands
        options = tyro.cli(command.options, prog=f"kinflow {group}", args=rest)
    else:
        options = tyro.extras.subcommand_cli_from_dict(
            {name: command.options for name, command in commands.items()},
            prog=f"kinflow {group}",
            args=rest,
        )
        command = next(c for c in commands.values() if isinstance(options, c.options))

    def run() -> int:
        # of several processes that a launcher started, one talks
        quiet = os.environ.get("RANK", "0") != "0"
        with redirect_stdout(io.StringIO()) if quiet else nullcontext():
            return command.run(options, shlex.join(["kinflow", *arguments])) or 0

    return run
