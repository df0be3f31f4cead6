"""The image network: a crop of a person in, the parameters of a density out.

A backbone makes maps of the crop. For each of the 33 keypoints a map of attention says where to
look (its mean place is where the keypoint seems to be, as in integral regression, Sun et al. 2018),
and what is there says where the joint is in space. A readout sees the joints, the mean of all cells
and how the crop was taken, and the heads are those of the evidence network.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinflow.checks import one_of, share, whole
from kinflow.errors import InputError
from kinflow.predictors.backbone import Backbone, ResNet
from kinflow.predictors.heads import DensityNetwork, Guess
from kinflow.predictors.looks import VIEW, WORLD_SCALE, Looks
from kinflow.predictors.trunk import ResidualBlock, about_hips

_JOINTS = 33
_STEP_M = 0.3
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colours of photographs, by which published weights expect them to be standardised."""
_BRIGHTNESS, _CONTRAST, _GREY_SHARE = 0.15, 0.3, 0.1


@dataclass(frozen=True)
class ImageNetworkConfig:
    """Shape of the network.

    Attributes:
        latent_size: of the pose prior whose latent it predicts.
        shape_size: of the shape prior.
        backbone: its convolutional part.
        crop_px: side of the crops that it looks at.
        told: numbers of each joint that the readout is told.
        readout: width of what reads joints and cells.
        blocks: residual blocks of the readout.
        dropout: while training.
        context: numbers of which the flow knows.
        flow_blocks: blocks of the flow.
        flow_hidden: width of its conditioners.
    """

    latent_size: int = 57
    shape_size: int = 6
    backbone: Backbone = "small"
    crop_px: int = 128
    told: int = 16
    readout: int = 512
    blocks: int = 2
    dropout: float = 0.05
    context: int = 96
    flow_blocks: int = 6
    flow_hidden: int = 192

    def __post_init__(self) -> None:
        one_of(self, "backbone", get_args(Backbone))
        whole(self, "latent_size", "shape_size", "context", "readout", at_least=1, at_most=8192)
        whole(self, "told", "blocks", "flow_blocks", "flow_hidden", at_least=1, at_most=4096)
        whole(self, "crop_px", at_least=32, at_most=1024)
        share(self, "dropout")

    @property
    def size(self) -> int:
        """Length of the vectors that a density is over."""
        return 6 + self.latent_size + self.shape_size


class ImageNetwork(DensityNetwork):
    """A backbone, joints that look at its maps, a readout, and heads.

    Args:
        config: its shape.
    """

    def __init__(self, config: ImageNetworkConfig) -> None:
        super().__init__(
            config.size,
            config.readout,
            config.context,
            config.flow_blocks,
            config.flow_hidden,
            config.dropout,
        )
        self.config = config
        self.backbone = ResNet(config.backbone)
        channels = self.backbone.channels
        self.attention = nn.Conv2d(channels, _JOINTS, 1)
        self.told = nn.Linear(channels, config.told)
        self.points = nn.Linear(config.told + 2, 3)
        self.own = nn.Parameter(torch.zeros(_JOINTS, config.told))
        known = channels + _JOINTS * (config.told + 5) + VIEW
        self.first = nn.Linear(known, config.readout)
        self.blocks = nn.ModuleList(
            ResidualBlock(config.readout, config.dropout) for _ in range(config.blocks)
        )

    def forward(self, looks: Looks) -> Guess:
        """Parameters of the densities of some people.

        Raises:
            InputError: the looks come without their crops, or these are of another size.
        """
        pictures = self._pictures(looks)
        half = nullcontext()
        if self.trunk_dtype is not None:
            half = torch.autocast(pictures.device.type, self.trunk_dtype)
        with half:
            maps = self.backbone(pictures)
            attention = self.attention(maps).flatten(2)
        maps, attention = maps.flatten(2).float(), attention.float().softmax(-1)
        xy = attention @ _cells(round(maps.shape[-1] ** 0.5), maps)
        joints = F.silu(self.told(attention @ maps.mT) + self.own)
        seen = torch.cat([joints, xy], -1)
        points_m = about_hips(_STEP_M * self.points(seen))
        known = [maps.mean(-1), seen.flatten(1), WORLD_SCALE * points_m.flatten(1), looks.view()]
        read = self.first(torch.cat(known, 1))
        for block in self.blocks:
            read = block(read)
        return self.guess(F.silu(read), points_m)

    def _pictures(self, looks: Looks) -> Tensor:
        if looks.crop is None:
            raise InputError(
                "This predictor looks at pictures, and there are none with what was seen; take "
                "another predictor.",
                {"another predictor": "predictor"},
            )
        side = self.config.crop_px
        if looks.crop.shape[1:] != (side, side, 3):
            raise InputError(
                f"This predictor looks at crops of {side} x {side} pixels, not of "
                f"{looks.crop.shape[2]} x {looks.crop.shape[1]}."
            )
        pictures = looks.crop.permute(0, 3, 1, 2).float() / 255
        if self.training:
            pictures = _in_other_light(pictures)
        mean, std = (pictures.new_tensor(v)[:, None, None] for v in (_MEAN, _STD))
        return (pictures - mean) / std


def _cells(side: int, like: Tensor) -> Tensor:
    """Middles of cells (x, y) in a crop from -1 to 1, row by row."""
    at = (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side * 2 - 1
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], -1)


def _in_other_light(pictures: Tensor) -> Tensor:
    """Brighter or darker, with more or less contrast, some of them grey."""
    people = len(pictures)
    draw = torch.rand(3, people, 1, 1, 1, device=pictures.device)
    middle = pictures.mean((1, 2, 3), keepdim=True)
    contrast = 1 + _CONTRAST * (2 * draw[0] - 1)
    lit = middle + contrast * (pictures - middle) + _BRIGHTNESS * (2 * draw[1] - 1)
    grey = lit.mean(1, keepdim=True).expand_as(lit)
    return torch.where(draw[2] < _GREY_SHARE, grey, lit).clamp(0, 1)
