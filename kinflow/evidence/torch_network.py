"""The bundled detector networks in torch, for many pictures at once: what training on a GPU needs.

The weights are those of the ONNX files, read with the package `onnx` (of the extra `train`). For
single pictures on a CPU onnxruntime (`weights.py`) is quicker.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from kinflow.assets import asset_path
from kinflow.evidence.onnx_steps import FLOAT, Step, read_steps


class TorchNetwork(nn.Module):
    """One bundled network for any number of pictures.

    Args:
        name: its file.
        dtype: of weights and activations. The last convolutions before the outputs stay in float32,
            since they give positions in pixels, and so do the outputs.

    Raises:
        AssetError: the file is missing or altered.
        InputError: the package onnx is not installed.
    """

    def __init__(self, name: str, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        graph = read_steps(asset_path(f"evidence/{name}"))
        self._steps, self._image, self._outputs = graph.steps, graph.image, graph.outputs
        self._heads, self._dtype = graph.heads(), dtype
        self._unneeded = _unneeded_after(graph.steps, graph.outputs)
        exact = {name for s in graph.steps if s.output in self._heads for name in s.inputs}
        for constant, value in graph.constants.items():
            kept = torch.float32 if constant in exact else dtype
            self.register_buffer(constant, _as_weights(value, kept), persistent=False)

    @torch.no_grad()
    def forward(self, image: UInt8[Tensor, "batch 256 256 3"]) -> dict[str, Float[Tensor, "..."]]:
        """The outputs by name, in float32 and in the file's layout (channels last)."""
        constants = dict(self.named_buffers())
        values = {self._image: image}
        with torch.autocast(image.device.type, enabled=False):
            for step, unneeded in zip(self._steps, self._unneeded, strict=True):
                inputs = [constants[n] if n in constants else values[n] for n in step.inputs]
                values[step.output] = self._take(step, inputs)
                for name in unneeded:
                    del values[name]
        return {name: values[name].float() for name in self._outputs}

    def _take(self, step: Step, inputs: list[Tensor]) -> Tensor:
        x, attributes = inputs[0], step.attributes
        match step.operator:
            case "Conv":
                if step.output in self._heads:
                    x = x.float()
                return _convolution(step, x, inputs[1:])
            case "ConvTranspose":
                return F.conv_transpose2d(x, *inputs[1:], stride=attributes["strides"])
            case "Clip":
                (low,), (high,) = step.settings
                return x.clamp_(low, high) if step.reuses else x.clamp(low, high)
            case "Relu":
                return x.relu_() if step.reuses else x.relu()
            case "Add":
                return x.add_(inputs[1]) if step.reuses else x + inputs[1]
            case "AddNarrow":
                x[:, : inputs[1].shape[1]] += inputs[1]
                return x
            case "Mul":
                return x * inputs[1]
            case "Transpose":
                return x.permute(attributes["perm"])
            case "Reshape":
                # the first axis is the batch's, be it alone or with parts of the picture
                return x.reshape(-1, *step.settings[0][1:])
            case "MaxPool":
                return F.max_pool2d(x, attributes["kernel_shape"])
            case "Resize":
                return _resize(step, x)
            case "Softmax":
                return x.softmax(attributes["axis"])
            case "ReduceSum":
                return x.sum(step.settings[0], keepdim=bool(attributes["keepdims"]))
            case "Sigmoid":
                return x.sigmoid()
            case "Identity":
                return x
            case "Pad":
                return F.pad(x, _torch_pads(step.settings[0]))
            case "Cast" if attributes["to"] == FLOAT:
                return x.to(self._dtype)
            case unknown:
                raise ValueError(f"operation {unknown} is not supported")


def _convolution(step: Step, x: Tensor, weights: list[Tensor]) -> Tensor:
    if _is_pointwise(step):
        # a product of matrices, which adds the bias on the way and needs no search for an algorithm
        kernel, *bias = weights
        return F.linear(x.movedim(1, -1), kernel.flatten(1), *bias).movedim(-1, 1)
    top, left, bottom, right = step.attributes["pads"]
    padding = (top, left)
    if (top, left) != (bottom, right):
        x, padding = F.pad(x, (left, right, top, bottom)), (0, 0)
    return F.conv2d(
        x,
        *weights,
        stride=step.attributes["strides"],
        padding=padding,
        dilation=step.attributes["dilations"],
        groups=step.attributes["group"],
    )


def _is_pointwise(step: Step) -> bool:
    attributes = step.attributes
    numbers = [*attributes["kernel_shape"], *attributes["strides"], attributes["group"]]
    return not any(attributes["pads"]) and all(number == 1 for number in numbers)


def _resize(step: Step, x: Tensor) -> Tensor:
    rows, columns = (int(factor) for factor in step.settings[0][2:])
    size = (x.shape[2] * rows, x.shape[3] * columns)
    match step.attributes["mode"], step.attributes["coordinate_transformation_mode"]:
        case b"linear", b"half_pixel":
            return F.interpolate(x, size, mode="bilinear", align_corners=False)
        case b"nearest", b"asymmetric":
            return F.interpolate(x, size, mode="nearest")
        case unknown:
            raise ValueError(f"resizing by {unknown} is not supported")


def _torch_pads(pads: list[int]) -> list[int]:
    """ONNX lists all beginnings, then all ends; torch the pairs of the last axis first."""
    axes = len(pads) // 2
    return [pads[i] for axis in reversed(range(axes)) for i in (axis, axis + axes)]


def _as_weights(value: np.ndarray, dtype: torch.dtype) -> Tensor:
    tensor = torch.from_numpy(value.copy()).to(dtype)
    return tensor.to(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def _unneeded_after(
    steps: tuple[Step, ...], outputs: tuple[str, ...]
) -> tuple[tuple[str, ...], ...]:
    """The computed values that nobody reads after each step."""
    computed = {step.output for step in steps} - set(outputs)
    last = {name: i for i, step in enumerate(steps) for name in step.inputs if name in computed}
    return tuple(
        tuple({name for name in step.inputs if last.get(name) == i}) for i, step in enumerate(steps)
    )
