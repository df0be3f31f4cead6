"""A small ONNX graph builder: nodes, constants stored in half precision, and convolutions.

Everything spatial is built channels-first, which is what onnxruntime's kernels want. Constants that
survive a round trip through float16 unchanged are stored in that type with a `Cast` behind them
(onnxruntime folds it when a session is made), so a file is half as large and the results are the
same to the last bit; `allow_rounding` extends this to weights that would change. Kernels of
convolutions may be stored in eight bits, with a factor for each output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
SMALLEST_HALF_CONSTANT = 256


class OnnxGraph:
    """Collects nodes and constants; `save` writes the model."""

    def __init__(self, allow_rounding: bool = False, eight_bits: bool = False) -> None:
        self.allow_rounding, self.eight_bits = allow_rounding, eight_bits
        self._nodes: list[onnx.NodeProto] = []
        self._casts: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._counter = 0

    def _name(self, stem: str) -> str:
        self._counter += 1
        return f"{stem}_{self._counter}"

    def add(self, operator: str, inputs: Sequence[str], output: str = "", **attributes) -> str:
        """Append a node with one output and return the output's name."""
        output = output or self._name(operator)
        self._nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, values: np.ndarray | Sequence[int] | float) -> str:
        """Store an array (float32 or int64) and return its name."""
        array = np.asarray(values)
        array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        name = self._name("constant")
        if array.dtype == np.float32 and array.size >= SMALLEST_HALF_CONSTANT:
            half = array.astype(np.float16)
            if self.allow_rounding or np.array_equal(half.astype(np.float32), array):
                self._constants.append(numpy_helper.from_array(half, name + "_half"))
                self._casts.append(
                    helper.make_node("Cast", [name + "_half"], [name], to=TensorProto.FLOAT)
                )
                return name
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _eight_bit_kernel(self, weights: np.ndarray) -> str:
        """Store a kernel (out, in, height, width) as whole numbers of a 127th of the largest of
        each output; it is restored when a session is made."""
        largest = np.abs(weights).max((1, 2, 3), keepdims=True)
        factor = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        name = self._name("kernel")
        stored = np.round(weights / factor).astype(np.int8)
        self._constants.append(numpy_helper.from_array(stored, name + "_bits"))
        self._constants.append(numpy_helper.from_array(factor, name + "_factor"))
        whole = name + "_whole"
        self._casts += [
            helper.make_node("Cast", [name + "_bits"], [whole], to=TensorProto.FLOAT),
            helper.make_node("Mul", [whole, name + "_factor"], [name]),
        ]
        return name

    def image_input(self, name: str, scale: float | np.ndarray, shift: float | np.ndarray) -> str:
        """An `uint8` image (1, height, width, 3) turned into channels-first `scale * x + shift`;
        both are numbers, or one for each channel."""
        values = self.add("Cast", [name], to=TensorProto.FLOAT)
        values = self.add("Mul", [values, self.constant(scale)])
        if np.any(shift):
            values = self.add("Add", [values, self.constant(shift)])
        return self.add("Transpose", [values], perm=[0, 3, 1, 2])

    def convolution(
        self,
        values: str,
        weights: np.ndarray,
        bias: np.ndarray | None,
        *,
        strides: Sequence[int],
        dilations: Sequence[int],
        same_padding: bool,
        group: int = 1,
        pads: Sequence[int] = (0, 0, 0, 0),
    ) -> str:
        """Convolution with `weights` (out, in / group, height, width); `pads` unless TensorFlow's
        SAME padding is asked for."""
        kernel = weights.shape[2:]
        kernels = self._eight_bit_kernel(weights) if self.eight_bits else self.constant(weights)
        inputs = [values, kernels]
        if bias is not None:
            inputs.append(self.constant(bias))
        pads = same_pads(kernel, strides, dilations) if same_padding else list(pads)
        return self.add(
            "Conv",
            inputs,
            kernel_shape=list(kernel),
            strides=list(strides),
            dilations=list(dilations),
            pads=pads,
            group=group,
        )

    def activation(self, values: str, name: str) -> str:
        """Apply the activation that TensorFlow fuses into its convolutions and additions."""
        if name in ("", "NONE"):
            return values
        if name == "RELU":
            return self.add("Relu", [values])
        if name == "RELU6":
            return self.add("Clip", [values, self.constant(0.0), self.constant(6.0)])
        raise ValueError(f"unknown activation {name}")

    def save(
        self,
        path: Path,
        image_input: tuple[str, Sequence[int | str]],
        outputs: Mapping[str, Sequence[int | str]],
    ) -> None:
        """Check the model and write it to `path`; `outputs` are names with their shapes."""
        graph = helper.make_graph(
            self._casts + self._nodes,
            path.stem,
            [helper.make_tensor_value_info(image_input[0], TensorProto.UINT8, image_input[1])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in outputs.items()
            ],
            self._constants,
        )
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
        model.producer_name = "kinflow"
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString(deterministic=True))


def same_pads(kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[int]:
    """TensorFlow's SAME padding for sizes that the stride divides: the odd pixel goes last."""
    total = [
        max(dilation * (size - 1) + 1 - stride, 0)
        for size, stride, dilation in zip(kernel, strides, dilations, strict=True)
    ]
    return [t // 2 for t in total] + [t - t // 2 for t in total]
