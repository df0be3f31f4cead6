"""What a program calls: a photo in, people out.

import kinflow

people = kinflow.reconstruct("photo.jpg")

reconstructor = kinflow.Reconstructor()          # loads the models once
for path in paths:
    result = reconstructor(path)
    vertices_m = result.people[0].vertices()
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

import kinflow.priors
from kinflow.camera.pinhole import Camera
from kinflow.errors import InputError
from kinflow.evidence.detector import DetectorConfig, EvidenceDetector
from kinflow.evidence.image import Photo, as_photo
from kinflow.evidence.types import ImageEvidence
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.reconstruction import Person, Reconstruction
from kinflow.threads import lazy

DEFAULT_FOV_DEG = 55.0
"""Field of view of the longer side where nothing is known: a 35 mm-equivalent lens of about 35 mm,
between a phone's main camera and a portrait lens."""


@dataclass(frozen=True)
class ReconstructorConfig:
    """Options of the main job."""

    device: str = "cpu"
    """Where fitting runs: cpu, cuda or mps."""
    max_people: int | None = None
    """Reconstruct at most this many people, the largest first."""
    fov_deg: float | None = None
    """Field of view of the longer image side; overrides EXIF."""
    focal_px: float | None = None
    """Focal length in pixels; overrides EXIF and `fov_deg`."""
    prior: str = "realnvp"
    """Name of a shipped pose prior or path of a weight file."""
    parts: bool = True
    """Align the body's parts with those seen in the image, after the keypoints."""
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    fit: PhotoFitConfig = field(default_factory=PhotoFitConfig)


class Reconstructor:
    """Reconstructs people from photos; models are loaded at first use and kept.

    Args:
        config: options.

    Raises:
        InputError: the device is not there, or an option is out of range.
    """

    def __init__(self, config: ReconstructorConfig | None = None) -> None:
        self.config = config or ReconstructorConfig()
        check_device(self.config.device)
        if self.config.max_people is not None and self.config.max_people < 1:
            raise InputError(f"max_people has to be at least 1, not {self.config.max_people}.")

    @lazy
    def detector(self) -> EvidenceDetector:
        """Finds people and their keypoints."""
        config = self.config.detector
        return EvidenceDetector(replace(config, parts=config.parts or self.config.parts))

    @lazy
    def fitter(self) -> PhotoFitter:
        """Fits bodies to keypoints."""
        prior = kinflow.priors.load(self.config.prior)
        fit = replace(self.config.fit, align_parts=self.config.parts)
        return PhotoFitter(prior, fit, self.config.device)

    def __call__(
        self,
        image: str | Path | Photo | np.ndarray,
        *,
        evidence: ImageEvidence | None = None,
        camera: Camera | None = None,
    ) -> Reconstruction:
        """Find and reconstruct the people of a photo; an empty result means there are none.

        Args:
            image: a path or an RGB array (height, width, 3) uint8.
            evidence: keypoints of your own instead of the detector's.
            camera: a calibrated camera instead of EXIF or the default field of view.

        Raises:
            InputError: the image cannot be read or is unusable.
        """
        photo = as_photo(image)
        if evidence is None:
            evidence = self.detector.detect(photo.rgb, max_people=self.config.max_people)
        elif self.config.max_people is not None:
            evidence = replace(evidence, people=evidence.people[: self.config.max_people])
        if camera is None:
            camera = self.camera(photo)
        people = self.fitter.fit(evidence, camera)
        source = "" if isinstance(image, np.ndarray | Photo) else str(image)
        return Reconstruction(people[0].camera if people else camera, people, source)

    def camera(self, photo: Photo) -> Camera:
        """The camera by the options, else by EXIF, else with the default field of view."""
        if self.config.focal_px is not None:
            return Camera.centred(photo.size, _positive(self.config.focal_px, "focal length"))
        if self.config.fov_deg is not None:
            fov_deg = _positive(self.config.fov_deg, "field of view")
            if fov_deg >= 170:
                raise InputError("The field of view has to be below 170 degrees.")
            return Camera.from_fov(photo.size, fov_deg)
        if photo.focal_px is not None:
            return Camera.centred(photo.size, photo.focal_px)
        return Camera.from_fov(photo.size, DEFAULT_FOV_DEG)


def reconstruct(
    image: str | Path | Photo | np.ndarray, config: ReconstructorConfig | None = None
) -> list[Person]:
    """The people of one photo as posed, shaped bodies (see `Reconstructor` for many photos).

    Raises:
        InputError: the image cannot be read or is unusable.
    """
    return list(Reconstructor(config)(image).people)


def check_device(device: str) -> None:
    """Raise `InputError` unless torch can compute on `device`."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"The device '{device}' is not available here; use --device cpu."
        ) from error


def _positive(value: float, name: str) -> float:
    if not value > 0:
        raise InputError(f"The {name} has to be a positive number, not {value}.")
    return value
