"""One photo in, its people out: detector, camera and fitter under one roof."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

import kinflow.priors
from kinflow.body.smpl import DEFAULT_BETAS
from kinflow.body.users_body import UsersBody
from kinflow.checks import flag, instance, nested, number, whole
from kinflow.errors import InputError
from kinflow.evidence.detector import DetectorConfig, EvidenceDetector
from kinflow.evidence.given import checked_evidence
from kinflow.evidence.image import Photo, as_photo
from kinflow.evidence.lines import upright_lines
from kinflow.evidence.types import ImageEvidence, with_crop
from kinflow.fitting.network_alone import NetworkAlone
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.geometry.pinhole import Camera
from kinflow.predictors import DEFAULT as DEFAULT_PREDICTOR
from kinflow.predictors import Predictor
from kinflow.predictors.sequence_predictor import DEFAULT as DEFAULT_SEQUENCE
from kinflow.predictors.sequence_predictor import SequencePredictor
from kinflow.priors.base import PosePrior
from kinflow.results import Reconstruction
from kinflow.tensors import check_device, full_precision
from kinflow.threads import lazy

DEFAULT_FOV_DEG = 55.0
"""Field of view of the longer side where nothing is known: a 35 mm-equivalent lens of about 35 mm,
between a phone's main camera and a portrait lens."""

MIN_FOV_DEG, MAX_FOV_DEG = 0.01, 170.0
"""Of cameras that bodies can be fitted with: what is wider or narrower is no photograph."""

MAX_PRINCIPAL_SIDES = 10.0
"""How far from the middle of the image the principal point may be, in longer sides of it: cut-outs
of a photo keep the photo's."""

Image: TypeAlias = str | os.PathLike | Photo | np.ndarray
"""A path, or pixels."""


@dataclass(frozen=True)
class ReconstructorConfig:
    """Options of the main job."""

    device: str | torch.device = "cpu"
    """Where fitting runs: cpu, cuda or mps."""
    max_people: int | None = None
    """Reconstruct at most this many people, the largest first."""
    fov_deg: float | None = None
    """Field of view of the longer image side; overrides EXIF."""
    focal_px: float | None = None
    """Focal length in pixels; overrides EXIF and `fov_deg`."""
    prior: str | Path = "realnvp"
    """Name of a shipped pose prior or path of a weight file."""
    predictor: str | Path | None = DEFAULT_PREDICTOR
    """Name of a shipped predictor or path of a weight file; None for fits without one. The default
    one is left out with another prior than the one that it knows."""
    parts: bool = True
    """Find body parts in the image, or take those of the evidence, and align bodies with them after
    the keypoints; otherwise neither is done."""
    body: str | Path | None = None
    """Path of a body of the SMPL family to fit in place of the bundled one."""
    betas: int = DEFAULT_BETAS
    """How many shape coefficients of it to fit."""
    fast: bool = False
    """Take the predictor's word as it is and fit nothing: quicker, and less close to the image.
    Parts are not looked at then."""
    sequence_predictor: str | Path | None = DEFAULT_SEQUENCE
    """With `fast`, in clips: name of a shipped sequence predictor or path of a weight file, which
    makes motion of what the predictor says of frames; None for frame by frame. The default one is
    left out with another predictor than the one whose words it reads."""
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    fit: PhotoFitConfig = field(default_factory=PhotoFitConfig)

    def __post_init__(self) -> None:
        instance(self, "device", (str, torch.device), "the name of a device, such as 'cpu'")
        whole(self, "max_people", at_least=1, or_none=True)
        number(self, "fov_deg", at_least=0.1, below=MAX_FOV_DEG, or_none=True)
        number(self, "focal_px", above=0, or_none=True)
        what = "the name of a pose prior or the path of its weight file"
        instance(self, "prior", (str, os.PathLike), what)
        what = "the name of a predictor, the path of its weight file, or None"
        instance(self, "predictor", (str, os.PathLike, type(None)), what)
        what = "the path of a body of the SMPL family, or None"
        instance(self, "body", (str, os.PathLike, type(None)), what)
        whole(self, "betas", at_least=1, at_most=300)
        flag(self, "parts", "fast")
        what = "the name of a sequence predictor, the path of its weight file, or None"
        instance(self, "sequence_predictor", (str, os.PathLike, type(None)), what)
        nested(self, detector=DetectorConfig, fit=PhotoFitConfig)
        if self.fast:
            self._check_fast()
        elif self.sequence_predictor not in (DEFAULT_SEQUENCE, None):
            raise InputError(
                "A sequence predictor is for the network alone, not for fits; leave it out.",
                {"A sequence predictor": "sequence_predictor", "the network alone": "fast"},
            )

    def _check_fast(self) -> None:
        """Refuse what the network alone does not do."""
        if self.predictor is None:
            raise InputError(
                "The network alone cannot do without a predictor; name one.",
                {"The network alone": "fast", "a predictor": "predictor"},
            )
        if not self.fit.observations.use_hint:
            raise InputError(
                "The network alone says nothing without its word on 3D; leave out one of both.",
                {"The network alone": "fast", "without its word on 3D": "no_hint_3d"},
            )
        if self.body is not None:
            raise InputError(
                "The network alone knows kinflow's own body only, no other body; leave out one of "
                "both.",
                {"The network alone": "fast", "no other body": "body"},
            )
        if self.fit.estimate_focal:
            raise InputError(
                "The network alone takes the focal length as it is; leave out estimating it.",
                {"The network alone": "fast", "estimating it": "estimate_focal"},
            )

    @property
    def follows_parts(self) -> bool:
        """Whether body parts are looked for, and bodies moved onto them."""
        return self.parts and not self.fast


class Reconstructor:
    """Reconstructs people from photos; models are loaded at first use and kept.

    Args:
        config: options.

    Raises:
        InputError: the device is not there, or an option is out of range.
    """

    def __init__(self, config: ReconstructorConfig | None = None) -> None:
        self.config = ReconstructorConfig() if config is None else config
        if not isinstance(self.config, ReconstructorConfig):
            raise InputError(
                f"config has to be a ReconstructorConfig, not a {type(config).__name__}."
            )
        check_device(self.config.device)

    def __reduce__(self) -> tuple[type, tuple[ReconstructorConfig]]:
        # another process loads the models for itself
        return Reconstructor, (self.config,)

    @lazy
    def detector(self) -> EvidenceDetector:
        """Finds people and their keypoints; where fits ask a predictor, also what it looks like in
        a mirror, unless it looks at pictures itself, and things that tell who sits. Where it may
        tell of children, also how old faces look."""
        config = self.config
        asks = config.fit.observations.use_hint and not config.fast
        predictor = self.fitter.predictor if asks else None
        return EvidenceDetector(
            config.detector,
            parts=config.follows_parts,
            mirrors=predictor is not None and predictor.crop_px is None,
            things=predictor is not None,
            faces=not config.fast and self.fitter.sizes.config.reads_faces,
        )

    @lazy
    def fitter(self) -> PhotoFitter:
        """Fits bodies to keypoints."""
        prior = kinflow.priors.load(self.config.prior)
        body = self.config.body
        return PhotoFitter(
            prior,
            self.config.fit,
            self.config.device,
            self.config.follows_parts,
            predictor=self._predictor_for(prior),
            users_body=None if body is None else UsersBody.load(body, self.config.betas),
        )

    @lazy
    def alone(self) -> NetworkAlone | None:
        """What takes the place of fits where the network alone is asked."""
        return NetworkAlone(self.fitter) if self.config.fast else None

    @lazy
    def alone_in_clips(self) -> NetworkAlone | None:
        """The same for frames that follow each other."""
        if not self.config.fast:
            return None
        return NetworkAlone(self.fitter, sequence=self._sequence_for(self.fitter))

    @property
    def crop_px(self) -> int | None:
        """Side of the crops that the predictor looks at; None where it needs none."""
        predictor = self.fitter.predictor
        return None if predictor is None else predictor.crop_px

    def _predictor_for(self, prior: PosePrior) -> Predictor | None:
        """The network of the configuration; the default one only where it knows the prior."""
        name = self.config.predictor
        if name is None:
            return None
        predictor = Predictor.load(name)
        if predictor.is_of(prior):
            return predictor
        if name == DEFAULT_PREDICTOR and not self.config.fast:
            return None
        raise InputError(
            f"The predictor '{os.fspath(name)}' was trained with another pose prior than "
            f"'{os.fspath(self.config.prior)}'; give the prior that it was trained with, or no "
            "predictor."
        )

    def _sequence_for(self, photos: PhotoFitter) -> SequencePredictor | None:
        """The temporal network of the configuration; the default one only where it knows the
        predictor."""
        name, predictor = self.config.sequence_predictor, photos.predictor
        if name is None or predictor is None or predictor.crop_px is not None:
            return None
        sequence = SequencePredictor.load(name)
        if sequence.is_of(predictor):
            return sequence
        if name == DEFAULT_SEQUENCE:
            return None
        raise InputError(
            f"The sequence predictor '{os.fspath(name)}' was trained with another predictor than "
            f"'{os.fspath(self.config.predictor or '')}'; give the predictor that it was trained "
            "with, or no sequence predictor."
        )

    def __call__(
        self,
        image: Image,
        *,
        evidence: ImageEvidence | None = None,
        camera: Camera | None = None,
    ) -> Reconstruction:
        """Find and reconstruct the people of a photo; an empty result means there are none.

        Args:
            image: a path, a Pillow image, a `Photo` or an RGB array (height, width, 3) uint8 (see
                `kinflow.evidence.image.as_photo` for what else).
            evidence: keypoints of your own instead of the detector's; no gradients pass.
            camera: a calibrated camera instead of EXIF or the default field of view.

        Raises:
            InputError: the image cannot be read or is unusable, or evidence or camera are not of
                this image or hold numbers that cannot be meant.
        """
        with full_precision(self.config.device):
            return self._of_photo(image, evidence, camera)

    def _of_photo(
        self, image: Image, evidence: ImageEvidence | None, camera: Camera | None
    ) -> Reconstruction:
        photo = _photo(image)
        lens_known = camera is not None or self.knows_lens(photo)
        camera = checked_camera(self.camera(photo) if camera is None else camera, photo.size)
        if evidence is None:
            evidence = self.detector.detect(photo.rgb, max_people=self.config.max_people)
        else:
            evidence = checked_evidence(evidence, photo.size)
            evidence = replace(evidence, people=evidence.people[: self.config.max_people])
            if evidence.lines_px is None:
                boxes = [person.box_px.cpu().numpy() for person in evidence.people]
                lines = torch.from_numpy(upright_lines(photo.rgb, boxes)).float()
                evidence = replace(evidence, lines_px=lines)
        if (crop_px := self.crop_px) is not None:
            people = tuple(with_crop(person, photo.rgb, crop_px) for person in evidence.people)
            evidence = replace(evidence, people=people)
        fit = (self.alone or self.fitter).fit(evidence, camera, lens_known)
        source = os.fsdecode(image) if isinstance(image, str | os.PathLike) else ""
        return Reconstruction.of_frame(fit.camera, fit.people, source, fit.gravity, fit.floor)

    def knows_lens(self, photo: Photo) -> bool:
        """Whether `camera` has the focal length from the options or EXIF; else it may be found out
        by fits of several people (`PhotoFitConfig.floor_focal`)."""
        told = (self.config.focal_px, self.config.fov_deg, photo.focal_px)
        return any(one is not None for one in told)

    def camera(self, photo: Photo) -> Camera:
        """The camera by the options, else by EXIF, else with the default field of view."""
        return self.camera_of(photo.size, photo.focal_px)

    def camera_of(self, size: tuple[int, int], focal_px: float | None = None) -> Camera:
        """The camera of pictures of a size (width, height).

        Args:
            size: in pixels.
            focal_px: what is known of the lens, where the options say nothing.
        """
        if self.config.focal_px is not None:
            return Camera.centred(size, self.config.focal_px)
        if self.config.fov_deg is not None:
            return Camera.from_fov(size, self.config.fov_deg)
        if focal_px is not None:
            return Camera.centred(size, focal_px)
        return Camera.from_fov(size, DEFAULT_FOV_DEG)


def checked_camera(camera: Any, image_size: tuple[int, int]) -> Camera:
    """The camera, if it may have taken an image of `image_size` (width, height).

    Raises:
        InputError: it is no camera, is of another image, or sees what no lens does.
    """
    if not isinstance(camera, Camera):
        raise InputError(f"camera has to be a kinflow Camera, not a {type(camera).__name__}.")
    if camera.image_size != tuple(image_size):
        raise InputError(
            f"The camera is of an image of {camera.image_size[0]} x {camera.image_size[1]} pixels, "
            f"but the photo has {image_size[0]} x {image_size[1]}; use its `scaled`."
        )
    if not MIN_FOV_DEG <= camera.fov_deg < MAX_FOV_DEG:
        raise InputError(
            f"A focal length of {camera.focal_px:g} pixels is a field of view of "
            f"{camera.fov_deg:.3g} degrees; it has to be from {MIN_FOV_DEG} to {MAX_FOV_DEG:g}."
        )
    reach = MAX_PRINCIPAL_SIDES * max(image_size)
    if any(abs(p - s / 2) > reach for p, s in zip(camera.principal_px, image_size, strict=True)):
        raise InputError(
            f"The camera's principal point {camera.principal_px} is too far outside of the image."
        )
    return camera


def _photo(image: Any) -> Photo:
    if isinstance(image, str | os.PathLike):
        return as_photo(Path(os.fsdecode(image)))
    pixels = isinstance(image, Photo | np.ndarray | torch.Tensor)
    if not pixels and not hasattr(image, "__array_interface__"):  # Pillow's images have it
        raise InputError(
            "An image has to be a path or an array of pixels (height, width, 3), "
            f"not a {type(image).__name__}."
        )
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu().numpy()
    return as_photo(image)
