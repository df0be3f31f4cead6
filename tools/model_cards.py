"""Write what the files of the shipped weights say of themselves into docs/models.md.

    python tools/model_cards.py

Between `<!-- card: NAME -->` and `<!-- end of card -->` stand size, checksum and, where the file
has them in its header, command, seed, data and figures of training. Everything else on the page is
written by hand. A test compares the page with what this would write, and that no weight is missing.
"""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

from kinflow.assets import MANIFEST

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "models.md"
ASSETS = MANIFEST.parent
_CARD = re.compile(r"<!-- card: (\S+) -->.*?<!-- end of card -->", re.DOTALL)
_FIGURE_DIGITS = 4


def weights() -> dict[str, str]:
    """Files of weights, and the body, with their checksums."""
    digests: dict[str, str] = json.loads(MANIFEST.read_text(encoding="utf8"))
    return {name: x for name, x in digests.items() if name.endswith((".safetensors", ".onnx"))}


def with_cards(page: str) -> str:
    """The page with what lies between its marks written anew."""
    return _CARD.sub(
        lambda card: f"<!-- card: {card[1]} -->\n{facts(card[1])}\n<!-- end of card -->", page
    )


def facts(name: str) -> str:
    """A table of what is known of a file from itself."""
    size_mb = (ASSETS / name).stat().st_size / 1e6
    rows = [("file", f"`kinflow/assets/{name}`"), ("size", f"{size_mb:.3g} MB")]
    rows.append(("SHA-256", f"`{weights()[name]}`"))
    if name.endswith(".safetensors"):
        rows += _of_header(_header(ASSETS / name))
    return "\n".join(["| what | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows)])


def _header(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        texts = json.loads(file.read(length)).get("__metadata__", {})
    if "kinflow" in texts:
        return json.loads(texts["kinflow"]).get("info", {})
    return texts


def _of_header(info: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("made by", f"`{info['command']}`")] if "command" in info else []
    rows += [("seed", str(info["seed"]))] if "seed" in info else []
    rows += [("source", info["source"])] if "source" in info else []
    hashes = (
        ("data_sha256", "content hash of its data"),
        ("prior_sha256", "knows the prior"),
        ("predictor_sha256", "reads the words of the predictor"),
    )
    rows += [(words, f"`{info[key][:12]}`") for key, words in hashes if info.get(key)]
    rows += [
        (key, str(info[key])) for key in ("samples", "steps", "clips", "frames") if key in info
    ]
    figures = info.get("metrics", {})
    if figures:
        shown = (f"{_words(key)} {_number(value)}" for key, value in figures.items())
        rows.append(("its training's own figures", ", ".join(shown)))
    return rows


def _words(key: str) -> str:
    return key.replace("_", " ")


def _number(value: float) -> str:
    return f"{value:.{_FIGURE_DIGITS}g}" if value != int(value) else str(int(value))


if __name__ == "__main__":
    PAGE.write_text(with_cards(PAGE.read_text(encoding="utf8")), encoding="utf8")
