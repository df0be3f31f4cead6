"""Sets of worlds for the question whom and what to trust, each seen by a real detector.

    sets = world_sets(PeopleConfig(poses=path, split="validation", prior_share=0.0))
    for seen in seen_worlds(sets["hidden"], 99, reconstructor.detector.detect):
        seen.world, seen.evidence, seen.found      # truth, what was detected, who is who

Photo number i of a set is of kind i modulo the number of its kinds and the world of seed i, so a
larger count only adds photos. Pictures are painted from a stream of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

import kinflow.body
from kinflow.datasets.poses import PoseSet
from kinflow.evaluation.value_files import read_values, write_values
from kinflow.evidence.types import ImageEvidence
from kinflow.synth.matching import match
from kinflow.synth.people import PeopleConfig
from kinflow.synth.world import Hiding, World, WorldConfig
from kinflow.synth.world_picture import WorldPainter
from kinflow.synth.world_source import WorldSource

Detect = Callable[[UInt8[np.ndarray, "height width 3"]], ImageEvidence]

_PICTURE_STREAM = 1


@dataclass(frozen=True)
class SeenWorld:
    """A world, and what a detector says of its picture."""

    number: int
    """Of the photo in its set."""
    world: World
    evidence: ImageEvidence

    @property
    def found(self) -> tuple[int | None, ...]:
        """For each true person the detection of them; None where there is none."""
        return match(self.world.people, self.evidence.people)


def world_sets(people: PeopleConfig) -> dict[str, tuple[WorldConfig, ...]]:
    """The kinds of photos in each set.

    `hidden`: legs behind furniture, behind somebody who sits in front, below the image's edge.
    `pitch`: cameras pitched by -40 to 40 degrees in eight steps, one to four people who stand, sit
    and lie. `sizes`: adults and children, alone and in full view. `crowd`: three to eight people.
    `telephoto`: three to six people from above through long lenses, as from the stands.
    """
    hidden = WorldConfig(people=people, postures=(0.6, 0.4, 0.0), seed=1)
    kinds: tuple[Hiding, ...] = ("furniture", "person", "edge")
    pitch = WorldConfig(
        people=people,
        count=(1, 4),
        postures=(0.45, 0.25, 0.3),
        alike_share=0.6,
        roll_std_deg=4.0,
        seed=2,
    )
    sizes = WorldConfig(
        people=people,
        postures=(0.9, 0.1, 0.0),
        in_full=True,
        child_share=0.4,
        child_ages=(0.11, 0.54),
        seed=3,
    )
    crowd = WorldConfig(
        people=people,
        count=(3, 8),
        postures=(0.75, 0.25, 0.0),
        size_range=(0.35, 0.7),
        depth_range=(0.6, 2.2),
        seed=4,
    )
    telephoto = replace(
        crowd, count=(3, 6), fov_deg=(8.0, 30.0), pitch_deg=(2.0, 20.0), child_share=0.0, seed=5
    )
    # steps are visited in an order in which every first few are spread out
    steps = [-40.0 + 10 * step for step in (3, 6, 1, 4, 7, 0, 5, 2)]
    return {
        "hidden": tuple(replace(hidden, hiding=kind) for kind in kinds),
        "pitch": tuple(replace(pitch, pitch_deg=(low, low + 10)) for low in steps),
        "sizes": (sizes,),
        "crowd": (crowd,),
        "telephoto": (telephoto,),
    }


def pictures(
    kinds: Sequence[WorldConfig], count: int
) -> Iterator[tuple[World, UInt8[np.ndarray, "height width 3"]]]:
    """The first worlds of a set, and their pictures."""
    sources, painter = [WorldSource(kind) for kind in kinds], WorldPainter.load()
    for number in range(count):
        source = sources[number % len(sources)]
        rng = np.random.default_rng((source.config.seed, number, _PICTURE_STREAM))
        world = source.world(number)
        yield world, painter.paint(world, rng)


def seen_worlds(
    kinds: Sequence[WorldConfig],
    count: int,
    detect: Detect,
    cache: Path | None = None,
    detector: str = "",
) -> list[SeenWorld]:
    """The first photos of a set, with what a detector sees in them.

    Args:
        kinds: of one of the sets.
        count: number of photos.
        detect: the detector.
        cache: folder in which worlds and detections are kept; they are made anew once the code of
            `kinflow.synth` or `kinflow.evidence`, or the settings of the set, are others.
        detector: tells detectors of other settings apart, which share a cache.
    """
    if cache is None:
        return [SeenWorld(i, *_looked_at(one, detect)) for i, one in _numbered(kinds, count)]
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{_key(kinds, count, detector)}.safetensors"
    if not path.exists():
        seen = [_looked_at(one, detect) for _, one in _numbered(kinds, count)]
        write_values(path, [list(pair) for pair in seen])
    # what was stored is what is used, so that both runs fit the very same numbers
    return [SeenWorld(i, *pair) for i, pair in enumerate(read_values(path))]


def _numbered(
    kinds: Sequence[WorldConfig], count: int
) -> Iterator[tuple[int, tuple[World, np.ndarray]]]:
    return enumerate(pictures(kinds, count))


def _looked_at(
    one: tuple[World, UInt8[np.ndarray, "height width 3"]], detect: Detect
) -> tuple[World, ImageEvidence]:
    world, rgb = one
    return world, detect(rgb)


def _key(kinds: Sequence[WorldConfig], count: int, detector: str) -> str:
    """Changes with whatever may change worlds or what is detected in their pictures."""
    digest = hashlib.sha256(f"{count}{detector}".encode())
    for kind in kinds:
        nameless = replace(kind, people=replace(kind.people, poses=None))
        digest.update(json.dumps(asdict(nameless), sort_keys=True).encode())
    if (poses := kinds[0].people.poses) is not None:
        digest.update(PoseSet.load(poses).sha256.encode())
    _add_sources(digest)
    return digest.hexdigest()[:16]


def detector_key() -> str:
    """Changes with whatever may change what is detected in pictures."""
    digest = hashlib.sha256()
    _add_sources(digest)
    return digest.hexdigest()[:16]


def _add_sources(digest: hashlib._Hash) -> None:
    package = Path(kinflow.body.__file__).parent.parent
    for name in ("body", "evidence", "geometry", "synth"):
        for source in sorted((package / name).rglob("*.py")):
            digest.update(source.read_bytes())
