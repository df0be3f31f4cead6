"""Rewrite `kinflow/assets/MANIFEST.json`: the SHA-256 of every bundled weight and model.

python tools/hash_assets.py
"""

import json

from kinflow.assets import ASSET_ROOT, MANIFEST, file_sha256

SUFFIXES = {".safetensors", ".onnx", ".tflite", ".js", ".css", ".html"}


def main() -> None:
    files = sorted(p for p in ASSET_ROOT.rglob("*") if p.suffix in SUFFIXES)
    hashes = {p.relative_to(ASSET_ROOT).as_posix(): file_sha256(p) for p in files}
    temporary = MANIFEST.with_suffix(".tmp")
    temporary.write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf8")
    temporary.replace(MANIFEST)
    for name, digest in hashes.items():
        print(digest, name)


if __name__ == "__main__":
    main()
