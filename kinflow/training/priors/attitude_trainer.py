"""`kinflow train attitude`: learn which way is up from poses whose root's rotation is known.

Directions have a heavy-tailed error: a Student t distribution of the angle, so that the few who lie
or tumble do not bend the rest. Subjects count equally, poses are mirrored and jittered, and the
subjects of validation stop the training. Motion capture has hardly anybody who sits, so a share of
the poses is seated: legs bent as on a chair or the floor, the pelvis about upright.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from kinflow.body.sides import SIDES
from kinflow.body.skeleton import FREE_JOINTS, JOINT_NAMES
from kinflow.checks import nested, not_negative, path, positive, share, whole
from kinflow.datasets.mocap_splits import CMU_SPLITS, MocapSplits
from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError
from kinflow.files.destinations import check_file_destination
from kinflow.geometry.rotations import about_axis, rotvec_to_matrix
from kinflow.priors.attitude import AttitudeInfo, AttitudePrior
from kinflow.priors.pose_space import mirror_rotvec
from kinflow.training.averaging import mean_at_first, weight_average
from kinflow.training.checkpoint import Part
from kinflow.training.loop import Loop, LoopConfig, Recipe
from kinflow.training.priors.stream import frame_weights
from kinflow.training.processes import Processes
from kinflow.training.schedules import warm_up_and_cosine
from kinflow.training.seeds import seed_everything

WEIGHTS_NAME = "attitude.safetensors"
_FREEDOM = 3.0
"""Degrees of freedom of Student's t; 3 lets one in thirty be anywhere."""
_SCALE_RAD = math.radians(5.0)
_BALANCE_POWER = -0.5
_CHAIR_SHARE = 0.7
_SITTING_STD_DEG = 9.0
"""Of the pelvis of people who sit, about each axis across the vertical."""
_ROW_OF = {JOINT_NAMES[joint]: row for row, joint in enumerate(FREE_JOINTS)}


@dataclass(frozen=True)
class TrainAttitudeConfig:
    """Train the attitude prior on a pose set; started again, it goes on where it was.

    Attributes:
        data: pose set written by `kinflow data poses`.
        out: folder of the run.
        hidden: width of the two hidden layers.
        jitter_rad: noise on every joint, as fitted poses have.
        sitting_share: share of poses that are seated.
        batch_size: poses per step.
        steps: optimiser steps altogether.
        learning_rate: peak learning rate; cosine decay to zero.
        weight_decay: of AdamW.
        eval_every: steps between evaluations on the validation subjects, and checkpoints.
        seed: seeds everything.
        splits: whom to hold out.
    """

    data: Path
    out: Path
    hidden: int = 32
    jitter_rad: float = 0.1
    sitting_share: float = 0.25
    batch_size: int = 512
    steps: int = 1500
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    eval_every: int = 250
    seed: int = 0
    splits: MocapSplits = CMU_SPLITS

    def __post_init__(self) -> None:
        path(self, "data")
        path(self, "out")
        nested(self, splits=MocapSplits)
        whole(self, "hidden", "batch_size", "steps", "eval_every", at_least=1)
        whole(self, "seed")
        positive(self, "learning_rate")
        not_negative(self, "weight_decay", "jitter_rad")
        share(self, "sitting_share")


@dataclass(frozen=True)
class _Attitudes:
    """Poses and what is up in the frames of their roots."""

    rotvec: Float[Tensor, "poses 19 3"]
    up: Float[Tensor, "poses 3"]
    weight: Float[Tensor, "poses"]

    @staticmethod
    def of(poses: PoseSet) -> _Attitudes:
        up = rotvec_to_matrix(poses.root_rotvec)[:, 1]  # the world's y axis, in the root's frame
        return _Attitudes(poses.rotvec, up, frame_weights(poses, _BALANCE_POWER))


class AttitudeRecipe(Recipe):
    """An attitude prior that learns from poses with their roots."""

    network: AttitudePrior
    average: AveragedModel
    weights_name = WEIGHTS_NAME
    score_name = "minus_error_deg"
    is_shared = True

    def __init__(self, config: TrainAttitudeConfig, poses: PoseSet, command: str = "") -> None:
        self.config = config
        training = poses.split("train", config.splits)
        validation = poses.split("validation", config.splits)
        if not len(training) or not len(validation):
            raise InputError("the pose set holds no training or no validation subjects")
        self.training, self.validation = _Attitudes.of(training), _Attitudes.of(validation)
        seed_everything(config.seed)
        self.info = AttitudeInfo(command, config.seed, poses.sha256, config.hidden)
        self.network = AttitudePrior(self.info)
        self.average = weight_average(self.network, mean_at_first(0.99))
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        settings = {k: v for k, v in asdict(config).items() if k not in ("data", "out")}
        self.run_key = json.dumps([settings, poses.sha256])

    @property
    def loop_config(self) -> LoopConfig:
        """How this recipe is trained."""
        config = self.config
        return LoopConfig(
            steps=config.steps,
            eval_every=config.eval_every,
            learning_rate=warm_up_and_cosine(config.learning_rate, config.steps),
            seed=config.seed,
        )

    def parts(self) -> dict[str, Part]:
        return {
            "network": self.network,
            "average": self._averaged,
            "optimizer": self.optimizer,
        }

    @property
    def _averaged(self) -> AttitudePrior:
        assert isinstance(self.average.module, AttitudePrior)
        return self.average.module

    def loss(self, step: int) -> Tensor:
        """Mean negative log density of the angles, up to a constant."""
        data = self.training
        rows = torch.multinomial(data.weight, self.config.batch_size, replacement=True)
        rotvec, up = data.rotvec[rows], data.up[rows]
        if step % 2:  # seen in a mirror, left and right change places
            rotvec, up = mirror_rotvec(rotvec), up * up.new_tensor((-1.0, 1.0, 1.0))
        R_free = rotvec_to_matrix(rotvec)
        seats = round(self.config.sitting_share * len(rows))
        sitting, sitting_up = seated(R_free[:seats])
        R_free = torch.cat([sitting, R_free[seats:]])
        jitter = rotvec_to_matrix(self.config.jitter_rad * torch.randn_like(rotvec))
        up = torch.cat([sitting_up, up[seats:]])
        posed, up = map(self.processes.own_part, (jitter @ R_free, up))
        squared = _angle_rad(self.network(posed), up).square()
        tail = torch.log1p(squared / (_FREEDOM * _SCALE_RAD**2))
        return (_FREEDOM + 2) / 2 * tail.mean()

    @torch.no_grad()
    def evaluate(self) -> float:
        """Minus the mean angle between up and its guess, in degrees, of poses as recorded and
        seated in the shares of the training."""
        share = self.config.sitting_share
        return -sum(
            part * error
            for part, error in zip((1 - share, share), self._mean_errors_deg(), strict=True)
        )

    def _mean_errors_deg(self) -> tuple[float, float]:
        """As recorded and seated, subjects in balance."""
        data = self.validation
        R_free = rotvec_to_matrix(data.rotvec)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # everybody sits the same way at every evaluation
            sitting = seated(R_free)
        errors = []
        for R, up in ((R_free, data.up), sitting):
            error = torch.rad2deg(_angle_rad(self._averaged(R), up))
            errors.append(float((error * data.weight).sum() / data.weight.sum()))
        return errors[0], errors[1]

    @torch.no_grad()
    def keep(self, path: Path, step: int, score: float) -> None:
        recorded, sitting = self._mean_errors_deg()
        metrics = {"validation_error_deg": recorded, "sitting_error_deg": sitting}
        metrics["steps"] = float(step)
        kept = AttitudePrior(replace(self.info, metrics=metrics))
        kept.load_state_dict(self._averaged.state_dict())
        kept.save(path)


def train(config: TrainAttitudeConfig, command: str = "") -> Path:
    """Train to the end in `config.out`, continuing what is there; returns the best weights.

    Raises:
        InputError: the pose set is unusable, or the weights cannot be written there.
    """
    check_file_destination(config.out / WEIGHTS_NAME)
    recipe = AttitudeRecipe(config, PoseSet.load(config.data), command)
    return Loop(recipe, recipe.loop_config, config.out, Processes.started()).run()


def seated(
    R_free: Float[Tensor, "poses 19 3 3"],
) -> tuple[Float[Tensor, "poses 19 3 3"], Float[Tensor, "poses 3"]]:
    """Poses with the legs of people who sit, and what is up in the frame of their roots.

    Whoever sits on a chair has the thighs about level and the feet below the knees; on the floor
    knees are anything between stretched and drawn up. Trunk and arms stay as they are.
    """
    count = len(R_free)
    chair = torch.rand(count) < _CHAIR_SHARE
    sitting = R_free.clone()
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        knee = torch.where(chair, _between(count, 50.0, 115.0), _between(count, 0.0, 130.0))
        apart = torch.where(chair, _between(count, -5.0, 25.0), _between(count, 0.0, 50.0))
        hip = _turn("y", sign * apart) @ _turn("x", -_between(count, 65.0, 110.0))
        for joint, R in (("hip", hip), ("knee", _turn("x", knee)), ("ankle", _ankle(count))):
            sitting[:, _ROW_OF[f"{side}_{joint}"]] = R
    aside, lean = _SITTING_STD_DEG * torch.randn(2, count)
    return sitting, (_turn("z", aside) @ _turn("x", lean)).mT[..., 1]


def _ankle(count: int) -> Float[Tensor, "poses 3 3"]:
    return _turn("x", 10 * torch.randn(count))


def _between(count: int, low: float, high: float) -> Float[Tensor, " poses"]:
    return low + (high - low) * torch.rand(count)


def _turn(axis: str, angle_deg: Float[Tensor, " poses"]) -> Float[Tensor, "poses 3 3"]:
    return about_axis(axis, torch.deg2rad(angle_deg))


def _angle_rad(a: Float[Tensor, "poses 3"], b: Float[Tensor, "poses 3"]) -> Tensor:
    """Between unit vectors; the sine keeps its slope where the angle is small."""
    sine = torch.linalg.cross(a, b).square().sum(-1).clamp_min(1e-12).sqrt()
    return torch.atan2(sine, (a * b).sum(-1))
