"""Motion of our 22 joints, written as BVH files of the skeletons of other tools.

The inverse of what a retarget has to find out: joint j of the file turns as

    G[j](t) = Wᵀ · R_global[j](t) · C_jᵀ

with any constant `C_j` (the T-pose's axes in the joint's own frame) and world `W`, and the offset
of a child is the T-pose's, seen through its parent's `C`. With `C_j` that turn the T-pose's bones
the zero pose is another rest pose; with `C_j` that put every bone on one axis it is no pose at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from kinflow.body.skeleton import JOINT_INDEX, JOINT_NAMES, PARENTS

Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Turns y up into z up."""

_T_POSE_M = {
    "pelvis": (0.0, 0.0, 0.0),
    "spine1": (0.0, 0.11, -0.02),
    "spine2": (0.0, 0.13, 0.0),
    "spine3": (0.0, 0.06, 0.01),
    "neck": (0.0, 0.21, -0.03),
    "head": (0.0, 0.09, 0.04),
    "hip": (0.07, -0.09, -0.01),
    "knee": (0.0, -0.38, 0.0),
    "ankle": (0.0, -0.42, 0.0),
    "foot": (0.02, -0.06, 0.12),
    "collar": (0.08, 0.12, -0.02),
    "shoulder": (0.1, 0.04, -0.01),
    "elbow": (0.26, 0.0, 0.0),
    "wrist": (0.25, 0.0, 0.0),
}
_HAND_M = np.array([0.1, 0.0, 0.0])


def t_pose_offset_m(name: str) -> np.ndarray:
    """Offset of a joint from its parent in the T-pose, metres."""
    side, _, part = name.partition("_")
    x = -1.0 if side == "right" else 1.0
    return np.array(_T_POSE_M[part or name]) * [x, 1.0, 1.0]


@dataclass(frozen=True)
class Skeleton:
    """A skeleton of another tool.

    Attributes:
        names: its name of each of our joints; what is missing it does not have.
        C: axes of our joints in its joints' frames at rest, the identity where missing.
        W: from its world to ours.
        units_per_metre: lengths are written in this unit.
        channels: order of its rotation channels.
        positions_everywhere: whether every joint has position channels that repeat its offset.
        above: names of joints that the pelvis hangs from.
    """

    names: Mapping[str, str]
    C: Mapping[str, np.ndarray] = field(default_factory=dict)
    W: np.ndarray = field(default_factory=lambda: np.eye(3))
    units_per_metre: float = 100.0
    channels: str = "ZXY"
    positions_everywhere: bool = False
    above: tuple[str, ...] = ()


def _unity_name(name: str) -> str:
    side, _, part = name.partition("_")
    words = {
        "pelvis": "Hips",
        "spine1": "Spine",
        "spine2": "Chest",
        "spine3": "UpperChest",
        "hip": "UpperLeg",
        "knee": "LowerLeg",
        "ankle": "Foot",
        "foot": "Toes",
        "collar": "Shoulder",
        "shoulder": "UpperArm",
        "elbow": "LowerArm",
        "wrist": "Hand",
    }
    return f"{side.title() if part else ''}{words.get(part or name, (part or name).title())}"


UNITY = {name: _unity_name(name) for name in JOINT_NAMES}
"""The names that Unity and VRM use."""


def global_rotations(local: np.ndarray) -> np.ndarray:
    """Global rotations (F, 22, 3, 3) from local ones."""
    R = local.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            R[:, joint] = R[:, parent] @ local[:, joint]
    return R


def other_bvh(
    skeleton: Skeleton,
    R_local: np.ndarray,
    root_positions_m: np.ndarray,
    frame_time_s: float = 1 / 30,
) -> str:
    """The text of a BVH file.

    Args:
        skeleton: whose file it is.
        R_local: (F, 22, 3, 3) local rotations of our joints.
        root_positions_m: (F, 3) positions of the pelvis.
        frame_time_s: seconds between frames.
    """
    R_global = global_rotations(R_local)
    has = [name for name in JOINT_NAMES if name in skeleton.names]
    parent = {name: _nearest(name, has) for name in has}
    C = {name: skeleton.C.get(name, np.eye(3)) for name in JOINT_NAMES}
    G = {name: skeleton.W.T @ R_global[:, JOINT_INDEX[name]] @ C[name].T for name in has}
    lines, columns = ["HIERARCHY"], []
    depth = 0
    for name in skeleton.above:
        lines += [f"{'JOINT' if depth else 'ROOT'} {name}", "{", "OFFSET 0 0 0"]
        lines += [f"CHANNELS 3 {_channel_names(skeleton)}"]
        columns.append(np.zeros((len(R_local), 3)))
        depth += 1

    def write(name: str) -> None:
        above = parent[name]
        offset = np.zeros(3)
        if above is not None:
            offset = C[above] @ _offset_m(name, above) * skeleton.units_per_metre
        lines.append(f"{'JOINT' if above or skeleton.above else 'ROOT'} {skeleton.names[name]}")
        lines.extend(["{", f"OFFSET {_numbers(offset)}"])
        local = G[name] if above is None else np.swapaxes(G[above], -1, -2) @ G[name]
        if above is None or skeleton.positions_everywhere:
            position = np.tile(offset, (len(local), 1))
            if above is None:
                position = root_positions_m @ skeleton.W * skeleton.units_per_metre
            columns.append(position)
            lines.append(f"CHANNELS 6 Xposition Yposition Zposition {_channel_names(skeleton)}")
        else:
            lines.append(f"CHANNELS 3 {_channel_names(skeleton)}")
        columns.append(euler_deg(local, skeleton.channels))
        children = [child for child in has if parent[child] == name]
        for child in children:
            write(child)
        if not children:
            end = _end_m(name)
            end = C[name] @ end * skeleton.units_per_metre
            lines.extend(["End Site", "{", f"OFFSET {_numbers(end)}", "}"])
        lines.append("}")

    write("pelvis")
    lines += ["}"] * depth
    motion = np.concatenate(columns, axis=1)
    lines += ["MOTION", f"Frames: {len(motion)}", f"Frame Time: {frame_time_s:.7f}"]
    lines += [_numbers(row) for row in motion]
    return "\n".join(lines) + "\n"


def _nearest(name: str, has: list[str]) -> str | None:
    joint = PARENTS[JOINT_INDEX[name]]
    while joint >= 0 and JOINT_NAMES[joint] not in has:
        joint = PARENTS[joint]
    return JOINT_NAMES[joint] if joint >= 0 else None


def _offset_m(name: str, above: str) -> np.ndarray:
    offset = t_pose_offset_m(name)
    while JOINT_NAMES[PARENTS[JOINT_INDEX[name]]] != above:
        name = JOINT_NAMES[PARENTS[JOINT_INDEX[name]]]
        offset = offset + t_pose_offset_m(name)
    return offset


def _end_m(name: str) -> np.ndarray:
    """Where the End Site below a joint without children is: at the joint that is missing there."""
    side, _, part = name.partition("_")
    if part == "wrist":
        return _HAND_M * (-1.0 if side == "right" else 1.0)
    below = [child for child in JOINT_NAMES if PARENTS[JOINT_INDEX[child]] == JOINT_INDEX[name]]
    return t_pose_offset_m(below[0]) if below else np.zeros(3)


def _channel_names(skeleton: Skeleton) -> str:
    return " ".join(f"{axis}rotation" for axis in skeleton.channels)


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in values)


def euler_deg(R: np.ndarray, order: str) -> np.ndarray:
    """Angles (F, 3) in degrees with R = R_order[0] R_order[1] R_order[2]."""
    i, j, k = ("XYZ".index(axis) for axis in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    second = np.arcsin(np.clip(sign * R[:, i, k], -1.0, 1.0))
    first = np.arctan2(-sign * R[:, j, k], R[:, k, k])
    third = np.arctan2(-sign * R[:, i, j], R[:, i, i])
    return np.degrees(np.stack([first, second, third], axis=1))


def about(axis: str, angle_deg: float | np.ndarray) -> np.ndarray:
    """Rotations (*, 3, 3) about a coordinate axis."""
    angle = np.radians(angle_deg)
    i = "XYZ".index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    R = np.zeros((*np.shape(angle), 3, 3))
    R[..., i, i] = 1.0
    R[..., j, j] = R[..., k, k] = np.cos(angle)
    R[..., k, j], R[..., j, k] = np.sin(angle), -np.sin(angle)
    return R


def turned_limbs(arms_deg: float, legs_deg: float, axis: str = "Z") -> dict[str, np.ndarray]:
    """`C` of a rest pose whose arms hang by an angle below the T-pose's and whose legs spread.

    With `axis="Y"` the arms are turned forwards instead.
    """
    C = {}
    for side, x in (("left", 1.0), ("right", -1.0)):
        for part in ("shoulder", "elbow", "wrist"):
            C[f"{side}_{part}"] = about(axis, -x * arms_deg)
        for part in ("hip", "knee", "ankle", "foot"):
            C[f"{side}_{part}"] = about("Z", x * legs_deg)
    return C


def along_bones() -> dict[str, np.ndarray]:
    """`C` of a skeleton whose joints have x along the bone, minus x on the right side."""
    C = {name: about("Z", -90.0) for name in ("pelvis", "spine1", "spine2", "spine3")}
    C |= {name: about("Z", -90.0) for name in ("neck", "head")}
    for side, x in (("left", 1.0), ("right", -1.0)):
        for part in ("collar", "shoulder", "elbow", "wrist"):
            C[f"{side}_{part}"] = about("X", 40.0)
        for part in ("hip", "knee"):
            C[f"{side}_{part}"] = about("X", 90.0) @ about("Z", 90.0 * x)
        for part in ("ankle", "foot"):
            C[f"{side}_{part}"] = about("X", 90.0) @ about("Z", 90.0 * x) @ about("X", 63.0)
    return C
