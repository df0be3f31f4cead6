"""Acclaim's skeleton and motion files (ASF, AMC), the format in which CMU's mocap was recorded.

A skeleton is a tree of bones. Each has a direction and a length in the world's axes at rest, axes C
of its own, and a few degrees of freedom, which turn it about these axes:

    G_bone = G_parent · C · M · Cᵀ,      end_bone = end_parent + length · G_bone direction

A motion names, frame after frame, each bone and its angles. `as_bvh` turns both into a `BvhClip`,
whose joint at the start of a bone turns as the bone does, with the names of the BVH conversion of
CMU's database, so that everything that reads those reads these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from kinflow.datasets.bvh import BvhClip, axis_rotation
from kinflow.datasets.bvh_tree import MAX_VALUE
from kinflow.datasets.retarget import METRES_PER_CMU_UNIT
from kinflow.errors import InputError
from kinflow.files.reading import read_text

AMC_RATE_HZ = 120.0
"""Of most of CMU's database."""
MAX_ASF_BYTES, MAX_AMC_BYTES = 1 << 20, 256 << 20
_MAX_BONES = 500
_Parsed = TypeVar("_Parsed")
_INCH_M = 0.0254
_ROOT = "root"
_SIDES = (("l", "Left"), ("r", "Right"))

BVH_NAMES: dict[str, str] = {
    "root": "Hips",
    "lowerback": "LowerBack",
    "upperback": "Spine",
    "thorax": "Spine1",
    "lowerneck": "Neck",
    "upperneck": "Neck1",
    "head": "Head",
    "lhipjoint": "LHipJoint",
    "rhipjoint": "RHipJoint",
    "lthumb": "LThumb",
    "rthumb": "RThumb",
} | {
    f"{short}{bone}": f"{side}{joint}"
    for short, side in _SIDES
    for bone, joint in (
        ("femur", "UpLeg"),
        ("tibia", "Leg"),
        ("foot", "Foot"),
        ("toes", "ToeBase"),
        ("clavicle", "Shoulder"),
        ("humerus", "Arm"),
        ("radius", "ForeArm"),
        ("wrist", "Hand"),
        ("hand", "FingerBase"),
        ("fingers", "HandIndex1"),
    )
}
"""Names of the joints that bones begin with in the BVH conversion of CMU's database."""


@dataclass(frozen=True)
class Bone:
    """One bone; the root has no length.

    Attributes:
        name: in the file.
        direction: unit vector at rest.
        length: units of the file.
        C: the bone's own axes.
        dofs: what its numbers in a motion are, in this order, such as `rx`; of the root also `tx`.
    """

    name: str
    direction: Float[np.ndarray, "3"] = field(default_factory=lambda: np.zeros(3))
    length: float = 0.0
    C: Float[np.ndarray, "3 3"] = field(default_factory=lambda: np.eye(3))
    dofs: tuple[str, ...] = ()


@dataclass(frozen=True)
class AcclaimSkeleton:
    """A tree of bones, parents before their children.

    Attributes:
        bones: the root first.
        parents: index of each bone's parent, -1 for the root.
        place: of the root at rest, units of the file.
        unit_m: metres of a unit.
        degrees: whether angles are degrees, else radians.
    """

    bones: tuple[Bone, ...]
    parents: tuple[int, ...]
    place: Float[np.ndarray, "3"]
    unit_m: float
    degrees: bool


def read_asf(path: Path | str) -> AcclaimSkeleton:
    """Read a skeleton.

    Raises:
        InputError: the file is missing or no complete ASF file; the sentence names the line.
    """
    return _explained(path, "ASF", _skeleton, MAX_ASF_BYTES)


def read_amc(path: Path | str, skeleton: AcclaimSkeleton) -> Float[np.ndarray, "frames numbers"]:
    """Read a motion: the numbers of all degrees of freedom, bone by bone, angles in degrees.

    Raises:
        InputError: the file is missing, no complete AMC file, or of another skeleton.
    """
    return _explained(path, "AMC", lambda lines: _motion(lines, skeleton), MAX_AMC_BYTES)


def read_acclaim(path: Path | str, rate_hz: float = AMC_RATE_HZ) -> BvhClip:
    """Read a motion and the skeleton beside it, as a BVH clip.

    Args:
        path: the `.amc` file; the skeleton is called as it is without its number (`01.asf` of
            `01_07.amc`), or the only one of its folder.
        rate_hz: frames a second, which the format does not say.

    Raises:
        InputError: one of the files is missing or cannot be read.
    """
    skeleton = read_asf(skeleton_path(Path(path)))
    return as_bvh(skeleton, read_amc(path, skeleton), 1 / rate_hz)


def skeleton_path(path: Path) -> Path:
    """Where the skeleton of a motion has to be."""
    named = path.with_name(f"{path.stem.rsplit('_', 1)[0]}.asf")
    others = sorted(path.parent.glob("*.asf"))
    return others[0] if not named.is_file() and len(others) == 1 else named


def as_bvh(
    skeleton: AcclaimSkeleton, motion: Float[np.ndarray, "frames numbers"], frame_time_s: float
) -> BvhClip:
    """The same motion as a BVH clip, in CMU's unit."""
    scale = skeleton.unit_m / METRES_PER_CMU_UNIT
    names, offsets, ends, channels, columns = [], [], [], [], []
    column = 0
    for row, (bone, parent) in enumerate(zip(skeleton.bones, skeleton.parents, strict=True)):
        values = motion[:, column : column + len(bone.dofs)]
        column += len(bone.dofs)
        above = skeleton.bones[max(parent, 0)]
        offsets.append(above.direction * above.length * scale if parent >= 0 else np.zeros(3))
        is_leaf = row not in skeleton.parents
        ends.append(bone.direction * bone.length * scale if is_leaf else np.zeros(3))
        names.append(BVH_NAMES.get(bone.name, bone.name))
        position = ("Xposition", "Yposition", "Zposition") if parent < 0 else ()
        if parent < 0:
            moved = [_of(bone, values, f"t{axis}") for axis in "xyz"]
            columns.append((np.stack(moved, 1) + skeleton.place) * scale)
        channels.append((*position, "Zrotation", "Yrotation", "Xrotation"))
        columns.append(_zyx_deg(bone.C @ _turn(bone, values) @ bone.C.T))
    return BvhClip(
        joint_names=tuple(names),
        parents=skeleton.parents,
        offsets=np.array(offsets),
        end_offsets=np.array(ends),
        channels=tuple(channels),
        motion=np.concatenate(columns, 1),
        frame_time_s=frame_time_s,
    )


def _of(bone: Bone, values: np.ndarray, dof: str) -> np.ndarray:
    return values[:, bone.dofs.index(dof)] if dof in bone.dofs else np.zeros(len(values))


def _turn(bone: Bone, values: np.ndarray) -> np.ndarray:
    """M: the first degree of freedom turns first."""
    M = np.tile(np.eye(3), (len(values), 1, 1))
    for column, dof in enumerate(bone.dofs):
        if dof[0] == "r":
            M = axis_rotation(dof[1].upper(), values[:, column]) @ M
    return M


def _zyx_deg(R: np.ndarray) -> np.ndarray:
    """Angles (frames, 3) of Rz Ry Rx."""
    y = np.arcsin(np.clip(-R[:, 2, 0], -1, 1))
    locked = np.abs(R[:, 2, 0]) > 1 - 1e-12
    z = np.where(locked, 0.0, np.arctan2(R[:, 1, 0], R[:, 0, 0]))
    x = np.where(locked, np.arctan2(-R[:, 1, 2], R[:, 1, 1]), np.arctan2(R[:, 2, 1], R[:, 2, 2]))
    return np.degrees(np.stack([z, y, x], 1))


class _Lines:
    """Lines with words in them, comments left out, and the number of the last one."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self.number = 0

    def __iter__(self) -> Iterator[list[str]]:
        while self.number < len(self._lines):
            line = self._lines[self.number].strip().rstrip("\x1a\x00")
            self.number += 1
            if line and not line.startswith("#"):
                yield line.split()


def _explained(
    path: Path | str, kind: str, parse: Callable[[_Lines], _Parsed], at_most: int
) -> _Parsed:
    lines = _Lines(read_text(path, at_most))
    try:
        return parse(lines)
    except (ValueError, IndexError) as error:
        why = str(error) if isinstance(error, ValueError) else "a line ends too early"
        raise InputError(
            f"'{path}' is not a readable {kind} file: {why} (line {lines.number})."
        ) from error


def _skeleton(lines: _Lines) -> AcclaimSkeleton:
    """Section by section; each begins with a colon."""
    units: dict[str, Any] = {"length": 1.0, "angle": "deg"}
    bones: dict[str, Bone] = {}
    children: dict[str, list[str]] = {}
    root: dict[str, list[str]] = {}
    section = ""
    open_bone: dict[str, list[str]] | None = None
    for words in lines:
        key = words[0].lower()
        if key.startswith(":"):
            section = key
        elif section == ":units" and key in units:
            units[key] = words[1].lower() if key == "angle" else _numbers(words[1:2], 1)[0]
        elif section == ":root":
            root[key] = words[1:]
        elif section == ":bonedata":
            if key == "begin":
                open_bone = {}
            elif key == "end" and open_bone is not None:
                bone = _bone(open_bone, units["angle"] == "deg")
                if bone.name in bones or len(bones) >= _MAX_BONES:
                    raise ValueError(f"there is a bone {bone.name[:20]!r} too many")
                bones[bone.name] = bone
                open_bone = None
            elif open_bone is not None:
                open_bone[key] = words[1:]
        elif section == ":hierarchy" and key not in ("begin", "end"):
            children.setdefault(words[0], []).extend(words[1:])
    if not bones or not children or not root:
        raise ValueError("it has no root, no bones or no hierarchy")
    bones[_ROOT] = _root_bone(root)
    return _tree(bones, children, root, units)


def _bone(given: dict[str, list[str]], degrees: bool) -> Bone:
    missing = [name for name in ("name", "direction", "length", "axis") if name not in given]
    if missing:
        raise ValueError(f"a bone has no {missing[0]}")
    name = given["name"][0]
    dofs = tuple(dof.lower() for dof in given.get("dof", ()))
    if not set(dofs) <= {"rx", "ry", "rz"}:
        raise ValueError(f"bone {name[:20]!r} moves along itself ({' '.join(dofs)[:40]})")
    direction = _numbers(given["direction"], 3)
    norm = float(np.linalg.norm(direction))
    length = float(_numbers(given["length"][:1], 1)[0])
    if length < 0 or (length > 0 and norm < 1e-6):
        raise ValueError(f"bone {name[:20]!r} has no direction or a length below 0")
    return Bone(
        name,
        direction / max(norm, 1e-6),
        length,
        _axes(_numbers(given["axis"][:3], 3), given["axis"][3:], degrees),
        dofs,
    )


def _root_bone(given: dict[str, list[str]]) -> Bone:
    dofs = tuple(word.lower() for word in given.get("order", ()))
    if not set(dofs) <= {"tx", "ty", "tz", "rx", "ry", "rz"}:
        raise ValueError(f"the root's order is {' '.join(dofs)[:40]!r}")
    turned = _numbers(given.get("orientation", ["0", "0", "0"]), 3)
    if turned.any():
        raise ValueError("its root is turned at rest, as no skeleton of CMU's is")
    return Bone(_ROOT, dofs=dofs)


def _axes(angles: np.ndarray, order: list[str], degrees: bool) -> np.ndarray:
    """C: the first letter of the order turns first."""
    letters = order[0].upper() if order else "XYZ"
    if sorted(letters) != ["X", "Y", "Z"]:
        raise ValueError(f"the order of axes is {letters[:10]!r}")
    C = np.eye(3)
    for axis in letters:
        angle = angles["XYZ".index(axis)]
        C = axis_rotation(axis, np.asarray(angle if degrees else np.degrees(angle))) @ C
    return C


def _tree(
    bones: dict[str, Bone],
    children: dict[str, list[str]],
    root: dict[str, list[str]],
    units: dict[str, Any],
) -> AcclaimSkeleton:
    order: list[str] = []
    parents: list[int] = []
    todo = [(_ROOT, -1)]
    while todo:
        name, parent = todo.pop()
        if name not in bones or name in order:
            raise ValueError(f"the hierarchy has {name[:20]!r} twice or nowhere")
        order.append(name)
        parents.append(parent)
        todo += [(child, len(order) - 1) for child in reversed(children.get(name, []))]
    if apart := set(bones) - set(order):
        raise ValueError(f"bone {sorted(apart)[0][:20]!r} is not in the hierarchy")
    if not units["length"] > 0 or units["angle"] not in ("deg", "rad"):
        raise ValueError("its units are none")
    return AcclaimSkeleton(
        bones=tuple(bones[name] for name in order),
        parents=tuple(parents),
        place=_numbers(root.get("position", ["0", "0", "0"]), 3),
        unit_m=_INCH_M / units["length"],
        degrees=units["angle"] == "deg",
    )


def _motion(lines: _Lines, skeleton: AcclaimSkeleton) -> np.ndarray:
    moving = [bone for bone in skeleton.bones if bone.dofs]
    count = {bone.name: len(bone.dofs) for bone in moving}
    width = sum(count.values())
    ends = np.cumsum(list(count.values()))
    first = {name: int(end) - count[name] for name, end in zip(count, ends, strict=True)}
    degrees = skeleton.degrees
    frames: list[np.ndarray] = []
    waiting: set[str] = set()
    for words in lines:
        name = words[0]
        if name.startswith(":"):
            degrees = {":DEGREES": True, ":RADIANS": False}.get(name.upper(), degrees)
        elif len(words) == 1 and name.isdecimal():
            if waiting:
                raise ValueError(f"frame {len(frames)} has no {sorted(waiting)[0]!r}")
            frames.append(np.zeros(width))
            waiting = set(count)
        elif name not in waiting:
            raise ValueError(f"{name[:20]!r} is no bone that moves, or is there twice")
        else:
            waiting.remove(name)
            start = first[name]
            frames[-1][start : start + count[name]] = _numbers(words[1:], count[name])
    if not frames:
        raise ValueError("it holds no frames")
    if waiting:
        raise ValueError(f"the last frame has no {sorted(waiting)[0]!r}; it may be cut off")
    motion = np.stack(frames)
    if not degrees:
        turns = np.array([dof[0] == "r" for bone in moving for dof in bone.dofs])
        motion[:, turns] = np.degrees(motion[:, turns])
    return motion


def _numbers(words: list[str], count: int) -> np.ndarray:
    if len(words) != count:
        raise ValueError(f"there are {len(words)} numbers, not {count}")
    values = np.array([float(word) for word in words])
    if not np.abs(values).max(initial=0) <= MAX_VALUE:  # NaN is not
        raise ValueError("a number is none, or too large to be meant")
    return values
