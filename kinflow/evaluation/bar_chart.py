"""A table of figures as a picture: one small panel of bars for each figure."""

import io
import math
from collections.abc import Mapping

from PIL import Image, ImageDraw, ImageFont

_COLORS = ("#3b78c4", "#e07b39", "#3f9e6a", "#b0569a", "#8a8f98", "#c9a227", "#4aa5b5", "#c44e52")
_BACKGROUND, _INK, _GRID = "#ffffff", "#20242a", "#d5d9de"
_PANEL_WIDTH_PX, _BAR_PX, _GAP_PX, _MARGIN_PX, _TITLE_PX = 380, 20, 6, 16, 26
_LABEL_PX, _VALUE_PX = 110, 62


def bar_chart_png(rows: Mapping[str, Mapping[str, float]], columns: int = 4) -> bytes:
    """PNG of a table.

    Args:
        rows: figures by name for each prior, all with the same names.
        columns: panels side by side.
    """
    figures = list(next(iter(rows.values())))
    height = _TITLE_PX + len(rows) * (_BAR_PX + _GAP_PX) + 2 * _MARGIN_PX
    size = (columns * _PANEL_WIDTH_PX, math.ceil(len(figures) / columns) * height)
    image = Image.new("RGB", size, _BACKGROUND)
    draw = ImageDraw.Draw(image)
    for index, figure in enumerate(figures):
        corner = (index % columns * _PANEL_WIDTH_PX, index // columns * height)
        _draw_panel(draw, corner, figure, {name: row[figure] for name, row in rows.items()})
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _draw_panel(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], title: str, values: Mapping[str, float]
) -> None:
    """Bars from zero, which lies inside the panel where values of both signs occur."""
    title_font, font = ImageFont.load_default(15), ImageFont.load_default(13)
    x, y = corner[0] + _MARGIN_PX, corner[1] + _MARGIN_PX
    draw.text((x, y), title, _INK, title_font)
    low, high = min(0.0, *values.values()), max(0.0, *values.values())
    left = x + _LABEL_PX
    width = _PANEL_WIDTH_PX - 2 * _MARGIN_PX - _LABEL_PX - _VALUE_PX
    scale = width / ((high - low) or 1.0)
    zero = left - low * scale
    for number, (name, value) in enumerate(values.items()):
        top = y + _TITLE_PX + number * (_BAR_PX + _GAP_PX)
        middle, end = top + _BAR_PX / 2, zero + value * scale
        draw.text((left - 8, middle), _shortened(name), _INK, font, anchor="rm")
        color = _COLORS[number % len(_COLORS)]
        draw.rectangle((min(zero, end), top, max(zero, end), top + _BAR_PX), color)
        draw.text((max(zero, end) + 6, middle), _rounded(value), _INK, font, anchor="lm")
    bottom = y + _TITLE_PX + len(values) * (_BAR_PX + _GAP_PX)
    draw.line((zero, y + _TITLE_PX - 4, zero, bottom), _GRID, 1)


def _rounded(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _shortened(name: str, length: int = 15) -> str:
    """The end of a long name, which for paths is what tells them apart."""
    return name if len(name) <= length else "…" + name[1 - length :]
