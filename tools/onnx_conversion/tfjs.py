"""TensorFlow.js graph models: the convolutional part, from given nodes back to the image.

Only what the networks of MoveNet, NanoDet and HSE-FaceRes need is known. The post-processing of the
first two is left out on purpose: it is fixed to six people or one image size, whereas heads can be
decoded for any.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from .graph import OnnxGraph

Node = dict


def load_weights(manifest: list[dict], folder: Path) -> dict[str, np.ndarray]:
    """Named arrays of a weights manifest; float16 storage is widened to float32."""
    weights: dict[str, np.ndarray] = {}
    for group in manifest:
        buffer = b"".join((folder / name).read_bytes() for name in group["paths"])
        offset = 0
        for entry in group["weights"]:
            stored = np.dtype(entry.get("quantization", entry)["dtype"])
            count = int(np.prod(entry["shape"]))
            array = np.frombuffer(buffer, stored, count, offset).astype(entry["dtype"])
            weights[entry["name"]] = array.reshape(entry["shape"])
            offset += count * stored.itemsize
    return weights


class GraphModel:
    """A TensorFlow.js graph model being rewritten into an `OnnxGraph`.

    `resizes` are factors of resizing nodes whose file gives sizes instead.
    """

    def __init__(
        self,
        model_json: Path,
        graph: OnnxGraph,
        resizes: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        model = json.loads(model_json.read_text())
        self.graph, self._resizes = graph, resizes
        self.nodes: dict[str, Node] = {n["name"]: n for n in model["modelTopology"]["node"]}
        self.weights = load_weights(model["weightsManifest"], model_json.parent)
        self._converted: dict[str, str] = {}

    def bind(self, node_name: str, value: str) -> None:
        """Use an existing value of the ONNX graph in place of a node."""
        self._converted[node_name] = value

    def convert(self, node_name: str) -> str:
        """Rewrite a node and everything it depends on; returns the value's name."""
        if node_name not in self._converted:
            self._converted[node_name] = self._convert(self.nodes[node_name])
        return self._converted[node_name]

    def _convert(self, node: Node) -> str:
        inputs = [name for name in node.get("input", []) if not name.startswith("^")]
        match node["op"]:
            case "_FusedConv2D" | "FusedDepthwiseConv2dNative" | "DepthwiseConv2dNative":
                return self._convolution(node, inputs)
            case "Conv2D":
                if "padding" in node["attr"] and _string(node, "padding") == "SAME":
                    return self._convolution(node, inputs)
                return self._padded_convolution(node, inputs)
            case "MaxPool":
                return self._max_pool(node, inputs)
            case "Add" | "AddV2":
                return self.graph.add("Add", [self._operand(name) for name in inputs])
            case "ConcatV2":  # of channels, which are first in models that came from ONNX
                return self.graph.add("Concat", [self.convert(n) for n in inputs[:-1]], axis=1)
            case "Transpose":  # from one order of axes to the other: here channels stay first
                return self.convert(inputs[0])
            case "ResizeBilinear":
                return self._resize(node, inputs)
            case "LeakyRelu":
                slope = float(node["attr"]["alpha"]["f"])
                return self.graph.add("LeakyRelu", [self.convert(inputs[0])], alpha=slope)
            case "Mul":
                return self.graph.add("Mul", [self._operand(name) for name in inputs])
            case "Relu":
                return self.graph.add("Relu", [self.convert(inputs[0])])
            case "Maximum":
                return self._clip(inputs)
            case "Mean":
                return self._mean(inputs)
            case "_FusedMatMul":
                return self._matrix(node, inputs)
            case "Softmax":  # of channels
                return self.graph.add("Softmax", [self.convert(inputs[0])], axis=1)
            case "Sigmoid":
                return self.graph.add("Sigmoid", [self.convert(inputs[0])])
            case unknown:
                raise ValueError(f"operation {unknown} of node {node['name']} is not supported")

    def _convolution(self, node: Node, inputs: list[str]) -> str:
        weights = self.weights[inputs[1]]
        group = 1
        if "Depthwise" in node["op"]:
            height, width, channels, multiplier = weights.shape
            weights = weights.transpose(2, 3, 0, 1).reshape(-1, 1, height, width)
            group = channels
        else:
            weights = weights.transpose(3, 2, 0, 1)
        fused = _string_list(node, "fused_ops")
        values = self.graph.convolution(
            self.convert(inputs[0]),
            weights,
            self.weights[inputs[2]] if "BiasAdd" in fused else None,
            strides=_int_list(node, "strides")[1:3],
            dilations=_int_list(node, "dilations")[1:3],
            same_padding=_string(node, "padding") == "SAME",
            group=group,
        )
        for name in fused:
            if name != "BiasAdd":
                values = self.graph.activation(values, name.upper())
        return values

    def _padded_convolution(self, node: Node, inputs: list[str]) -> str:
        values, pads = self._before_padding(inputs[0])
        return self.graph.convolution(
            values,
            self.weights[inputs[1]].transpose(3, 2, 0, 1),
            None,
            strides=_int_list(node, "strides")[1:3],
            dilations=[1, 1],
            same_padding=False,
            pads=pads,
        )

    def _clip(self, inputs: list[str]) -> str:
        """The larger of a number and of the smaller of a value and another number."""
        inner = self.nodes[inputs[0]]
        if inner["op"] != "Minimum":
            raise ValueError(f"only a minimum may be clipped from below, not {inner['op']}")
        values, most = inner["input"]
        ends = [self.graph.constant(float(self.weights[name])) for name in (inputs[1], most)]
        return self.graph.add("Clip", [self.convert(values), *ends])

    def _mean(self, inputs: list[str]) -> str:
        """Over rows and columns, of which one each is left, so that matrices are kernels."""
        axes = sorted(self.weights[inputs[1]].ravel().tolist())
        if axes != [1, 2]:
            raise ValueError(f"only means over rows and columns are supported, not over {axes}")
        return self.graph.add("GlobalAveragePool", [self.convert(inputs[0])])

    def _matrix(self, node: Node, inputs: list[str]) -> str:
        """A matrix times the channels of what has one row and one column."""
        fused = _string_list(node, "fused_ops")
        values = self.graph.convolution(
            self.convert(inputs[0]),
            self.weights[inputs[1]].T[:, :, None, None],
            self.weights[inputs[2]] if "BiasAdd" in fused else None,
            strides=[1, 1],
            dilations=[1, 1],
            same_padding=False,
        )
        for name in fused:
            if name != "BiasAdd":
                values = self.graph.activation(values, name.upper())
        return values

    def _max_pool(self, node: Node, inputs: list[str]) -> str:
        values, pads = self._before_padding(inputs[0])
        kernel, strides = _int_list(node, "ksize")[1:3], _int_list(node, "strides")[1:3]
        return self.graph.add("MaxPool", [values], kernel_shape=kernel, strides=strides, pads=pads)

    def _before_padding(self, node_name: str) -> tuple[str, list[int]]:
        """What a node that was padded in its model was before, and the padding for ONNX."""
        node = self.nodes[node_name]
        while node["op"] == "Transpose":
            node_name = node["input"][0]
            node = self.nodes[node_name]
        if node["op"] not in ("Pad", "PadV2"):
            return self.convert(node_name), [0, 0, 0, 0]
        pads = self.weights[node["input"][1]][2:].astype(int)  # channels are first
        return self.convert(node["input"][0]), pads.T.ravel().tolist()

    def _operand(self, node_name: str) -> str:
        """A value, or a constant for each channel."""
        if node_name in self.weights:
            return self.graph.constant(self.weights[node_name].reshape(-1, 1, 1))
        return self.convert(node_name)

    def _resize(self, node: Node, inputs: list[str]) -> str:
        if node["name"] in self._resizes:
            factor = np.full(2, self._resizes[node["name"]])
        else:  # the size input is the input's own size times two, computed at run time
            factor = self.weights[self.nodes[inputs[1]]["input"][1]]
        scales = self.graph.constant(np.array([1, 1, *factor], np.float32))
        if not node["attr"]["half_pixel_centers"]["b"]:
            raise ValueError("only half-pixel bilinear resizing is supported")
        return self.graph.add(
            "Resize",
            [self.convert(inputs[0]), "", scales],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )


def _int_list(node: Node, name: str) -> list[int]:
    return [int(value) for value in node["attr"][name]["list"]["i"]]


def _string(node: Node, name: str) -> str:
    return base64.b64decode(node["attr"][name]["s"]).decode()


def _string_list(node: Node, name: str) -> list[str]:
    values = node["attr"].get(name, {}).get("list", {}).get("s", [])
    return [base64.b64decode(value).decode() for value in values]
