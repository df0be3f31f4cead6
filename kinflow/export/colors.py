"""One colour per person, the same in every output."""

from __future__ import annotations

import colorsys

PALETTE: tuple[tuple[int, int, int], ...] = (
    (86, 156, 235),
    (242, 125, 88),
    (92, 190, 142),
    (240, 187, 72),
    (168, 130, 224),
    (232, 117, 168),
    (72, 190, 200),
    (176, 200, 84),
)
"""sRGB, 0 to 255; neighbours differ in lightness too, for those who see hues less well."""

_GOLDEN_ANGLE = 0.381966


def person_color(person: int) -> tuple[int, int, int]:
    """sRGB colour of the person with this number; the palette first, then ever new hues."""
    if 0 <= person < len(PALETTE):
        return PALETTE[person]
    red, green, blue = colorsys.hls_to_rgb((person * _GOLDEN_ANGLE) % 1.0, 0.62, 0.6)
    return round(red * 255), round(green * 255), round(blue * 255)


def to_linear(color: tuple[int, int, int]) -> tuple[float, float, float]:
    """Linear-light RGB in [0, 1] of an sRGB colour (IEC 61966-2-1)."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (v / 255 for v in color)
    )
    return red, green, blue
