"""From a file's coordinates to pixels of the photo, and whether they can be right.

Tools write pixels of the image that they saw, or fractions of it from 0 to 1 or from -1 to 1. The
latter show in the numbers: in pixels, such a person would be smaller than any that can be seen. The
image that a tool saw may have been larger or smaller than the photo: a file that states its size is
scaled; in one that does not, people who are mostly outside of the photo give it away.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.errors import InputError
from kinflow.evidence.keypoint_files.listing import Structure

MAX_COORDINATE = 1e6
# Larger numbers are pixels: no tool places points that far outside of an image.
_MAX_FRACTION = 2.5
_BELOW_ZERO = -0.02
# What share of the coordinates is negative, at least, where fractions run from -1 to 1: OpenPose's
# from 0 to 1 are never negative, but other tools place a point or two outside of the image.
_NEGATIVE_SHARE = {"people": 0.0, "bodies": 0.0, "landmarks": 1.0}
_USUAL_NEGATIVE_SHARE = 0.1
# How much the proportions of the file's image may differ from the photo's (logarithm): ControlNet
# rounds sides of 512 to multiples of 64.
_SAME_PROPORTIONS = 0.065
_MOSTLY = 0.4
_SURE = 0.3
# A point may be this far outside, relative to the photo, without a word.
_MARGIN = 0.05
_MIN_PERSON_PX = 2.0
# With so many of shoulders, arms and legs, the person must not be smaller than this.
_MIN_LIMBS_PX = 8.0
_MANY_LIMBS = 6
_MIN_LEVELS = 3
_IS_LIMB = np.array([not re.search("nose|eye|ear|mouth", name) for name in BLAZEPOSE33])


@dataclass(frozen=True)
class Scaling:
    """How coordinates of a file become pixels of the photo: `scale * x + shift`."""

    scale: Float[np.ndarray, " 2"]
    shift: Float[np.ndarray, " 2"]
    note: str = ""
    fractions: bool = False
    """Whether the file's coordinates are fractions of the image."""

    def points(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Points (x, y, confidence) in pixels of the photo; (0, 0) where nothing is known."""
        xy = np.where(points[:, 2:] > 0, points[:, :2] * self.scale + self.shift, 0.0)
        return np.column_stack((xy, points[:, 2]))

    def box(self, box: Float[np.ndarray, " 4"]) -> Float[np.ndarray, " 4"]:
        """A box (x0, y0, x1, y1) in pixels of the photo."""
        if self.fractions and np.abs(box).max() > _MAX_FRACTION:
            return box  # tools that write fractions may write the box in pixels all the same
        return (box.reshape(2, 2) * self.scale + self.shift).reshape(4)


def check_coordinates(points: Float[np.ndarray, "n 3"], place: str) -> None:
    """Refuse points (x, y, confidence) that cannot be in any image.

    Raises:
        InputError: a coordinate is infinite or huge.
    """
    xy = points[points[:, 2] > 0, :2]
    wrong = ~(np.abs(xy) <= MAX_COORDINATE).all(axis=1)
    if wrong.any():
        x, y = xy[wrong][0]
        raise InputError(f"{place} has a point at ({x:.4g}, {y:.4g}), which cannot be in any image")


def scaling_of(
    people: Sequence[Float[np.ndarray, "n 3"]],
    image_size: tuple[int, int],
    stated_size: tuple[float, float] | None,
    photo: str,
    structure: Structure,
) -> Scaling:
    """How the coordinates of a file become pixels of the photo.

    Args:
        people: (x, y, confidence in [0, 1]) of each person's points.
        image_size: (width, height) of the upright photo.
        stated_size: that of the image that the file is about, where it says so.
        photo: the photo's name, for sentences.
        structure: that of the file.

    Raises:
        InputError: the coordinates belong to an image of other proportions.
    """
    xy = np.concatenate([p[p[:, 2] > 0, :2] for p in people])
    size = np.array(image_size, dtype=np.float64)
    if stated_size is not None:
        _check_proportions(np.array(stated_size), size, photo)
    reach = np.abs(xy).max(axis=1)
    # MediaPipe places limbs that it does not see far outside
    if (np.median(reach) if structure == "landmarks" else reach.max()) <= _MAX_FRACTION:
        share = _NEGATIVE_SHARE.get(structure, _USUAL_NEGATIVE_SHARE)
        if (xy < _BELOW_ZERO).mean() > share:
            note = "keypoints were in -1..1 and were scaled to the image"
            return Scaling(size / 2, size / 2, note, fractions=True)
        note = "keypoints were in 0..1 and were scaled to the image"
        return Scaling(size, np.zeros(2), note, fractions=True)
    if stated_size is None or tuple(stated_size) == tuple(image_size):
        return Scaling(np.ones(2), np.zeros(2))
    note = (
        f"keypoints were those of an image of {_size(stated_size)} pixels and were scaled to "
        f"{_size(image_size)}"
    )
    return Scaling(size / np.array(stated_size), np.zeros(2), note)


def _check_proportions(
    stated: Float[np.ndarray, " 2"], size: Float[np.ndarray, " 2"], photo: str
) -> None:
    if _alike(stated, size):
        return
    what = f"it is about an image of {_size(stated)} pixels, but {photo} has {_size(size)}"
    if _alike(stated[::-1], size):
        raise InputError(
            f"{what}: its keypoints refer to the image before it was rotated upright (EXIF "
            "orientation); detect them in the upright image"
        )
    raise InputError(f"{what}; it is not the same picture, or was cropped or stretched")


def _alike(a: Float[np.ndarray, " 2"], b: Float[np.ndarray, " 2"]) -> bool:
    return bool(abs(np.log(a[0] / a[1] / (b[0] / b[1]))) < _SAME_PROPORTIONS)


def check_inside(
    people: Sequence[Float[np.ndarray, "n 3"]], image_size: tuple[int, int], photo: str
) -> str:
    """Refuse people who are mostly outside of the photo; a note where some points are.

    Args:
        people: (x, y, confidence) of each person's points in pixels of the photo.
        image_size: (width, height) of the upright photo.
        photo: the photo's name, for sentences.

    Raises:
        InputError: the keypoints must be those of another image.
    """
    size = np.array(image_size, dtype=np.float64)
    outside = 0
    for points in people:
        xy = _sure(points)
        if len(xy) == 0:
            continue
        out = ((xy < -_MARGIN * size) | (xy > (1 + _MARGIN) * size)).any(axis=1)
        outside += int(out.sum())
        if out.mean() > _MOSTLY:
            raise InputError(_elsewhere(people, size, photo))
    if not outside:
        return ""
    some = "1 keypoint lies" if outside == 1 else f"{outside} keypoints lie"
    return f"{some} outside of {photo}; check that they belong to an image of its size"


def _sure(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "m 2"]:
    """The points that a tool is sure of, as it is not of those that it extrapolates."""
    sure = points[:, 2] > min(_SURE, 0.5 * points[:, 2].max(initial=0.0))
    return points[sure, :2]


def _elsewhere(
    people: Sequence[Float[np.ndarray, "n 3"]], size: Float[np.ndarray, " 2"], photo: str
) -> str:
    xy = np.concatenate([_sure(p) for p in people])
    low, high = xy.min(axis=0), xy.max(axis=0)
    factor = float((high / size).max())
    seen = f"its keypoints reach {_size(high)}, but {photo} has {_size(size)} pixels"
    if (low < -_MARGIN * size).any():
        return (
            f"its keypoints run from ({low[0]:.0f}, {low[1]:.0f}) to ({high[0]:.0f}, {high[1]:.0f})"
            f", but {photo} has {_size(size)} pixels; they are not those of this photo"
        )
    if (high <= size[::-1] * (1 + _MARGIN)).all():
        return f"{seen}; they seem to refer to the photo before it was rotated upright"
    return (
        f"{seen}; they seem to belong to an image at least {factor:.1f} times as large: scale them "
        "or give that image"
    )


def too_small(points: Float[np.ndarray, "33 3"]) -> bool:
    """Whether a person's points (in pixels) all lie at one place, or tell no limb from another."""
    seen = points[:, 2] > 0
    limbs = seen & _IS_LIMB
    return _extent(points[seen]) < _MIN_PERSON_PX or (
        int(limbs.sum()) >= _MANY_LIMBS and _extent(points[limbs]) < _MIN_LIMBS_PX
    )


UPSIDE_DOWN = (
    "its people stand on their heads; if they do not in the photo, its y runs upwards (as that of "
    "Apple's Vision does): write 1 - y"
)


def upside_down(points: Float[np.ndarray, "33 3"]) -> bool:
    """Whether head, shoulders, hips and ankles follow each other from below to above."""
    heights = []
    for part in ("nose", "shoulder", "hip", "ankle"):
        of_part = [name.endswith(part) for name in BLAZEPOSE33]
        seen = points[np.array(of_part) & (points[:, 2] > 0), 1]
        if len(seen):
            heights.append(float(seen.mean()))
    return len(heights) >= _MIN_LEVELS and bool((np.diff(heights) < 0).all())


def _extent(points: Float[np.ndarray, "n 3"]) -> float:
    """The longer side of the box of points; infinite for a single point, which has no size."""
    return float(np.ptp(points[:, :2], axis=0).max()) if len(points) > 1 else float("inf")


def _size(size: Sequence[float | int] | Float[np.ndarray, " 2"]) -> str:
    return f"{size[0]:.0f} x {size[1]:.0f}"
