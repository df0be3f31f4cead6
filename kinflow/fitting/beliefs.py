"""What a predictor makes of evidence, as a fit takes it: Gaussians and bodies to start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import flag, positive, share, whole
from kinflow.energy.belief import Belief
from kinflow.energy.body_energy import ShapeTarget, Targets
from kinflow.energy.unknowns import Unknowns
from kinflow.evidence.types import PersonEvidence
from kinflow.fitting.initialisers import Proposals
from kinflow.geometry.pinhole import NEAR_M, Camera
from kinflow.predictors import Looks, Posterior, Predictor
from kinflow.predictors.coordinates import PLACE, ROTATION
from kinflow.priors.shape import AGE, ShapePrior

CHILD_BELOW_AGE = 0.5
"""Phenotype `age` between 0.4, ten years, and the 0.67 of a grown-up."""

_STREAM = 0
_LEAST_GROWN = 16
"""Samples of grown-ups that tell how these are spread; of fewer, all samples count."""
_LEAST_STD = 0.05


@dataclass(frozen=True)
class BeliefConfig:
    """How far a predictor is believed."""

    std_scale: float = 0.4
    """Factor on the spread that it states, chosen on rendered validation subjects."""
    prior_weight: float = 0.3
    """Weight that is left to the pose prior, of which it knows."""
    samples: int = 128
    """Samples that the Gaussian is taken from."""
    shrinkage: float = 0.1
    """Share of the diagonal in its covariance."""
    starts: int = 6
    """Bodies to start from: the best guess and samples."""
    sizes: bool = True
    """Whether its word on depth and shape counts."""
    keep_hint: bool = False
    """Whether the detector's rough 3D counts besides, of which the predictor knows."""

    def __post_init__(self) -> None:
        positive(self, "std_scale")
        flag(self, "keep_hint", "sizes")
        share(self, "prior_weight", "shrinkage")
        whole(self, "samples", at_least=2, at_most=100_000)
        whole(self, "starts", at_least=1, at_most=1000)


def beliefs(
    predictor: Predictor,
    people: Sequence[PersonEvidence],
    cameras: Sequence[Camera],
    config: BeliefConfig,
) -> Belief | None:
    """What the predictor believes of people, a row for each; None where it knows of nobody.

    Who was not seen by its own detector has a row that says nothing.
    """
    rows = [i for i, person in enumerate(people) if person.look is not None]
    looks = [look for person in people if (look := person.look) is not None]
    if not looks:
        return None
    with torch.no_grad():
        posterior = predictor(Looks.of(looks, [cameras[i] for i in rows]))
        known = gaussian(posterior, config)
    if len(rows) == len(people):
        return known
    index = torch.zeros(len(people), dtype=torch.long)
    index[rows] = torch.arange(len(rows))
    has = torch.zeros(len(people), dtype=torch.bool)
    has[rows] = True
    device = known.centre.device
    spread, has = known[index.to(device)], has.to(device)
    return replace(
        spread,
        whitening=spread.whitening * has[:, None, None],
        prior_weight=torch.where(has, spread.prior_weight, torch.ones_like(spread.prior_weight)),
        child_log_odds=torch.where(has, spread.child_log_odds, torch.nan),
    )


def gaussian(posterior: Posterior, config: BeliefConfig) -> Belief:
    """The mean and spread of a posterior's samples."""
    people = len(posterior)
    generator = torch.Generator().manual_seed(_STREAM)
    vectors = posterior.sample_vectors(config.samples, generator)
    frame, R_cam_view = posterior.frame, posterior.frame.R_cam_view
    turns = vectors[..., ROTATION] @ R_cam_view.mT  # into camera axes
    latent_end = PLACE.stop + frame.latent_size
    latent, shape = vectors[..., PLACE.stop : latent_end], vectors[..., latent_end:]
    x, y, log_width = vectors[..., PLACE].unbind(-1)
    side = frame.side[:, None]
    in_view = torch.stack([x * side, y * side, torch.ones_like(x)], -1)
    slope = (in_view @ R_cam_view.mT)[..., 2].clamp_min(NEAR_M)
    log_depth = (log_width.exp() / side * slope).log()
    y = torch.cat([turns, latent, log_depth[..., None], shape], -1)
    weight = _grown_up(shape)[..., None]
    total = weight.sum(1)
    centre = (weight * y).sum(1) / total
    gap = (y - centre[:, None]) * weight
    covariance = gap.mT @ gap / (total[..., None] - 1)
    diagonal = torch.diag_embed(covariance.diagonal(dim1=-2, dim2=-1) + _LEAST_STD**2)
    covariance = (1 - config.shrinkage) * covariance + config.shrinkage * diagonal
    lower = torch.linalg.cholesky(covariance * config.std_scale**2)
    whitening = torch.linalg.solve_triangular(
        lower, torch.eye(y.shape[-1]).to(lower).expand_as(lower), upper=False
    )
    belief = Belief(
        R_cam_base=R_cam_view @ posterior.guess.R_view_base,
        centre=centre,
        whitening=whitening,
        starts=_starts(posterior, vectors, config.starts),
        prior_weight=torch.full((people,), config.prior_weight).to(centre),
        child_log_odds=_child_log_odds(shape),
    )
    return belief.weighted(1.0, float(config.sizes))


def without_sizes(belief: Belief, shape: ShapeTarget) -> Belief:
    """The same beliefs without those about the sizes of children, who were taken for adults."""
    child = shape.centre[:, AGE] != 0
    return belief.weighted(1.0, (~child).float())


def of_another_body(belief: Belief, size: int) -> Belief:
    """The same beliefs for bodies with other shape parameters: of these nothing is believed.

    The whitening is lower triangular with the shape last, so what is left of it is the Gaussian
    over orientation, pose and distance.
    """
    kept = belief.centre.shape[1] - belief.starts.s.shape[-1]
    whitening = belief.whitening.new_zeros(len(belief.centre), kept + size, kept + size)
    whitening[:, :kept, :kept] = belief.whitening[:, :kept, :kept]
    starts = belief.starts
    return replace(
        belief,
        centre=torch.nn.functional.pad(belief.centre[:, :kept], (0, size)),
        whitening=whitening,
        starts=replace(starts, s=starts.s.new_zeros(*starts.s.shape[:-1], size)),
        child_log_odds=torch.full_like(belief.child_log_odds, torch.nan),
    )


def _grown_up(s: Float[Tensor, "people samples 6"]) -> Float[Tensor, "people samples"]:
    """1 for samples that are no children: between both there is nobody, and fits begin with adults
    (`kinflow/fitting/sizes.py` says who is a child)."""
    grown = _age(s) >= CHILD_BELOW_AGE
    return (grown | (grown.sum(1, keepdim=True) < _LEAST_GROWN)).float()


def _age(s: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch"]:
    return ShapePrior().decode(s)[..., AGE]


def _child_log_odds(s: Float[Tensor, "people samples 6"]) -> Float[Tensor, " people"]:
    """How many of a person's samples are children against how many are none, as a logarithm."""
    # half a sample more of both: nobody is certain
    children = (_age(s) < CHILD_BELOW_AGE).sum(1) + 0.5
    return (children / (s.shape[1] + 1 - children)).log()


def _starts(
    posterior: Posterior, vectors: Float[Tensor, "people samples size"], count: int
) -> Unknowns:
    """The best guess and the first samples of each person, on a second axis."""
    chosen = torch.cat([posterior.guess.centre[:, None], vectors[:, : count - 1]], 1)
    people, each, _ = chosen.shape
    rows = torch.arange(people).repeat_interleave(each)
    flat = posterior.frame[rows].to_unknowns(
        chosen.flatten(0, 1), posterior.guess.R_view_base[rows]
    )
    return Unknowns(**{n: v.unflatten(0, (people, each)) for n, v in vars(flat).items()})


class BelievedStarts:
    """Proposes the starts of every belief that says something; targets have to have beliefs."""

    def propose(self, targets: Targets, names: tuple[str, ...]) -> Proposals:
        """Any number of bodies for each row of `targets`."""
        assert targets.belief is not None, "these starts are those of beliefs"
        says = torch.nonzero(targets.belief.says_something())[:, 0]
        starts = targets.belief.starts[says]
        each = starts.z.shape[1]
        flat = Unknowns(**{n: v.flatten(0, 1) for n, v in vars(starts).items()})
        return Proposals(flat, says.repeat_interleave(each), "predictor")
