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

__all__ = [
    "Chromium",
    "Page",
    "differ",
    "faint_texts",
    "needs_chromium",
    "pixels",
    "unnamed_controls",
]

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


def faint_texts(page: Page, least: float = 4.5) -> list[str]:
    """Texts whose contrast to what is behind them is less than WCAG 2.2 asks for (1.4.3)."""
    return page.run(f"({_FAINT})({least})")


_FAINT = """(least) => {
  const numbers = (color) => {
    const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    pen.fillStyle = color;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].map((v) => v / 255);
  };
  const light = (rgb) => rgb.reduce((sum, v, i) => sum
    + [0.2126, 0.7152, 0.0722][i] * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4), 0);
  const over = (front, back) => {
    const share = front[3];
    return [0, 1, 2].map((i) => front[i] * share + back[i] * (1 - share));
  };
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const color = numbers(getComputedStyle(e).backgroundColor);
      if (color[3] > 0) layers.push(color);
      if (color[3] === 1) break;
    }
    return layers.reverse().reduce((back, layer) => over(layer, back), [1, 1, 1]);
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const text = texts.currentNode.textContent.trim();
    if (!text || !element.checkVisibility() || element.disabled) continue;
    if (element.closest("script, style, option, .unseen")) continue;
    const back = behind(element);
    const front = over(numbers(getComputedStyle(element).color), back);
    const [a, b] = [light(front), light(back)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < least) found.push(`${text}: ${contrast.toFixed(2)}`);
  }
  return found;
}"""
