"""A headless Chromium for tests of the pages, where one is installed."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from chromium import Chromium, Page, chromium_path

__all__ = ["Chromium", "Page", "differ", "needs_chromium", "pixels", "unnamed_controls"]

needs_chromium = pytest.mark.skipif(
    chromium_path() is None, reason="no Chromium is installed, which shows the pages"
)
_CONTROLS = frozenset({"button", "link", "textbox", "checkbox", "radio", "slider", "combobox",
                       "spinbutton", "progressbar", "application", "img", "image", "dialog",
                       "listbox", "Iframe", "Video", "DisclosureTriangle"})  # fmt: skip


def pixels(page: Page, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """What a page looks like, (height, width, 3); of a box of left, top, right, bottom."""
    image = Image.open(io.BytesIO(page.picture())).convert("RGB")
    return np.asarray(image.crop(box) if box else image).astype(int)


def differ(before: np.ndarray, after: np.ndarray) -> float:
    """Share of pixels that are other ones."""
    return float((np.abs(before - after).max(-1) > 12).mean())


def unnamed_controls(page: Page) -> list[str]:
    """Roles of whatever can be used or looked at, and has no name for those who do not see it."""
    return [role for role, name, _ in page.tree() if role in _CONTROLS and not name.strip()]
