"""A small skeleton with CMU's joint names and rest pose, and clips written in the BVH format."""

import numpy as np

# (name, parent, offset); arms sideways, legs spread by 20 degrees, as in CMU's rest pose.
_LEG = np.array([np.sin(np.radians(20.0)), -np.cos(np.radians(20.0)), 0.0])


def _side(side: str, x: float) -> list[tuple[str, str, tuple[float, float, float]]]:
    leg = tuple(_LEG * [x, 1.0, 1.0] * 7.0)
    hip_joint = "LHipJoint" if side == "Left" else "RHipJoint"
    return [
        (hip_joint, "Hips", (0.0, 0.0, 0.0)),
        (f"{side}UpLeg", hip_joint, (1.3 * x, -1.8, 0.8)),
        (f"{side}Leg", f"{side}UpLeg", leg),
        (f"{side}Foot", f"{side}Leg", leg),
        (f"{side}ToeBase", f"{side}Foot", (0.0, -0.4, 2.3)),
        (f"{side}Shoulder", "Spine1", (0.0, 2.0, 0.0)),
        (f"{side}Arm", f"{side}Shoulder", (3.3 * x, 1.2, -0.3)),
        (f"{side}ForeArm", f"{side}Arm", (5.0 * x, 0.0, 0.0)),
        (f"{side}Hand", f"{side}ForeArm", (3.5 * x, 0.0, 0.0)),
        (f"{side}FingerBase", f"{side}Hand", (1.7 * x, 0.0, 0.0)),
    ]


JOINTS = [
    ("Hips", "", (0.0, 0.0, 0.0)),
    ("LowerBack", "Hips", (0.0, 0.0, 0.0)),
    ("Spine", "LowerBack", (0.0, 2.0, 0.0)),
    ("Spine1", "Spine", (0.0, 2.0, 0.0)),
    ("Neck", "Spine1", (0.0, 2.0, 0.0)),
    ("Neck1", "Neck", (0.0, 1.7, 0.2)),
    ("Head", "Neck1", (0.0, 1.7, -0.1)),
    *_side("Left", 1.0),
    *_side("Right", -1.0),
]


def _write_joint(name: str, order: list[str], indent: int) -> list[str]:
    _, parent, offset = next(joint for joint in JOINTS if joint[0] == name)
    pad = " " * indent
    order.append(name)
    position = "" if parent else "Xposition Yposition Zposition "
    lines = [
        f"{pad}{'JOINT' if parent else 'ROOT'} {name}",
        f"{pad}{{",
        f"{pad} OFFSET {offset[0]} {offset[1]} {offset[2]}",
        f"{pad} CHANNELS {3 if parent else 6} {position}Zrotation Yrotation Xrotation",
    ]
    children = [joint[0] for joint in JOINTS if joint[1] == name]
    for child in children:
        lines += _write_joint(child, order, indent + 1)
    if not children:
        lines += [f"{pad} End Site", f"{pad} {{", f"{pad}  OFFSET 0 0 1", f"{pad} }}"]
    return [*lines, f"{pad}}}"]


def bvh_text(
    angles_deg: dict[str, np.ndarray], num_frames: int, frame_time_s: float = 1 / 30
) -> str:
    """A BVH file of the CMU skeleton.

    Args:
        angles_deg: per joint name (F, 3) Z, Y and X angles; all other joints stay at rest.
    """
    order: list[str] = []
    lines = ["HIERARCHY", *_write_joint("Hips", order, 0)]
    columns = [np.tile([0.0, 17.0, 0.0], (num_frames, 1))]
    columns += [angles_deg.get(name, np.zeros((num_frames, 3))) for name in order]
    motion = np.concatenate(columns, axis=1)
    lines += ["MOTION", f"Frames: {num_frames}", f"Frame Time: {frame_time_s:.8f}"]
    lines += [" ".join(f"{value:.8f}" for value in row) for row in motion]
    return "\n".join(lines) + "\n"


HINGE_AXES = {"Left": np.array([0.0, -(0.75**0.5), 0.5]), "Right": np.array([0.0, 0.75**0.5, -0.5])}


def elbow_angles_deg(side: str, bend_deg: np.ndarray) -> np.ndarray:
    """Z, Y, X angles (F, 3) of a forearm that turns by `bend_deg` about CMU's elbow axis."""
    x, y, z = HINGE_AXES[side]
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    bend = np.radians(bend_deg)[:, None, None]
    R = np.eye(3) + np.sin(bend) * K + (1 - np.cos(bend)) * K @ K
    about_z = np.arctan2(R[:, 1, 0], R[:, 0, 0])
    about_y = -np.arcsin(R[:, 2, 0])
    about_x = np.arctan2(R[:, 2, 1], R[:, 2, 2])
    return np.degrees(np.stack([about_z, about_y, about_x], axis=1))
