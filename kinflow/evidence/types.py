"""What the pixels say about people, as small immutable values.

All pixel coordinates are those of the upright image: (0, 0) is its top-left corner and pixel
centres lie at +0.5. Keypoints are in BlazePose order (`kinflow.body.keypoints.BLAZEPOSE33`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from kinflow.evidence.region import Region
from kinflow.geometry.image_grid import ImageGrid

NUM_FEATURES = 1152
"""Numbers in the last activation of the detector's network."""
NUM_JOINT_FEATURES = 288
"""Numbers in the network's maps of 32 x 32 and 16 x 16 cells at one point."""
NUM_MAP_FEATURES = 4608
"""Numbers in the network's map of 4 x 4 cells."""
ADULT_YEARS = 15
"""From which age on nobody's face is a child's; bodies are nearly as large as they become."""


@dataclass(frozen=True)
class PersonMask:
    """Soft silhouette of one person; outside its grid the probability is zero."""

    probability: Float[Tensor, "rows columns"]
    """Probability in [0, 1] that the cell shows this person."""
    grid: ImageGrid
    """Where the cells lie in the image."""

    def to(self, device: torch.device | str) -> PersonMask:
        """The same mask on another device."""
        return replace(self, probability=self.probability.to(device))

    def sample(self, points_px: Float[Tensor, "*points 2"]) -> Float[Tensor, "*points"]:
        """Bilinearly interpolated probability at image points (x, y); zero outside the grid."""
        origin = points_px.new_tensor(self.grid.origin_px)
        extent = points_px.new_tensor(self.grid.extent_px)
        # across the grid from -1 to 1, as torch wants it
        at = (points_px - origin) / extent * 2 - 1
        values = F.grid_sample(
            self.probability[None, None].to(points_px),
            at.reshape(1, 1, -1, 2),
            align_corners=False,
            padding_mode="zeros",
        )
        return values.reshape(points_px.shape[:-1])

    def rasterize(self, image_size: tuple[int, int]) -> Float[Tensor, "height width"]:
        """The probability at every pixel centre of an image of `image_size` (width, height)."""
        return self.sample(ImageGrid.of_image(image_size).centres_px(self.probability.device))


@dataclass(frozen=True)
class PartLabels:
    """Which body part each cell of a grid shows, as far as it is known.

    A cell holds the set of labels it may have: bit 0 stands for the background, bit k for part k.
    So a part map, a map of clothes that cover several parts each, a plain silhouette and cells
    that say nothing are all the same thing.
    """

    allowed: Int[Tensor, "rows columns"]
    """Bit sets (int32)."""
    confidence: Float[Tensor, "rows columns"]
    """In [0, 1], how far to rely on the set."""
    grid: ImageGrid
    """Where the cells lie in the image."""

    def may_be(self, part: int) -> Bool[Tensor, "rows columns"]:
        """Cells that may show `part` (0 for the background)."""
        return (self.allowed >> part & 1).bool()

    def shows(self) -> Bool[Tensor, "rows columns"]:
        """Cells that show the person for certain, whichever part."""
        return ~self.may_be(0)

    def to(self, device: torch.device | str) -> PartLabels:
        """The same labels on another device."""
        return replace(self, allowed=self.allowed.to(device), confidence=self.confidence.to(device))


@dataclass(frozen=True)
class CloseLook:
    """What the detector made of one person's region, in the axes of its crop.

    The crop's x axis points right and its y axis down, each from -0.5 to 0.5 across the region; a
    person who is upright in the crop may be so at any roll in the image.
    """

    region: Region
    landmarks: Float[Tensor, "33 3"]
    """(x, y, confidence) of the keypoints, the detector's own confidence in [0, 1]."""
    world_m: Float[Tensor, "33 3"]
    """Rough 3D keypoints relative to the middle of the hips, z away from the camera."""
    features: Float[Tensor, " features"]
    """The network's last activation, from which it reads everything else."""
    joint_features: Float[Tensor, "33 joint_features"]
    """Its activations at each keypoint: 96 at a finer and 192 at a coarser scale (float16)."""
    map_features: Float[Tensor, " map_features"]
    """Its activations in 4 x 4 cells of the crop, row by row, 288 numbers each (float16)."""
    crop: UInt8[Tensor, "side side 3"] | None = None
    """The pixels of the crop, where somebody asks for them."""

    def to(self, device: torch.device | str) -> CloseLook:
        """The same look on another device."""
        return replace(
            self,
            landmarks=self.landmarks.to(device),
            world_m=self.world_m.to(device),
            features=self.features.to(device),
            joint_features=self.joint_features.to(device),
            map_features=self.map_features.to(device),
            crop=None if self.crop is None else self.crop.to(device),
        )


@dataclass(frozen=True)
class Surroundings:
    """How surely there are things that tell who sits: probabilities in [0, 1]."""

    seat: float = 0.0
    """Of something to sit on, or a table, about the person's hips."""
    seat_anywhere: float = 0.0
    """The same anywhere in the picture."""
    sport: float = 0.0
    """Of what people stand on or hold in sports, about the person's hips; spectators sit."""
    kitchen_anywhere: float = 0.0
    """Of an oven, a sink or a refrigerator anywhere in the picture."""
    ridden: float = 0.0
    """Of a bicycle, a motorcycle or a horse about the person's hips."""


@dataclass(frozen=True)
class FaceAge:
    """How old a face looks."""

    child: float
    """Probability in [0, 1] of less than 15 years, by the network as it is."""
    years: float
    """Mean age in years, should it be less than 15."""


@dataclass(frozen=True)
class PersonEvidence:
    """All that was measured of one person in one image."""

    keypoints_px: Float[Tensor, "33 3"]
    """(x, y, confidence) in BlazePose order; confidence in [0, 1], 0 where nothing is known."""
    keypoint_std_px: Float[Tensor, " 33"]
    """Standard deviation of the detector's error in each image axis (see `error_model`)."""
    world_m: Float[Tensor, "33 3"] | None
    """Rough 3D keypoints relative to the middle of the hips, in metres, in axes parallel to the
    camera's (x right, y down, z forward); None where no detector estimated them."""
    box_px: Float[Tensor, " 4"]
    """(x0, y0, x1, y1) around the visible person."""
    score: float
    """Detector's confidence in [0, 1] that this is a person."""
    mask: PersonMask | None = None
    """Soft silhouette, when it was asked for."""
    parts: PartLabels | None = None
    """Body parts, when they were asked for."""
    look: CloseLook | None = None
    """What the detector's network saw; None where the evidence came from elsewhere."""
    look_in_mirror: CloseLook | None = None
    """What it saw in the mirror image of the same crop, in that image's axes, where somebody asked
    for it; its region is that of the picture itself."""
    surroundings: Surroundings | None = None
    """Things about the person; None where nobody looked for them."""
    face_age: FaceAge | None = None
    """How old the face looks; None where it is hardly seen or does not tell, and where nobody
    looked. In clips it is that of the best faces of the frames so far (`track_faces.py`)."""

    @property
    def height_px(self) -> float:
        """Height of the box in pixels."""
        return float(self.box_px[3] - self.box_px[1])

    def to(self, device: torch.device | str) -> PersonEvidence:
        """The same evidence on another device."""
        return replace(
            self,
            keypoints_px=self.keypoints_px.to(device),
            keypoint_std_px=self.keypoint_std_px.to(device),
            world_m=None if self.world_m is None else self.world_m.to(device),
            box_px=self.box_px.to(device),
            mask=None if self.mask is None else self.mask.to(device),
            parts=None if self.parts is None else self.parts.to(device),
            look=None if self.look is None else self.look.to(device),
            look_in_mirror=None if self.look_in_mirror is None else self.look_in_mirror.to(device),
        )


def with_crop(
    person: PersonEvidence, image_rgb: UInt8[np.ndarray, "height width 3"], crop_px: int
) -> PersonEvidence:
    """The person with the pixels that the detector looked at, if it did.

    Args:
        person: from that picture.
        image_rgb: the picture.
        crop_px: side of the crop.
    """
    if person.look is None:
        return person
    crop = torch.from_numpy(person.look.region.crop(image_rgb, crop_px))
    return replace(person, look=replace(person.look, crop=crop))


@dataclass(frozen=True)
class ImageEvidence:
    """The people of one image, largest first."""

    image_size: tuple[int, int]
    """(width, height) in pixels."""
    people: tuple[PersonEvidence, ...]
    lines_px: Float[Tensor, "lines 4"] | None = None
    """Straight edges (x0, y0, x1, y1) off people that may be upright ones; None where nobody looked
    for them."""

    def to(self, device: torch.device | str) -> ImageEvidence:
        """The same evidence on another device."""
        return replace(
            self,
            people=tuple(person.to(device) for person in self.people),
            lines_px=None if self.lines_px is None else self.lines_px.to(device),
        )
