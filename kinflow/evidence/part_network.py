"""The network behind the part parser: what goes in, what it is made of, how it is stored.

Input are keypoints as 16 sticks, the silhouette and, where there are any, pixels; output 15 scores
a cell. A stick channel holds how near a cell is to a bone, so a few small convolutions know every
limb without a heatmap for each of 33 points; another tells the rough depth along it, which decides
who hides whom, and a third how much a cell's colour is like those along the bone: whatever a limb
wears, it looks the same along its length. That likeness needs no idea of what people look like, so
it holds on photos as it does on the renders that the network was trained on.

The network is a small U-Net (Ronneberger et al. 2015) on half of the grid's resolution, with one
level above it that sees two by two pixels a cell and draws the outlines.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from kinflow.body.bones import ACROSS, LOWER_ARM, LOWER_LEG, UPPER_ARM, UPPER_LEG, both_sides
from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.parts import PART_NAMES
from kinflow.body.sides import SIDES
from kinflow.checks import numbers_of, whole
from kinflow.errors import InputError
from kinflow.files.json_values import from_json
from kinflow.files.network_files import Header, read_network
from kinflow.files.tensor_files import load_weights, write_tensors

GRID = 96
"""Cells along each side of the network's view of a person."""
PICTURE = 192
"""Pixels along each side of the picture it sees of them."""
NUM_LABELS = len(PART_NAMES)
_HALF = GRID // 2
_FORMAT = "kinflow-parts-2"
_LIMITS = {
    "widths": (1, 4096),
    "fine_width": (1, 1024),
    "refinements": (0, 16),
}
# Distance in cells at which a stick's channel has fallen to a half.
_STICK_CELLS = 4.0
# Depths are squashed with this scale, about the distance of a hand from the trunk.
_DEPTH_M = 0.4

STICKS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("nose",), ("left_ear", "right_ear")),
    (("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")),
    *(((a,), (b,)) for a, b in (*ACROSS, *both_sides(UPPER_ARM, LOWER_ARM))),
    *(((f"{side}_wrist",), (f"{side}_pinky", f"{side}_index")) for side in SIDES),
    *(((a,), (b,)) for a, b in both_sides(UPPER_LEG, LOWER_LEG, ("heel", "big_toe"))),
)
"""Both ends of each stick, as the keypoints whose mean they are."""
NUM_CHANNELS = 2 * len(STICKS) + 8 + 4 * len(STICKS)
"""Channels on half of the grid's resolution: nearness, depth, mask and edge, likeness."""
COLOR_CHANNELS = 3 * (PICTURE // GRID) ** 2 + 2
"""Channels on the grid's resolution: colours, mask, and where there are pixels at all."""
# Where along a stick colours are taken, and the difference at which likeness has fallen to 1 / e.
_ALONG = (0.2, 0.5, 0.8)
_COLOR_SCALE = 0.5


def _ends(end: int) -> tuple[Tensor, Tensor]:
    """Averaging weights (16, 33) of one end of all sticks, and which keypoints take part."""
    used = torch.zeros(len(STICKS), len(BLAZEPOSE33), dtype=torch.float32)
    for row, stick in enumerate(STICKS):
        used[row, [BLAZEPOSE33.index(name) for name in stick[end]]] = 1
    return used / used.sum(1, keepdim=True), used > 0


_ENDS = (_ends(0), _ends(1))


@dataclass(frozen=True)
class PartInput:
    """What the network sees."""

    coarse: Float[Tensor, "batch 104 48 48"]
    """Sticks, mask and the image's edge, and likeness to the colours along each stick."""
    fine: Float[Tensor, "batch 14 96 96"]
    """Colours in blocks of 2 x 2 pixels, the mask, and ones; zeros where there is no picture."""


def part_input(
    keypoints_cells: Float[Tensor, "batch 33 3"],
    depth_m: Float[Tensor, "batch 33"],
    mask: Float[Tensor, "batch 96 96"],
    inside: Float[Tensor, "batch 96 96"],
    pixels: UInt8[Tensor, "batch 192 192 3"],
) -> PartInput:
    """Evidence as channels.

    Args:
        keypoints_cells: (x, y, confidence), positions in cells of the grid.
        depth_m: depth relative to the middle of the hips, zeros where it is not known.
        mask: probability that a cell shows the person.
        inside: 1 in the image, 0 outside.
        pixels: sRGB, black outside the image; all black where there is no picture.
    """
    near, depth = _stick_channels(keypoints_cells, depth_m)
    blocks = F.pixel_unshuffle(torch.stack([mask * 2 - 1, inside], 1), 2)
    known = inside[:, None] * (pixels.flatten(1).amax(1) > 0).to(mask)[:, None, None, None]
    colors = _exposed(pixels.permute(0, 3, 1, 2).to(mask) / 255, inside)
    likeness = known * _likeness(F.avg_pool2d(colors, PICTURE // GRID), keypoints_cells)
    seen = torch.stack([mask, torch.ones_like(mask)], 1)
    fine = torch.cat([F.pixel_unshuffle(colors, PICTURE // GRID), seen], 1) * known
    coarse = torch.cat([near, depth, blocks, F.pixel_unshuffle(likeness, 2)], 1)
    return PartInput(coarse, fine)


def _stick_channels(keypoints_cells: Tensor, depth_m: Tensor) -> tuple[Tensor, Tensor]:
    values = torch.cat([keypoints_cells[..., :2], depth_m[..., None]], -1)
    confidence = keypoints_cells[..., None, :, 2]
    ends = [(weights.to(values), used.to(values.device)) for weights, used in _ENDS]
    a, b = (weights @ values for weights, _ in ends)
    at_a, at_b = (torch.where(used, confidence, 1.0).amin(-1) for _, used in ends)
    # a hidden joint is a hint still: the fourth root of a product lifts small confidences
    amplitude = (at_a * at_b).clamp(0, 1).sqrt().sqrt()[..., None, None]
    grid = 2 * torch.arange(_HALF, device=values.device, dtype=values.dtype) + 1
    ax, ay, az = a[..., None, None].unbind(-3)
    dx, dy, dz = (b - a)[..., None, None].unbind(-3)
    x, y = grid - ax, grid[:, None] - ay
    along = ((x * dx + y * dy) / (dx * dx + dy * dy).clamp_min(1e-3)).clamp(0, 1)
    distance = torch.hypot(x - along * dx, y - along * dy)
    near = amplitude * _STICK_CELLS / (_STICK_CELLS + distance)
    return near, near * torch.tanh((az + along * dz) / _DEPTH_M)


def _exposed(colors: Tensor, inside: Tensor) -> Tensor:
    """Colours of which each picture's have mean 0 and variance 1 in the image."""
    weight = F.interpolate(inside[:, None], size=colors.shape[2:])
    total = 3 * weight.sum((1, 2, 3), keepdim=True).clamp_min(1.0)
    mean = (colors * weight).sum((1, 2, 3), keepdim=True) / total
    variance = ((colors - mean).square() * weight).sum((1, 2, 3), keepdim=True) / total
    return (colors - mean) / (variance + 1e-3).sqrt()


def _likeness(colors: Tensor, keypoints_cells: Tensor) -> Tensor:
    """How like each cell's colour is to the likest of those along each stick, 0 to 1."""
    positions = keypoints_cells[..., :2]
    a, b = (weights.to(positions) @ positions for weights, _ in _ENDS)
    at = torch.stack([a + t * (b - a) for t in _ALONG], 2)
    places = (at / GRID * 2 - 1).clamp(-4, 4)
    sampled = F.grid_sample(colors, places, align_corners=False).flatten(2).transpose(1, 2)
    cells = colors.flatten(2).transpose(1, 2)
    distance = torch.cdist(sampled, cells, compute_mode="use_mm_for_euclid_dist")
    nearest = distance.unflatten(1, (len(STICKS), len(_ALONG))).amin(2)
    return (-nearest / _COLOR_SCALE).exp().unflatten(2, (GRID, GRID))


@dataclass(frozen=True)
class PartNetworkConfig:
    """Size of the network.

    Attributes:
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the grid's resolution.
        fine_width: channels at its full resolution.
        refinements: further convolutions each at the two finest resolutions before the answer.
    """

    widths: tuple[int, int, int, int] = (40, 56, 112, 160)
    fine_width: int = 16
    refinements: int = 0

    def __post_init__(self) -> None:
        numbers_of(self, "widths", count=4, at_least=1, at_most=4096, kind=int)
        whole(self, "fine_width", at_least=1, at_most=4096)
        whole(self, "refinements", at_most=16)


class PartNetwork(nn.Module):
    """`PartInput` to unnormalised log probabilities of 15 labels on a 96 x 96 grid."""

    def __init__(self, config: PartNetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config or PartNetworkConfig()
        widths, fine = self.config.widths, self.config.fine_width
        steps = list(zip(widths[:-1], widths[1:], strict=True))
        self.colors = _convolution(COLOR_CHANNELS, fine)
        self.coarser = _convolution(fine, widths[0], stride=2)
        self.stem = _normalised(Pointwise(NUM_CHANNELS, widths[0], bias=False), widths[0])
        self.join = _convolution(widths[0], widths[0])
        self.down = nn.ModuleList([_convolution(a, b, stride=2) for a, b in steps])
        self.encode = nn.ModuleList([_convolution(width, width) for width in widths[1:]])
        self.bottom = _convolution(widths[-1], widths[-1])
        self.up = nn.ModuleList([Pointwise(b, a) for a, b in steps])
        self.decode = nn.ModuleList([_convolution(width, width) for width in widths[:-1]])
        self.finer = Pointwise(widths[0], 4 * fine)
        self.outline = _convolution(fine, fine)
        more = range(self.config.refinements)
        self.refine = nn.ModuleList([_convolution(widths[0], widths[0]) for _ in more])
        self.refine_outline = nn.ModuleList([_convolution(fine, fine) for _ in more])
        self.head = Pointwise(fine, NUM_LABELS)
        for parameter in self.parameters():
            # convolutions of few channels are faster in this layout
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def forward(self, given: PartInput) -> Float[Tensor, "batch 15 96 96"]:
        """Scores of every label in every cell."""
        fine = self.colors(given.fine.contiguous(memory_format=torch.channels_last))
        x = self.stem(given.coarse.contiguous(memory_format=torch.channels_last))
        x = self.join(x + self.coarser(fine))
        skips = []
        for down, encode in zip(self.down, self.encode, strict=True):
            skips.append(x)
            x = encode(down(x))
        x = x + self.bottom(x)
        for up, decode in zip(reversed(self.up), reversed(self.decode), strict=True):
            skip = skips.pop()
            x = decode(skip + F.interpolate(up(x), scale_factor=2.0))
        for refine in self.refine:
            x = x + refine(x)
        x = self.outline(fine + F.pixel_shuffle(self.finer(x), 2))
        for refine in self.refine_outline:
            x = x + refine(x)
        return self.head(x)


class Pointwise(nn.Linear):
    """A 1 x 1 convolution as a matrix product, several times faster where channels come last."""

    def forward(self, input: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch d h w"]:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return _normalised(nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), outputs)


def _normalised(layer: nn.Module, outputs: int) -> nn.Sequential:
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


@dataclass(frozen=True)
class PartNetworkInfo:
    """Where a network comes from; stored in the header of its weight file.

    Attributes:
        command: the command that trained it.
        seed: its seed.
        data_sha256: content hash of the pose set, empty if all poses were the prior's.
        steps: optimiser steps so far.
        metrics: figures on held-out renders by name.
    """

    command: str = ""
    seed: int = 0
    data_sha256: str = ""
    steps: int = 0
    metrics: dict[str, float] = field(default_factory=dict)


def save_part_network(network: PartNetwork, info: PartNetworkInfo, path: Path | str) -> None:
    """Write a network to a weight file, atomically."""
    path = Path(path)
    header = {"format": _FORMAT, "config": asdict(network.config), "info": asdict(info)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, network.state_dict(), {"kinflow": json.dumps(header)})


def load_part_network(
    path: Path | str, trusted: bool = False
) -> tuple[PartNetwork, PartNetworkInfo]:
    """Read a network, ready to run, and where it comes from.

    Args:
        path: its weight file.
        trusted: the file has been compared with a checksum already.

    Raises:
        InputError: the file is missing, damaged or of another kind.
    """

    def build(header: Header, tensors: dict[str, Tensor]) -> tuple[PartNetwork, PartNetworkInfo]:
        network = _rebuilt(header.get("config"), tensors)
        info = from_json(PartNetworkInfo, header.get("info"))
        if not trusted:
            _try_out(network)
        return network, info

    return read_network(path, "a part parser", (_FORMAT,), build, trusted)


def _rebuilt(config: object, tensors: dict[str, Tensor]) -> PartNetwork:
    size = from_json(PartNetworkConfig, config, _LIMITS)
    fine = 9 * (size.widths[0] ** 2 + size.fine_width**2)
    least = sum(9 * width**2 for width in (*size.widths, size.fine_width))
    least += size.refinements * fine
    if least > sum(tensor.numel() for tensor in tensors.values()):
        raise InputError("its settings are those of a larger network than its weights make up")
    with torch.random.fork_rng(devices=[]):  # loading must not disturb anyone's random numbers
        network = PartNetwork(size)
    load_weights(network, tensors)
    for name, value in network.named_buffers():
        if name.endswith("running_var") and not bool((value >= 0).all()):
            raise InputError(f"the tensor '{name}' holds negative variances")
    return network.float().eval()


@torch.no_grad()
def _try_out(network: PartNetwork) -> None:
    """Run it once on nothing much: numbers in range each may overflow together."""
    blank = torch.full((1, 1, GRID, GRID), 0.5, dtype=torch.float32)
    given = PartInput(
        blank[..., :_HALF, :_HALF].repeat(1, NUM_CHANNELS, 1, 1),
        blank.repeat(1, COLOR_CHANNELS, 1, 1),
    )
    if not bool(network(given).isfinite().all()):
        raise InputError("its scores are not finite")
