"""There is one list of keypoints, one of parts, and one module of bones: everybody else selects."""

import ast
import functools
from collections.abc import Iterator

import pytest
from parsed import trees

from kinflow.body import bones, keypoints, parts
from kinflow.body.keypoints import BLAZEPOSE33, COCO17, COCO17_ROWS, KEYPOINT_NAMES
from kinflow.body.parts import PART_NAMES
from kinflow.body.sides import other_side
from kinflow.body.skeleton import JOINT_NAMES

ONE_LIST = {
    "BlazePose's keypoints": ("body/keypoints.py", frozenset(BLAZEPOSE33)),
    "COCO's keypoints": ("body/keypoints.py", frozenset(COCO17)),
    "joints": ("body/skeleton.py", frozenset(JOINT_NAMES)),
}
ONE_HOME = {
    "body/keypoints.py": ("BLAZEPOSE33", "COCO17", "COCO17_ROWS", "KEYPOINT_NAMES"),
    "body/skeleton.py": ("JOINT_NAMES", "PARENTS"),
    "body/parts.py": ("PART_NAMES", "NUM_PARTS", "BACKGROUND", "ANY_PART", "UNKNOWN"),
    "body/bones.py": ("BONES", "STICK_FIGURE", "LIMB_CHAINS"),
    "body/shape.py": ("PHENOTYPES", "AVERAGE_ADULT"),
}


def our_name(name: str) -> str:
    """BlazePose's own name of the big toe would make a second list as well."""
    return name.replace("foot_index", "big_toe")


def listed(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """The names that each display of texts, each dict's keys and each sentence of words lists."""
    for node in ast.walk(tree):
        elements: list[ast.expr | None] = []
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            elements = [*node.elts]
        elif isinstance(node, ast.Dict):
            elements = [*node.keys]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield tuple(map(our_name, node.value.split()))
        texts = [e.value for e in elements if isinstance(e, ast.Constant)]
        yield tuple(our_name(text) for text in texts if isinstance(text, str))


@functools.cache
def rows() -> dict[str, list[tuple[str, ...]]]:
    """All that each module lists."""
    return {module: [*listed(tree)] for module, tree in trees().items()}


def assigned(tree: ast.Module) -> set[str]:
    """Names that a module gives a value to at its top level."""
    names = set()
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize("what", ONE_LIST)
def test_names_are_listed_once(what):
    home, names = ONE_LIST[what]
    found = [module for module, listed in rows().items() for row in listed if names == {*row}]
    assert found == [home]


def test_parts_are_listed_once_in_their_order():
    # other people's label maps name the same parts in other orders, and say so
    same = (PART_NAMES, PART_NAMES[1:])
    assert [m for m, found in rows().items() if any(r in same for r in found)] == ["body/parts.py"]


@pytest.mark.parametrize("home", ONE_HOME)
def test_tables_have_one_home(home):
    for name in ONE_HOME[home]:
        assert [module for module, tree in trees().items() if name in assigned(tree)] == [home]


def test_bones_of_limbs_are_named_in_one_module():
    stems = bones.BONE_OF_PART.values()
    known = {*stems, *bones.both_sides(*stems)}
    for module, found in rows().items():
        if module != "body/bones.py":
            again = [row for row in found if row in known or row[::-1] in known]
            assert not again, (module, again)


def test_rows_of_coco_name_the_same_points():
    assert tuple(BLAZEPOSE33[row] for row in COCO17_ROWS) == COCO17
    assert KEYPOINT_NAMES[: len(BLAZEPOSE33)] == BLAZEPOSE33
    assert len(set(KEYPOINT_NAMES)) == len(KEYPOINT_NAMES)


@pytest.mark.parametrize(
    ("names", "mirror"),
    [(KEYPOINT_NAMES, keypoints.MIRROR_KEYPOINTS), (PART_NAMES, parts.MIRROR_PARTS)],
)
def test_mirrors_exchange_left_and_right(names, mirror):
    assert [mirror[i] for i in mirror] == list(range(len(names)))
    for name, index in zip(names, mirror, strict=True):
        assert names[index] == other_side(name)
        sided = "left" in name or "right" in name
        assert (names[index] == name) == (not sided)


@pytest.mark.parametrize("table", ["BONES", "STICK_FIGURE", "LIMB_CHAINS"])
def test_bones_join_keypoints_and_are_the_same_on_both_sides(table):
    rows = getattr(bones, table)
    ways = {frozenset(row) for row in rows}
    assert len(ways) == len(rows)
    assert {frozenset(map(other_side, row)) for row in rows} == ways
    assert {name for row in rows for name in row} <= set(BLAZEPOSE33)


def test_every_part_of_a_limb_has_the_bone_from_its_joint():
    limbs = {name.removeprefix("left_") for name in PART_NAMES if name.startswith("left_")}
    assert limbs == set(bones.BONE_OF_PART)
    for side in ("left", "right"):
        for stem, (near, _) in bones.BONE_OF_PART.items():
            part = parts.PART_INDEX[f"{side}_{stem}"]
            assert parts.part_of_joint(f"{side}_{near}") == part
    chains = {frozenset(chain[i : i + 2]) for chain in bones.LIMB_CHAINS for i in (0, 1)}
    assert chains < {frozenset(bone) for bone in bones.BONES}
