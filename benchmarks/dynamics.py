"""How people go on moving: densities, forecasts and ways between frames, against simple models.

python benchmarks/dynamics.py --motions MOCAP [--split test]

Steps, windows and noise are drawn once from a seed, of people of whom nothing was trained on;
simple models are fitted on the training subjects and their mirror images, like the dynamics.
Densities are of the latent and the root's velocities at 30 frames a second with the noise that
training adds. Prediction errors are mean distances of 22 joints of the average adult, about the
root (in the world's directions) and in the world. `dynamics, stepped` takes the middle of the
density step by step, `dynamics` is `Dynamics.predict`. The GRU, whose weights the validation
subjects choose like those of the dynamics, is trained on the spot. In-betweening is scored as in
LAFAN1's benchmark.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import tyro
from jaxtyping import Float, Int
from torch import Tensor

import kinflow.priors
from kinflow.body.skeleton import FREE_JOINTS, JOINT_NAMES
from kinflow.datasets.motion_sets import RATE_HZ, read_motion_set
from kinflow.datasets.plausible import MAX_ANGLE_DEG
from kinflow.datasets.poses import Split
from kinflow.evaluation.motion_models import (
    GaussianSteps,
    Predicted,
    autoregression,
    going_on,
    rolled_out,
    staying,
)
from kinflow.evaluation.posed_motion import PosedMotion, going_on_turning, interpolated
from kinflow.evaluation.recurrent_model import Recurrent, RecurrentConfig, fitted
from kinflow.geometry.rotations import matrix_to_rotvec
from kinflow.metrics.inbetween import alike, continuous, l2p, l2q, npss
from kinflow.priors.base import PosePrior
from kinflow.priors.dynamics import Dynamics, LatentMotion
from kinflow.training.priors.dynamics_data import Recorded, Steps
from kinflow.training.priors.dynamics_trainer import jittered, joined, noise_std

DT_S = 1 / RATE_HZ
HORIZONS_MS = (80, 160, 320, 400, 560, 720, 880, 1000)
GAPS = (5, 15, 30)
_AHEAD = 31
_SAMPLE_S = 5.0


@dataclass(frozen=True)
class DynamicsBenchmark:
    """What to measure.

    Attributes:
        motions: folders of motion files, a subject's in a folder of their name.
        split: whose recordings.
        weights: of dynamics; the shipped ones if left out.
        windows: for predictions and in-betweening.
        steps: for densities.
        samples: continuations of five seconds.
        seed: of what is drawn.
        gru: the recurrent regressor.
    """

    motions: tuple[Path, ...]
    split: Split = "validation"
    weights: Path | None = None
    windows: int = 400
    steps: int = 4000
    samples: int = 32
    seed: int = 0
    gru: RecurrentConfig = field(default_factory=RecurrentConfig)


@dataclass(frozen=True)
class Setting:
    """All that the tables need."""

    training: Steps
    recorded: Recorded
    dynamics: Dynamics
    prior: PosePrior
    generator: torch.Generator
    gru: Recurrent

    @property
    def size(self) -> int:
        return self.dynamics.latent_dim

    def chosen(self, rows: Int[Tensor, "rows"], count: int) -> Int[Tensor, "count"]:
        """Some rows at random."""
        return rows[torch.randperm(len(rows), generator=self.generator)[:count]]

    def means(self) -> dict[str, Predicted]:
        """Predictions of the simple models."""
        return {
            "constant position": staying(self.size),
            "constant velocity": going_on(self.size, DT_S),
            "VAR(2)": autoregression(self.training.context, self.training.x),
            "GRU": self.gru.mean,
        }


@torch.no_grad()
def main(config: DynamicsBenchmark) -> None:
    torch.set_num_threads(1)
    data, prior = read_motion_set(config.motions), kinflow.priors.load()
    train = data.split("train")
    parts = [Recorded.of(part, prior) for part in (train, train.mirrored())]
    training = joined([part.steps(part.last[1], 1) for part in parts])
    recorded = Recorded.of(data.split(config.split), prior)
    chooses = Recorded.of(data.split("validation"), prior)
    gru = fitted(parts, training, chooses.steps(chooses.last[1], 1), DT_S, config.gru)
    generator = torch.Generator().manual_seed(config.seed)
    setting = Setting(training, recorded, Dynamics.load(config.weights), prior, generator, gru)
    print(f"{config.split}: {len(recorded.motion.root_m)} frames")
    densities(setting, config.steps)
    predictions(setting, config.windows)
    between(setting, config.windows)
    samples(setting, config.samples)


def densities(setting: Setting, count: int) -> None:
    """Nats per frame."""
    rows = setting.chosen(setting.recorded.last[1], count)
    steps = jittered(setting.recorded.steps(rows, 1), setting.generator)
    training, noise = setting.training, noise_std(setting.training)[0]
    print(f"\nnats per frame at 30 Hz, {len(rows)} frames")
    for name, mean in setting.means().items():
        model = GaussianSteps.about(mean, training.context, training.x, noise)
        print(f"{name:20s}{float(model.log_prob(steps.x, steps.context).mean()):9.2f}")
    density = setting.dynamics.network.density
    nats = density.log_prob(steps.x, steps.context, steps.dt_s)
    print(f"{'dynamics':20s}{float(nats.mean()):9.2f}")


def predictions(setting: Setting, count: int) -> None:
    """Errors in mm by horizon."""
    rows = setting.chosen(setting.recorded.inner[1], count)
    frames = setting.recorded.motion_at(rows[:, None] + torch.arange(-1, _AHEAD + 1))
    posed, past = PosedMotion.of(frames, setting.prior), frames.frames(0, 2)
    times = torch.tensor(HORIZONS_MS) / 1000 * RATE_HZ
    truth = at_times(posed.frames(2), times)
    means = setting.means()
    known = posed.frames(0, 2)

    def stepped(mean: Predicted) -> PosedMotion:
        return PosedMotion.of(rolled_out(mean, past, _AHEAD, DT_S), setting.prior)

    def middle(context: Tensor) -> Tensor:
        density, dt_s = setting.dynamics.network.density, torch.tensor([[DT_S]])
        e = torch.zeros(len(context), setting.size + 6)
        return density.step(e, context, dt_s.expand(len(context), 1))

    ahead = torch.arange(1, _AHEAD + 1, dtype=torch.float32)
    forecast = setting.dynamics.predict(past, _AHEAD, DT_S)
    models = {
        "constant position": going_on_turning(known, 0 * ahead),
        "constant velocity": going_on_turning(known, ahead),
        "VAR(2)": stepped(means["VAR(2)"]),
        "GRU": PosedMotion.of(setting.gru.steps_ahead(past, _AHEAD)[0], setting.prior),
        "dynamics, stepped": stepped(middle),
        "dynamics": PosedMotion.of(forecast, setting.prior),
    }
    for title, own in (("about the root", True), ("in the world", False)):
        print(f"\nmm {title}, {len(rows)} windows, at " + " ".join(f"{h} ms" for h in HORIZONS_MS))
        for name, found in models.items():
            points = at_times(found, times)
            gap = points - truth
            gap = gap - gap[:, :, :1] if own else gap
            errors = 1000 * gap.norm(dim=-1).mean((0, 2))
            print(f"{name:20s}" + " ".join(f"{float(e):7.1f}" for e in errors))


def at_times(
    motion: PosedMotion, times: Float[Tensor, " moments"]
) -> Float[Tensor, "batch moments 22 3"]:
    """Joints at moments between frames, of which the first is at time 1."""
    joints = motion.joints()[1]
    low = times.floor().long()
    share = (times - low)[:, None, None]
    return joints[:, low - 1].lerp(joints[:, low], share)


def between(setting: Setting, count: int) -> None:
    """L2Q, L2P and NPSS of gaps."""
    rows = setting.chosen(setting.recorded.inner[1], count)
    print(f"\nin-betweening, {len(rows)} windows: L2Q, L2P, NPSS")
    for gap in GAPS:
        frames = setting.recorded.motion_at(rows[:, None] + torch.arange(-1, gap + 2))
        posed = PosedMotion.of(frames, setting.prior)
        past, goal = frames.frames(0, 2), frames.frames(-1)
        filled = setting.dynamics.inbetween(past, goal, gap, DT_S)
        models = {
            "interpolation": interpolated(posed.frames(1, 2), posed.frames(-1, None), gap),
            "dynamics": PosedMotion.of(filled, setting.prior),
        }
        truth = posed.frames(2, -1)
        for name, found in models.items():
            errors = between_errors(found, truth, posed.frames(1, 2))
            shown = " ".join(f"{float(e):8.4f}" for e in errors)
            print(f"{gap:3d} frames {name:16s}{shown}")


def between_errors(
    found: PosedMotion, truth: PosedMotion, last: PosedMotion
) -> tuple[Tensor, Tensor, Tensor]:
    """L2Q, L2P (coordinates by their spread about the last known root) and NPSS."""
    true_q = continuous(truth.quaternions())
    q = alike(found.quaternions(), true_q)
    centre = last.root_m[:, :, None] * torch.tensor([1.0, 0.0, 1.0])
    points, true_points = found.joints()[1] - centre, truth.joints()[1] - centre
    std = true_points.flatten(0, 1).std(0)
    return l2q(q, true_q), l2p(points, true_points, std), npss(q.flatten(2), true_q.flatten(2))


def samples(setting: Setting, count: int) -> None:
    """Whether drawn continuations stay human."""
    rows = setting.chosen(setting.recorded.inner[1], count)
    frames = round(_SAMPLE_S * RATE_HZ)
    past = setting.recorded.windows(rows, 2)
    print(f"\n{count} continuations of {_SAMPLE_S:g} s")
    for temperature in (1.0, 0.7):
        drawn = setting.dynamics.sample(past, frames, DT_S, setting.generator, temperature)
        told = ", ".join(f"{k} {v}" for k, v in described(drawn, setting.prior))
        print(f"temperature {temperature:g}: {told}")
    everything = setting.recorded.motion
    real = LatentMotion(everything.z[None], everything.R_root[None], everything.root_m[None])
    print("recorded: " + ", ".join(f"{k} {v}" for k, v in described(real, setting.prior)))


def described(motion: LatentMotion, prior: PosePrior) -> Iterable[tuple[str, str]]:
    """Figures of drawn or recorded motion, by name."""
    R_free = prior.decode(motion.z)
    angle = torch.rad2deg(matrix_to_rotvec(R_free).norm(dim=-1))
    names = [JOINT_NAMES[joint].split("_")[-1] for joint in FREE_JOINTS]
    limits = torch.tensor([MAX_ANGLE_DEG.get(name, 180.1) for name in names])
    speed = torch.diff(motion.root_m, dim=1).norm(dim=-1) * RATE_HZ
    turn = matrix_to_rotvec(motion.R_root[:, :-1].mT @ motion.R_root[:, 1:]).norm(dim=-1)
    yield (
        "frames within joint limits",
        f"{100 * float((angle <= limits).all(-1).float().mean()):.1f} %",
    )
    yield "median |z|²/dim", f"{float(motion.z.square().mean(-1).median()):.2f}"
    yield "root speed median", f"{float(speed.median()):.2f} m/s"
    yield "99 %", f"{float(speed.flatten().quantile(0.99)):.2f} m/s"
    yield "turning median", f"{float(turn.median()) * RATE_HZ:.2f} rad/s"
    up = motion.R_root[..., 1, 1]
    yield "upright (root within 60°)", f"{100 * float((up > 0.5).float().mean()):.1f} %"
    height = motion.root_m[..., 1]
    yield "root height after", f"{float(height[:, -1].median()):.2f} m"


if __name__ == "__main__":
    main(tyro.cli(DynamicsBenchmark))
