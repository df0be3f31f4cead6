"""What the tables of `benchmarks/trust` share: options, photos, fits, and who was found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.datasets.poses import Split
from kinflow.evaluation.world_sets import SeenWorld, seen_worlds, world_sets
from kinflow.fitting.size_signs import SizeSigns
from kinflow.pipeline.reconstructor import Reconstructor, ReconstructorConfig
from kinflow.results import Person, Reconstruction
from kinflow.synth.people import PeopleConfig
from kinflow.synth.world import WorldPerson

PHOTOS = {"hidden": 99, "pitch": 64, "sizes": 100, "crowd": 24}
"""Photos of each set, for about a hundred people."""
OTHER_PHOTOS = {"telephoto": 24}
"""Of sets that one table alone is about."""


@dataclass(frozen=True)
class TrustConfig:
    """Which people, seen by whom, fitted how."""

    poses: Path | None = None
    """Pose set of `kinflow data poses`, whose subjects pose; without one the prior does."""
    split: Split = "validation"
    """Subjects that pose; settings are chosen on `validation`, figures reported on `test`."""
    photos: int | None = None
    """Photos of each set, instead of as many as make about a hundred people."""
    cache: Path | None = None
    """Folder for pictures' truth and detections, so that another run only fits."""
    photographs: Path | None = None
    """Folder with photographs: those of the lists for `children`, `seated`, `found` and `judged`,
    any for `bends`."""
    straight_limbs: bool = False
    """People bend knees and elbows as those in photographs do, in place of motion capture."""
    default_focal: bool = False
    """Fit with the default field of view, as for photos that say nothing of their lens, in place of
    the true focal length."""
    fit: ReconstructorConfig = field(default_factory=ReconstructorConfig)


@dataclass(frozen=True)
class Pair:
    """A true person and the body that was fitted, if they were found."""

    photo: int
    truth: WorldPerson
    person: Person | None


@dataclass(frozen=True)
class FittedWorld:
    """A photo, its reconstruction, and who is who."""

    seen: SeenWorld
    result: Reconstruction
    pairs: tuple[Pair, ...]
    """For each true person."""
    ghosts: int
    """Detections of nobody."""


@dataclass
class Sets:
    """The sets of a configuration: photos are looked at, and fitted, when they are first needed.

    `reconstructor` is the product as it is configured.
    """

    config: TrustConfig

    def __post_init__(self) -> None:
        people = PeopleConfig(
            poses=self.config.poses,
            split=self.config.split,
            prior_share=0.0,
            straight_limbs=self.config.straight_limbs,
        )
        self._kinds = world_sets(people)
        self._seen: dict[str, list[SeenWorld]] = {}
        self._fitted: dict[tuple[str, bool], list[FittedWorld]] = {}
        self.reconstructor = Reconstructor(self.config.fit)

    def seen(self, name: str) -> list[SeenWorld]:
        """The photos of a set with what the product's detector sees in them."""
        if name not in self._seen:
            begin, count = time.perf_counter(), self.config.photos or (PHOTOS | OTHER_PHOTOS)[name]
            detect = self.reconstructor.detector.detect
            self._seen[name] = seen_worlds(self._kinds[name], count, detect, self.config.cache)
            seconds = time.perf_counter() - begin
            print(f"({name}: {count} photos looked at in {seconds:.0f} s)\n", flush=True)
        return self._seen[name]

    def with_options(self, config: TrustConfig) -> Sets:
        """The same pictures, fitted otherwise; options may differ in how alone."""
        others = Sets(config)
        others._seen = self._seen
        return others

    def size_signs(self, seen: SeenWorld) -> list[tuple[WorldPerson, SizeSigns | None]]:
        """Everybody in a photo who was found, and the signs of a child that they show."""
        if not seen.evidence.people:
            return []
        signs = self.reconstructor.fitter.size_signs(seen.evidence, seen.world.camera)
        return [
            (person, signs[row])
            for person, row in zip(seen.world.people, seen.found, strict=True)
            if row is not None
        ]

    @cached_property
    def _without_landmarks(self) -> Reconstructor:
        """The product without the detector's 3D landmarks."""
        fit = self.config.fit.fit
        observations = replace(fit.observations, use_hint=False)
        return Reconstructor(replace(self.config.fit, fit=replace(fit, observations=observations)))

    def fitted(self, name: str, landmarks_3d: bool = True) -> list[FittedWorld]:
        """The photos of a set, fitted, with or without the detector's 3D landmarks."""
        if (name, landmarks_3d) not in self._fitted:
            seen, begin = self.seen(name), time.perf_counter()
            models = self.reconstructor if landmarks_3d else self._without_landmarks
            fitted = [_fit(one, models, self.config) for one in seen]
            self._fitted[name, landmarks_3d] = fitted
            print(f"({name}: fitted in {time.perf_counter() - begin:.0f} s)\n", flush=True)
        return self._fitted[name, landmarks_3d]


def _fit(seen: SeenWorld, reconstructor: Reconstructor, config: TrustConfig) -> FittedWorld:
    camera = None if config.default_focal else seen.world.camera
    width, height = seen.world.camera.image_size
    pixels = np.zeros((height, width, 3), np.uint8)  # the evidence has been taken already
    result = reconstructor(pixels, evidence=seen.evidence, camera=camera)
    bodies = {body.person: body for body in result.people}
    pairs = tuple(
        Pair(seen.number, truth, None if row is None else bodies.get(row))
        for truth, row in zip(seen.world.people, seen.found, strict=True)
    )
    ghosts = len(seen.evidence.people) - sum(row is not None for row in seen.found)
    return FittedWorld(seen, result, pairs, ghosts)


def up_of(result: Reconstruction) -> Float[Tensor, " 3"]:
    """The way up that a reconstruction gives, in the camera's frame; else that of the image."""
    gravity = result.only_frame.gravity
    return torch.tensor((0.0, -1.0, 0.0) if gravity is None else gravity.up_cam)


def found_pairs(fitted: list[FittedWorld]) -> Iterator[tuple[WorldPerson, Person]]:
    """Everybody who was found, with their body."""
    for world in fitted:
        for pair in world.pairs:
            if pair.person is not None:
                yield pair.truth, pair.person


def table(title: str, columns: tuple[str, ...], rows: list[tuple[str, list[str]]]) -> str:
    """A table in Markdown."""
    lines = [f"| {title} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows]
    return "\n".join(lines) + "\n"


def of(values: list[float] | np.ndarray, how: str, digits: int = 1) -> str:
    """A mean, median, percentile (`90 %`) or count as text; a dash where there is nothing."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if how == "count":
        return str(len(known))
    if not len(known):
        return "–"
    figure = {"mean": np.mean, "median": np.median}.get(how)
    value = figure(known) if figure else np.percentile(known, float(how.removesuffix(" %")))
    return f"{value:.{digits}f}"


def percent(hits: list[bool] | np.ndarray) -> str:
    """A share as text."""
    return f"{100 * np.mean(hits):.1f} %" if len(hits) else "–"
