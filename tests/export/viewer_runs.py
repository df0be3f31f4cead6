"""Runs the viewer's modules in node, for tests of where things are."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from kinflow.assets import ASSET_ROOT

CANVAS = (640, 480)  # as viewer_run.js says, twice the photos of these tests
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def run_viewer(page: Path, *steps: str) -> dict:
    script = Path(__file__).with_name("viewer_run.js")
    command = ["node", script, ASSET_ROOT / "viewer", page, *steps]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def bodies_m(result: dict) -> list[np.ndarray]:
    """Vertices of all bodies in the level frame."""
    return [np.array(body["vertices"]).reshape(-1, 3) for body in result["bodies"]]


def on_canvas(points_m: np.ndarray, view: dict) -> np.ndarray:
    matrix = np.array(view["clip"]).reshape(4, 4).T
    x, y, _, w = matrix @ np.concatenate([points_m, np.ones((len(points_m), 1))], 1).T
    return np.stack([(x / w + 1) / 2 * CANVAS[0], (1 - y / w) / 2 * CANVAS[1]], -1)
