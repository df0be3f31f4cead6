"""What docs/parts.md shows works: its commands are understood, its program runs."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kinflow.cli import main

PAGE = (Path(__file__).parent.parent / "docs" / "parts.md").read_text(encoding="utf8")


@pytest.mark.parametrize("line", re.findall(r"^    (kinflow .*)$", PAGE, re.MULTILINE))
def test_commands_are_understood(line):
    assert callable(main.parse(shlex.split(line, comments=True)[1:]))


def test_the_program_runs(tmp_path, monkeypatch, astronaut_rgb):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(astronaut_rgb).save("photo.jpg")
    ids = np.zeros((512, 512), np.uint8)
    ids[230:, 60:330] = 5  # upper-clothes
    ids[20:230, 160:290] = 13  # face
    Path("maps").mkdir()
    Image.fromarray(ids).save("maps/photo.png")
    names: dict = {}
    exec(program, names)
    assert names["person"].silhouette_iou > 0.5
    assert names["person"].part_iou[0] > 0.3
