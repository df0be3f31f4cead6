"""Fits people of photos: evidence in, posed and shaped people with their uncertainty out.

Evidence becomes targets (`observations.py`), the search finds candidates (`solver.py`), parts
choose and move one of them where they can (`parts.py`), and each body gets its code (`verdict.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.model import BodyModel
from kinflow.body.sides import SIDES
from kinflow.body.users_body import UsersBody
from kinflow.checks import flag, nested, not_negative, positive, whole
from kinflow.energy.body_energy import EnergyConfig, Targets
from kinflow.energy.vertex_model import VertexModel
from kinflow.evidence.types import ImageEvidence, PersonEvidence
from kinflow.fitting.beliefs import BeliefConfig, beliefs, of_another_body, without_sizes
from kinflow.fitting.describing import Describer, doubted
from kinflow.fitting.floor_focal import FloorFocal
from kinflow.fitting.focal import shared_log_focal, with_free_focal
from kinflow.fitting.gravity import GravityConfig, GravityEstimator, Ground
from kinflow.fitting.grounding import with_floor, with_nearer, with_trunk, with_up
from kinflow.fitting.height import ends_of
from kinflow.fitting.initialisers import Initialiser
from kinflow.fitting.multistart import Candidates
from kinflow.fitting.observations import FITTED_KEYPOINTS, FITTED_ROWS, ObservationConfig, observe
from kinflow.fitting.parts import PartAligner, PartFitConfig, part_body
from kinflow.fitting.people import FoundBodies, People
from kinflow.fitting.size_by_floor import with_floors
from kinflow.fitting.size_signs import SizeSigns
from kinflow.fitting.sizes import SizeConfig, SizeEstimator, child_log_odds_of
from kinflow.fitting.solver import FitConfig, PersonFitter
from kinflow.fitting.stances import Stances, flesh_m
from kinflow.fitting.starts import trunk_weights
from kinflow.geometry.pinhole import Camera
from kinflow.predictors import Predictor
from kinflow.priors.attitude import AttitudePrior
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import BetaPrior, LatentShapes, ShapePrior
from kinflow.results import Floor, Gravity, Person
from kinflow.tensors import on_device
from kinflow.threads import lazy, one_thread

_KNEES = [KEYPOINT_INDEX[f"{side}_knee"] for side in SIDES]


@dataclass(frozen=True)
class PhotoFitConfig:
    """How evidence is weighed and fitted, and which alternatives are told."""

    fit: FitConfig = field(
        default_factory=lambda: FitConfig(energy=EnergyConfig(keypoint_cutoff=6.0))
    )
    observations: ObservationConfig = field(default_factory=ObservationConfig)
    gravity: GravityConfig = field(default_factory=GravityConfig)
    belief: BeliefConfig = field(default_factory=BeliefConfig)
    sizes: SizeConfig = field(default_factory=SizeConfig)
    floor_focal: bool = True
    """Find the focal length of photos that say nothing of their lens by the floor that people
    share, where that tells it."""
    estimate_focal: bool = False
    """Estimate the focal length from all people together, about the one that is assumed."""
    focal_log_std: float = 0.3
    """How far it may be from the assumed one: 0.3 is a third more or a quarter less."""
    parts: PartFitConfig = field(default_factory=PartFitConfig)
    max_hypotheses: int = 4
    hypothesis_margin: float = 12.0
    """Alternatives whose energy is higher by more than this (nats) are not reported."""

    def __post_init__(self) -> None:
        nested(self, fit=FitConfig, observations=ObservationConfig, parts=PartFitConfig)
        nested(self, gravity=GravityConfig, belief=BeliefConfig, sizes=SizeConfig)
        flag(self, "estimate_focal", "floor_focal")
        positive(self, "focal_log_std")
        whole(self, "max_hypotheses", at_most=1000)
        not_negative(self, "hypothesis_margin")


@dataclass(frozen=True)
class PhotoFit:
    """What is found in a photo."""

    people: tuple[Person, ...]
    camera: Camera
    """The one that was given, with another focal length if that was to be found."""
    gravity: Gravity | None
    """What is up; None without people."""
    floor: Floor | None = None
    """What they are on, where that is known."""


_FOCAL_ROUNDS = 2
"""Bodies that were fitted with the right lens tell it better."""


class _FirstFits(NamedTuple):
    """Of the people of several photos, before what is up is known by their poses."""

    targets: Targets
    found: Candidates
    best: Tensor
    """Row of each person's best body."""
    stances: Stances
    """Of these."""
    ground: list[Ground]
    """What is up in each photo, and the floor, by these."""
    child_log_odds: Float[Tensor, " people"]
    """Of each being a child, the floor left out; NaN where nothing tells."""
    signs: list[SizeSigns | None]
    """Of a child, by these; the floor is among them."""


class PhotoFitter:
    """Fits all people of a photo, or of several, in one batch.

    Args:
        prior: pose prior.
        config: weights and search.
        device: where to compute.
        align_parts: align bodies with body parts where the evidence has them; otherwise parts are
            not looked at.
        further: sources of starts besides the gallery and the facing pose.
        predictor: tells what is to be believed of people; without one the detector's 3D stands in.
        users_body: a body of the user's to fit in place of the bundled one. What is known of
            children and of sizes is about the bundled one, so it is left out then.
    """

    def __init__(
        self,
        prior: PosePrior,
        config: PhotoFitConfig,
        device: torch.device | str = "cpu",
        align_parts: bool = True,
        further: tuple[Initialiser, ...] = (),
        predictor: Predictor | None = None,
        users_body: UsersBody | None = None,
    ) -> None:
        self.config = config
        self.predictor = None if predictor is None else on_device(predictor, device)
        self._person_fitter = partial(
            PersonFitter,
            _skeleton(users_body).to(device),
            on_device(prior, device),
            _latent_shapes(users_body),
            FITTED_KEYPOINTS,
            further=further,
            attitude=on_device(AttitudePrior.load(), device),
        )
        self.users_body = users_body
        whole = None if users_body is None else users_body.body
        vertices = VertexModel(part_body(device, whole)) if align_parts else None
        self.fitter = self._person_fitter(config.fit, vertices=vertices)
        self.flesh_m = flesh_m(FITTED_KEYPOINTS).to(device)
        self.trunk = trunk_weights(FITTED_KEYPOINTS).to(device)
        self.gravity = GravityEstimator(self.flesh_m, config.gravity)
        self.aligner = PartAligner(self.fitter.energy, config.parts) if vertices else None
        told = (config.max_hypotheses, config.hypothesis_margin)
        self.describer = Describer(self.fitter, self.aligner, *told, users_body)
        # what tells children and sizes apart is about the bundled body
        own = config.sizes.estimate and users_body is None
        sizes = replace(config.sizes, estimate=own)
        self.sizes = SizeEstimator(self.fitter.model, vertices, sizes)

    @property
    def finds_lenses(self) -> bool:
        """Whether floors are taken to be shared, and may tell focal lengths."""
        return self.config.floor_focal and self.config.gravity.shared_floor

    @lazy
    def floor_focal(self) -> FloorFocal:
        """Finds focal lengths by floors."""
        return FloorFocal(self.config.gravity.tilt, self.config.gravity.floor)

    @lazy
    def focal_fitter(self) -> PersonFitter:
        """Fits people with a focal length of their own each."""
        return self._person_fitter(with_free_focal(self.config.fit, self.config.focal_log_std))

    def fit(self, evidence: ImageEvidence, camera: Camera, lens_known: bool = True) -> PhotoFit:
        """The people of a photo, in the order of the evidence, and what is up there.

        Args:
            evidence: what was seen.
            camera: that the photo was taken with.
            lens_known: False if its focal length is but assumed, and may be found out.
        """
        if not evidence.people:
            return PhotoFit((), camera, None)
        with one_thread():
            if self.config.estimate_focal:
                camera, lens_known = self.refocused(camera, evidence.people), True
            (photo,) = self.fit_photos([evidence], [camera], lens_known)
            return photo

    def refocused(self, camera: Camera, people: Sequence[PersonEvidence]) -> Camera:
        """The camera with the focal length that explains people best, all seen by it."""
        targets = self.targets_of(people, [camera] * len(people))
        log_focal = shared_log_focal(self.focal_fitter, targets)
        return replace(camera, focal_px=camera.focal_px * math.exp(log_focal))

    def fit_photos(
        self,
        photos: Sequence[ImageEvidence],
        cameras: Sequence[Camera],
        lens_known: bool = True,
    ) -> tuple[PhotoFit, ...]:
        """Several photos in one batch, each with people, and with the camera it was taken with.

        Args:
            photos: what was seen.
            cameras: of each.
            lens_known: False if their focal lengths are but assumed, and may be found out.
        """
        with one_thread():
            found = self.found_bodies(photos, cameras, lens_known)
            people = [
                tuple(
                    self.describer.person(i - mine.start, seen, camera, *found.of(i))
                    for i, seen in zip(mine, photo.people, strict=True)
                )
                for photo, camera, mine in zip(photos, found.cameras, found.rows, strict=True)
            ]
        return tuple(
            self._photo(some, camera, known)
            for some, camera, known in zip(people, found.cameras, found.ground, strict=True)
        )

    def found_bodies(
        self,
        photos: Sequence[ImageEvidence],
        cameras: Sequence[Camera],
        lens_known: bool = True,
    ) -> FoundBodies:
        """All bodies that explain the people of several photos, before parts are looked at.

        Args:
            photos, cameras, lens_known: as in `fit_photos`.
        """
        people = People.of(photos, cameras)
        legs, rows = leg_confidence(people.seen), people.rows
        first = self._first_fits(people, self._pictures(photos, cameras), legs)
        assumed = list(cameras)
        for _ in range(_FOCAL_ROUNDS if self.finds_lenses and not lens_known else 0):
            found_out = self._by_floor(photos, assumed, cameras, rows, first)
            if found_out == list(cameras):
                break
            cameras, people = found_out, People.of(photos, found_out)
            first = self._first_fits(people, self._pictures(photos, cameras), legs)
        targets, found, ground = first.targets, first.found, first.ground
        up = [known.gravity for known in ground]
        targets = with_up(targets, self.gravity, up, rows, legs)
        targets = with_trunk(targets, self.gravity, up, rows, legs, self.trunk)
        targets = with_floor(targets, self.gravity, ground, rows)
        if self.users_body is None:
            found = with_nearer(found, self.fitter.model, first.best, ground)
        targets, found = self._with_children(targets, found, first.signs)
        bodies = self.fitter.polish(found, targets)
        return FoundBodies(rows, tuple(cameras), ground, targets, bodies)

    def _by_floor(
        self,
        photos: Sequence[ImageEvidence],
        assumed: Sequence[Camera],
        cameras: Sequence[Camera],
        rows: Sequence[range],
        first: _FirstFits,
    ) -> list[Camera]:
        """Cameras of photos, with the focal lengths that the floors of their people tell."""
        return [
            self.floor_focal.camera(
                usual,
                camera,
                photo.lines_px,
                first.stances[mine.start : mine.stop],
                first.child_log_odds[mine.start : mine.stop],
            )
            for photo, usual, camera, mine in zip(photos, assumed, cameras, rows, strict=True)
        ]

    def _photo(self, people: tuple[Person, ...], camera: Camera, ground: Ground) -> PhotoFit:
        """The result of a photo, with the floor where its people stand."""
        body, device = self.fitter.model.body, self.flesh_m.device
        pose, shape, t_cam_root_m = (
            torch.stack([getattr(person, name) for person in people]).to(device)
            for name in ("pose", "shape", "t_cam_root_m")
        )
        keypoints = body.with_shape(shape).with_pose(pose, t_cam_root_m).keypoints_m()
        points_cam_m = keypoints[:, FITTED_ROWS]
        floor = self.gravity.floor_under(ground, points_cam_m)
        above_m = self.gravity.above_floor_m(ground, floor, points_cam_m)
        people = doubted(people, ground.gravity, above_m)
        return PhotoFit(people, camera, ground.gravity, floor)

    def _pictures(self, photos: Sequence[ImageEvidence], cameras: Sequence[Camera]) -> list[Tensor]:
        """What each picture says of up."""
        return [
            self.gravity.by_picture(camera, photo.lines_px)
            for photo, camera in zip(photos, cameras, strict=True)
        ]

    def _searched(
        self, people: People, pictures: Sequence[Tensor], legs: Tensor
    ) -> tuple[Targets, Candidates]:
        """Targets and bodies of all people as long as nobody's pose says what is up."""
        level = [self.gravity.without_people(picture) for picture in pictures]
        targets = self.targets_of(people.seen, people.cameras, photo=people.photo)
        targets = with_up(targets, self.gravity, level, people.rows, legs)
        return targets, self.fitter.fit(targets)

    def size_signs(self, evidence: ImageEvidence, camera: Camera) -> list[SizeSigns | None]:
        """Signs of a child of each person of a photo, None where there are none to read."""
        if not evidence.people:
            return []
        with one_thread():
            people = People.of([evidence], [camera])
            pictures = self._pictures([evidence], [camera])
            return self._first_fits(people, pictures, leg_confidence(people.seen)).signs

    def _first_fits(
        self, people: People, pictures: Sequence[Tensor], legs: Float[Tensor, " people"]
    ) -> _FirstFits:
        """What is found as long as nobody's pose says what is up, and what that tells."""
        targets, found = self._searched(people, pictures, legs)
        best = torch.stack([found.of(i)[0] for i in range(len(people.seen))])
        adults = found.unknowns[best]
        stances = Stances.of(self.fitter.energy, adults, targets, self.flesh_m, legs)
        in_photos = [stances[mine.start : mine.stop] for mine in people.rows]
        signs: list[SizeSigns | None] = [None] * len(best)
        if self.sizes.config.estimate:
            network = None if targets.belief is None else targets.belief.child_log_odds
            signs = self.sizes.signs(adults, people.seen, people.cameras, network)
        odds = child_log_odds_of(signs)
        ground = [
            self.gravity.with_people(picture, some, odds[mine.start : mine.stop])
            for picture, some, mine in zip(pictures, in_photos, people.rows, strict=True)
        ]
        if self.sizes.config.estimate and self.config.gravity.shared_floor:
            gravity = [known.gravity for known in ground]
            signs = with_floors(signs, in_photos, gravity, self.config.gravity.floor)
        return _FirstFits(targets, found, best, stances, ground, odds, signs)

    def _with_children(
        self, targets: Targets, found: Candidates, signs: Sequence[SizeSigns | None]
    ) -> tuple[Targets, Candidates]:
        """Targets and bodies of all people, in which those who look like children are some."""
        shape = self.sizes.target(signs)
        if shape is None:
            return targets, found
        belief = None if targets.belief is None else without_sizes(targets.belief, shape)
        targets = replace(targets, shape=shape, belief=belief)
        return targets, self.sizes.as_children(found, shape)

    def targets(self, evidence: ImageEvidence, camera: Camera) -> Targets:
        """Observations of all people, weighted by how far they can be trusted."""
        return self.targets_of(evidence.people, [camera] * len(evidence.people))

    def targets_of(
        self,
        people: Sequence[PersonEvidence],
        cameras: Sequence[Camera],
        one_posture: bool = True,
        asked: Bool[Tensor, " people"] | None = None,
        photo: Int64[Tensor, " people"] | None = None,
    ) -> Targets:
        """Observations of people, of one photo or of many, each with the camera it was seen by.

        Args:
            people: what was seen of them.
            cameras: of each.
            one_posture: whether who hides their legs is taken to sit or to stand. Frames of a clip
                could not agree.
            asked: of whom the network is asked; None for everybody. Of the others nothing is
                believed, nor is the detector's 3D taken of those that it knows.
            photo: number of the photo that each is in; None if all are in one.
        """
        rest_m = self.fitter.model.points_at_rest_m
        if self.predictor is None or not self.config.observations.use_hint:
            return observe(people, cameras, rest_m, self.config.observations)
        people = [person.to(rest_m.device) for person in people]
        prior, config = self.fitter.model.prior, self.config.belief
        looked_at = torch.tensor([one.look is not None for one in people], device=rest_m.device)
        told = people
        if asked is not None:
            told = [
                one if wanted else replace(one, look=None)
                for one, wanted in zip(people, asked.tolist(), strict=True)
            ]
        believed = beliefs(self.predictor, told, cameras, prior, config, one_posture, photo)
        if believed is not None and self.users_body is not None:
            believed = of_another_body(believed, self.fitter.model.shape_prior.size)
        if believed is None or self.config.belief.keep_hint:
            targets = observe(people, cameras, rest_m, self.config.observations)
        else:
            targets = observe(people, cameras, rest_m, self.config.observations, ~looked_at)
        return replace(targets, belief=believed)


def _skeleton(users_body: UsersBody | None) -> BodyModel:
    """Joints and keypoints; of a user's body also the vertices that its height is read off."""
    return BodyModel.load("joints") if users_body is None else ends_of(users_body.body)


def _latent_shapes(users_body: UsersBody | None) -> LatentShapes:
    if users_body is None:
        return ShapePrior()
    return BetaPrior(len(users_body.body.shape_space.names))


def leg_confidence(people: Sequence[PersonEvidence]) -> Float[Tensor, " people"]:
    """Of each person's surer knee."""
    return torch.stack([person.keypoints_px[_KNEES, 2].max().cpu() for person in people])
