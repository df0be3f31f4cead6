"""Label maps that others use, translated to the 14 parts.

A class of such a map becomes the set of parts that it may show: a hand is a hand, but trousers fall
to torso, upper and lower legs, and a map without sides leaves open which arm it means. Two ids are
special: 0 is the background and 255 stands for pixels of which nothing is known, unless a map says
otherwise. All of them mean the person's own left and right.

Sources: COCO-DensePose's data format (Güler et al. 2018), BodyPix (TensorFlow.js models), Look into
Person (Gong et al. 2017), CIHP (Gong et al. 2018), ATR (Liang et al. 2015), Pascal-Person-Part
(Chen et al. 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from kinflow.body.parts import PART_COLORS, PART_NAMES, UNKNOWN, UNKNOWN_COLOR, part_set
from kinflow.errors import InputError

PaletteName = Literal[
    "kinflow", "densepose", "coco-densepose", "bodypix", "lip", "cihp", "atr", "pascal-person-part"
]

UNKNOWN_ID = 255

Color = tuple[int, int, int]


def _colors(hexes: str) -> tuple[Color, ...]:
    numbers = [int(text, 16) for text in hexes.split()]
    return tuple((n >> 16, n >> 8 & 255, n & 255) for n in numbers)


# In the order of the ids: as parsers of LIP and CIHP (JPPNet, PGN, Graphonomy) draw their classes,
# and as BodyPix's `toColoredPartMask` does.
_CLOTHES_COLORS = _colors(
    "000000 800000 ff0000 005500 aa0033 ff5500 000055 0077dd 555500 005555 "
    "553300 345680 008000 0000ff 33aadd 00ffff 55ffaa aaff55 ffff00 ffaa00"
)
_BODYPIX_COLORS = _colors(
    "6e40aa 8f3db2 b23cb2 d23ea7 ee4395 ff4e7d ff5e63 ff734b ff8c38 efa72f d9c231 c2db40 "
    "aff05b 87f557 60f760 40f373 28ea8d 1cdba9 1ac7c2 21b0d5 2f96e0 417de0 5465d6 6351c3"
)


@dataclass(frozen=True)
class PartMap:
    """What the ids of a kind of label map mean."""

    name: PaletteName
    classes: tuple[str, ...]
    """Name of each class, in the order of the ids."""
    sets: tuple[int, ...]
    """Bit set of each id from 0 to 255, 0 for ids that mean nothing."""
    colors: dict[Color, int] = field(default_factory=dict)
    """Bit set of each colour (sRGB) of colour maps; empty where only ids are understood."""
    charts: int = 0
    """How many charts DensePose's IUV images have; 0 where such images are not understood."""

    def others_with(self, ids: Sequence[int]) -> tuple[str, ...]:
        """Names of other maps that have all of these ids."""
        return tuple(
            other.name
            for other in PART_MAPS.values()
            if other.name != self.name
            and all(0 <= label <= UNKNOWN_ID and other.sets[label] for label in ids)
        )


def _map(name: PaletteName, classes: dict[str, str], id_255: int = UNKNOWN) -> PartMap:
    """A map of classes, in the order of their ids, to the names of their parts."""
    sets = [part_set(*parts.split()) for parts in classes.values()]
    empty = [0] * (UNKNOWN_ID - len(sets))
    return PartMap(name, tuple(classes), (*sets, *empty, id_255))


def _kinflow() -> PartMap:
    """Our own numbering, also in colours."""
    by_id = _map("kinflow", {name: name for name in PART_NAMES})
    colors = dict(zip(PART_COLORS, by_id.sets, strict=False))
    return replace(by_id, colors={**colors, UNKNOWN_COLOR: UNKNOWN})


def _densepose() -> PartMap:
    """The 24 charts of the body's surface; limbs are split into halves, torso into back, front."""
    halves = (
        *(("right_upper_leg", "left_upper_leg") * 2),
        *(("right_lower_leg", "left_lower_leg") * 2),
        *(("left_upper_arm", "right_upper_arm") * 2),
        *(("left_lower_arm", "right_lower_arm") * 2),
    )
    whole = ("torso", "torso", "right_hand", "left_hand", "left_foot", "right_foot")
    charts = ("background", *whole, *halves, "head", "head")
    by_id = _map("densepose", {f"{i} {part}": part for i, part in enumerate(charts)})
    return replace(by_id, charts=len(charts) - 1)


def _coco_densepose() -> PartMap:
    """The 14 regions that COCO-DensePose's annotators drew (`dp_masks`)."""
    order = (
        "background torso right_hand left_hand left_foot right_foot right_upper_leg left_upper_leg "
        "right_lower_leg left_lower_leg left_upper_arm right_upper_arm left_lower_arm "
        "right_lower_arm head"
    )
    return _map("coco-densepose", {part: part for part in order.split()})


def _bodypix() -> PartMap:
    """BodyPix numbers parts from 0; its background, -1, is 255 in a file of bytes."""
    classes = {
        "left_face": "head",
        "right_face": "head",
        **_front_and_back("upper_arm"),
        **_front_and_back("lower_arm"),
        "left_hand": "left_hand",
        "right_hand": "right_hand",
        "torso_front": "torso",
        "torso_back": "torso",
        **_front_and_back("upper_leg"),
        **_front_and_back("lower_leg"),
        "left_feet": "left_foot",
        "right_feet": "right_foot",
    }
    by_id = _map("bodypix", classes, id_255=part_set("background"))
    colors = dict(zip(_BODYPIX_COLORS, by_id.sets, strict=False))
    return replace(by_id, colors={**colors, (255, 255, 255): part_set("background")})


def _front_and_back(limb: str) -> dict[str, str]:
    return {
        f"{side}_{limb}_{face}": f"{side}_{limb}"
        for side in ("left", "right")
        for face in ("front", "back")
    }


def _clothes(name: PaletteName, class_10: str, parts_10: str) -> PartMap:
    """The 20 classes of LIP and CIHP, which differ in number 10."""
    classes = {
        "background": "background",
        "hat": "head",
        "hair": "head torso",
        "glove": "lower_arm hand",
        "sunglasses": "head",
        "upper-clothes": "torso upper_arm lower_arm upper_leg",
        "dress": "torso upper_arm lower_arm upper_leg lower_leg",
        "coat": "torso upper_arm lower_arm upper_leg lower_leg",
        "socks": "lower_leg foot",
        "pants": "torso upper_leg lower_leg",
        class_10: parts_10,
        "scarf": "head torso",
        "skirt": "torso upper_leg lower_leg",
        "face": "head",
    }
    by_id = _map(name, classes | _sided("arm") | _sided("leg") | _sided("shoe"))
    return replace(by_id, colors=dict(zip(_CLOTHES_COLORS, by_id.sets, strict=False)))


def _sided(limb: str) -> dict[str, str]:
    """The left and the right of bare arms, bare legs or shoes."""
    parts = {
        "arm": "upper_arm lower_arm hand",
        "leg": "upper_leg lower_leg foot",
        "shoe": "lower_leg foot",
    }[limb]
    return {
        f"{side}-{limb}": " ".join(f"{side}_{part}" for part in parts.split())
        for side in ("left", "right")
    }


def _atr() -> PartMap:
    """The 18 classes of ATR, of which a bag may hide anything or hang beside the person."""
    head = {"background": "background", "hat": "head", "hair": "head torso", "sunglasses": "head"}
    clothes = {
        "upper-clothes": "torso upper_arm lower_arm upper_leg",
        "skirt": "torso upper_leg lower_leg",
        "pants": "torso upper_leg lower_leg",
        "dress": "torso upper_arm lower_arm upper_leg lower_leg",
        "belt": "torso upper_leg",
    }
    skin = {"face": "head"} | _sided("leg") | _sided("arm")
    carried = {"bag": " ".join(PART_NAMES), "scarf": "head torso"}
    return _map("atr", head | clothes | _sided("shoe") | skin | carried)


def _pascal_person_part() -> PartMap:
    """Six parts without sides; hands belong to the lower arms, feet to the lower legs."""
    classes = {
        "background": "background",
        "head": "head",
        "torso": "torso",
        "upper arms": "upper_arm",
        "lower arms": "lower_arm hand",
        "upper legs": "upper_leg",
        "lower legs": "lower_leg foot",
    }
    return _map("pascal-person-part", classes)


PART_MAPS: dict[str, PartMap] = {
    palette.name: palette
    for palette in (
        _kinflow(),
        _densepose(),
        _coco_densepose(),
        _bodypix(),
        _clothes("lip", "jumpsuits", "torso upper_arm lower_arm upper_leg lower_leg"),
        _clothes("cihp", "torso-skin", "head torso"),
        _atr(),
        _pascal_person_part(),
    )
}
"""All part maps by name."""


def part_map(name: str) -> PartMap:
    """The part map of this name.

    Raises:
        InputError: there is no such map.
    """
    if name not in PART_MAPS:
        raise InputError(
            f"There is no part palette '{name}'; choose one of {', '.join(PART_MAPS)}."
        )
    return PART_MAPS[name]
