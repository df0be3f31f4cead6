"""Training of flow priors: seeded, resumable after a kill, stopped by unseen subjects.

A run lives in one folder: `prior.safetensors` (the best weights so far), `checkpoint.safetensors`
(everything needed to go on), `log.csv`. Running the same command again continues where the folder
stands, and ends with the same weights as a run that was never interrupted.

What the data needs, by measurement: poses of unseen subjects are predicted best by a small,
strongly regularised flow (dropout, averaged weights, early stopping on subjects that are not
trained on). Every subject is drawn with probability ∝ √frames, so that the long recordings of a few
do not dominate, and each pose is mirrored half of the time. Motion-capture hinges are exactly
one-dimensional, so noise of `noise_rad` is added to every pose, in training and evaluation alike.
"""

import csv
import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError
from kinflow.priors.base import PriorInfo
from kinflow.priors.coupling import CouplingConfig, CouplingFlow
from kinflow.priors.flow import FlowPrior, rotvec_log_prob
from kinflow.priors.gaussian import GaussianPrior
from kinflow.priors.pose_space import Whitening, mirror_rotvec
from kinflow.priors.storage import save_prior


@dataclass(frozen=True)
class TrainPriorConfig:
    """Settings of one training run.

    Attributes:
        data: pose set written by `kinflow data poses`.
        out: folder of the run; continues the run that is in it.
        blocks: number of coupling blocks.
        hidden: width of the conditioning networks.
        depth: hidden layers in each of them.
        dropout: dropout probability in them.
        noise_rad: standard deviation of the dequantisation noise, radians.
        min_std_deg: principal directions that move less than this are not modelled.
        batch_size: poses per step.
        learning_rate: peak learning rate; cosine decay to zero over `max_steps`.
        weight_decay: of AdamW.
        max_steps: length of the schedule.
        eval_every: steps between evaluations on the validation subjects (and checkpoints).
        patience: evaluations without improvement after which training stops.
        ema_decay: decay of the weight average that is evaluated and kept.
        max_gradient_norm: gradient clipping.
        balance_power: subjects are drawn with probability ∝ frames^(1 + balance_power).
        seed: seeds initialisation, sampling, noise and dropout.
        device: `cpu` or `cuda`.
    """

    data: Path
    out: Path
    blocks: int = 6
    hidden: int = 128
    depth: int = 2
    dropout: float = 0.2
    noise_rad: float = 0.02
    min_std_deg: float = 0.6
    batch_size: int = 512
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    max_steps: int = 6000
    eval_every: int = 100
    patience: int = 20
    ema_decay: float = 0.998
    max_gradient_norm: float = 10.0
    balance_power: float = -0.5
    seed: int = 0
    device: str = "cpu"


def frame_weights(poses: PoseSet, balance_power: float) -> Float[Tensor, "poses"]:
    """Sampling weight of each pose: its subject's number of frames to the `balance_power`."""
    _, inverse, counts = torch.unique(
        poses.subject_codes(), return_inverse=True, return_counts=True
    )
    return counts.double().pow(balance_power)[inverse]


def fit_gaussian(
    poses: PoseSet, noise_rad: float, min_std_deg: float, balance_power: float, info: PriorInfo
) -> GaussianPrior:
    """The Gaussian baseline, which is also the whitening that flows start from."""
    weights = frame_weights(poses, balance_power)
    whitening = Whitening.fit(
        poses.rotvec.flatten(1), weights, noise_rad, math.radians(min_std_deg)
    )
    return GaussianPrior(whitening, info)


def noisy(rotvec: Tensor, noise_rad: float, seed: int) -> Tensor:
    """Poses with reproducible dequantisation noise, as used in every evaluation."""
    generator = torch.Generator().manual_seed(seed)
    return rotvec + noise_rad * torch.randn(rotvec.shape, generator=generator)


class _Trainer:
    """The mutable state of a run: weights, their average, optimiser and progress."""

    def __init__(self, config: TrainPriorConfig, poses: PoseSet) -> None:
        self.config = config
        train, validation = poses.split("train"), poses.split("validation")
        if not len(train) or not len(validation):
            raise InputError("the pose set holds no training or no validation subjects")
        self.info = PriorInfo(
            data_sha256=poses.sha256,
            noise_rad=config.noise_rad,
            seed=config.seed,
            command=" ".join(["kinflow train prior", *sys.argv[1:]]),
        )
        gaussian = fit_gaussian(
            train, config.noise_rad, config.min_std_deg, config.balance_power, self.info
        )
        self.whitening = gaussian.whitening.to(config.device)
        self.cumulative = frame_weights(train, config.balance_power).cumsum(0)
        self.train_rotvec = train.rotvec.flatten(1)
        self.validation_rotvec = noisy(
            validation.rotvec[::4].flatten(1), config.noise_rad, seed=1
        ).to(config.device)
        torch.manual_seed(config.seed)
        flow_config = CouplingConfig(
            gaussian.latent_dim, config.blocks, config.hidden, config.depth, config.dropout
        )
        self.flow = CouplingFlow(flow_config).to(config.device)
        self.average = CouplingFlow(flow_config).to(config.device).eval()
        self.average.load_state_dict(self.flow.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.flow.parameters(),
            config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.step, self.best, self.best_step = 0, -math.inf, 0

    def _batch(self) -> Tensor:
        config = self.config
        draws = torch.rand(config.batch_size, dtype=torch.float64) * self.cumulative[-1]
        index = torch.searchsorted(self.cumulative, draws).clamp_max(len(self.train_rotvec) - 1)
        rotvec = self.train_rotvec[index].unflatten(1, (-1, 3))
        flip = torch.rand(config.batch_size, 1, 1) < 0.5
        rotvec = torch.where(flip, mirror_rotvec(rotvec), rotvec).flatten(1)
        return (rotvec + config.noise_rad * torch.randn_like(rotvec)).to(config.device)

    def train_step(self) -> float:
        """One optimiser step; returns the training log density."""
        config = self.config
        progress = self.step / config.max_steps
        warm_up = min(1.0, (self.step + 1) / 100)
        for group in self.optimizer.param_groups:
            cosine = 0.5 + 0.5 * math.cos(math.pi * progress)
            group["lr"] = config.learning_rate * warm_up * cosine
        log_prob = rotvec_log_prob(self.flow, self.whitening, self._batch()).mean()
        self.optimizer.zero_grad()
        (-log_prob).backward()
        torch.nn.utils.clip_grad_norm_(self.flow.parameters(), config.max_gradient_norm)
        self.optimizer.step()
        self.step += 1
        decay = min(config.ema_decay, 1.0 - 1.0 / (self.step + 1))
        with torch.no_grad():
            averaged, current = list(self.average.parameters()), list(self.flow.parameters())
            torch._foreach_lerp_(averaged, current, 1.0 - decay)
        return log_prob.item()

    @torch.no_grad()
    def evaluate(self) -> float:
        """Mean log density of the validation poses under the averaged weights, nats per pose."""
        return rotvec_log_prob(self.average, self.whitening, self.validation_rotvec).mean().item()

    def prior(self) -> FlowPrior:
        """The averaged weights as a prior."""
        flow = CouplingFlow(self.average.config)
        flow.load_state_dict(self.average.state_dict())
        metrics = {"validation_nats": self.best, "steps": float(self.best_step)}
        info = PriorInfo(**{**asdict(self.info), "metrics": metrics})
        return FlowPrior(flow, self.whitening.to("cpu"), info)

    def save_checkpoint(self, path: Path) -> None:
        tensors = {f"flow.{k}": v for k, v in self.flow.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for index, slots in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v for k, v in slots.items()}
        tensors["rng.cpu"] = torch.get_rng_state()
        if self.config.device.startswith("cuda"):
            tensors["rng.cuda"] = torch.cuda.get_rng_state()
        progress = {"step": self.step, "best": self.best, "best_step": self.best_step}
        partial = path.with_name(path.name + ".tmp")
        header = {"progress": json.dumps(progress), "run": _run_key(self.config, self.info)}
        partial.write_bytes(to_bytes({k: v.contiguous() for k, v in tensors.items()}, header))
        partial.replace(path)

    def load_checkpoint(self, path: Path) -> None:
        with safe_open(path, framework="pt") as file:
            header = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if header["run"] != _run_key(self.config, self.info):
            raise InputError(
                f"{path.parent} holds a run with other settings or other data; "
                "choose another --out folder or delete it"
            )
        self.flow.load_state_dict(_with_prefix(tensors, "flow."))
        self.average.load_state_dict(_with_prefix(tensors, "average."))
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in _with_prefix(tensors, "optimizer.").items():
            index, _, name = key.partition(".")
            slots.setdefault(int(index), {})[name] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        torch.set_rng_state(tensors["rng.cpu"])
        if "rng.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["rng.cuda"])
        progress = json.loads(header["progress"])
        self.step, self.best = progress["step"], progress["best"]
        self.best_step = progress["best_step"]


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def _run_key(config: TrainPriorConfig, info: PriorInfo) -> str:
    """What must be equal for a run to be continued: all settings but the places, and the data."""
    settings = asdict(config)
    del settings["data"], settings["out"]
    return json.dumps(settings | {"data_sha256": info.data_sha256}, sort_keys=True)


def main(config: TrainPriorConfig) -> Path:
    """Train a flow prior, or continue; returns the path of the best weights."""
    config.out.mkdir(parents=True, exist_ok=True)
    weights, checkpoint = config.out / "prior.safetensors", config.out / "checkpoint.safetensors"
    trainer = _Trainer(config, PoseSet.load(config.data))
    if checkpoint.exists():
        trainer.load_checkpoint(checkpoint)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar, open(config.out / "log.csv", "a", newline="") as log_file:
        log = csv.writer(log_file)
        task = bar.add_task("training", total=config.max_steps, completed=trainer.step)
        while trainer.step < config.max_steps:
            train_nats = 0.0
            for _ in range(config.eval_every):
                train_nats += trainer.train_step() / config.eval_every
            nats = trainer.evaluate()
            if nats > trainer.best:
                trainer.best, trainer.best_step = nats, trainer.step
                save_prior(trainer.prior(), weights)
            trainer.save_checkpoint(checkpoint)
            log.writerow([trainer.step, f"{train_nats:.4f}", f"{nats:.4f}"])
            log_file.flush()
            text = f"step {trainer.step}: train {train_nats:.2f}, validation {nats:.2f} nats"
            bar.update(task, completed=trainer.step, description=text)
            if trainer.step - trainer.best_step >= config.patience * config.eval_every:
                break
    return weights


if __name__ == "__main__":
    import tyro

    main(tyro.cli(TrainPriorConfig))
