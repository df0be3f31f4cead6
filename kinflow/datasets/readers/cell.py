"""One sample of a contact sheet: the person cut out of the picture, and all labels over it.

Left is blue and right is orange, always the person's own; what has no side is white. Keypoints are
discs, hollow where they are hidden; joints in space are crosses with thin lines between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.part_maps import part_map
from kinflow.body.parts import NUM_PARTS, PART_COLORS, UNKNOWN, UNKNOWN_COLOR
from kinflow.datasets.readers.figures import (
    LINES,
    Figure,
    body_figure,
    joint_figure,
    view_without_camera,
)
from kinflow.datasets.readers.reprojection import reprojection_px
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import CalibratedCamera
from kinflow.errors import InputError
from kinflow.geometry.rasterizer import rasterize

CELL_PX = 320
CAPTION_PX = 44
LEFT, RIGHT, MIDDLE = (70, 160, 255), (255, 140, 20), (245, 245, 245)
_NAMED = ("left_wrist", "right_wrist", "left_ankle", "right_ankle", "nose")
_EMPTY = 60
_ROOM = 0.15
_PARTS_SHARE, _MESH_SHARE = 0.5, 0.45
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class _Window:
    """The square of the picture that a cell shows."""

    left: float
    top: float
    side: float

    @property
    def scale(self) -> float:
        return CELL_PX / self.side

    def to_cell(self, px: np.ndarray) -> np.ndarray:
        """Points (n, 2) of the picture in the cell; both count from corners of pixels."""
        return (px - (self.left, self.top)) * self.scale

    def cut(self, image: np.ndarray, smooth: bool, fill: int = 0) -> np.ndarray:
        """The cell's pixels of an image of the picture's size."""
        s = self.scale
        # OpenCV counts from the centre of the first pixel
        shift = [s * (0.5 - self.left) - 0.5, s * (0.5 - self.top) - 0.5]
        M = np.array([[s, 0, shift[0]], [0, s, shift[1]]])
        how = (cv2.INTER_AREA if s < 1 else cv2.INTER_LINEAR) if smooth else cv2.INTER_NEAREST
        return cv2.warpAffine(
            image, M, (CELL_PX, CELL_PX), flags=how, borderValue=(fill, fill, fill)
        )


def draw_cell(sample: Sample) -> tuple[UInt8[np.ndarray, "height width 3"], str]:
    """A sample's cell, its caption below, and the line that is printed about it."""
    view, figures = _figures(sample)
    window = _window(sample, view, figures)
    canvas, said = _picture(sample, window)
    _draw_parts(canvas, sample, window)
    _draw_mask(canvas, sample, window)
    for figure in figures:
        _draw_figure(canvas, figure, view, window)
    _draw_keypoints(canvas, sample, window)
    if sample.box_px is not None:
        left, top, width, height = sample.box_px
        corners = window.to_cell(np.array([[left, top], [left + width, top + height]]))
        (x0, y0), (x1, y1) = np.rint(corners).astype(int).tolist()
        cv2.rectangle(canvas, (x0, y0), (x1, y1), (200, 200, 200), 1)
    line = _line(sample)
    caption = f"{line}  no picture" if said else line
    return _with_caption(canvas, sample, caption), line + said


def _figures(sample: Sample) -> tuple[CalibratedCamera | None, list[Figure]]:
    view = sample.camera
    if view is None:
        view = view_without_camera(sample, CELL_PX) if sample.picture is None else None
    if view is None:
        return None, []
    found = [make(sample, view) for make in (body_figure, joint_figure)]
    return view, [figure for figure in found if figure is not None]


def _window(sample: Sample, view: CalibratedCamera | None, figures: list[Figure]) -> _Window:
    """A square around everything that is labelled."""
    points = []
    if sample.box_px is not None:
        left, top, width, height = sample.box_px
        points.append([[left, top], [left + width, top + height]])
    if sample.keypoints is not None:
        points.append(sample.keypoints.px[sample.keypoints.confidence > 0])
    if not points and view is not None:
        points += [view.project(figure.joints_cam_m) for figure in figures]
    if not points and sample.mask is not None:
        points.append([[0, 0], sample.mask.size])
    flat = np.concatenate([np.asarray(p, np.float64).reshape(-1, 2) for p in points or [[]]])
    flat = flat[np.isfinite(flat).all(1)]
    if not len(flat):
        size = sample.picture.size if sample.picture is not None else None
        flat = np.array([[0, 0], size or (CELL_PX, CELL_PX)], np.float64)
    low, high = flat.min(0), flat.max(0)
    side = float((high - low).max().clip(8, 1e5)) * (1 + 2 * _ROOM)
    left, top = ((low + high) / 2 - side / 2).tolist()
    return _Window(left, top, side)


def _picture(sample: Sample, window: _Window) -> tuple[np.ndarray, str]:
    """The picture's pixels, or grey and why there are none."""
    grey = np.full((CELL_PX, CELL_PX, 3), _EMPTY, np.uint8)
    if sample.picture is None:
        return grey, ""
    try:
        return window.cut(sample.picture.read(), True, _EMPTY), ""
    except InputError as error:
        return grey, f"  {error}"


def _draw_parts(canvas: np.ndarray, sample: Sample, window: _Window) -> None:
    if sample.parts is None:
        return
    colors = _palette(sample.parts.palette)
    left, top, width, height = sample.parts.box_px
    rows, columns = sample.parts.labels.shape
    s = window.scale
    M = np.array(
        [
            [s * width / columns, 0, s * (left - window.left)],
            [0, s * height / rows, s * (top - window.top)],
        ]
    )
    M[:, 2] += M[:, :2].sum(1) * 0.5 - 0.5
    size, how = (CELL_PX, CELL_PX), cv2.INTER_NEAREST
    labels = np.asarray(cv2.warpAffine(sample.parts.labels, M, size, flags=how), np.uint8)
    on = labels > 0
    mixed = canvas[on] * (1 - _PARTS_SHARE) + colors[labels[on]] * _PARTS_SHARE
    canvas[on] = mixed.astype(np.uint8)


def _palette(name: str) -> Float32[np.ndarray, "256 3"]:
    """Our colours of a palette's numbers; of the first part where a number may be several."""
    colors = np.zeros((256, 3), np.float32)
    for number, parts in enumerate(part_map(name).sets):
        if parts == UNKNOWN:
            colors[number] = UNKNOWN_COLOR
        else:
            first = next((p for p in range(1, NUM_PARTS + 1) if parts >> p & 1), 0)
            colors[number] = PART_COLORS[first]
    return colors


def _draw_mask(canvas: np.ndarray, sample: Sample, window: _Window) -> None:
    if sample.mask is None:
        return
    try:
        mask = window.cut(sample.mask.array().astype(np.uint8), False)
    except InputError as error:
        cv2.putText(canvas, str(error)[:60], (4, 12), _FONT, 0.3, MIDDLE, 1, cv2.LINE_AA)
        return
    found, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(canvas, found, -1, (120, 255, 120), 1, cv2.LINE_AA)


def _draw_figure(
    canvas: np.ndarray, figure: Figure, view: CalibratedCamera | None, window: _Window
) -> None:
    if view is None:
        return
    if len(figure.faces):
        _draw_mesh(canvas, figure, view, window)
    at = window.to_cell(view.project(figure.joints_cam_m))
    place = dict(zip(figure.names, at, strict=True))
    for a, b in LINES:
        if a in place and b in place:
            _line_between(canvas, place[a], place[b], _bone_color(a, b), 1)
    for name, (x, y) in place.items():
        if np.isfinite((x, y)).all():
            _mark(canvas, x, y, _color(name))


def _draw_mesh(canvas: np.ndarray, figure: Figure, view: CalibratedCamera, window: _Window) -> None:
    """The body, see-through and lit from the camera."""
    at = window.to_cell(view.project(figure.vertices_cam_m))
    depth = figure.vertices_cam_m[:, 2]
    raster = rasterize(at, depth, figure.faces, (CELL_PX, CELL_PX))
    a, b, c = (figure.vertices_cam_m[figure.faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    light = np.abs(normal[:, 2]) / np.linalg.norm(normal, axis=1).clip(1e-9)
    shade = (90 + 150 * light)[raster.face[raster.covered]][:, None]
    under = canvas[raster.covered]
    canvas[raster.covered] = (under * (1 - _MESH_SHARE) + shade * _MESH_SHARE).astype(np.uint8)


def _draw_keypoints(canvas: np.ndarray, sample: Sample, window: _Window) -> None:
    points = sample.keypoints
    if points is None:
        return
    at = window.to_cell(points.px)
    place = {name: at[k] for k, name in enumerate(points.names) if points.confidence[k] > 0}
    for a, b in LINES:
        if a in place and b in place:
            _line_between(canvas, place[a], place[b], _bone_color(a, b), 1)
    for k, name in enumerate(points.names):
        if name not in place:
            continue
        x, y = np.clip(at[k], -1e4, 1e4).round().astype(int).tolist()
        hidden = points.shown is not None and not points.shown[k]
        radius = 3 if name in KEYPOINT_INDEX or len(place) <= 40 else 1
        cv2.circle(canvas, (x, y), radius + 1, (0, 0, 0), -1, cv2.LINE_AA)
        cv2.circle(canvas, (x, y), radius, _color(name), 1 if hidden else -1, cv2.LINE_AA)
        if name in _NAMED:
            for shift, color in ((1, (0, 0, 0)), (0, _color(name))):
                spot = (x + 5 + shift, y - 3 + shift)
                cv2.putText(canvas, name, spot, _FONT, 0.32, color, 1, cv2.LINE_AA)


def _line_between(
    canvas: np.ndarray, a: np.ndarray, b: np.ndarray, color: tuple[int, int, int], width: int
) -> None:
    ends = np.stack([a, b])
    if np.isfinite(ends).all() and np.abs(ends).max() < 1e4:
        (x0, y0), (x1, y1) = np.rint(ends).astype(int).tolist()
        cv2.line(canvas, (x0, y0), (x1, y1), color, width, cv2.LINE_AA)


def _mark(canvas: np.ndarray, x: float, y: float, color: tuple[int, int, int]) -> None:
    if max(abs(x), abs(y)) < 1e4:
        at = (round(x), round(y))
        cv2.drawMarker(canvas, at, color, cv2.MARKER_CROSS, 7, 1, cv2.LINE_AA)


def _bone_color(a: str, b: str) -> tuple[int, int, int]:
    """That of the side, or neither where it goes across."""
    sides = {_color(a), _color(b)} - {MIDDLE}
    return sides.pop() if len(sides) == 1 else MIDDLE


def _color(name: str) -> tuple[int, int, int]:
    return LEFT if "left" in name else RIGHT if "right" in name else MIDDLE


def _line(sample: Sample) -> str:
    """Key, split, labels and reprojection error."""
    off = reprojection_px(sample)
    error = "" if off is None else f"  reprojection {float(np.median(off)):.1f} px"
    valid = "" if sample.valid else "  not valid"
    return f"{sample.key}  split {sample.split or '-'}{valid}{error}"


def _with_caption(canvas: np.ndarray, sample: Sample, line: str) -> np.ndarray:
    strip = np.full((CAPTION_PX, CELL_PX, 3), 25, np.uint8)
    key = sample.key if len(sample.key) <= 48 else f"...{sample.key[-45:]}"
    rest = line.removeprefix(sample.key).strip()
    for row, text in enumerate((key, rest)):
        plain = text.encode("ascii", "replace").decode()[:56]
        cv2.putText(strip, plain, (6, 17 + 18 * row), _FONT, 0.4, MIDDLE, 1, cv2.LINE_AA)
    return np.vstack([canvas, strip])
