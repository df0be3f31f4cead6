"""Reader for Biovision Hierarchy (BVH) motion files, and their forward kinematics.

A BVH file is a tree of joints, each with a constant offset from its parent and a list of channels,
followed by one line of channel values per frame. Rotation channels are Euler angles in degrees that
multiply in the order in which they are listed: channels `Zrotation Yrotation Xrotation` mean
R = Rz Ry Rx. Global rotations compose as G_child = G_parent R_child. Lengths stay in file units.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from kinflow.errors import InputError

_CHANNELS = frozenset(f"{axis}{kind}" for axis in "XYZ" for kind in ("position", "rotation"))


@dataclass(frozen=True)
class BvhClip:
    """One motion clip: a skeleton and its channel values per frame.

    Attributes:
        joint_names: J names in file order; parents come before their children.
        parents: index of each joint's parent, -1 for the root.
        offsets: (J, 3) offset of each joint from its parent, file units.
        channels: channel names of each joint, in file order.
        motion: (F, C) channel values, degrees and file units.
        frame_time_s: seconds between frames.
    """

    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Float[np.ndarray, "joints 3"]
    channels: tuple[tuple[str, ...], ...]
    motion: Float[np.ndarray, "frames channels"]
    frame_time_s: float

    def joint(self, name: str) -> int:
        """Index of the joint called `name`; InputError if there is none."""
        try:
            return self.joint_names.index(name)
        except ValueError:
            raise InputError(f"the BVH skeleton has no joint called {name!r}") from None

    def channel(self, joint_name: str, channel_name: str) -> int:
        """Column of `motion` that holds one channel of one joint."""
        joint = self.joint(joint_name)
        if channel_name not in self.channels[joint]:
            raise InputError(f"the BVH joint {joint_name!r} has no channel {channel_name!r}")
        return sum(map(len, self.channels[:joint])) + self.channels[joint].index(channel_name)


@dataclass
class _Hierarchy:
    """Mutable state while the joint tree is being read."""

    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: list[list[float] | None] = field(default_factory=list)
    channels: list[tuple[str, ...]] = field(default_factory=list)
    stack: list[int | None] = field(default_factory=list)  # None marks an open End Site

    def open_joint(self, name: str) -> None:
        parent = self.stack[-1] if self.stack else -1
        if parent is None:
            raise ValueError("a joint stands inside an End Site")
        self.stack.append(len(self.names))
        self.names.append(name)
        self.parents.append(parent)
        self.offsets.append(None)
        self.channels.append(())

    def set_offset(self, values: list[str]) -> None:
        joint = self.stack[-1]
        if len(values) != 3:
            raise ValueError("an OFFSET does not have three numbers")
        if joint is not None:
            self.offsets[joint] = [float(v) for v in values]

    def set_channels(self, values: list[str]) -> None:
        joint, names = self.stack[-1], tuple(values[1:])
        if joint is None or int(values[0]) != len(names) or not _CHANNELS.issuperset(names):
            raise ValueError("a CHANNELS line is not understood")
        self.channels[joint] = names


def _parse_hierarchy(lines: list[str]) -> tuple[_Hierarchy, int]:
    """Read the joint tree; returns it and the index of the line after `MOTION`."""
    tree = _Hierarchy()
    for number, line in enumerate(lines):
        match line.split():
            case ["ROOT" | "JOINT", name, *_]:
                tree.open_joint(name)
            case ["End", *_]:
                tree.stack.append(None)
            case ["OFFSET", *values]:
                tree.set_offset(values)
            case ["CHANNELS", *values]:
                tree.set_channels(values)
            case ["}"]:
                tree.stack.pop()
            case ["MOTION"]:
                if tree.stack or not tree.names:
                    raise ValueError("the joint tree is not closed before MOTION")
                return tree, number + 1
    raise ValueError("it has no MOTION section")


def parse_bvh(text: str) -> BvhClip:
    """Parse the text of a BVH file.

    Raises:
        InputError: the text is not a complete BVH file.
    """
    try:
        lines = text.splitlines()
        if not lines or lines[0].strip() != "HIERARCHY":
            raise ValueError("it does not begin with HIERARCHY")
        tree, start = _parse_hierarchy(lines)
        if any(offset is None for offset in tree.offsets):
            raise ValueError("a joint has no OFFSET")
        num_frames = int(lines[start].split(":")[1])
        frame_time_s = float(lines[start + 1].split(":")[1])
        values = np.array(" ".join(lines[start + 2 :]).split(), dtype=np.float64)
    except (ValueError, IndexError) as error:
        raise InputError(f"this is not a readable BVH file: {error}") from error
    num_channels = sum(map(len, tree.channels))
    if values.size != num_frames * num_channels or not np.isfinite(values).all():
        raise InputError(
            f"this BVH file is damaged: {num_frames} frames of {num_channels} channels are "
            f"announced, but {np.isfinite(values).sum()} finite values were found"
        )
    return BvhClip(
        joint_names=tuple(tree.names),
        parents=tuple(tree.parents),
        offsets=np.array(tree.offsets, dtype=np.float64),
        channels=tuple(tree.channels),
        motion=values.reshape(num_frames, num_channels),
        frame_time_s=frame_time_s,
    )


def read_bvh(path: Path | str) -> BvhClip:
    """Read a BVH file; InputError names the file when it is missing or damaged."""
    try:
        return parse_bvh(Path(path).read_text(encoding="utf-8", errors="replace"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def axis_rotation(axis: str, angle_deg: Float[np.ndarray, "*batch"]) -> np.ndarray:
    """Rotation matrices (*batch, 3, 3) about a coordinate axis `"X"`, `"Y"` or `"Z"`."""
    angle = np.deg2rad(angle_deg)
    i = "XYZ".index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    R = np.zeros((*np.shape(angle), 3, 3))
    R[..., i, i] = 1.0
    R[..., j, j] = R[..., k, k] = np.cos(angle)
    R[..., k, j] = np.sin(angle)
    R[..., j, k] = -R[..., k, j]
    return R


def local_rotations(clip: BvhClip) -> Float[np.ndarray, "frames joints 3 3"]:
    """Rotation of every joint relative to its parent."""
    rotations = np.tile(np.eye(3), (len(clip.motion), len(clip.joint_names), 1, 1))
    column = 0
    for joint, names in enumerate(clip.channels):
        for name in names:
            if name.endswith("rotation"):
                R_axis = axis_rotation(name[0], clip.motion[:, column])
                rotations[:, joint] = rotations[:, joint] @ R_axis
            column += 1
    return rotations


def forward_kinematics(
    clip: BvhClip,
) -> tuple[Float[np.ndarray, "frames joints 3 3"], Float[np.ndarray, "frames joints 3"]]:
    """Global rotations and joint positions (file units) of every frame."""
    R_local = local_rotations(clip)
    t_local = np.tile(clip.offsets, (len(clip.motion), 1, 1))
    column = 0
    for joint, names in enumerate(clip.channels):
        for name in names:
            if name.endswith("position"):
                t_local[:, joint, "XYZ".index(name[0])] += clip.motion[:, column]
            column += 1
    R_global, positions = R_local.copy(), t_local.copy()
    for joint, parent in enumerate(clip.parents):
        if parent >= 0:
            R_global[:, joint] = R_global[:, parent] @ R_local[:, joint]
            turned = np.einsum("fij,fj->fi", R_global[:, parent], t_local[:, joint])
            positions[:, joint] = positions[:, parent] + turned
    return R_global, positions
