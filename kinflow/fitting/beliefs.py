"""What a predictor makes of evidence, as a fit takes it: Gaussians and bodies to start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kinflow.checks import flag, not_negative, positive, share, whole
from kinflow.energy.belief import Belief
from kinflow.energy.body_energy import ShapeTarget, Targets
from kinflow.energy.unknowns import Unknowns
from kinflow.evidence.types import PersonEvidence
from kinflow.fitting.initialisers import Proposals
from kinflow.fitting.sample_kinds import (
    CHILD_BELOW_AGE,
    Postures,
    age_of,
    legs_hidden,
    may_ride,
    surroundings_log_odds,
)
from kinflow.fitting.straight_limbs import Bends, Unbending
from kinflow.geometry.pinhole import NEAR_M, Camera
from kinflow.predictors import Looks, Posterior, Predictor
from kinflow.predictors.both_sides import of_both_sides
from kinflow.predictors.coordinates import PLACE, ROTATION
from kinflow.priors.interface import PoseDistribution
from kinflow.priors.shape import AGE

_STREAM = 0
_LEAST_GROWN = 16
"""Samples of grown-ups that tell how these are spread; of fewer, all samples count."""
_LEAST_STD = 0.05


@dataclass(frozen=True)
class BeliefConfig:
    """How far a predictor is believed."""

    std_scale: float = 0.25
    """Factor on the spread that it states, chosen on rendered validation subjects."""
    hidden_std_scale: float = 0.65
    """The same for people whose legs nobody saw, of whom it knows less than it says."""
    guess_share: float = 0.5
    """How far from the mean of its samples towards its best guess orientations and poses are
    believed to be: both err, and not alike."""
    prior_weight: float = 0.3
    """Weight that is left to the pose prior, of which it knows."""
    samples: int = 128
    """Samples that the Gaussian is taken from."""
    shrinkage: float = 0.1
    """Share of the diagonal in its covariance."""
    starts: int = 4
    """Bodies to start from: the middle of what is believed, and samples."""
    sitting_share: float = 0.5
    """Of samples that sit, from which somebody whose legs nobody saw does; 1 is for nobody."""
    company: float = 0.5
    """How much who is among people who sit is likelier to sit; both chosen on photographs."""
    sizes: bool = True
    """Whether its word on depth and shape counts."""
    surroundings: bool = True
    """Whether things about people, and how low in the picture they are, tell who sits."""
    straight_limbs: bool = True
    """Whether people hold knees and elbows as straight as people in photographs do, in place of
    those in the motion capture that the network learned of."""
    keep_hint: bool = False
    """Whether the detector's rough 3D counts besides, of which the predictor knows."""

    def __post_init__(self) -> None:
        positive(self, "std_scale", "hidden_std_scale")
        not_negative(self, "company")
        flag(self, "keep_hint", "sizes", "straight_limbs", "surroundings")
        share(self, "guess_share", "prior_weight", "shrinkage", "sitting_share")
        whole(self, "samples", at_least=2, at_most=100_000)
        whole(self, "starts", at_least=1, at_most=1000)


@dataclass(frozen=True)
class Around:
    """What things about people, and their places in the picture, say of who sits."""

    may_ride: Bool[Tensor, " people"]
    """Who may ride something: of them it is asked although their legs are seen."""
    log_odds: Float[Tensor, " people"]
    """What they add to log odds of sitting."""


def beliefs(
    predictor: Predictor,
    people: Sequence[PersonEvidence],
    cameras: Sequence[Camera],
    prior: PoseDistribution,
    config: BeliefConfig,
    one_posture: bool = True,
    photo: Int64[Tensor, " people"] | None = None,
) -> Belief | None:
    """What the predictor believes of people, a row for each; None where it knows of nobody.

    Who was not seen by its own detector has a row that says nothing.

    Args:
        predictor: the network.
        people: what was seen.
        cameras: of each.
        prior: of the poses.
        config: how far the network is believed.
        one_posture: whether people whose legs nobody saw either sit or do not.
        photo: number of the photo that each is in; None if all are in one.
    """
    rows = [i for i, person in enumerate(people) if person.look is not None]
    if not rows:
        return None
    with torch.no_grad():
        seen, by = [people[i] for i in rows], [cameras[i] for i in rows]
        posterior = _posterior_of(predictor, seen, by, prior)
        hidden = legs_hidden(seen) & one_posture
        around = None
        if one_posture and config.surroundings:
            more = surroundings_log_odds(seen, by, hidden)
            around = Around(may_ride(seen).to(hidden.device), more)
        together = None if photo is None else photo[rows]
        bends = Bends.of(seen) if config.straight_limbs else None
        known = gaussian(posterior, hidden, prior, config, together, around, bends)
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


def _posterior_of(
    predictor: Predictor,
    people: Sequence[PersonEvidence],
    cameras: Sequence[Camera],
    prior: PoseDistribution,
) -> Posterior:
    """What the predictor believes of people with looks, by their mirror images as well where these
    were looked at.

    Args:
        predictor: the network.
        people: what was seen.
        cameras: of each.
        prior: of the poses.
    """
    looks = Looks.of([person.look for person in people if person.look is not None], cameras)
    own = predictor(looks)
    has = [person.look_in_mirror is not None for person in people]
    if predictor.crop_px is not None or not any(has):
        return own
    # whoever was not looked at in a mirror has the own look in that place, which does not count
    there = [person.look_in_mirror or person.look for person in people]
    other = predictor(Looks.of([look for look in there if look is not None], cameras).in_mirror())
    return of_both_sides(own, other, torch.tensor(has, device=looks.region.device), prior)


def gaussian(
    posterior: Posterior,
    hidden: Bool[Tensor, " people"],
    prior: PoseDistribution,
    config: BeliefConfig,
    photo: Int64[Tensor, " people"] | None = None,
    around: Around | None = None,
    bends: Bends | None = None,
) -> Belief:
    """The spread of a posterior's samples, about a centre between their mean and its best guess.

    Args:
        posterior: of some people.
        hidden: whose legs nobody saw: they either sit or do not.
        prior: of the poses.
        config: how far it is believed.
        photo: number of the photo that each is in; None if all are in one.
        around: what things about them say; None where nobody looked.
        bends: how far limbs are bent in the picture; None for limbs as they were learned.
    """
    generator = torch.Generator().manual_seed(_STREAM)
    vectors = posterior.sample_vectors(config.samples, generator)
    latent = vectors[..., PLACE.stop : PLACE.stop + posterior.frame.latent_size]
    asked, more = (hidden, 0.0) if around is None else (hidden | around.may_ride, around.log_odds)
    company = config.company * hidden.to(latent)  # others tell little of those who ride
    postures = Postures.of(latent, asked, prior.decode, config.sitting_share, company, photo, more)
    vectors = _towards_guess(posterior, vectors, config.guess_share)
    y = _in_camera(posterior, vectors)
    columns = slice(3, 3 + posterior.frame.latent_size)
    shape = y[..., columns.stop + 1 :]
    posture = _enough(postures.counts, torch.ones_like(postures.counts))
    weight = _enough(_grown_up(shape) & posture, posture).float()[..., None]
    moments = _moments(y, weight, config.shrinkage)
    centre, covariance = postures.as_bent(*moments, columns, prior.decode)
    if bends is not None:
        of_pose = covariance[:, columns, columns]
        unbending = Unbending.of(centre[:, columns], of_pose, prior, bends, hidden)
        centre[:, columns] = unbending.latents(prior)
    scale = torch.where(hidden, config.hidden_std_scale, config.std_scale)
    lower = torch.linalg.cholesky(covariance * scale.to(covariance)[:, None, None] ** 2)
    whitening = torch.linalg.solve_triangular(
        lower, torch.eye(y.shape[-1]).to(lower).expand_as(lower), upper=False
    )
    belief = Belief(
        R_cam_base=posterior.frame.R_cam_view @ posterior.guess.R_view_base,
        centre=centre,
        whitening=whitening,
        starts=_starts(posterior, vectors, weight, config.starts),
        prior_weight=torch.full_like(centre[:, 0], config.prior_weight),
        child_log_odds=_child_log_odds(shape),
    )
    return belief.weighted(1.0, float(config.sizes))


def _towards_guess(
    posterior: Posterior, vectors: Float[Tensor, "people samples size"], guess_share: float
) -> Float[Tensor, "people samples size"]:
    """Samples moved together, so that orientations and poses are nearer to the best guess; what
    samples say of depths and sizes is better than the guess, which is neither child nor adult."""
    gap = (posterior.guess.centre - vectors.mean(1)) * guess_share
    moved = torch.zeros_like(gap)
    latent = slice(PLACE.stop, PLACE.stop + posterior.frame.latent_size)
    for columns in (ROTATION, latent):
        moved[:, columns] = gap[:, columns]
    return vectors + moved[:, None]


def _in_camera(
    posterior: Posterior, vectors: Float[Tensor, "people samples size"]
) -> Float[Tensor, "people samples believed"]:
    """Vectors of the predictor's coordinates as what a belief is over (`kinflow/energy/belief.py`):
    turns in camera axes, no place but the root's log depth."""
    frame, R_cam_view = posterior.frame, posterior.frame.R_cam_view
    turns = vectors[..., ROTATION] @ R_cam_view.mT
    latent_end = PLACE.stop + frame.latent_size
    latent, shape = vectors[..., PLACE.stop : latent_end], vectors[..., latent_end:]
    x, y, log_width = vectors[..., PLACE].unbind(-1)
    side = frame.side[:, None]
    in_view = torch.stack([x * side, y * side, torch.ones_like(x)], -1)
    slope = (in_view @ R_cam_view.mT)[..., 2].clamp_min(NEAR_M)
    log_depth = (log_width.exp() / side * slope).log()
    return torch.cat([turns, latent, log_depth[..., None], shape], -1)


def _moments(
    y: Float[Tensor, "people samples size"],
    weight: Float[Tensor, "people samples 1"],
    shrinkage: float,
) -> tuple[Float[Tensor, "people size"], Float[Tensor, "people size size"]]:
    """Mean and covariance of the samples that count, the latter with a share of its diagonal."""
    total = weight.sum(1)
    centre = (weight * y).sum(1) / total
    gap = (y - centre[:, None]) * weight
    covariance = gap.mT @ gap / (total[..., None] - 1)
    diagonal = torch.diag_embed(covariance.diagonal(dim1=-2, dim2=-1) + _LEAST_STD**2)
    return centre, (1 - shrinkage) * covariance + shrinkage * diagonal


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


def _grown_up(s: Float[Tensor, "people samples 6"]) -> Bool[Tensor, "people samples"]:
    """Samples that are no children: between both there is nobody, and fits begin with adults
    (`kinflow/fitting/sizes.py` says who is a child)."""
    return age_of(s) >= CHILD_BELOW_AGE


def _enough(
    chosen: Bool[Tensor, "people samples"], instead: Bool[Tensor, "people samples"]
) -> Bool[Tensor, "people samples"]:
    """The samples that were chosen, or others of people who have too few."""
    return torch.where(chosen.sum(1, keepdim=True) < _LEAST_GROWN, instead, chosen)


def _child_log_odds(s: Float[Tensor, "people samples 6"]) -> Float[Tensor, " people"]:
    """How many of a person's samples are children against how many are none, as a logarithm."""
    # half a sample more of both: nobody is certain
    children = (age_of(s) < CHILD_BELOW_AGE).sum(1) + 0.5
    return (children / (s.shape[1] + 1 - children)).log()


def _starts(
    posterior: Posterior,
    vectors: Float[Tensor, "people samples size"],
    weight: Float[Tensor, "people samples 1"],
    count: int,
) -> Unknowns:
    """The mean and the first samples of those that count, of each person, on a second axis."""
    mean = (weight * vectors).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
    first = weight[..., 0].argsort(dim=1, descending=True, stable=True)[:, : count - 1]
    samples = vectors.gather(1, first[..., None].expand(-1, -1, vectors.shape[-1]))
    chosen = torch.cat([mean, samples], 1)
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
