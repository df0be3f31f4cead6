"""Body parts from keypoints, a silhouette and pixels: our own small part parser.

The network (`kinflow.evidence.part_network`) sees a square of 96 x 96 cells around the person and
was trained on renders of dressed, partly hidden and badly detected bodies to answer with the parts
of the body inside of the clothes. Outside the image nothing is claimed. Without an image it makes
do with keypoints and silhouette.

    parser = PartParser()
    parts = parser.labels(person, image_size, rgb)  # to align a body with, outlines drawn finely
    parts = parser(person.keypoints_px, person.mask, image_size, image_rgb=rgb)  # sets if in doubt
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from kinflow.assets import asset_path
from kinflow.body.parts import UNKNOWN
from kinflow.checks import path, share
from kinflow.evidence.part_labels import labels_of_probabilities, without_hidden_limbs
from kinflow.evidence.part_network import (
    GRID,
    PICTURE,
    PartNetwork,
    PartNetworkInfo,
    load_part_network,
    part_input,
)
from kinflow.evidence.region import Region
from kinflow.evidence.types import PartLabels, PersonEvidence, PersonMask
from kinflow.geometry.image_grid import ImageGrid
from kinflow.threads import lazy

SHIPPED = "evidence/parts.safetensors"
MARGIN = 0.1
# Keypoints that are at least this certain belong to the person's box, as do cells of the mask.
CERTAIN = 0.5


@dataclass(frozen=True)
class PartParserConfig:
    """How certain an answer has to be.

    Attributes:
        weights: a weight file of `kinflow train parts`; None for the shipped network.
        set_probability: a cell gets its likeliest label if that has this probability, else the two
            likeliest if they have it together, else nothing.
    """

    weights: Path | None = None
    set_probability: float = 0.7

    def __post_init__(self) -> None:
        path(self, "weights", or_none=True)
        share(self, "set_probability")


def grid_around(keypoints_px: Float[Tensor, "33 3"], mask: PersonMask) -> ImageGrid | None:
    """The square around a person that the network looks at, in `GRID` x `GRID` cells; None if the
    mask is empty."""
    shown = mask.probability > CERTAIN
    if not shown.any():
        return None
    rows, columns = (torch.nonzero(shown.any(axis))[:, 0] for axis in (1, 0))
    corners = torch.stack([columns[[0, -1]], rows[[0, -1]]], -1).to(keypoints_px)
    corners[1] += 1
    certain = keypoints_px[keypoints_px[:, 2] > CERTAIN, :2]
    points = torch.cat([mask.grid.to_px(corners), certain])
    low, high = points.amin(0), points.amax(0)
    side = float((high - low).max().clamp_min(1.0)) * (1 + 2 * MARGIN)
    x, y = ((low + high) / 2 - side / 2).tolist()
    return ImageGrid((x, y), side / GRID, (GRID, GRID))


def crop_of(
    grid: ImageGrid, image_rgb: UInt8[np.ndarray, "height width 3"]
) -> UInt8[np.ndarray, "192 192 3"]:
    """The pixels of a square grid, black outside the image."""
    (x, y), (side, _) = grid.origin_px, grid.extent_px
    return Region((x + side / 2, y + side / 2), side).crop(image_rgb, PICTURE)


@dataclass(frozen=True)
class PartProbabilities:
    """What the network says, before it is turned into sets of labels."""

    probability: Float[Tensor, "15 96 96"]
    """Of each label in each cell."""
    inside: Bool[Tensor, "96 96"]
    """Cells whose centre lies in the image."""
    grid: ImageGrid


class PartParser:
    """Labels the parts of one person at a time; the network is loaded at first use and kept."""

    def __init__(self, config: PartParserConfig | None = None) -> None:
        self.config = config or PartParserConfig()

    @lazy
    def _loaded(self) -> tuple[PartNetwork, PartNetworkInfo]:
        path = self.config.weights
        if path is None:
            network, info = load_part_network(asset_path(SHIPPED), trusted=True)
        else:
            network, info = load_part_network(path)
        # whatever the program's default is, inputs and weights have the same precision
        return network.float(), info

    @property
    def info(self) -> PartNetworkInfo:
        """How the network was trained and what it achieved."""
        return self._loaded[1]

    def __call__(
        self,
        keypoints_px: Float[Tensor, "33 3"],
        mask: PersonMask,
        image_size: tuple[int, int] | None = None,
        world_m: Float[Tensor, "33 3"] | None = None,
        image_rgb: UInt8[np.ndarray, "height width 3"] | None = None,
    ) -> PartLabels:
        """The parts of one person.

        Args:
            keypoints_px: (x, y, confidence) in BlazePose order.
            mask: the person's silhouette.
            image_size: (width, height); cells outside are unknown. None: all cells count as inside.
            world_m: rough 3D keypoints as in `PersonEvidence`; they tell which limb is in front.
            image_rgb: the upright image; None if there is nothing but keypoints and silhouette.

        Returns:
            Labels on 96 x 96 square cells around the person; all unknown if the mask is empty.

        Raises:
            InputError: the weights are missing or damaged (AssetError: those of kinflow).
        """
        found = self.probabilities(keypoints_px, mask, image_size, world_m, image_rgb)
        if found is None:
            unknown = torch.full((GRID, GRID), UNKNOWN, dtype=torch.int32)
            nothing = torch.zeros(GRID, GRID, dtype=torch.float32)
            return PartLabels(unknown, nothing, replace(mask.grid, size=(GRID, GRID)))
        allowed, confidence = label_sets(found.probability, self.config.set_probability)
        allowed = torch.where(found.inside, allowed, UNKNOWN).int()
        return PartLabels(allowed, confidence * found.inside, found.grid)

    def labels(
        self,
        person: PersonEvidence,
        image_size: tuple[int, int],
        image_rgb: UInt8[np.ndarray, "height width 3"] | None = None,
    ) -> PartLabels | None:
        """Labels for aligning a body with them; None without a mask or with an empty one."""
        if person.mask is None:
            return None
        found = self.probabilities(
            person.keypoints_px, person.mask, image_size, person.world_m, image_rgb
        )
        if found is None:
            return None
        labels = labels_of_probabilities(found.probability, found.inside, found.grid)
        return without_hidden_limbs(labels, person.keypoints_px, image_size)

    @torch.no_grad()
    def probabilities(
        self,
        keypoints_px: Float[Tensor, "33 3"],
        mask: PersonMask,
        image_size: tuple[int, int] | None = None,
        world_m: Float[Tensor, "33 3"] | None = None,
        image_rgb: UInt8[np.ndarray, "height width 3"] | None = None,
    ) -> PartProbabilities | None:
        """The probability of every label, None if the mask is empty; arguments as above."""
        keypoints_px, mask = keypoints_px.detach().cpu().float(), mask.to("cpu")
        grid = grid_around(keypoints_px, mask)
        if grid is None:
            return None
        inside = _inside(grid, image_size)
        # two samples a side and cell: the mask is often finer than the grid
        fine = mask.sample(grid.finer(2).centres_px()).float()
        shown = F.avg_pool2d(fine[None], 2) * inside
        depth_m = torch.zeros_like(keypoints_px[:, 2])
        if world_m is not None:
            depth_m = world_m[:, 2].detach().cpu().float()
        at, confidence = grid.to_cells(keypoints_px[:, :2]), keypoints_px[:, 2:]
        cells, seen = torch.cat([at, confidence], 1)[None], inside.float()[None]
        picture = torch.zeros(1, PICTURE, PICTURE, 3, dtype=torch.uint8)
        if image_rgb is not None:
            picture = torch.from_numpy(crop_of(grid, image_rgb))[None]
        given = part_input(cells, depth_m[None], shown, seen, picture)
        scores = self._loaded[0](given)[0]
        return PartProbabilities(scores.softmax(0), inside, grid)


def label_sets(
    probability: Float[Tensor, "labels rows columns"], set_probability: float
) -> tuple[Int[Tensor, "rows columns"], Float[Tensor, "rows columns"]]:
    """Bit sets and confidences: the likeliest label, or two, that reach `set_probability`.

    The confidence is the probability of the set; unknown cells have none.
    """
    values, labels = probability.topk(2, dim=0)
    bits = torch.ones_like(labels) << labels
    single, pair = values[0] >= set_probability, values.sum(0) >= set_probability
    allowed = torch.where(single, bits[0], torch.where(pair, bits.sum(0), UNKNOWN))
    confidence = torch.where(single, values[0], torch.where(pair, values.sum(0), 0.0))
    return allowed.int(), confidence


def _inside(grid: ImageGrid, image_size: tuple[int, int] | None) -> Bool[Tensor, "96 96"]:
    if image_size is None:
        return torch.ones(GRID, GRID, dtype=torch.bool)
    centres = grid.centres_px()
    return ((centres >= 0) & (centres < centres.new_tensor(image_size))).all(-1)
