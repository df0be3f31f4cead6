"""Training of flow priors, stopped by unseen subjects.

Poses of unseen subjects are predicted best with large batches, dropout, averaged weights, and early
stopping on subjects that are not trained on.
"""

import copy
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from kinflow.checks import not_negative, number, positive, share, whole
from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError
from kinflow.priors.coordinates import SPACES, SpaceName
from kinflow.priors.families import FlowFamily, flow_config, make_flow
from kinflow.priors.flow import FlowPrior, point_log_prob, rotvec_log_prob
from kinflow.priors.flow_network import FlowNetwork
from kinflow.priors.interface import PriorInfo
from kinflow.priors.pose_space import Whitening
from kinflow.priors.storage import save_prior
from kinflow.training.averaging import mean_at_first, weight_average
from kinflow.training.checkpoint import Part
from kinflow.training.loop import LoopConfig, Recipe
from kinflow.training.priors.stream import PoseStream, StreamConfig, noisy
from kinflow.training.schedules import warm_up_and_cosine
from kinflow.training.seeds import seed_everything


@dataclass(frozen=True)
class FlowTraining:
    """Shape of the flow and schedule of its training.

    Attributes:
        blocks: number of coupling blocks.
        hidden: width of the conditioning networks.
        depth: hidden layers in each of them.
        dropout: dropout probability in them.
        batch_size: poses per step.
        learning_rate: peak learning rate; cosine decay to zero over `max_steps`.
        weight_decay: of AdamW.
        max_steps: length of the schedule.
        eval_every: steps between evaluations on the validation subjects (and checkpoints).
        patience: evaluations without improvement after which training stops.
        ema_decay: decay of the weight average that is evaluated and kept.
        max_gradient_norm: gradient clipping.
        teacher_share: share of training poses that are samples of teachers, where there are any.
    """

    blocks: int = 6
    hidden: int = 128
    depth: int = 2
    dropout: float = 0.1
    batch_size: int = 512
    learning_rate: float = 6e-3
    weight_decay: float = 1e-4
    max_steps: int = 12_000
    eval_every: int = 200
    patience: int = 25
    ema_decay: float = 0.998
    max_gradient_norm: float = 10.0
    teacher_share: float = 0.5

    def __post_init__(self) -> None:
        sizes = ("blocks", "hidden", "batch_size", "max_steps", "eval_every", "patience")
        whole(self, *sizes, at_least=1)
        whole(self, "depth")
        number(self, "dropout", "ema_decay", at_least=0, below=1)
        positive(self, "learning_rate", "max_gradient_norm")
        not_negative(self, "weight_decay")
        share(self, "teacher_share")


class FlowRecipe(Recipe):
    """A flow that learns the density of a stream of poses."""

    network: FlowNetwork
    average: AveragedModel
    weights_name = "prior.safetensors"
    score_name = "nats"
    learning_rate_option = "flow.learning_rate"
    is_shared = True

    def __init__(
        self,
        config: FlowTraining,
        stream: StreamConfig,
        whitening: Whitening,
        train: PoseSet,
        validation: PoseSet,
        info: PriorInfo,
        device: str = "cpu",
        family: FlowFamily = "realnvp",
        space: SpaceName = "rotvec",
        teachers: Float[Tensor, "drawn 57"] | None = None,
    ) -> None:
        if not len(train) or not len(validation):
            raise InputError("the pose set holds no training or no validation subjects")
        self.config, self.info, self.device = config, info, device
        self.space = SPACES[space]
        self.whitening = copy.deepcopy(whitening).to(device)
        self.stream = PoseStream(train, stream, teachers, config.teacher_share)
        self.validation_rotvec = noisy(
            validation.rotvec[::4].flatten(1), stream.noise_rad, seed=1
        ).to(device)
        seed_everything(info.seed)
        self.shape = flow_config(
            family, whitening.num_kept, config.blocks, config.hidden, config.depth, config.dropout
        )
        self.network = make_flow(self.shape).to(device)
        # a second one, whose weights are replaced, so that a seed goes on giving what it always has
        self.average = weight_average(
            make_flow(self.shape).to(device), mean_at_first(config.ema_decay)
        )
        self.average.module.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        taught = None if teachers is None else float(teachers.double().sum())
        origin = [info.data_sha256, info.seed, device, family, space, taught]
        self.run_key = json.dumps([asdict(config), asdict(stream), *origin])

    @property
    def loop_config(self) -> LoopConfig:
        """How this recipe is trained."""
        config = self.config
        return LoopConfig(
            steps=config.max_steps,
            eval_every=config.eval_every,
            learning_rate=warm_up_and_cosine(config.learning_rate, config.max_steps),
            max_gradient_norm=config.max_gradient_norm,
            patience=config.patience,
            seed=self.info.seed,
            device=self.device,
        )

    def parts(self) -> dict[str, Part]:
        return {
            "flow": self.network,
            "average": self._averaged,
            "optimizer": self.optimizer,
        }

    @property
    def _averaged(self) -> FlowNetwork:
        assert isinstance(self.average.module, FlowNetwork)
        return self.average.module

    def loss(self, step: int) -> Tensor:
        """Negative log density of the batch, nats per pose."""
        batch = self.stream.batch(self.config.batch_size)
        batch = self.processes.own_part(batch).to(self.device)
        points, weight = self.space.lift(batch)
        return -(point_log_prob(self.network, self.whitening, points) + weight).mean()

    @torch.no_grad()
    def evaluate(self) -> float:
        """Mean log density of the validation poses under the averaged weights, nats per pose."""
        nats = rotvec_log_prob(self._averaged, self.whitening, self.space, self.validation_rotvec)
        return nats.mean().item()

    def figures(self, loss: float, score: float, steps_per_second: float) -> dict[str, float]:
        return {"nats/train": -loss, "nats/validation": score}

    def keep(self, path: Path, step: int, score: float) -> None:
        flow = make_flow(self.shape)
        flow.load_state_dict(self._averaged.state_dict())
        info = replace(self.info, metrics={"validation_nats": score, "steps": float(step)})
        whitening = copy.deepcopy(self.whitening).cpu()
        save_prior(FlowPrior(flow, whitening, info, self.space.name), path)
