"""Rewrite the SHA-256 of every bundled file in `kinflow/assets/MANIFEST.json` and in `NOTICE`.

A file that NOTICE does not mention yet needs its origin and licence written there by hand.

    python tools/hash_assets.py
"""

import json
import re
from pathlib import Path

from kinflow.assets import ASSET_ROOT, MANIFEST, file_sha256

NOTICE = Path(__file__).parent.parent / "NOTICE"
SUFFIXES = {".safetensors", ".onnx", ".tflite", ".js", ".css", ".html"}


def main() -> None:
    """Write both files and print what is in them."""
    files = sorted(p for p in ASSET_ROOT.rglob("*") if p.suffix in SUFFIXES)
    hashes = {p.relative_to(ASSET_ROOT).as_posix(): file_sha256(p) for p in files}
    replace_text(MANIFEST, json.dumps(hashes, indent=2) + "\n")
    replace_text(NOTICE, with_hashes(NOTICE.read_text(encoding="utf8"), hashes))
    for name, digest in hashes.items():
        print(digest, name)


def with_hashes(notice: str, hashes: dict[str, str]) -> str:
    """The text of NOTICE with the checksum before each file's name brought up to date."""
    for name, digest in hashes.items():
        notice = re.sub(rf"[0-9a-f]{{64}}(?=  {re.escape(name)}$)", digest, notice, flags=re.M)
    return notice


def replace_text(path: Path, text: str) -> None:
    """Write a whole file under a temporary name and rename it."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf8")
    temporary.replace(path)


if __name__ == "__main__":
    main()
