"""The 14 parts, their colours, and the translation of other people's label maps."""

import colorsys
import re
from itertools import combinations
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from kinflow.body.part_maps import PART_MAPS, PaletteName, part_map
from kinflow.body.parts import (
    ANY_PART,
    BACKGROUND,
    NUM_PARTS,
    PART_COLORS,
    PART_INDEX,
    PART_NAMES,
    UNKNOWN,
    UNKNOWN_COLOR,
    part_of_joint,
    part_set,
)
from kinflow.body.skeleton import JOINT_NAMES
from kinflow.errors import InputError

PAGE = Path(__file__).parents[2] / "docs" / "parts.md"


def mirrored(bits: int) -> int:
    """The set with left and right exchanged."""
    names = [name for i, name in enumerate(PART_NAMES) if bits >> i & 1]
    swap = {"left": "right", "right": "left"}
    return part_set(*(re.sub("left|right", lambda side: swap[side[0]], name) for name in names))


def test_bits_are_those_of_the_evidence():
    assert len(PART_NAMES) == NUM_PARTS + 1
    assert part_set("background") == BACKGROUND
    assert part_set(*PART_NAMES[1:]) == ANY_PART
    assert part_set(*PART_NAMES) == UNKNOWN


def test_every_joint_moves_a_part_and_every_part_has_a_joint():
    assert {part_of_joint(name) for name in JOINT_NAMES} == set(range(1, NUM_PARTS + 1))


def test_vertices_of_each_side_are_on_that_side(body):
    """In the T-pose +x is the person's left."""
    shaped = body.with_shape(torch.tensor([0.5, 0.7, 0.5, 0.5, 0.5, 0.5]))
    x = shaped.with_pose(torch.eye(3).expand(22, 3, 3), torch.zeros(3)).vertices_m()[:, 0]
    for i, name in enumerate(PART_NAMES[1:], 1):
        middle = float(x[body.vertex_parts == i].mean())
        side = name.partition("_")[0]
        assert {"left": middle > 0.03, "right": middle < -0.03}.get(side, abs(middle) < 0.01), name


def test_colors_can_be_told_apart():
    colors = [np.array(c) for c in (*PART_COLORS, UNKNOWN_COLOR)]
    assert len(colors) == len(PART_NAMES) + 1
    assert min(np.abs(a - b).sum() for a, b in combinations(colors, 2)) > 75


def test_left_is_the_lighter_of_a_pair_of_one_hue():
    for name in PART_NAMES:
        if name.startswith("left_"):
            left, right = (
                colorsys.rgb_to_hls(*(v / 255 for v in PART_COLORS[PART_INDEX[n]]))
                for n in (name, name.replace("left", "right"))
            )
            assert left[1] > right[1] + 0.1
            assert min(abs(left[0] - right[0]), 1 - abs(left[0] - right[0])) < 0.06, name


@pytest.mark.parametrize("name", PART_MAPS)
def test_maps_are_complete_and_symmetric(name):
    palette = part_map(name)
    used = palette.sets[: len(palette.classes)]
    assert len(palette.sets) == 256
    assert all(used) and not any(palette.sets[len(used) : 255])
    # every part is somebody's, and nobody's left lacks a right
    assert np.bitwise_or.reduce(used) == UNKNOWN - (name == "bodypix")
    assert {mirrored(bits) for bits in used} == set(used)
    assert palette.sets[255] == (BACKGROUND if name == "bodypix" else UNKNOWN)
    # a bag may be anywhere, so it says nothing
    assert all(not bits & BACKGROUND or bits == UNKNOWN for bits in used[1:])


def test_palette_names_are_those_of_the_maps():
    assert tuple(PART_MAPS) == get_args(PaletteName)


def test_known_ids():
    def parts(palette: str, index: int) -> set[str]:
        bits = part_map(palette).sets[index]
        return {name for i, name in enumerate(PART_NAMES) if bits >> i & 1}

    assert parts("densepose", 3) == {"right_hand"}
    assert parts("densepose", 5) == {"left_foot"}
    assert parts("densepose", 22) == {"right_lower_arm"}
    assert parts("coco-densepose", 4) == {"left_foot"}
    assert parts("coco-densepose", 13) == {"right_lower_arm"}
    assert parts("bodypix", 8) == {"right_lower_arm"}
    assert parts("bodypix", 21) == {"right_lower_leg"}
    assert parts("lip", 9) == {
        "torso",
        *("left_upper_leg", "right_upper_leg", "left_lower_leg", "right_lower_leg"),
    }
    assert parts("cihp", 14) == {"left_upper_arm", "left_lower_arm", "left_hand"}
    assert parts("pascal-person-part", 4) == {
        *("left_lower_arm", "right_lower_arm", "left_hand", "right_hand")
    }


def test_the_14_regions_are_the_24_charts_merged():
    charts, regions = part_map("densepose").sets[1:25], part_map("coco-densepose").sets[1:15]
    assert tuple(dict.fromkeys(charts)) == regions


def test_an_unknown_palette():
    with pytest.raises(InputError, match="no part palette 'lipp'; choose one of kinflow, dens"):
        part_map("lipp")


def documented(palette: str) -> dict[int, int]:
    """The map as the tables of the page have it: cells of ids, each with the parts in the last cell
    or the next one."""
    text = PAGE.read_text(encoding="utf8")
    heading = next(h for h in re.findall(r"^\*\*`.*$", text, re.M) if f"**`{palette}`**" in h)
    table = text.split(heading)[1].split("\n**`")[0].split("\n## ")[0]
    found = {}
    for line in re.findall(r"^\| *\d.*\|$", table, re.M):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        classes = len(cells) == 3
        for ids, parts in [(cells[0], cells[2])] if classes else [cells[:2], cells[2:]]:
            only = re.search(r"\((lip|cihp)\)", ids)
            if only is None or only[1] == palette:
                names = re.sub(r"\(.*?\)", "", parts).split(",")
                bits = part_set(*(name.strip() for name in names))
                found |= {int(i): bits for i in re.findall(r"\d+", ids)}
    return found


@pytest.mark.parametrize("name", [n for n in PART_MAPS if n != "kinflow"])
def test_the_page_has_the_same_tables(name):
    palette = part_map(name)
    expected = {
        i: palette.sets[i]
        for i, label in enumerate(palette.classes)
        if palette.sets[i] != BACKGROUND and label
    }
    assert documented(name) == expected


def test_the_page_has_the_same_colors():
    text = PAGE.read_text(encoding="utf8").split("### ")[0]
    for i, (name, color) in enumerate(zip(PART_NAMES, PART_COLORS, strict=True)):
        assert f"| {i} | {name} | {', '.join(map(str, color))} |" in text
    assert str(UNKNOWN_COLOR) in text
