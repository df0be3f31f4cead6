"""TensorFlow.js graphs rewritten as ONNX: a small one says what it says when computed by hand."""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F

from kinflow.evidence.onnx_runtime import onnxruntime

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from onnx_conversion.graph import OnnxGraph  # noqa: E402
from onnx_conversion.tfjs import GraphModel  # noqa: E402

SIDE, CHANNELS, CLASSES = 8, 4, 5
CONVOLUTION = {"padding": {"s": base64.b64encode(b"SAME").decode()}}
CONVOLUTION |= {
    name: {"list": {"i": ["1", str(step), str(step), "1"]}}
    for name, step in (("strides", 2), ("dilations", 1))
}
FUSED = {
    "fused_ops": {"list": {"s": [base64.b64encode(n).decode() for n in (b"BiasAdd", b"Relu")]}}
}
NODES = [
    ("convolution", "Conv2D", ["image", "kernel"], CONVOLUTION),
    ("shifted", "Add", ["convolution", "shift"], {}),
    ("positive", "Relu", ["shifted"], {}),
    ("at_most", "Minimum", ["positive", "six"], {}),
    ("clipped", "Maximum", ["at_most", "zero"], {}),
    ("by_channel", "DepthwiseConv2dNative", ["clipped", "depthwise"], CONVOLUTION),
    ("scaled", "Mul", ["by_channel", "scale"], {}),
    ("mean", "Mean", ["scaled", "axes"], {}),
    ("hidden", "_FusedMatMul", ["mean", "matrix", "bias"], FUSED),
    ("shares", "Softmax", ["hidden"], {}),
    ("floor", "Maximum", ["positive", "zero"], {}),
    ("mean_of_rows", "Mean", ["scaled", "rows"], {}),
]


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {
        "kernel": (3, 3, 3, CHANNELS),
        "shift": (CHANNELS,),
        "depthwise": (3, 3, CHANNELS, 1),
        "scale": (1, 1, 1, CHANNELS),
        "matrix": (CHANNELS, CLASSES),
        "bias": (CLASSES,),
    }
    known = {name: rng.normal(0, 0.7, shape).astype(np.float32) for name, shape in shapes.items()}
    known |= {"six": np.float32(6).reshape(()), "zero": np.float32(0).reshape(())}
    return known | {"axes": np.array([1, 2], np.int32), "rows": np.array([1], np.int32)}


@pytest.fixture
def model(tmp_path) -> GraphModel:
    known = arrays()
    nodes = [{"name": n, "op": op, "input": i, "attr": a} for n, op, i, a in NODES]
    weights = [
        {"name": name, "shape": list(values.shape), "dtype": str(values.dtype)}
        for name, values in known.items()
    ]
    (tmp_path / "weights.bin").write_bytes(b"".join(v.tobytes() for v in known.values()))
    document = {
        "modelTopology": {"node": nodes},
        "weightsManifest": [{"paths": ["weights.bin"], "weights": weights}],
    }
    path = tmp_path / "model.json"
    path.write_text(json.dumps(document))
    return GraphModel(path, OnnxGraph())


def by_hand(pixels: np.ndarray) -> np.ndarray:
    """The same graph in torch; of even sides the odd row of TensorFlow's padding is the last."""
    w = {name: torch.from_numpy(np.array(values)) for name, values in arrays().items()}
    x = torch.from_numpy(pixels).float().permute(0, 3, 1, 2)
    x = F.conv2d(F.pad(x, (0, 1, 0, 1)), w["kernel"].permute(3, 2, 0, 1), stride=2)
    x = (x + w["shift"][:, None, None]).clamp(0, 6)
    depthwise = w["depthwise"].permute(2, 3, 0, 1)
    x = F.conv2d(F.pad(x, (0, 1, 0, 1)), depthwise, stride=2, groups=CHANNELS)
    x = (x * w["scale"].reshape(-1, 1, 1)).mean((2, 3))
    return (x @ w["matrix"] + w["bias"]).relu().softmax(1).numpy()


def test_a_converted_graph_computes_the_same(model, tmp_path):
    graph, path = model.graph, tmp_path / "small.onnx"
    model.bind("image", graph.image_input("image", 1 / 64, -2.0))
    graph.add("Identity", [model.convert("shares")], output="shares")
    graph.save(path, ("image", (1, SIDE, SIDE, 3)), {"shares": (1, CLASSES, 1, 1)})
    image = np.random.default_rng(1).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    (told,) = onnxruntime.InferenceSession(str(path)).run(None, {"image": image})
    expected = by_hand(image / 64 - 2.0)
    assert expected.max() < 0.99, "somewhere between classes"
    np.testing.assert_allclose(np.asarray(told).reshape(1, -1), expected, rtol=1e-4)
    assert "Clip" in {node.op_type for node in onnx.load(str(path)).graph.node}


@pytest.mark.parametrize("node", ["floor", "mean_of_rows"])
def test_what_is_not_known_is_refused(model, node):
    model.bind("image", model.graph.image_input("image", 1.0, 0.0))
    with pytest.raises(ValueError, match="only"):
        model.convert(node)
