"""The extension in a real Blender, where there is one: everything that has to do with `bpy`.

Joints lie on those of `people.npz` through Blender's camera, backgrounds on the right frames.
"""

import os
import runpy
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from made_results import FIRST_INDEX, STEP, write_clip_result, write_photo_result
from PIL import Image

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "tools"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    build = runpy.run_path(str(TOOLS / "build_blender_extension.py"))["build"]
    return build(tmp_path_factory.mktemp("dist"))


@pytest.mark.skipif(shutil.which("blender") is None, reason="there is no Blender")
def test_results_open_in_blender(archive, tmp_path):
    write_clip_result(tmp_path)
    write_photo_result(tmp_path)
    done = subprocess.run(
        ["blender", "--background", "--factory-startup", "--python-exit-code", "3", "--python",
         str(TOOLS / "check_blender_extension.py"), "--",
         archive, tmp_path / "looks", tmp_path / "zoom", tmp_path / "held"],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count("px from those of people.npz") == 2
    assert "Person 3: ok" in done.stdout
    for frame in (1, 10):
        seen = picture(tmp_path / "looks", f"zoom_*_{frame}.png")[:10, :10].mean()
        # VP8 keeps brightness to about two steps
        assert seen == pytest.approx(20 + STEP * (FIRST_INDEX + frame - 1), abs=STEP / 2 - 0.1)
    held = picture(tmp_path / "looks", "held_*_1.png").astype(int)
    assert held.shape[:2] == (160, 120)
    assert np.abs(held[8, 8] - [255, 0, 0]).max() < 25
    assert np.abs(held[-8, 8] - [0, 0, 255]).max() < 25


def picture(folder: Path, pattern: str) -> np.ndarray:
    (path,) = folder.glob(pattern)
    return np.asarray(Image.open(path).convert("RGB"))
