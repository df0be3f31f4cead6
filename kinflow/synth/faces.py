"""What a face shows besides skin: eyes, brows, nostrils and a mouth, where its keypoints are.

Without them a face is a blot of skin, and detectors of faces take the blot's size for the face's.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.sides import SIDES

_SUBPIXEL = 4
"""Bits behind the point of the coordinates that OpenCV draws at."""
_WHITE, _DARK = np.array((205.0, 200, 195)), np.array((30.0, 22, 20))
_LIPS = np.array((0.85, 0.55, 0.55))


def face_radius_px(head: Bool[np.ndarray, "height width"]) -> float:
    """Half of the width of a head, by the pixels that it covers."""
    return float(np.sqrt(np.count_nonzero(head) / np.pi))


def draw_face(
    image: Float32[np.ndarray, "height width 3"],
    on: Bool[np.ndarray, "height width"],
    keypoints_px: Float[np.ndarray, "33 2"],
    visible: Bool[np.ndarray, " 33"],
    skin: Float32[np.ndarray, " 3"],
    hair: Float32[np.ndarray, " 3"],
) -> None:
    """Draw features over an image.

    Args:
        image: colours of a person, changed in place.
        on: skin of the face, the only pixels that change.
        keypoints_px: true positions of the keypoints.
        visible: which of them show.
        skin: colour of the skin.
        hair: colour of the brows.
    """
    points = {name: keypoints_px[row] for name, row in KEYPOINT_INDEX.items() if row < 11}
    shows = {name for name, row in KEYPOINT_INDEX.items() if row < 11 and visible[row]}
    mouth = (points["mouth_left"] + points["mouth_right"]) / 2
    eyes = (points["left_eye"] + points["right_eye"]) / 2
    down = mouth - eyes
    for side in SIDES:
        eye, inner, outer = (points[f"{side}_eye{end}"] for end in ("", "_inner", "_outer"))
        if f"{side}_eye" not in shows:
            continue
        half = float(np.linalg.norm(outer - inner)) / 2
        axis = outer - inner
        ball = _ellipse(image.shape[:2], eye, (0.9 * half, 0.45 * half), axis)
        iris = _ellipse(image.shape[:2], eye, (0.4 * half, 0.4 * half), axis)
        _blend(image, ball * on, _WHITE)
        _blend(image, iris * on, _DARK)
        brow = _line(image.shape[:2], inner - 0.3 * down, outer - 0.27 * down, 0.35 * half)
        _blend(image, brow * on, 0.6 * hair)
    if "nose" in shows:
        under = points["nose"] + 0.1 * down
        across = 0.35 * (points["mouth_left"] - points["mouth_right"])
        nostrils = _line(image.shape[:2], under - across, under + across, 0.06 * _length(down))
        _blend(image, 0.5 * nostrils * on, 0.4 * skin)
    if {"mouth_left", "mouth_right"} & shows:
        ends = points["mouth_left"], points["mouth_right"]
        lips = _line(image.shape[:2], *ends, 0.16 * _length(down))
        _blend(image, lips * on, skin * _LIPS)


def _length(vector: np.ndarray) -> float:
    return float(np.linalg.norm(vector))


def _blend(image: np.ndarray, share: np.ndarray, color: np.ndarray) -> None:
    rows, columns = np.nonzero(share)
    weight = share[rows, columns][:, None]
    image[rows, columns] += weight * (color.astype(np.float32) - image[rows, columns])


def _fixed(values: np.ndarray) -> list[int]:
    """Coordinates as OpenCV draws them, pixel centres at whole numbers."""
    return np.rint((values - 0.5).clip(-1e4, 1e4) * (1 << _SUBPIXEL)).astype(int).tolist()


def _ellipse(
    size: tuple[int, int], centre: np.ndarray, half: tuple[float, float], axis: np.ndarray
) -> Float32[np.ndarray, "height width"]:
    drawn = np.zeros(size, np.uint8)
    axes = [max(1, round(side * (1 << _SUBPIXEL))) for side in half]
    angle = float(np.degrees(np.arctan2(axis[1], axis[0])))
    cv2.ellipse(drawn, _fixed(centre), axes, angle, 0, 360, 255, -1, cv2.LINE_AA, _SUBPIXEL)
    return drawn.astype(np.float32) / 255


def _line(
    size: tuple[int, int], first: np.ndarray, last: np.ndarray, width: float
) -> Float32[np.ndarray, "height width"]:
    """A thick line; one thinner than a pixel is paler."""
    drawn = np.zeros(size, np.uint8)
    thick = min(max(1, round(width)), 64)
    cv2.line(drawn, _fixed(first), _fixed(last), 255, thick, cv2.LINE_AA, _SUBPIXEL)
    return drawn.astype(np.float32) / 255 * min(1.0, width)
