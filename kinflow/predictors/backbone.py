"""Convolutional backbones for crops: residual networks (He et al. 2016), named as torchvision does.

Weights and running statistics are called as torchvision and timm call theirs, so that training can
begin with their files of `resnet18`, `resnet34` and `resnet50`, learned from photographs. `small`
is for CPUs and little data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.errors import InputError
from kinflow.files.tensor_files import read_tensors
from kinflow.files.torch_archives import load_torch

Backbone = Literal["small", "resnet18", "resnet34", "resnet50"]

_LAYERS: dict[Backbone, tuple[tuple[int, ...], int, bool]] = {
    "small": ((1, 1, 2), 32, False),
    "resnet18": ((2, 2, 2, 2), 64, False),
    "resnet34": ((3, 4, 6, 3), 64, False),
    "resnet50": ((3, 4, 6, 3), 64, True),
}
"""Blocks of each stage, channels of the first one, and whether blocks are bottlenecks."""
_EXPANSION = 4
_WHAT = "a file of weights of a backbone"


class ResNet(nn.Module):
    """Pictures in, maps of a sixteenth (`small`) or a thirty-second of their side out.

    Args:
        name: which one.
    """

    def __init__(self, name: Backbone) -> None:
        super().__init__()
        blocks, width, bottleneck = _LAYERS[name]
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs, stages = width, []
        for stage, count in enumerate(blocks):
            outputs = width << stage
            made = []
            for i in range(count):
                stride = 2 if stage and not i else 1
                block = _Bottleneck if bottleneck else _Basic
                made.append(block(inputs, outputs, stride))
                inputs = outputs * (_EXPANSION if bottleneck else 1)
            self.add_module(f"layer{stage + 1}", nn.Sequential(*made))
            stages.append(f"layer{stage + 1}")
        self.channels, self._stages = inputs, stages
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(
        self, pictures: Float[Tensor, "people 3 side side"]
    ) -> Float[Tensor, "people c h w"]:
        """Maps of the last stage."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(pictures))))
        for stage in self._stages:
            x = self.get_submodule(stage)(x)
        return x

    def begin_with(self, path: Path) -> None:
        """Take the weights of a file of torchvision (.pth) or timm (.safetensors).

        Raises:
            InputError: it cannot be read, or is of another network.
        """
        if path.suffix == ".safetensors":
            given = read_tensors(path, what=_WHAT)[1]
        else:
            loaded = load_torch(path)
            if not isinstance(loaded, dict):
                raise InputError(f"'{path}' is not {_WHAT}: it holds no table of tensors.")
            given = {str(n): torch.as_tensor(v) for n, v in loaded.items()}
        own = self.state_dict()
        for name, tensor in own.items():
            if name.endswith("num_batches_tracked"):
                continue
            if name not in given or given[name].shape != tensor.shape:
                raise InputError(
                    f"'{path}' is not of this backbone: '{name}' is missing or of another shape; "
                    "give the file of the backbone that is trained."
                )
            own[name] = given[name].to(tensor)
        self.load_state_dict(own)


class _Basic(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * _EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
