"""A software bill of materials: what kinflow consists of and stands on, as CycloneDX 1.6 in JSON.

Components are the installed packages, with who requires whom, and the files that ship, weights as
machine-learning models, each with its SHA-256. The same environment gives the same text; a time is
stated where `SOURCE_DATE_EPOCH` gives one, for builds that can be made again.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import uuid
from collections.abc import Sequence
from typing import Any

from kinflow.about.packages import Package
from kinflow.about.spdx import judge
from kinflow.about.weights import ShippedFile

_MODELS = (".safetensors", ".onnx")


def bill_of_materials(packages: Sequence[Package], files: Sequence[ShippedFile]) -> str:
    """The document.

    Args:
        packages: kinflow itself first.
        files: what ships inside of it.
    """
    project = packages[0]
    components = [_package(p) for p in packages[1:]] + [_file(project, f) for f in files]
    dependencies = [{"ref": _purl(p), "dependsOn": _required(p, packages)} for p in packages]
    dependencies[0]["dependsOn"] += [_file_ref(project, file) for file in files]
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _package(project, "application"), **_time()},
        "components": components,
        "dependencies": dependencies,
    }
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).digest()
    document["serialNumber"] = f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}"
    return json.dumps(document, indent=1) + "\n"


def _package(package: Package, kind: str = "library") -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": kind,
        "bom-ref": _purl(package),
        "name": package.name,
        "version": package.version,
        "purl": _purl(package),
        **_licences(package.licence),
    }
    if package.libraries:
        component["components"] = [
            {
                "type": "library",
                "bom-ref": f"{_purl(package)}#{library.name}",
                "name": library.name,
                **_licences(library.licence),
            }
            for library in package.libraries
        ]
    return component


def _file(project: Package, file: ShippedFile) -> dict[str, Any]:
    return {
        "type": "machine-learning-model" if file.name.endswith(_MODELS) else "file",
        "bom-ref": _file_ref(project, file),
        "name": f"kinflow/assets/{file.name}",
        "version": project.version,
        "description": file.origin,
        "hashes": [{"alg": "SHA-256", "content": file.sha256}] if file.sha256 else [],
        **_licences(file.licence),
    }


def _licences(expression: str) -> dict[str, Any]:
    """As an expression where it is one of SPDX's, as a name otherwise."""
    if not expression:
        return {}
    if judge(expression) == "unknown":
        return {"licenses": [{"license": {"name": expression}}]}
    if re.fullmatch(r"[A-Za-z0-9.-]+", expression):
        return {"licenses": [{"license": {"id": expression}}]}
    return {"licenses": [{"expression": expression}]}


def _required(package: Package, packages: Sequence[Package]) -> list[str]:
    known = {other.name: _purl(other) for other in packages}
    return [known[name] for name in package.requires if name in known]


def _purl(package: Package) -> str:
    return f"pkg:pypi/{package.name}@{package.version.replace('+', '%2B')}"


def _file_ref(project: Package, file: ShippedFile) -> str:
    return f"{_purl(project)}#assets/{file.name}"


def _time() -> dict[str, str]:
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not seconds.isdecimal():
        return {}
    moment = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)
    return {"timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}
