"""`person_<id>.bvh`: the motion of one person for animation programs.

All rotations zero are the T-pose, facing +z with y up and arms along x, so the offsets of the file
are those of the T-pose, in centimetres. The root has its position in the world, where the floor is
y = 0, and its rotation; every other joint has its rotation alone, as bones keep their length.

Channels of all joints are `Zrotation Xrotation Yrotation`, that is R = Rz Rx Ry in the parent's
frame. With x in the middle the angles lock only where a joint is turned by 90 degrees about the
left-right axis of the body; the orders with y or z in the middle lock at bent elbows or hanging
arms. One order for all joints is what simple readers expect.

Joints without children end in a site at the crown, the fingertips and the tips of the toes.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from jaxtyping import Float64

from kinflow.body.model import BodyModel
from kinflow.body.skeleton import JOINT_INDEX, NUM_JOINTS, PARENTS
from kinflow.export.euler import euler_angles
from kinflow.export.joint_names import JointNaming, names_of
from kinflow.export.motion import Motion

ORDER = "ZXY"
CM_PER_M = 100.0
_CHANNELS = " ".join(f"{axis}rotation" for axis in ORDER)
_CHILDREN = {j: [c for c in range(NUM_JOINTS) if PARENTS[c] == j] for j in range(NUM_JOINTS)}
_END_DIRECTIONS: dict[str, tuple[float, float, float]] = {
    "head": (0.0, 1.0, 0.0),
    "left_wrist": (1.0, 0.0, 0.0),
    "right_wrist": (-1.0, 0.0, 0.0),
    "left_foot": (0.0, 0.0, 1.0),
    "right_foot": (0.0, 0.0, 1.0),
}
"""Where the last joint of each chain points in the T-pose."""


def bvh_name(identity: int) -> str:
    """Name of a person's file."""
    return f"person_{identity}.bvh"


def bvh_bytes(motion: Motion, joint_names: JointNaming = "smpl") -> bytes:
    """Content of `person_<id>.bvh`."""
    stream = io.StringIO()
    stream.write("HIERARCHY\n")
    users = motion.users_body
    ends_cm = CM_PER_M * end_offsets_m(motion.shape, None if users is None else users.body)
    joints = _write_joint(stream, 0, 0, names_of(joint_names), CM_PER_M * motion.offsets_m, ends_cm)
    stream.write(f"MOTION\nFrames: {len(motion)}\nFrame Time: {motion.period_s:.9g}\n")
    angles_deg = np.degrees(euler_angles(motion.pose, ORDER))[:, joints]
    root_cm = CM_PER_M * motion.t_world_root_m
    rows = np.concatenate([root_cm, angles_deg.reshape(len(motion), -1)], 1)
    np.savetxt(stream, rows + 0.0, fmt="%.6f")  # no minus before a zero
    return stream.getvalue().encode("ascii")


def end_offsets_m(
    shape: Float64[np.ndarray, " shape"], model: BodyModel | None = None
) -> Float64[np.ndarray, "22 3"]:
    """From the last joints to where the body ends, in the T-pose; zero for all others.

    Args:
        shape: of the body.
        model: what it is of; the bundled body unless another is given.
    """
    model = model or BodyModel.load()
    shaped = model.with_shape(torch.from_numpy(shape).float())
    owner = model.skin_weights.argmax(1)
    ends = np.zeros((NUM_JOINTS, 3))
    for name, direction in _END_DIRECTIONS.items():
        joint = JOINT_INDEX[name]
        from_joint_m = shaped.rest_vertices_m[owner == joint] - shaped.rest_joints_m[joint]
        along = from_joint_m @ model.Q_rest[joint].mT @ model.Q_rest.new_tensor(direction)
        ends[joint] = float(along.max()) * np.array(direction)
    return ends


def _write_joint(
    stream: io.StringIO,
    joint: int,
    depth: int,
    names: tuple[str, ...],
    offsets_cm: np.ndarray,
    ends_cm: np.ndarray,
) -> list[int]:
    """Write a joint with all below it; returns the joints in the order in which they come."""
    indent, inner = "\t" * depth, "\t" * (depth + 1)
    stream.write(f"{indent}{'JOINT' if depth else 'ROOT'} {names[joint]}\n{indent}{{\n")
    stream.write(f"{inner}OFFSET {_numbers(offsets_cm[joint])}\n")
    if depth:
        stream.write(f"{inner}CHANNELS 3 {_CHANNELS}\n")
    else:
        stream.write(f"{inner}CHANNELS 6 Xposition Yposition Zposition {_CHANNELS}\n")
    order = [joint]
    for child in _CHILDREN[joint]:
        order += _write_joint(stream, child, depth + 1, names, offsets_cm, ends_cm)
    if not _CHILDREN[joint]:
        end = _numbers(ends_cm[joint])
        stream.write(f"{inner}End Site\n{inner}{{\n{inner}\tOFFSET {end}\n{inner}}}\n")
    stream.write(f"{indent}}}\n")
    return order


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.6f}" for value in values + 0.0)
