"""Sessions of the bundled detector networks, each checked once against its recorded checksum."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

from kinflow.errors import AssetError

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "evidence"
MANIFEST = "manifest.json"
ERRORS_ONLY = 3


@dataclass(frozen=True)
class RuntimeConfig:
    """How the networks run."""

    threads: int = 0
    """Threads per network; 0 leaves the number to onnxruntime (all physical cores)."""
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    """onnxruntime execution providers in order of preference."""


def verified_bytes(name: str, folder: Path = ASSETS) -> bytes:
    """Contents of a bundled file; raises `AssetError` when it is missing or altered."""
    manifest_path = folder / MANIFEST
    try:
        expected = json.loads(manifest_path.read_text(encoding="utf-8"))[name]
        content = (folder / name).read_bytes()
    except (OSError, ValueError, KeyError) as error:
        raise AssetError(
            f"The detector weights {name} cannot be read ({error}); reinstall kinflow."
        ) from None
    if hashlib.sha256(content).hexdigest() != expected:
        raise AssetError(
            f"The detector weights {folder / name} are damaged (their checksum differs from the "
            "one in the manifest); reinstall kinflow."
        )
    return content


def open_session(name: str, config: RuntimeConfig) -> onnxruntime.InferenceSession:
    """Load one bundled network; raises `AssetError` when its file is missing or altered."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.log_severity_level = ERRORS_ONLY
    return onnxruntime.InferenceSession(
        verified_bytes(name), options, providers=list(config.providers)
    )
