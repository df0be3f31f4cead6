"""Files that ship inside the package: found by name, checked against their SHA-256 before use.

`MANIFEST.json` lists every asset with its checksum; `python tools/hash_assets.py` rewrites it.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from kinflow.errors import AssetError

ASSET_ROOT = Path(__file__).parent
MANIFEST = ASSET_ROOT / "MANIFEST.json"


@cache
def asset_path(name: str) -> Path:
    """Path of the bundled file `name` (relative to `kinflow/assets`), once its checksum is right.

    Raises:
        AssetError: the file is missing or is not the one that this version of kinflow shipped.
    """
    return checked_path(ASSET_ROOT, name)


def checked_path(root: Path, name: str) -> Path:
    """The file `root/name` after comparing it with `root/MANIFEST.json`."""
    try:
        expected = json.loads((root / MANIFEST.name).read_text(encoding="utf8")).get(name)
    except (OSError, ValueError, AttributeError) as error:
        raise AssetError(
            f"The list of bundled files '{root / MANIFEST.name}' is damaged; reinstall kinflow."
        ) from error
    path = root / name
    if expected is None or not path.is_file():
        raise AssetError(f"The bundled file '{name}' is missing; reinstall kinflow.")
    if file_sha256(path) != expected:
        raise AssetError(
            f"The bundled file '{name}' is damaged (its checksum is wrong); reinstall kinflow."
        )
    return path


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
