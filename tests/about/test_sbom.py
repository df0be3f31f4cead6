"""The bill of materials is one by CycloneDX's schema, and names what is here."""

import json

import pytest

from kinflow.about.packages import installed_packages
from kinflow.about.sbom import bill_of_materials
from kinflow.about.weights import shipped_files
from kinflow.assets import MANIFEST


@pytest.fixture(scope="module")
def text():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SOURCE_DATE_EPOCH", raising=False)
        return bill_of_materials(installed_packages(("train",))[0], shipped_files())


def test_it_keeps_to_the_schema(text):
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema")
    validator = validation.JsonStrictValidator(schema.SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"library"', '"book"')) is not None


def test_packages_and_weights_are_in_it(text):
    document = json.loads(text)
    components = {component["name"]: component for component in document["components"]}
    assert {"torch", "numpy", "accelerate"} <= set(components)
    for name, digest in json.loads(MANIFEST.read_text(encoding="utf8")).items():
        component = components[f"kinflow/assets/{name}"]
        assert component["hashes"] == [{"alg": "SHA-256", "content": digest}]
        is_model = name.endswith((".safetensors", ".onnx"))
        assert component["type"] == ("machine-learning-model" if is_model else "file")
    opencv = components["opencv-python-headless"]
    assert opencv["purl"].startswith("pkg:pypi/opencv-python-headless@")


def test_who_requires_whom_is_in_it(text):
    document = json.loads(text)
    refs = {c["bom-ref"] for c in document["components"]}
    refs.add(document["metadata"]["component"]["bom-ref"])
    edges = {entry["ref"]: entry["dependsOn"] for entry in document["dependencies"]}
    assert set(edges) <= refs and {ref for after in edges.values() for ref in after} <= refs
    torch = next(ref for ref in edges if ref.startswith("pkg:pypi/torch@"))
    assert any(ref.startswith("pkg:pypi/sympy@") for ref in edges[torch])


def test_it_is_the_same_again_and_has_the_time_it_is_told(text, monkeypatch):
    packages, files = installed_packages(("train",))[0], shipped_files()
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert bill_of_materials(packages, files) == text
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    dated = json.loads(bill_of_materials(packages, files))
    assert dated["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
