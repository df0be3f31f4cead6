"""The worst cases to look at: the picture where there is one, and the skeletons from two sides."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kinflow.body.parts import PART_COLORS, UNKNOWN_COLOR
from kinflow.datasets.person_rows import UNKNOWN_PIXEL, PersonRows
from kinflow.errors import InputError
from kinflow.evaluation.protocols.joint_sets import LINES
from kinflow.evaluation.protocols.judging import Compared
from kinflow.evaluation.protocols.protocol import Protocol
from kinflow.evaluation.protocols.root_joints import joints_of, joints_that_count
from kinflow.evidence.image import read_photo

_PANEL_PX, _CAPTION_PX, _MARGIN_PX = 180, 20, 6
_BACKGROUND, _INK = (255, 255, 255), (32, 36, 42)
_TRUE, _OWN = (63, 158, 106), (224, 123, 57)
_REACH = 0.9
"""Of a panel that a skeleton may fill."""
_AROUND = 0.3
"""Of a box, added about it."""


@dataclass(frozen=True)
class _Case:
    """A row of the sheet."""

    caption: str
    panels: tuple[Image.Image, ...]


def worst_sheet(
    truth: PersonRows,
    predictions: PersonRows,
    compared: Compared,
    images: Path | None,
) -> bytes | None:
    """PNG of the worst cases, truth in green; None where there is nothing to draw.

    Args:
        truth, predictions: what was compared.
        compared: the result and its pairs.
        images: folder that paths of pictures are relative to; no pictures if left out.
    """
    protocol = compared.result.protocol
    at = {int(t): int(p) for t, p in zip(*_pairs(compared), strict=True)}
    rows = {_key(truth, row): row for row in at}
    cases = []
    for worst in compared.result.worst:
        row = rows.get((worst.sequence, worst.frame, worst.person))
        if row is not None:
            panels = _panels(truth, predictions, row, at[row], protocol, images)
            caption = f"{worst.sequence} {worst.frame} person {worst.person}: {worst.value:.1f}"
            cases.append(_Case(caption, panels))
    return _sheet(cases) if cases and cases[0].panels else None


def _pairs(compared: Compared) -> tuple[np.ndarray, np.ndarray]:
    return compared.pairs.truth, compared.pairs.predicted


def _key(rows: PersonRows, row: int) -> tuple[str, int, int]:
    person = int(rows["person"][row]) if "person" in rows else 0
    return str(rows["sequence"][row]), int(rows["frame"][row]), person


def _panels(
    truth: PersonRows,
    predictions: PersonRows,
    true_row: int,
    row: int,
    protocol: Protocol,
    images: Path | None,
) -> tuple[Image.Image, ...]:
    panels: list[Image.Image] = []
    if images is not None and "image" in truth:
        panels.append(_picture(truth, true_row, images))
    if protocol.joints and "joints_m" in truth and "joints_m" in predictions:
        true = joints_of(truth, [true_row], protocol)[0, 0].numpy()
        own = joints_of(predictions, [row], protocol)[0, 0].numpy()
        counts = joints_that_count(truth, [true_row], protocol)[0]
        # from the front x is to the right, from the side z is; y is down in both
        panels += [_skeletons(true, own, counts, axes, protocol) for axes in ((0, 1), (2, 1))]
    if "parts" in truth and "parts" in predictions:
        panels += [
            _part_map(rows["parts"][i]) for rows, i in ((truth, true_row), (predictions, row))
        ]
    return tuple(panels)


def _picture(truth: PersonRows, row: int, images: Path) -> Image.Image:
    """The person's part of the picture, or a panel that says that it is not there."""
    panel = Image.new("RGB", (_PANEL_PX, _PANEL_PX), (238, 238, 238))
    name = str(truth["image"][row])
    try:
        image = Image.fromarray(read_photo(images / name).rgb)
    except InputError:
        ImageDraw.Draw(panel).text((_MARGIN_PX, _PANEL_PX // 2), "no picture", _INK, _font())
        return panel
    if "box_px" in truth:
        x, y, width, height = (float(v) for v in truth["box_px"][row])
        side = max(width, height) * (1 + 2 * _AROUND)
        middle = (x + width / 2, y + height / 2)
        if side >= 2:
            left, top = middle[0] - side / 2, middle[1] - side / 2
            image = image.crop((int(left), int(top), int(left + side), int(top + side)))
    image.thumbnail((_PANEL_PX, _PANEL_PX))
    panel.paste(image, ((_PANEL_PX - image.width) // 2, (_PANEL_PX - image.height) // 2))
    return panel


def _skeletons(
    true: np.ndarray,
    own: np.ndarray,
    counts: np.ndarray,
    axes: tuple[int, int],
    protocol: Protocol,
) -> Image.Image:
    panel = Image.new("RGB", (_PANEL_PX, _PANEL_PX), _BACKGROUND)
    draw = ImageDraw.Draw(panel)
    known = np.concatenate([true[counts], own[counts]])
    reach = max(float(np.abs(known).max()), 0.1) if len(known) else 1.0
    scale = _REACH * _PANEL_PX / 2 / reach
    bones = [
        (protocol.joints.index(a), protocol.joints.index(b))
        for a, b in LINES
        if a in protocol.joints and b in protocol.joints
    ]
    for points, color in ((true, _TRUE), (own, _OWN)):
        places = points[:, axes] * scale + _PANEL_PX / 2
        for a, b in bones:
            if counts[a] and counts[b]:
                draw.line((*map(float, places[a]), *map(float, places[b])), color, 2)
        for x, y in places[counts]:
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), color)
    return panel


def _part_map(parts: np.ndarray) -> Image.Image:
    colors = np.full((UNKNOWN_PIXEL + 1, 3), UNKNOWN_COLOR, np.uint8)
    colors[: len(PART_COLORS)] = PART_COLORS
    image = Image.fromarray(colors[parts.astype(np.int64)])
    image.thumbnail((_PANEL_PX, _PANEL_PX))
    panel = Image.new("RGB", (_PANEL_PX, _PANEL_PX), _BACKGROUND)
    panel.paste(image, (0, 0))
    return panel


def _sheet(cases: list[_Case]) -> bytes:
    """Cases in two columns, each under its caption."""
    columns = 2 if len(cases) > 1 else 1
    width = len(cases[0].panels) * _PANEL_PX + _MARGIN_PX
    height = _PANEL_PX + _CAPTION_PX
    lines = -(-len(cases) // columns)
    sheet = Image.new("RGB", (columns * width, lines * height), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, case in enumerate(cases):
        x, y = number % columns * width, number // columns * height
        draw.text((x + _MARGIN_PX, y + 3), case.caption[:70], _INK, _font())
        for place, panel in enumerate(case.panels):
            sheet.paste(panel, (x + place * _PANEL_PX, y + _CAPTION_PX))
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(12)
