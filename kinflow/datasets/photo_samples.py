"""`kinflow data photos`: people of photographs as the detector sees them, without any truth.

Networks learn from such samples by what the detector itself saw (self-supervision). Every image
gives one shard, so that an interrupted run goes on where it was; who cannot be read is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.progress import track

from kinflow.checks import number, path
from kinflow.datasets.samples import Samples
from kinflow.errors import InputError
from kinflow.evidence.detector import EvidenceDetector
from kinflow.evidence.image import read_photo
from kinflow.files.destinations import check_folder_destination
from kinflow.geometry.pinhole import Camera

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True)
class PhotosConfig:
    """Look at the people of photographs and keep what the detector sees of them.

    Attributes:
        images: folder of photographs; folders below it are searched too.
        out: folder to fill; shards that are there are kept.
        fov_deg: field of view where a photograph does not say it.
    """

    images: Path
    out: Path
    fov_deg: float = 55.0

    def __post_init__(self) -> None:
        path(self, "images")
        path(self, "out")
        number(self, "fov_deg", above=0, below=180)


def main(config: PhotosConfig) -> None:
    """Write the shards that are not there yet and say how many people there are in them."""
    check_folder_destination(config.out)
    found = sorted(p for p in config.images.rglob("*") if p.suffix.lower() in _SUFFIXES)
    if not found:
        raise InputError(f"'{config.images}' holds no photographs; name a folder that does.")
    config.out.mkdir(parents=True, exist_ok=True)
    detector, people, without, problems = EvidenceDetector(), 0, 0, []
    for photo in track(found, "photos"):
        name = "_".join(photo.relative_to(config.images).with_suffix("").parts)
        shard = config.out / f"samples_{name}.safetensors"
        if shard.exists():
            continue
        try:
            samples = samples_of_photo(photo, detector, config.fov_deg)
        except InputError as error:
            problems.append(str(error))
            continue
        if samples is None:
            without += 1
        else:
            samples.save(shard)
            people += len(samples)
    for problem in problems:
        print(problem)
    print(f"Wrote {people} people to {config.out}; {without} photos showed nobody.")


def samples_of_photo(photo: Path, detector: EvidenceDetector, fov_deg: float) -> Samples | None:
    """The people of a photograph; None where there is nobody.

    Raises:
        InputError: it cannot be read.
    """
    image = read_photo(photo)
    if image.focal_px is not None:
        camera = Camera.centred(image.size, image.focal_px)
    else:
        camera = Camera.from_fov(image.size, fov_deg)
    seen = detector.detect(image.rgb).people
    looks = [person.look for person in seen if person.look is not None]
    if not looks:
        return None
    return Samples.concatenate([Samples.of_look(look, camera) for look in looks])
