"""The figures by which priors of any family are compared, on subjects that none was trained on.

- nats per pose: mean log density after the same dequantisation noise for all, with respect to
  rotation vectors and, marked Haar, to the Haar measure of SO(3)^19; for a VAE a lower bound;
- reconstruction: angle between a pose and decode(encode(pose)), mean over joints, and distance in
  mm over all joints;
- out of range: share of samples in which a knee or an elbow bends further, either way, than in any
  training pose (plus three standard deviations of the noise);
- precision and coverage of samples against test poses (`kinflow.evaluation.sample_quality`);
- diversity: average pairwise distance (APD) of samples, mm over all joints;
- completion: error of what is filled in, mm, of the likeliest of ten solutions, of the most central
  one, which is least far from all others, and of the best: for hidden limbs over the joints that
  the hidden rotations move, the other rotations given; for end effectors over the joints between,
  the positions of head, wrists, ankles and feet given;
- milliseconds for encoding, decoding and decoding with the Jacobian, the least of several calls.

Positions are relative to the root, on the body of an average adult.
"""

import time
from collections.abc import Callable
from typing import get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.body.skeleton import FREE_JOINTS, JOINT_NAMES
from kinflow.datasets.poses import PoseSet, Split
from kinflow.evaluation.sample_quality import sample_quality
from kinflow.priors.average_adult import joint_positions_m
from kinflow.priors.base import PosePrior
from kinflow.priors.completion import Completions, complete, reach
from kinflow.priors.pose_space import (
    NUM_FREE,
    log_haar_volume,
    matrix_to_rotvec,
    rotvec_to_matrix,
)
from kinflow.training.priors.stream import noisy

_QUALITY_POSES = 2000
_TIMED_BATCHES = (1, 8, 64, 4096)
_FREE_NAMES = tuple(JOINT_NAMES[joint] for joint in FREE_JOINTS)


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

END_EFFECTORS = (
    "head",
    *(f"{s}_{n}" for s in ("left", "right") for n in ("wrist", "ankle", "foot")),
)


def completion_errors_mm(
    prior: PosePrior,
    R_free: Float[Tensor, "poses 19 3 3"],
    hidden: Bool[Tensor, "19"],
) -> tuple[float, float, float]:
    """Error of filling in hidden rotations, of three of ten solutions."""
    generator = torch.Generator().manual_seed(0)
    result = complete(prior, R_free, ~hidden, num_samples=9, generator=generator)
    completed = torch.where(hidden[:, None, None], result.R_free, R_free[:, None])
    return _errors_mm(completed, R_free)


def reaching_errors_mm(
    prior: PosePrior, R_free: Float[Tensor, "poses 19 3 3"]
) -> tuple[float, float, float]:
    """Error of what lies between end effectors of known position, of three of ten solutions."""
    generator = torch.Generator().manual_seed(0)
    result: Completions = reach(prior, R_free, END_EFFECTORS, num_samples=9, generator=generator)
    return _errors_mm(result.R_free, R_free, END_EFFECTORS)


def _errors_mm(
    solutions: Float[Tensor, "poses solutions 19 3 3"],
    truth: Float[Tensor, "poses 19 3 3"],
    known: tuple[str, ...] = (),
) -> tuple[float, float, float]:
    """Mean over the joints that move and are not known: of the first solution, of the most central
    one and of the best."""
    positions_m = joint_positions_m(solutions)
    error_m = (positions_m - joint_positions_m(truth)[:, None]).norm(dim=-1)
    counted = error_m.amax((0, 1)) > 1e-6
    counted &= torch.tensor([name not in known for name in JOINT_NAMES])
    per_solution = 1e3 * error_m[..., counted].mean(-1)
    apart_m = (positions_m[:, :, None] - positions_m[:, None]).norm(dim=-1).mean((-2, -1))
    central = per_solution.gather(1, apart_m.argmin(1, keepdim=True))
    chosen = (per_solution[:, 0], central, per_solution.amin(1))
    return chosen[0].mean().item(), chosen[1].mean().item(), chosen[2].mean().item()


def milliseconds(call: Callable[[], object], max_calls: int = 20) -> float:
    """Least duration of a call within about a second, which a busy machine disturbs least."""
    durations: list[float] = []
    while len(durations) < max_calls and sum(durations) < 1.0:
        start = time.perf_counter()
        call()
        durations.append(time.perf_counter() - start)
    return 1e3 * min(durations)


def density_figures(prior: PosePrior, poses: PoseSet, noise_rad: float) -> dict[str, float]:
    """Nats per pose of the held-out subjects, with respect to both measures."""
    figures = {}
    for split in ("validation", "test"):
        rotvec = noisy(poses.split(split).rotvec[::4].flatten(1), noise_rad, seed=1)
        R_free = rotvec_to_matrix(rotvec.unflatten(-1, (NUM_FREE, 3)))
        nats = prior.log_prob(R_free)
        figures[f"{split} nats"] = nats.mean().item()
        log_volume = log_haar_volume(matrix_to_rotvec(R_free))
        figures[f"{split} nats (Haar)"] = (nats - log_volume).mean().item()
    return figures


def reconstruction_figures(prior: PosePrior, poses: PoseSet) -> dict[str, float]:
    """How well decode(encode(pose)) agrees with poses of the training and held-out subjects."""
    figures = {}
    for split in get_args(Split):
        R_free = rotvec_to_matrix(poses.split(split).rotvec[::4])
        decoded = prior.decode(prior.encode(R_free))
        angle_rad = matrix_to_rotvec(decoded.mT @ R_free).norm(dim=-1)
        error_m = (joint_positions_m(decoded) - joint_positions_m(R_free)).norm(dim=-1)
        figures[f"{split} reconstruction deg"] = angle_rad.rad2deg().mean().item()
        figures[f"{split} reconstruction mm"] = 1e3 * error_m.mean().item()
    return figures


def sample_figures(
    prior: PosePrior, poses: PoseSet, noise_rad: float, num_samples: int
) -> dict[str, float]:
    """What samples look like beside training and test poses."""
    test = poses.split("test")
    samples = prior.sample(num_samples, torch.Generator().manual_seed(0))
    R_train = rotvec_to_matrix(poses.split("train").rotvec)
    chosen = torch.linspace(0, len(test) - 1, min(_QUALITY_POSES, len(test))).long()
    quality = sample_quality(samples[: len(chosen)], rotvec_to_matrix(test.rotvec[chosen]))
    positions = joint_positions_m(samples[: num_samples // 2 * 2]).unflatten(0, (2, -1))
    return {
        "out of range %": 100 * share_out_of_range(samples, R_train, 3 * noise_rad),
        "precision %": 100 * quality.precision,
        "coverage %": 100 * quality.coverage,
        "diversity mm": 1e3 * (positions[0] - positions[1]).norm(dim=-1).mean().item(),
    }


def completion_figures(prior: PosePrior, poses: PoseSet, num_poses: int) -> dict[str, float]:
    """Errors of filling in what is hidden, on test poses spread evenly over the clips."""
    test = poses.split("test")
    R_free = rotvec_to_matrix(test.rotvec[torch.linspace(0, len(test) - 1, num_poses).long()])
    figures = {}
    tasks = {f"{name} hidden": completion_errors_mm(prior, R_free, m) for name, m in HIDDEN.items()}
    tasks["end effectors"] = reaching_errors_mm(prior, R_free)
    for name, (likeliest, central, best) in tasks.items():
        figures[f"{name} mm"] = likeliest
        figures[f"{name}, central of 10 mm"] = central
        figures[f"{name}, best of 10 mm"] = best
    return figures


def timing_figures(prior: PosePrior) -> dict[str, float]:
    """Milliseconds per batch in all three directions."""
    figures = {}
    for batch in _TIMED_BATCHES:
        z = torch.randn(batch, prior.latent_dim, generator=torch.Generator().manual_seed(0))
        R_free = prior.decode(z)
        calls: dict[str, Callable[[], object]] = {
            "encode": lambda R_free=R_free: prior.encode(R_free),
            "decode": lambda z=z: prior.decode(z),
            "decode + Jacobian": lambda z=z: prior.decode_with_jacobian(z),
        }
        for name, call in calls.items():
            figures[f"{name} ms, {batch}"] = milliseconds(call)
    return figures
