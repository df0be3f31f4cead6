"""Reader for Biovision Hierarchy (BVH) motion files, and their forward kinematics.

A BVH file is a tree of joints, each with a constant offset from its parent and a list of channels,
followed by one line of channel values per frame. Rotation channels are Euler angles in degrees that
multiply in the order in which they are listed: channels `Zrotation Yrotation Xrotation` mean
R = Rz Ry Rx. Global rotations compose as G_child = G_parent R_child. Lengths stay in file units.

The joint tree is read by `kinflow.datasets.bvh_tree`, the numbers by `kinflow.datasets.bvh_motion`.
"""

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from kinflow.datasets.bvh_motion import MotionFault, MotionText
from kinflow.datasets.bvh_tree import Lines, number, parse_hierarchy
from kinflow.errors import InputError
from kinflow.files.reading import read_utf8

MAX_BVH_BYTES = 128 << 20
MIN_RATE_HZ, MAX_RATE_HZ = 1.0, 1000.0
"""Frame rates that a motion file can mean."""

_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
_DECIMAL_POINT = re.compile(rb"(?<![\w.])-?\d+\.\d")
_MAX_HEAD_BYTES = 8 << 20
"""What comes before the numbers is shorter, of 2,000 joints too."""


@dataclass(frozen=True)
class BvhClip:
    """One motion clip: a skeleton and its channel values per frame.

    Attributes:
        joint_names: J names in file order; parents come before their children.
        parents: index of each joint's parent, -1 for a root.
        offsets: (J, 3) offset of each joint from its parent, file units.
        end_offsets: (J, 3) offset of the End Site below a joint, zero where there is none.
        channels: channel names of each joint, in file order.
        motion: (F, C) channel values, degrees and file units.
        frame_time_s: seconds between frames.
    """

    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Float[np.ndarray, "joints 3"]
    end_offsets: Float[np.ndarray, "joints 3"]
    channels: tuple[tuple[str, ...], ...]
    motion: Float[np.ndarray, "frames channels"]
    frame_time_s: float

    def __len__(self) -> int:
        return len(self.motion)

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
        return self.first_column(joint) + self.channels[joint].index(channel_name)

    def first_column(self, joint: int) -> int:
        """Column of `motion` with which the channels of a joint begin."""
        return sum(map(len, self.channels[:joint]))

    def frames(self, which: slice) -> "BvhClip":
        """Some of the frames; the frame time follows the step of the slice."""
        step = abs(which.step or 1)
        return replace(self, motion=self.motion[which], frame_time_s=self.frame_time_s * step)


def _header_value(lines: Lines, name: str) -> str:
    line = lines.next_filled()
    key, colon, value = line.partition(":")
    if not colon or "".join(key.split()).lower() != name.replace(" ", "").lower():
        raise ValueError(f"the line '{name}: ...' is missing")
    return value.strip()


def _parse_header(lines: Lines) -> tuple[int, float]:
    """Number of frames and seconds between them."""
    frames = _header_value(lines, "Frames")
    if not frames.isdecimal() or len(frames) > 12:
        raise ValueError(f"the number of frames is {frames[:20]!r}")
    if int(frames) == 0:
        raise ValueError("it holds no frames")
    text = _header_value(lines, "Frame Time")
    frame_time_s = number(text)
    if not 1 / MAX_RATE_HZ <= frame_time_s <= 1 / MIN_RATE_HZ:
        raise ValueError(
            f"the Frame Time is {text[:20]!r}; it has to be the seconds between two frames, "
            f"between {1 / MAX_RATE_HZ:g} and {1 / MIN_RATE_HZ:g}"
        )
    return int(frames), frame_time_s


def parse_bvh(content: str | bytes) -> BvhClip:
    """Parse a BVH file's text, or its bytes in UTF-8.

    Raises:
        InputError: the text is not a complete BVH file, or holds no motion; the sentence names the
            line and, where one matters, the joint.
    """
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    data = data.removeprefix(codecs.BOM_UTF8).rstrip(b" \t\n\x00\x1a")
    # one character per byte, so that positions in the text are positions in the file
    head = data[:_MAX_HEAD_BYTES].decode("ascii", "surrogateescape")
    decimal_comma = b"," in data and not _DECIMAL_POINT.search(data)
    lines = Lines(_DECIMAL_COMMA.sub(".", head) if decimal_comma else head)
    try:
        tree = parse_hierarchy(lines)
        num_frames, frame_time_s = _parse_header(lines)
        num_channels = sum(map(len, tree.channels))
        if num_channels == 0:
            raise ValueError("none of its joints has a channel, so nothing moves")
        numbers = MotionText(data, lines.position, lines.number, decimal_comma)
        motion = numbers.numbers(num_frames, num_channels)
    except ValueError as error:
        line = error.line if isinstance(error, MotionFault) else lines.number
        raise InputError(
            f"this is not a readable BVH file: {_readable(str(error))} (line {line})"
        ) from error
    return BvhClip(
        joint_names=tuple(map(_readable, tree.names)),
        parents=tuple(tree.parents),
        offsets=np.array(tree.offsets, dtype=np.float64),
        end_offsets=np.array(tree.end_offsets, dtype=np.float64),
        channels=tuple(tree.channels),
        motion=motion,
        frame_time_s=frame_time_s,
    )


def _readable(text: str) -> str:
    """Text of the head as what was meant; names in an old code page get question marks."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def read_bvh(path: Path | str) -> BvhClip:
    """Read a BVH file; InputError names the file when it is missing or damaged."""
    data = read_utf8(path, MAX_BVH_BYTES)
    try:
        return parse_bvh(data)
    except InputError as error:
        raise InputError(f"'{path}': {error}") from error


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


def joint_rotation(clip: BvhClip, joint: int) -> Float[np.ndarray, "frames 3 3"]:
    """Rotation of one joint relative to its parent."""
    rotation = np.tile(np.eye(3), (len(clip), 1, 1))
    for column, name in enumerate(clip.channels[joint], clip.first_column(joint)):
        if name.endswith("rotation"):
            rotation = rotation @ axis_rotation(name[0], clip.motion[:, column])
    return rotation


def local_rotations(clip: BvhClip) -> Float[np.ndarray, "frames joints 3 3"]:
    """Rotation of every joint relative to its parent."""
    rotations = np.empty((len(clip), len(clip.joint_names), 3, 3))
    for joint in range(len(clip.joint_names)):
        rotations[:, joint] = joint_rotation(clip, joint)
    return rotations


def without_repeated_offsets(clip: BvhClip) -> BvhClip:
    """The clip with zero offsets where position channels repeat the offset.

    Position channels add to a joint's offset in some exporters' files and repeat it in others', as
    a whole position; the numbers tell which, since a joint hardly moves against its parent.
    """
    offsets = clip.offsets.copy()
    for joint, columns in enumerate(_position_columns(clip)):
        if len(columns) == 3:
            typical = np.median(clip.motion[:, [columns[axis] for axis in "XYZ"]], axis=0)
            if np.linalg.norm(typical - offsets[joint]) < np.linalg.norm(typical):
                offsets[joint] = 0.0
    return replace(clip, offsets=offsets)


def _position_columns(clip: BvhClip) -> list[dict[str, int]]:
    """Per joint, the column of `motion` of each axis that has a position channel."""
    found, column = [], 0
    for names in clip.channels:
        found.append({n[0]: column + i for i, n in enumerate(names) if n.endswith("position")})
        column += len(names)
    return found


def local_translations(clip: BvhClip) -> Float[np.ndarray, "frames joints 3"]:
    """Position of every joint relative to its parent, file units."""
    clip = without_repeated_offsets(clip)
    translations = np.tile(clip.offsets, (len(clip), 1, 1))
    for joint, columns in enumerate(_position_columns(clip)):
        for axis, column in columns.items():
            translations[:, joint, "XYZ".index(axis)] += clip.motion[:, column]
    return translations


def forward_kinematics(
    clip: BvhClip,
) -> tuple[Float[np.ndarray, "frames joints 3 3"], Float[np.ndarray, "frames joints 3"]]:
    """Global rotations and joint positions (file units) of every frame."""
    R_local, t_local = local_rotations(clip), local_translations(clip)
    R_global, positions = R_local.copy(), t_local.copy()
    for joint, parent in enumerate(clip.parents):
        if parent >= 0:
            R_global[:, joint] = R_global[:, parent] @ R_local[:, joint]
            turned = np.einsum("fij,fj->fi", R_global[:, parent], t_local[:, joint])
            positions[:, joint] = positions[:, parent] + turned
    return R_global, positions


def pruned(clip: BvhClip, joints: Iterable[int]) -> tuple[BvhClip, dict[int, int]]:
    """The clip with some joints and what moves them only, and their new indices by old ones.

    Faces and fingers are most of the joints of a game character, and joints without channels only
    add to offsets; without them, what has to be computed is in proportion to the file.
    """
    wanted = set(joints)
    needed: set[int] = set()
    for joint in wanted:
        while joint >= 0 and joint not in needed:
            needed.add(joint)
            joint = clip.parents[joint]
    kept = [joint for joint in sorted(needed) if joint in wanted or clip.channels[joint]]
    new = {old: i for i, old in enumerate(kept)}
    offsets = clip.offsets.copy()
    above = list(clip.parents)
    for joint in sorted(needed):
        parent = above[joint]
        if parent >= 0 and parent not in new:
            offsets[joint] += offsets[parent]
            above[joint] = above[parent]
    first = np.cumsum([0, *map(len, clip.channels)])
    columns = [c for joint in kept for c in range(first[joint], first[joint + 1])]
    return (
        replace(
            clip,
            joint_names=tuple(clip.joint_names[j] for j in kept),
            parents=tuple(new.get(above[j], -1) for j in kept),
            offsets=offsets[kept],
            end_offsets=clip.end_offsets[kept],
            channels=tuple(clip.channels[j] for j in kept),
            motion=clip.motion[:, columns],
        ),
        new,
    )
