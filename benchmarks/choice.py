"""What other choices among the bodies that were found would be worth."""

from __future__ import annotations

import torch
from jaxtyping import Float
from rendered import FittedPerson
from torch import Tensor

from kinflow.metrics.pose import pa_mpjpe
from kinflow.predictors import Looks, Predictor

_NETWORK_WEIGHTS = (0.1, 0.3, 1.0)
_REPEATS = 2000


def choices(people: list[FittedPerson], predictor: Predictor | None) -> str:
    """PA-MPJPE and MPJPE of each choice, against the choice by energy; intervals of 95 % are from a
    bootstrap over pictures."""
    errors = [_errors_mm(one, one.joints_m) for one in people]
    by_energy = _chosen(errors, [one.found.energy for one in people])
    rows = {name: _chosen(errors, scores) for name, scores in _rules(people, predictor).items()}
    rows["best for PA-MPJPE"] = _chosen(errors, [error[:, 0] for error in errors])
    rows["best for MPJPE"] = _chosen(errors, [error[:, 1] for error in errors])
    rows["result, on its parts"] = torch.cat(
        [_errors_mm(one, one.person.joints_cam_m[None]) for one in people]
    )
    several = sum(len(one.found.energy) > 1 for one in people)
    lines = [f"| choice, {several} of {len(people)} with several | PA mm | change | MPJPE mm | |"]
    lines += ["|---" * 5 + "|"]
    world = torch.tensor([one.world for one in people])
    for name, chosen in rows.items():
        cells = []
        for k in range(2):
            low, high = _interval(chosen[:, k] - by_energy[:, k], world)
            change = float((chosen[:, k] - by_energy[:, k]).mean())
            cells += [f"{chosen[:, k].mean():.1f}", f"{change:+.2f} [{low:+.2f}, {high:+.2f}]"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _rules(people: list[FittedPerson], predictor: Predictor | None) -> dict[str, list[Tensor]]:
    """Scores of everybody's bodies, of which the least is chosen."""
    energy = [one.found.energy.double() for one in people]
    rules = {
        "energy": energy,
        "Laplace evidence": [e + o.half_log_det for e, o in zip(energy, people, strict=True)],
    }
    if predictor is None:
        return rules
    surprise = [_surprise(one, predictor) for one in people]
    rules["network"] = surprise
    for weight in _NETWORK_WEIGHTS:
        for name in ("energy", "Laplace evidence"):
            rules[f"{name} and {weight} network"] = [
                score + weight * nats for score, nats in zip(rules[name], surprise, strict=True)
            ]
    return rules


@torch.no_grad()
def _surprise(one: FittedPerson, predictor: Predictor) -> Tensor:
    """Negative log density of each body in nats; 0 where the network knows nothing."""
    bodies = one.found.unknowns
    if one.evidence.look is None:
        return torch.zeros(len(bodies), dtype=torch.float64)
    posterior = predictor(Looks.of([one.evidence.look], [one.camera]))
    return -posterior[torch.zeros(len(bodies), dtype=torch.long)].log_prob(bodies).double()


def _errors_mm(
    one: FittedPerson, joints_m: Float[Tensor, "bodies 22 3"]
) -> Float[Tensor, "bodies 2"]:
    """PA-MPJPE, and MPJPE about the pelvis."""
    truth = one.truth.joints_cam_m.expand_as(joints_m)
    gap = joints_m - joints_m[:, :1] - (truth - truth[:, :1])
    return 1000 * torch.stack([pa_mpjpe(joints_m, truth), gap.norm(dim=-1).mean(1)], 1)


def _chosen(errors: list[Tensor], scores: list[Tensor]) -> Float[Tensor, "people 2"]:
    return torch.stack([e[int(s.argmin())] for e, s in zip(errors, scores, strict=True)])


def _interval(change: Float[Tensor, " people"], world: Tensor) -> tuple[float, float]:
    """95 % of the mean change, by drawing pictures with all who are in them."""
    _, row = world.unique(return_inverse=True)
    count = torch.bincount(row).double()
    total = torch.zeros_like(count).index_add(0, row, change.double())
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(len(count), (_REPEATS, len(count)), generator=generator)
    means = total[drawn].sum(1) / count[drawn].sum(1)
    return float(means.quantile(0.025)), float(means.quantile(0.975))
