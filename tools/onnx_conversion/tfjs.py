"""TensorFlow.js graph models: the convolutional part, from given nodes back to the image.

Only what MoveNet's network needs is known. Its post-processing is left out on purpose: it is fixed
to six people, whereas the heads can be decoded for any number.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

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
    """A TensorFlow.js graph model being rewritten into an `OnnxGraph`."""

    def __init__(self, model_json: Path, graph: OnnxGraph) -> None:
        model = json.loads(model_json.read_text())
        self.graph = graph
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
            case "AddV2":
                return self.graph.add("Add", [self.convert(name) for name in inputs])
            case "ResizeBilinear":
                return self._upsample(node, inputs)
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

    def _upsample(self, node: Node, inputs: list[str]) -> str:
        # The size input is the input's own size times two, computed at run time.
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
