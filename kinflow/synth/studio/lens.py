"""What a camera and a file make of a scene: exposure, tint, blur, coarse pixels, noise, JPEG."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from kinflow.synth.studio.dice import Dice

_BLUR_REACH = 4
_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
"""Steps of the 8 x 8 cosines at quality 50 (ITU-T T.81, table K.1)."""


def photographed(
    canvas: Float[Tensor, "batch 3 side side"], dice: Dice
) -> UInt8[Tensor, "batch side side 3"]:
    """Scenes as pictures; each effect now and then."""
    count = len(canvas)
    tint = 1 + dice.normal(count, 3, 1, 1, std=0.06)
    gamma = dice.normal(count, 1, 1, 1, std=0.25).exp()
    gain = dice.uniform(count, 1, 1, 1, low=0.6, high=1.25)
    picture = gain * (canvas * tint).clamp(1e-4, 1.2) ** gamma
    grey = picture.mean(1, keepdim=True).expand_as(picture)
    picture = torch.where(dice.chance(count, 1, 1, 1, share=0.06), grey, picture)
    picture = _blurred(picture, 0.3 + dice.normal(count, std=0.7).abs())
    coarse = dice.kinds(count, (0.68, 0.14, 0.1, 0.08))[:, None, None, None]
    for kind, factor in ((1, 1.5), (2, 2.0), (3, 3.5)):
        small = F.interpolate(picture, scale_factor=1 / factor, mode="area")
        again = F.interpolate(small, picture.shape[2:], mode="bilinear", align_corners=False)
        picture = torch.where(coarse == kind, again, picture)
    noise = dice.normal(*picture.shape) * dice.uniform(count, 1, 1, 1, high=0.05)
    picture = (picture + noise).clamp(0, 1)
    packed = _packed(picture, dice.uniform(count, low=20, high=95))
    picture = torch.where(dice.chance(count, 1, 1, 1, share=0.6), packed, picture)
    return (255 * picture).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _blurred(picture: Tensor, std_px: Float[Tensor, " batch"]) -> Tensor:
    """Each with its own Gaussian."""
    count, channels, height, width = picture.shape
    at = torch.arange(-_BLUR_REACH, _BLUR_REACH + 1, device=picture.device)
    kernel = torch.exp(-0.5 * (at / std_px[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = picture.reshape(1, count * channels, height, width)
    flat = F.pad(flat, (_BLUR_REACH,) * 4, mode="replicate")
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=count * channels)
    flat = F.conv2d(flat, kernel[:, None, None, :], groups=count * channels)
    return flat.view_as(picture)


def _packed(picture: Tensor, quality: Float[Tensor, " batch"]) -> Tensor:
    """What JPEG leaves of pictures: cosines of 8 x 8 blocks in coarse steps."""
    count, channels, height, width = picture.shape
    k = torch.arange(8, device=picture.device)
    basis = 0.5 * torch.cos(math.pi / 16 * (2 * k[None] + 1) * k[:, None])
    basis[0] /= math.sqrt(2)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    steps = picture.new_tensor(_LUMA).view(8, 8) * scale[:, None, None].clamp_min(0.02)
    blocks = (255 * picture - 128).view(count, channels, height // 8, 8, width // 8, 8)
    cosines = torch.einsum("ui,ncaibj,vj->ncaubv", basis, blocks, basis)
    steps = steps[:, None, None, :, None, :].clamp_min(1.0)
    cosines = (cosines / steps).round() * steps
    blocks = torch.einsum("ui,ncaubv,vj->ncaibj", basis, cosines, basis)
    return ((blocks.reshape(count, channels, height, width) + 128) / 255).clamp(0, 1)
