"""`kinflow evaluate prior`: one table for priors of any family on held-out subjects.

Columns, all on poses of subjects that no prior was trained on unless said otherwise:

- nats per pose: mean log density with respect to rotation vectors after the same dequantisation
  noise for all; for a VAE a lower bound;
- reconstruction: angle between a pose and decode(encode(pose)), mean over joints;
- out of range: share of samples in which a knee or an elbow bends further, either way, than in any
  training pose (plus three standard deviations of the noise);
- precision and coverage of samples against test poses (`kinflow.priors.sample_quality`);
- diversity: average pairwise distance (APD) of samples, mm over all joints;
- completion: error of hidden joints filled in from the rest, in mm over the joints that the hidden
  rotations move, root-relative on the body of an average adult; best of 1 and best of 10;
- milliseconds for decoding with the Jacobian.
"""

import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from rich.console import Console
from rich.table import Table
from torch import Tensor

from kinflow.body.model import BodyModel, ShapedBody
from kinflow.body.skeleton import FREE_JOINTS, JOINT_NAMES, NUM_JOINTS
from kinflow.datasets.poses import PoseSet
from kinflow.priors.base import PosePrior
from kinflow.priors.completion import complete
from kinflow.priors.pose_space import NUM_FREE, matrix_to_rotvec, rotvec_to_matrix
from kinflow.priors.sample_quality import sample_quality
from kinflow.priors.shape import ShapePrior
from kinflow.priors.storage import SHIPPED, load_prior
from kinflow.priors.stream import noisy

_QUALITY_POSES = 2000
_FREE_NAMES = tuple(JOINT_NAMES[joint] for joint in FREE_JOINTS)


@cache
def _average_adult() -> ShapedBody:
    shape = ShapePrior()
    return BodyModel.load("joints").with_shape(shape.decode(torch.zeros(shape.size)))


def joint_positions_m(R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch 22 3"]:
    """Joint positions of an average adult with an upright root at the origin."""
    pose = torch.eye(3).expand(*R_free.shape[:-3], NUM_JOINTS, 3, 3).clone()
    pose[..., FREE_JOINTS, :, :] = R_free
    return _average_adult().with_pose(pose, torch.zeros(*R_free.shape[:-3], 3)).joints_m


def hinge_angles_rad(R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Flexion of both knees and both elbows, positive when bent the natural way."""
    rotvec = matrix_to_rotvec(R_free)
    axes = {"left_knee": (0, 1), "right_knee": (0, 1), "left_elbow": (1, -1), "right_elbow": (1, 1)}
    columns = [
        sign * rotvec[..., _FREE_NAMES.index(name), axis] for name, (axis, sign) in axes.items()
    ]
    return torch.stack(columns, -1)


def share_out_of_range(
    samples: Float[Tensor, "samples 19 3 3"],
    training: Float[Tensor, "poses 19 3 3"],
    margin_rad: float,
) -> float:
    """Share of samples with a knee or an elbow outside the range of the training poses."""
    angles, seen = hinge_angles_rad(samples), hinge_angles_rad(training)
    low, high = seen.amin(0) - margin_rad, seen.amax(0) + margin_rad
    return ((angles < low) | (angles > high)).any(-1).float().mean().item()


def _named(*suffixes: str) -> Bool[Tensor, "19"]:
    return torch.tensor([name.endswith(suffixes) for name in _FREE_NAMES])


HIDDEN: dict[str, Bool[Tensor, "19"]] = {
    "legs": _named("_hip", "_knee", "_ankle"),
    "left arm": _named("left_collar", "left_shoulder", "left_elbow", "left_wrist"),
    "left side": torch.tensor([name.startswith("left_") for name in _FREE_NAMES]),
}


def completion_errors_mm(
    prior: PosePrior,
    R_free: Float[Tensor, "poses 19 3 3"],
    hidden: Bool[Tensor, "19"],
) -> tuple[float, float]:
    """Mean error over the joints that move: of the likeliest completion, and of the best of ten."""
    generator = torch.Generator().manual_seed(0)
    result = complete(prior, R_free, ~hidden, num_samples=9, generator=generator)
    completed = torch.where(hidden[:, None, None], result.R_free, R_free[:, None])
    error = (joint_positions_m(completed) - joint_positions_m(R_free)[:, None]).norm(dim=-1)
    moved = error.amax((0, 1)) > 1e-6
    per_solution = 1e3 * error[..., moved].mean(-1)
    return per_solution[:, 0].mean().item(), per_solution.amin(1).mean().item()


def milliseconds(call: Callable[[], object], repeats: int = 20) -> float:
    """Median duration of a call after warming up."""
    for _ in range(3):
        call()
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        durations.append(time.perf_counter() - start)
    return 1e3 * sorted(durations)[repeats // 2]


@torch.no_grad()
def evaluate(
    prior: PosePrior, poses: PoseSet, noise_rad: float, num_completions: int, num_samples: int
) -> dict[str, float]:
    """All figures of one prior, by the name of their column."""
    row: dict[str, float] = {}
    held_out = {"validation nats": poses.split("validation"), "test nats": poses.split("test")}
    for label, subset in held_out.items():
        rotvec = noisy(subset.rotvec[::4].flatten(1), noise_rad, seed=1)
        R_free = rotvec_to_matrix(rotvec.unflatten(-1, (NUM_FREE, 3)))
        row[label] = prior.log_prob(R_free).mean().item()
    test = poses.split("test")
    R_test = rotvec_to_matrix(test.rotvec[::4])
    decoded = prior.decode(prior.encode(R_test))
    row["reconstruction deg"] = (
        matrix_to_rotvec(decoded.mT @ R_test).norm(dim=-1).rad2deg().mean().item()
    )
    error_m = (joint_positions_m(decoded) - joint_positions_m(R_test)).norm(dim=-1)
    row["reconstruction mm"] = 1e3 * error_m.mean().item()
    samples = prior.sample(num_samples, torch.Generator().manual_seed(0))
    R_train = rotvec_to_matrix(poses.split("train").rotvec)
    row["out of range %"] = 100 * share_out_of_range(samples, R_train, 3 * noise_rad)
    chosen = torch.linspace(0, len(test) - 1, min(_QUALITY_POSES, len(test))).long()
    quality = sample_quality(samples[: len(chosen)], rotvec_to_matrix(test.rotvec[chosen]))
    row["precision %"], row["coverage %"] = 100 * quality.precision, 100 * quality.coverage
    positions = joint_positions_m(samples[: num_samples // 2 * 2]).unflatten(0, (2, -1))
    row["diversity mm"] = 1e3 * (positions[0] - positions[1]).norm(dim=-1).mean().item()
    chosen = torch.linspace(0, len(test) - 1, num_completions).long()
    for name, hidden in HIDDEN.items():
        R_known = rotvec_to_matrix(test.rotvec[chosen])
        likeliest, best = completion_errors_mm(prior, R_known, hidden)
        row[f"{name} mm"], row[f"{name} best of 10 mm"] = likeliest, best
    for batch in (1, 8, 64):
        z = torch.randn(batch, prior.latent_dim)
        row[f"Jacobian ms, {batch}"] = milliseconds(lambda z=z: prior.decode_with_jacobian(z))
    return row


@dataclass(frozen=True)
class EvaluatePriorConfig:
    """Settings of `kinflow evaluate prior`.

    Attributes:
        data: pose set written by `kinflow data poses`.
        weights: names of shipped priors or paths of weight files; all shipped ones if empty.
        csv_path: where to save the table, if anywhere.
        noise_rad: dequantisation noise of the densities, the same for all.
        num_completions: test poses for completion.
        num_samples: samples per prior.
    """

    data: Path
    weights: tuple[str, ...] = ()
    csv_path: Path | None = None
    noise_rad: float = 0.02
    num_completions: int = 100
    num_samples: int = 4000


def main(config: EvaluatePriorConfig) -> None:
    """Print one table for all priors, and save it."""
    poses = PoseSet.load(config.data)
    rows = {
        name: evaluate(
            load_prior(name), poses, config.noise_rad, config.num_completions, config.num_samples
        )
        for name in config.weights or tuple(SHIPPED)
    }
    columns = list(next(iter(rows.values())))
    table = Table("figure", *rows)
    for column in columns:
        table.add_row(column, *(f"{row[column]:.2f}" for row in rows.values()))
    Console().print(table)
    if config.csv_path:
        with open(config.csv_path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["prior", *columns])
            writer.writerows([name, *row.values()] for name, row in rows.items())


if __name__ == "__main__":
    import tyro

    main(tyro.cli(EvaluatePriorConfig))
