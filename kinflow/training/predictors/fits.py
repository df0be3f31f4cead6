"""Optimisation in the loop: fits of people without labels, to learn from in the next round.

After Kolotouros et al. 2019 (SPIN): a fit that begins where the network guesses supervises the
network, as long as the image says that it is better than what was there before. Here a fit is kept
in place of nothing if it explains the keypoints better than the network's own guess, and in place
of an earlier fit if it explains them better than that one; truth is never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from rich.progress import track
from torch import Tensor

import kinflow.priors
from kinflow.checks import number, path
from kinflow.datasets.look_index import INDEX_NAME
from kinflow.datasets.look_stream import shard_files
from kinflow.datasets.samples import Samples, look_of
from kinflow.energy.unknowns import Unknowns
from kinflow.errors import InputError
from kinflow.evidence.blazepose import turn_about_z
from kinflow.evidence.error_model import keypoint_std_px
from kinflow.evidence.region import transform_points
from kinflow.evidence.types import CloseLook, ImageEvidence, PersonEvidence
from kinflow.files.destinations import check_folder_destination
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from kinflow.predictors import DEFAULT, Predictor
from kinflow.priors.shape import ShapePrior
from kinflow.priors.storage import DEFAULT as DEFAULT_PRIOR
from kinflow.results import Person
from kinflow.training.predictors.batches import Labelled, bodies, crop_points, unencoded
from kinflow.training.predictors.losses import (
    DISTANCE_CROP,
    LossConfig,
    PredictorLoss,
    keypoint_distance,
)
from kinflow.training.predictors.regimes import as_known

_AT_ONCE = 32
_ON_THE_PERSON = 0.5
"""Confidence from which a keypoint says how large somebody is."""


@dataclass(frozen=True)
class FitLooksConfig:
    """Fit people without known bodies, and keep what explains them better than the network does.

    Attributes:
        looks: folder of looks, as `kinflow data looks`, `photos` and `see` write them.
        out: folder of the same looks with bodies; what is there already gives way to better ones
            only.
        predictor: the network of this round: a shipped one by name, or a weight file.
        prior: pose prior whose latent it predicts: a shipped one by name, or a weight file.
        at_most_off: largest distance of keypoints, robust and weighted, in sides of the crop, with
            which a fit is believed.
    """

    looks: Path
    out: Path
    predictor: str = DEFAULT
    prior: str = DEFAULT_PRIOR
    at_most_off: float = 0.03

    def __post_init__(self) -> None:
        path(self, "looks")
        path(self, "out")
        number(self, "at_most_off", above=0)


@dataclass(frozen=True)
class Kept:
    """What a round came to.

    Attributes:
        people: whose body and pose are not labelled.
        new: fits that are kept now and were not there before.
        better: fits that took the place of earlier ones.
        before: earlier fits that stay.
    """

    people: int = 0
    new: int = 0
    better: int = 0
    before: int = 0

    def __add__(self, other: Kept) -> Kept:
        return Kept(
            *(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True))
        )


def main(config: FitLooksConfig) -> None:
    """Fit everybody of a folder and say what was kept."""
    kept = fit_looks(config)
    without = kept.people - kept.new - kept.better - kept.before
    print(
        f"{kept.people} people without a labelled body: {kept.new} new fits, {kept.better} better "
        f"than earlier ones, {kept.before} earlier ones stay, {without} have none; wrote "
        f"{config.out}."
    )


def fit_looks(config: FitLooksConfig) -> Kept:
    """One round over a folder; a shard is written at once, so that a killed round is run again.

    Raises:
        InputError: the folder holds no looks, or `out` holds those of other people.
    """
    check_folder_destination(config.out)
    if config.out.resolve() == config.looks.resolve():
        raise InputError(f"'{config.out}' holds the looks themselves; name another folder.")
    rounds, kept = FitRound(config), Kept()
    config.out.mkdir(parents=True, exist_ok=True)
    for shard in track(shard_files(config.looks), "fits"):
        samples, at = Samples.load(shard), config.out / shard.name
        before = Samples.load(at) if at.exists() else None
        if before is not None and not _of_the_same(samples, before):
            raise InputError(f"'{at}' holds fits of other people; name another folder.")
        fitted, of_shard = rounds.fitted(samples, before)
        fitted.save(at)
        kept += of_shard
    index = config.looks / INDEX_NAME
    if index.exists():
        (config.out / INDEX_NAME).write_bytes(index.read_bytes())
    return kept


class FitRound:
    """Fits of people by one state of the network."""

    def __init__(self, config: FitLooksConfig) -> None:
        self._at_most_crop = config.at_most_off
        self.predictor = Predictor.load(config.predictor).eval()
        if self.predictor.crop_px is not None:
            raise InputError(
                f"'{config.predictor}' looks at pictures, which looks do not hold; name a network "
                "that takes what the detector saw."
            )
        self._prior, self._shapes = kinflow.priors.load(config.prior), ShapePrior()
        if not self.predictor.is_of(self._prior):
            raise InputError(
                f"'{config.predictor}' was trained with another pose prior than '{config.prior}'; "
                "name that one.",
                {"name that one": "prior"},
            )
        self._loss_of = PredictorLoss(self._prior, LossConfig())
        self._fitter = PhotoFitter(
            self._prior, PhotoFitConfig(), align_parts=False, predictor=self.predictor
        )

    def fitted(self, samples: Samples, before: Samples | None) -> tuple[Samples, Kept]:
        """Samples with bodies where fits are to be believed, and how many these are.

        Args:
            samples: of whom some have neither body nor pose.
            before: the same people with earlier fits.
        """
        rows = (~(samples.has_body | samples.has_pose)).nonzero()[:, 0]
        result, kept = samples, Kept()
        for some in rows.split(_AT_ONCE):
            people = samples[some]
            earlier = None if before is None else before[some]
            fits, of_some = self._better(people, earlier)
            result = _with_rows(result, some, fits)
            kept += of_some
        return result, kept

    @torch.no_grad()
    def _better(self, people: Samples, before: Samples | None) -> tuple[Samples, Kept]:
        batch = as_known(unencoded(people), "mix", torch.zeros(len(people), dtype=torch.bool))
        fits = self.fits(people, batch)
        off = self._off(self._bodies(fits), batch)
        guessed = self._off(self.predictor(batch.looks).point(), batch)
        good = (off < guessed) & (off < self._at_most_crop)
        earlier = people if before is None else before
        had = earlier.has_body
        good &= ~had | (off < self._off(self._bodies(earlier), batch))
        better = good.nonzero()[:, 0]
        counts = ((good & ~had).sum(), (good & had).sum(), (had & ~good).sum())
        return _with_rows(earlier, better, fits[better]), Kept(len(people), *map(int, counts))

    def fits(self, people: Samples, batch: Labelled) -> Samples:
        """Everybody with the body that the product's search finds, begun where the network guesses.

        Args:
            people: whose looks are fitted, each in a photo of their own.
            batch: the same people with the keypoints that are to be explained.
        """
        seen = [_evidence(look_of(people, i), batch.points[i]) for i in range(len(people))]
        cameras = [camera_of(people, i) for i in range(len(people))]
        photos = [
            ImageEvidence(camera.image_size, (person,))
            for person, camera in zip(seen, cameras, strict=True)
        ]
        found = self._fitter.fit_photos(photos, cameras)
        return _with_bodies(people, [photo.people[0] for photo in found])

    def _bodies(self, people: Samples) -> Unknowns:
        pose = rotvec_to_matrix(people.rotvec)
        return bodies(pose, people.phenotypes, people.root_cam_m, self._prior, self._shapes)

    def _off(self, guess: Unknowns, batch: Labelled) -> Float[Tensor, " people"]:
        points = crop_points(self._loss_of.points_m(guess), batch.looks)
        return DISTANCE_CROP * keypoint_distance(points, batch.points)


def _evidence(look: CloseLook, labelled: Float[Tensor, "33 3"]) -> PersonEvidence:
    """What is known of somebody in the picture: what the detector saw, and labels where there are.

    Args:
        look: of the detector.
        labelled: (x, y, weight) of keypoints in the axes of the crop.
    """
    known = labelled[:, 2:] > 0
    points = torch.where(known, labelled, look.landmarks).double().numpy()
    px = transform_points(look.region.to_image(1), points[:, :2] + 0.5)
    confidence = points[:, 2].clip(0, 1)
    sure = px[confidence >= _ON_THE_PERSON] if (confidence >= _ON_THE_PERSON).any() else px
    low, high = sure.min(0), sure.max(0)
    std = keypoint_std_px(confidence, float(np.sqrt(np.prod(high - low))), look.region.size_px)
    return PersonEvidence(
        keypoints_px=torch.from_numpy(np.column_stack((px, confidence))).float(),
        keypoint_std_px=torch.from_numpy(std).float(),
        world_m=torch.from_numpy(turn_about_z(look.world_m.numpy(), look.region.roll)).float(),
        box_px=torch.from_numpy(np.concatenate((low, high))).float(),
        score=1.0,
        look=look,
    )


def camera_of(people: Samples, row: int) -> Camera:
    """The camera of one sample."""
    f, x, y, width, height = people.camera[row].tolist()
    return Camera(f, (x, y), (round(width), round(height)))


def _with_bodies(people: Samples, fitted: list[Person]) -> Samples:
    return replace(
        people,
        rotvec=matrix_to_rotvec(torch.stack([person.pose for person in fitted])),
        phenotypes=torch.stack([person.shape for person in fitted]),
        root_cam_m=torch.stack([person.t_cam_root_m for person in fitted]),
        has_body=torch.ones(len(people), dtype=torch.bool),
    )


def _with_rows(samples: Samples, rows: Tensor, of_rows: Samples) -> Samples:
    """Samples some of which are replaced."""
    return Samples(
        **{
            name: value.index_copy(0, rows, getattr(of_rows, name))
            for name, value in vars(samples).items()
        }
    )


def _of_the_same(one: Samples, other: Samples) -> bool:
    return len(one) == len(other) and torch.equal(one.region, other.region)
