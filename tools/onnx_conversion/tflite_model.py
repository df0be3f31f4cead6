"""TensorFlow Lite models to ONNX: the operations of BlazePose and of the selfie segmenter.

TensorFlow Lite stores images channels-last. Every value of the rewritten graph remembers its
layout: spatial operations produce channels-first, reshapes and transposes need channels-last,
element-wise ones follow their inputs, and a `Transpose` is put in between only where the two meet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tflite

from .graph import OnnxGraph

TO_FIRST, TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}
OPERATORS = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
ACTIVATIONS = {v: k for k, v in vars(tflite.ActivationFunctionType).items() if isinstance(v, int)}
ELEMENTWISE = {"ADD": "Add", "MUL": "Mul"}


class TfliteModel:
    """A TensorFlow Lite model being rewritten into an `OnnxGraph`."""

    def __init__(self, path: Path, graph: OnnxGraph) -> None:
        self.graph = graph
        # The generated FlatBuffers readers declare every accessor as optional.
        self.model: Any = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
        self.subgraph: Any = self.model.Subgraphs(0)
        self._first: dict[int, str] = {}  # tensor -> channels-first value
        self._last: dict[int, str] = {}  # tensor -> value in TensorFlow's own layout
        self._arrays: dict[int, np.ndarray] = {}

    def convert(self, image: str) -> list[str]:
        """Rewrite the model reading the channels-first value `image`.

        Returns the outputs in the order of the file, in TensorFlow's own layout.
        """
        self._first[self.subgraph.Inputs(0)] = image
        for i in range(self.subgraph.OperatorsLength()):
            self._operator(self.subgraph.Operators(i))
        return [self.last(int(t)) for t in self.subgraph.OutputsAsNumpy()]

    def read_by_head(self, output: int) -> str:
        """What the last convolution before an output reads, in TensorFlow's own layout."""
        tensor = int(self.subgraph.Outputs(output))
        for i in reversed(range(self.subgraph.OperatorsLength())):
            operator = self.subgraph.Operators(i)
            if int(operator.Outputs(0)) != tensor:
                continue
            tensor = int(operator.Inputs(0))
            if self._name(operator) == "CONV_2D":
                return self.last(tensor)
        raise ValueError(f"no convolution leads to output {output}")

    def named(self, name: str) -> str:
        """What an operation inside the model computes, by its tensor, in TensorFlow's layout."""
        for tensor in range(self.subgraph.TensorsLength()):
            if self.subgraph.Tensors(tensor).Name().decode() == name:
                return self.last(tensor)
        raise ValueError(f"there is no tensor {name}")

    def shape(self, tensor: int) -> list[int]:
        """Shape of a tensor in TensorFlow's layout."""
        entry = self.subgraph.Tensors(tensor)
        return [] if entry.ShapeLength() == 0 else entry.ShapeAsNumpy().tolist()

    def array(self, tensor: int) -> np.ndarray | None:
        """Contents of a constant tensor, None for a computed one."""
        if tensor not in self._arrays:
            entry = self.subgraph.Tensors(tensor)
            buffer = self.model.Buffers(entry.Buffer())
            if buffer.DataLength() == 0:
                return None
            values = np.frombuffer(buffer.DataAsNumpy().tobytes(), DTYPES[entry.Type()])
            self._arrays[tensor] = values.reshape(self.shape(tensor))
        return self._arrays[tensor]

    def weights(self, tensor: int) -> np.ndarray:
        """Contents of a tensor that has to be constant."""
        array = self.array(tensor)
        if array is None:
            raise ValueError(f"tensor {tensor} is not constant")
        return array

    def first(self, tensor: int) -> str:
        """The channels-first value of a tensor."""
        if tensor not in self._first:
            self._first[tensor] = self.graph.add("Transpose", [self.last(tensor)], perm=TO_FIRST)
        return self._first[tensor]

    def last(self, tensor: int) -> str:
        """The value of a tensor in TensorFlow's layout."""
        if tensor not in self._last:
            self._last[tensor] = self.graph.add("Transpose", [self._first[tensor]], perm=TO_LAST)
        return self._last[tensor]

    def _name(self, operator: Any) -> str:
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        return OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]

    def _operator(self, operator: Any) -> None:
        name = self._name(operator)
        inputs = [int(t) for t in operator.InputsAsNumpy()]
        output = int(operator.Outputs(0))
        match name:
            case "DEQUANTIZE":
                self._arrays[output] = self.weights(inputs[0]).astype(np.float32)
            case "CONV_2D" | "DEPTHWISE_CONV_2D":
                self._first[output] = self._convolution(operator, inputs, name)
            case "TRANSPOSE_CONV":
                self._first[output] = self._transposed_convolution(operator, inputs)
            case "ADD" | "MUL":
                self._elementwise(operator, inputs, output, name)
            case "PAD":
                pads = self.weights(inputs[1])[TO_FIRST].T.ravel()
                values = [self.first(inputs[0]), self.graph.constant(pads)]
                self._first[output] = self.graph.add("Pad", values)
            case "MAX_POOL_2D":
                self._first[output] = self._max_pool(operator, inputs)
            case "RESIZE_BILINEAR" | "RESIZE_NEAREST_NEIGHBOR":
                self._first[output] = self._resize(operator, inputs, output, name)
            case "LOGISTIC":
                self._first[output] = self.graph.add("Sigmoid", [self.first(inputs[0])])
            case "SOFTMAX":
                self._last[output] = self.graph.add("Softmax", [self.last(inputs[0])], axis=-1)
            case "SUM":
                self._last[output] = self._sum(operator, inputs)
            case "RESHAPE":
                shape = self.graph.constant(self.shape(output))
                self._last[output] = self.graph.add("Reshape", [self.last(inputs[0]), shape])
            case "TRANSPOSE":
                perm = self.weights(inputs[1]).tolist()
                self._last[output] = self.graph.add("Transpose", [self.last(inputs[0])], perm=perm)
            case unknown:
                raise ValueError(f"operation {unknown} is not supported")

    def _convolution(self, operator: Any, inputs: list[int], name: str) -> str:
        depthwise = name == "DEPTHWISE_CONV_2D"
        options = _options(operator, "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions")
        # To (out, in / group, height, width); depthwise weights are (1, height, width, out).
        weights = self.weights(inputs[1]).transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
        values = self.graph.convolution(
            self.first(inputs[0]),
            weights,
            self.weights(inputs[2]) if len(inputs) > 2 else None,
            strides=(options.StrideH(), options.StrideW()),
            dilations=(options.DilationHFactor(), options.DilationWFactor()),
            same_padding=options.Padding() == tflite.Padding.SAME,
            group=self.shape(inputs[0])[3] if depthwise else 1,
        )
        return self._activation(values, options)

    def _transposed_convolution(self, operator: Any, inputs: list[int]) -> str:
        options = _options(operator, "TransposeConvOptions")
        weights = self.weights(inputs[1]).transpose(3, 0, 1, 2)  # (in, out, height, width)
        strides = [options.StrideH(), options.StrideW()]
        if list(weights.shape[2:]) != strides:
            raise ValueError("only transposed convolutions without overlap are supported")
        constants = [self.graph.constant(weights), self.graph.constant(self.weights(inputs[3]))]
        values = [self.first(inputs[2]), *constants]
        return self._activation(
            self.graph.add("ConvTranspose", values, strides=strides, kernel_shape=strides), options
        )

    def _elementwise(self, operator: Any, inputs: list[int], output: int, name: str) -> None:
        options = _options(operator, f"{name.title()}Options")
        computed = [t for t in inputs if self.array(t) is None]
        channels_first = all(t in self._first for t in computed)
        values = []
        for tensor in inputs:
            constant = self.array(tensor)
            if constant is None:
                values.append(self.first(tensor) if channels_first else self.last(tensor))
            elif channels_first and constant.ndim == 1:
                values.append(self.graph.constant(constant[:, None, None]))
            else:
                values.append(self.graph.constant(constant))
        result = self._activation(self.graph.add(ELEMENTWISE[name], values), options)
        (self._first if channels_first else self._last)[output] = result

    def _max_pool(self, operator: Any, inputs: list[int]) -> str:
        options = _options(operator, "Pool2DOptions")
        kernel = [options.FilterHeight(), options.FilterWidth()]
        strides = [options.StrideH(), options.StrideW()]
        if kernel != strides:
            raise ValueError("only pooling without overlap is supported")
        values = self.graph.add(
            "MaxPool", [self.first(inputs[0])], kernel_shape=kernel, strides=strides
        )
        return self._activation(values, options)

    def _resize(self, operator: Any, inputs: list[int], output: int, name: str) -> str:
        bilinear = name == "RESIZE_BILINEAR"
        options = _options(
            operator, "ResizeBilinearOptions" if bilinear else "ResizeNearestNeighborOptions"
        )
        if options.AlignCorners():
            raise ValueError("resizing with aligned corners is not supported")
        size = np.array(self.shape(output)[1:3]) / np.array(self.shape(inputs[0])[1:3])
        scales = self.graph.constant(np.array([1, 1, *size], np.float32))
        values = [self.first(inputs[0]), "", scales]
        if not bilinear:  # whole factors: repeating each value is right for every convention
            return self.graph.add(
                "Resize",
                values,
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        centers = "half_pixel" if options.HalfPixelCenters() else "asymmetric"
        return self.graph.add(
            "Resize", values, mode="linear", coordinate_transformation_mode=centers
        )

    def _sum(self, operator: Any, inputs: list[int]) -> str:
        keep = int(_options(operator, "ReducerOptions").KeepDims())
        axes = self.graph.constant(self.weights(inputs[1]).reshape(-1))
        return self.graph.add("ReduceSum", [self.last(inputs[0]), axes], keepdims=keep)

    def _activation(self, values: str, options) -> str:
        return self.graph.activation(values, ACTIVATIONS[options.FusedActivationFunction()])


def _options(operator: Any, kind: str):
    """The typed options table of an operator."""
    options = getattr(tflite, kind)()
    table = operator.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    return options
