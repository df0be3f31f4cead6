"""What people look like: which cloth, or skin, or hair, each pixel of a person shows.

Every part of the body has two fabrics, one from its near end and one beyond a border across it:
sleeves end somewhere on an arm, shirts are tucked somewhere on the trunk, socks rise up a shin.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

from kinflow.body.bones import BONE_OF_PART
from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.parts import PART_INDEX, PART_NAMES, part_indices
from kinflow.body.sides import SIDES
from kinflow.synth.faces import draw_face, face_radius_px
from kinflow.synth.silhouettes import smooth_noise
from kinflow.synth.textures import any_color, fabric, skin_color

SKIN, _SHIRT, _TROUSERS, _SHOES, HAIR, _OTHER = range(6)
"""What a pixel may show; those with a name of their own are not cloth."""
_NEVER, _ALWAYS = -9.0, 9.0
_NOSE = BLAZEPOSE33.index("nose")
_FACE_REACH = (0.6, 1.15)
"""How far from the nose skin shows, as a share of the head's half width."""


def _axes() -> tuple[np.ndarray, np.ndarray]:
    """Averaging weights (15, 33) of both ends of each part's axis."""
    ends = np.zeros((2, len(PART_NAMES), len(BLAZEPOSE33)))
    for side in SIDES:
        for stem, names in BONE_OF_PART.items():
            for end, name in zip(ends, names, strict=True):
                end[PART_INDEX[f"{side}_{stem}"], BLAZEPOSE33.index(f"{side}_{name}")] = 1
        for end, name in zip(ends, ("shoulder", "hip"), strict=True):
            end[PART_INDEX["torso"], BLAZEPOSE33.index(f"{side}_{name}")] = 0.5
    return ends[0], ends[1]


_FIRST, _LAST = _axes()


@dataclass(frozen=True)
class Outfit:
    """Fabrics of each part: `near` up to `border`, a fraction of the part's length, then `far`."""

    near: Int[np.ndarray, " 15"]
    far: Int[np.ndarray, " 15"]
    border: Float[np.ndarray, " 15"]

    @staticmethod
    def random(rng: np.random.Generator) -> Outfit:
        """Whatever people wear, both sides alike."""
        near, far = np.zeros((2, len(PART_NAMES)), np.int64)
        border = np.full(len(PART_NAMES), _ALWAYS)

        def wear(stem: str, first: int, last: int, at: float) -> None:
            rows = list(part_indices(stem))
            near[rows], far[rows], border[rows] = first, last, at

        wear("head", HAIR, SKIN, _ALWAYS)
        bare = rng.random() < 0.04
        shirt = SKIN if bare else _SHIRT
        # overalls, dresses and suits are all of one cloth
        lower = _SHIRT if rng.random() < 0.15 else _TROUSERS
        wear("torso", shirt, lower, rng.normal(0.9, 0.15))
        sleeve = rng.random()
        upper_end = _ALWAYS if sleeve < 0.5 else rng.uniform(0.1, 1.0)
        wear("upper_arm", shirt, SKIN, _NEVER if sleeve > 0.85 else upper_end)
        wear("lower_arm", shirt, SKIN, rng.uniform(0.3, 1.3) if sleeve < 0.45 else _NEVER)
        wear("hand", _OTHER if rng.random() < 0.08 else SKIN, SKIN, _ALWAYS)
        leg = rng.random()
        wear("upper_leg", lower, SKIN, _ALWAYS if leg < 0.65 else rng.uniform(0.1, 1.1))
        below = SKIN if rng.random() < 0.6 else _OTHER
        top = _ALWAYS if leg < 0.45 else rng.uniform(0.1, 1.0)
        wear("lower_leg", lower if leg < 0.6 else SKIN, below, top)
        if rng.random() < 0.15:  # boots
            wear("lower_leg", lower if leg < 0.6 else SKIN, _SHOES, rng.uniform(0.2, 0.9))
        wear("foot", _SHOES if rng.random() < 0.85 else SKIN, _SHOES, _ALWAYS)
        return Outfit(near, far, border)


def dress(
    worn: UInt8[np.ndarray, "height width"],
    keypoints_px: Float[np.ndarray, "33 2"],
    visible: Bool[np.ndarray, " 33"],
    scale: float,
    rng: np.random.Generator,
) -> tuple[Float32[np.ndarray, "height width 3"], Bool[np.ndarray, "height width"]]:
    """Colours of a person without light, and which pixels are skin.

    Args:
        worn: part of the body that each pixel belongs to, clothes included.
        keypoints_px: true positions of the keypoints on the same map.
        visible: which keypoints show.
        scale: height of the person in pixels.
        rng: source of randomness.
    """
    size = worn.shape
    outfit = Outfit.random(rng)
    along = _along(worn, keypoints_px) + 0.04 * smooth_noise(size, rng, 24)
    cloth = np.where(along < outfit.border[worn], outfit.near[worn], outfit.far[worn])
    head = worn == PART_INDEX["head"]
    if visible[_NOSE] and rng.random() < 0.95:
        y, x = np.ogrid[: size[0], : size[1]]
        away = np.hypot(x + 0.5 - keypoints_px[_NOSE, 0], y + 0.5 - keypoints_px[_NOSE, 1])
        # of the head, not of the person: a child's face is as large as a grown-up's
        cloth[head & (away < rng.uniform(*_FACE_REACH) * face_radius_px(head))] = SKIN
    if rng.random() < 0.07:  # bald, or a colour like skin
        cloth[head] = SKIN
    skin = skin_color(rng)
    image, hair = np.broadcast_to(skin, (*size, 3)).copy(), skin
    for kind in 1 + np.flatnonzero(np.bincount(cloth.ravel())[1:]):
        color = hair_color(skin, rng) if kind == HAIR else any_color(rng)
        hair = color if kind == HAIR else hair
        np.copyto(image, fabric(size, scale, color, rng), where=(cloth == kind)[..., None])
    if rng.random() < 0.25:
        _print_on(image, worn == PART_INDEX["torso"], scale, rng)
    draw_face(image, head & (cloth == SKIN), keypoints_px, visible, skin, hair)
    return image, cloth == SKIN


def _along(worn: np.ndarray, keypoints_px: np.ndarray) -> np.ndarray:
    """How far along its part each pixel lies, 0 at the near end and 1 at the far one."""
    first = (_FIRST @ keypoints_px).astype(np.float32)
    axis = (_LAST @ keypoints_px).astype(np.float32) - first
    axis /= np.maximum((axis**2).sum(1, keepdims=True), 1.0)
    y, x = np.ogrid[: worn.shape[0], : worn.shape[1]]
    # one table look-up each for the three coefficients of t = a x + b y + c
    a, b, c = axis[:, 0], axis[:, 1], -(axis * first).sum(1)
    return a[worn] * (x + np.float32(0.5)) + b[worn] * (y + np.float32(0.5)) + c[worn]


def along_parts(
    worn: UInt8[np.ndarray, " points"],
    points: Float[np.ndarray, "points dim"],
    keypoints: Float[np.ndarray, "33 dim"],
) -> Float[np.ndarray, " points"]:
    """How far along its part each point lies, 0 at the near end and 1 at the far one."""
    first = _FIRST @ keypoints
    axis = _LAST @ keypoints - first
    axis /= np.maximum((axis**2).sum(1, keepdims=True), 1e-9)
    return ((points - first[worn]) * axis[worn]).sum(1)


def hair_color(skin: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of somebody with this skin: brown mostly, grey, fair, or a hat's."""
    kind = rng.random()
    if kind < 0.1:
        return any_color(rng)  # a hat, or dyed
    if kind < 0.2:
        return np.full(3, rng.uniform(110, 230), np.float32)
    brown = rng.uniform(0.1, 1.0) * np.array((120.0, 85, 50)) + rng.normal(0, 4, 3)
    return brown.clip(3, 250).astype(np.float32) if kind < 0.85 else 0.6 * skin


def _print_on(image: np.ndarray, torso: np.ndarray, scale: float, rng: np.random.Generator) -> None:
    """A print on the front of a shirt, or a bag's strap, or a number."""
    rows, columns = np.nonzero(torso[::4, ::4])
    if not len(rows):
        return
    centre = (4 * int(columns.mean()), 4 * int(rows.mean()))
    patch = np.zeros(torso.shape, np.uint8)
    reach = (scale * rng.uniform(0.01, 0.09, 2)).astype(int).tolist()
    cv2.ellipse(patch, centre, reach, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    image[torso & (patch > 0)] = any_color(rng)
