"""`kinflow train prior`: train any family of pose prior on a pose set.

All families see the same stream of poses (`stream.py`) and are stopped, where they can be, by the
same validation subjects; flows are trained in `flow_trainer.py`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from typing_extensions import assert_never

from kinflow.checks import instance, nested, not_negative, one_of, path, whole, words
from kinflow.datasets.mocap_splits import CMU_SPLITS, MocapSplits
from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError
from kinflow.files.destinations import check_file_destination
from kinflow.priors.base import PosePrior
from kinflow.priors.coordinates import SpaceName
from kinflow.priors.families import FLOW_FAMILIES, FlowFamily
from kinflow.priors.interface import PriorInfo
from kinflow.priors.storage import load_prior, save_prior
from kinflow.training.loop import Loop
from kinflow.training.priors.baselines import train_gaussian, train_gmm
from kinflow.training.priors.calibration import calibrated
from kinflow.training.priors.distillation import teacher_poses
from kinflow.training.priors.flow_trainer import FlowRecipe, FlowTraining
from kinflow.training.priors.stream import StreamConfig
from kinflow.training.priors.vae_trainer import VaeRecipe, VaeTraining
from kinflow.training.priors.whitening import fit_whitening
from kinflow.training.processes import Processes

PRIOR_NAME = "prior.safetensors"
_TEACHER_POSES = 200_000

Family = FlowFamily | Literal["gaussian", "gmm", "vae"]


@dataclass(frozen=True)
class TrainPriorConfig:
    """Train a pose prior on a pose set; started again, a flow or a VAE goes on where it was.

    Attributes:
        data: pose set written by `kinflow data poses`.
        out: folder of the run; training of a flow or VAE continues from the checkpoint in it.
        family: which kind of prior.
        space: coordinates in which a flow describes poses: rotation vectors, or 6D. Gaussian and
            mixture work in rotation vectors, a VAE reads matrices and writes 6D.
        stream: how training poses are drawn.
        flow: shape and schedule of a flow.
        teachers: weight files of flows over rotation vectors that a flow is distilled from.
        held_out: subjects that stop the training in place of the validation subjects, for cross-
            validation among the training subjects.
        splits: whom to hold out.
        vae: shape and schedule of a VAE.
        gmm_components: number of components of a mixture.
        min_std_deg: principal directions that move less than this are not modelled.
        seed: seeds initialisation, sampling, noise and dropout.
        device: `cpu` or `cuda`; used by flows.
    """

    data: Path
    out: Path
    family: Family = "realnvp"
    space: SpaceName = "rotvec"
    stream: StreamConfig = StreamConfig()
    flow: FlowTraining = FlowTraining()
    teachers: tuple[Path, ...] = ()
    held_out: tuple[str, ...] = ()
    splits: MocapSplits = CMU_SPLITS
    vae: VaeTraining = VaeTraining()
    gmm_components: int = 8
    min_std_deg: float = 0.6
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        path(self, "data")
        path(self, "out")
        words(self, "teachers", "a tuple of weight files", or_none=True)
        words(self, "held_out", "a tuple of subjects by name", or_none=True)
        one_of(self, "family", (*FLOW_FAMILIES, "gaussian", "gmm", "vae"))
        one_of(self, "space", get_args(SpaceName))
        nested(self, stream=StreamConfig, flow=FlowTraining, vae=VaeTraining, splits=MocapSplits)
        whole(self, "gmm_components", at_least=1, at_most=4096)
        not_negative(self, "min_std_deg")
        whole(self, "seed")
        instance(self, "device", str, "the name of a device")


def train(config: TrainPriorConfig, command: str = "") -> PosePrior:
    """Train a prior and leave it in `config.out / "prior.safetensors"`.

    Raises:
        InputError: the pose set is unusable or lacks the poses that this family needs, the settings
            contradict each other, or the weights cannot be written there.
    """
    check_file_destination(config.out / PRIOR_NAME)
    poses = PoseSet.load(config.data)
    info = PriorInfo(poses.sha256, config.stream.noise_rad, config.seed, command)
    training, validation = splits(poses, config.held_out, config.splits)
    if config.space != "rotvec" and config.family in ("gaussian", "gmm", "vae"):
        raise InputError(
            f"a {config.family} has no choice of space; leave it out", {"leave it out": "space"}
        )
    _check_splits(training, validation, config)
    whitening = fit_whitening(training, config.stream, config.min_std_deg, config.space)
    if whitening.num_kept < 2 or not bool((whitening.std > 0).all()):
        raise InputError(
            f"The training poses of '{config.data}' hardly differ, so there is nothing to learn; "
            "take more motion, or a smaller least spread.",
            {"smaller least spread": "min_std_deg"},
        )
    processes = Processes.started(config.device)
    match config.family:
        case "gaussian":
            prior = train_gaussian(training, config.stream, config.min_std_deg, info)
        case "gmm":
            prior = train_gmm(training, config.stream, whitening, config.gmm_components, info)
        case "vae":
            recipe = VaeRecipe(config.vae, config.stream, training, validation, info)
            prior = load_prior(Loop(recipe, recipe.loop_config, config.out, processes).run())
        case "nice" | "realnvp" | "glow" | "spline" | "maf" | "iaf" as family:
            recipe = FlowRecipe(
                config.flow,
                config.stream,
                whitening,
                training,
                validation,
                info,
                config.device,
                family,
                config.space,
                teacher_poses(config.teachers, _TEACHER_POSES, config.seed)
                if config.teachers
                else None,
            )
            prior = load_prior(Loop(recipe, recipe.loop_config, config.out, processes).run())
        case _ as unreachable:
            assert_never(unreachable)
    prior = calibrated(prior, validation.rotvec)
    if processes.is_main:
        save_prior(prior, config.out / PRIOR_NAME)
    return prior


def _check_splits(training: PoseSet, validation: PoseSet, config: TrainPriorConfig) -> None:
    """A Gaussian and a mixture can do without validation; all others are stopped by it."""
    lacking = []
    if not len(training):
        lacking = ["training"]
    if not len(validation) and config.family not in ("gaussian", "gmm"):
        lacking.append("validation")
    if lacking:
        raise InputError(
            f"'{config.data}' holds no poses of {' and no poses of '.join(lacking)} subjects; make "
            f"it from more subjects ({', '.join(config.splits.validation)} are for validation, "
            f"{', '.join(config.splits.test)} for testing, all others for training)"
            " or choose those to validate on.",
            {"to validate on": "held_out"},
        )


def splits(
    poses: PoseSet, held_out: tuple[str, ...], by: MocapSplits = CMU_SPLITS
) -> tuple[PoseSet, PoseSet]:
    """Training and validation poses; `held_out` names training subjects to validate on instead.

    Raises:
        InputError: a subject is not one of the training subjects.
    """
    training = poses.split("train", by)
    if not held_out:
        return training, poses.split("validation", by)
    names = {poses.clip_subjects[clip] for clip in training.clip.unique().tolist()}
    if unknown := sorted(set(held_out) - names):
        raise InputError(f"{', '.join(unknown)}: not among the training subjects of the pose set")
    return training.of_subjects(names - set(held_out)), training.of_subjects(held_out)


def main(config: TrainPriorConfig) -> None:
    """Entry point of the command; the command itself is recorded in the weights."""
    train(config, command=" ".join(["kinflow train prior", *sys.argv[1:]]))


if __name__ == "__main__":
    import tyro

    main(tyro.cli(TrainPriorConfig))
