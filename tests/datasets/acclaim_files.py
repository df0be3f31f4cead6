"""ASF and AMC files as CMU's database has them, and a forward kinematics of their own."""

import math
from pathlib import Path

import numpy as np
from cmu_skeleton import HINGE_AXES, JOINTS

BVH_TO_ASF = {
    "Hips": "root",
    "LowerBack": "lowerback",
    "Spine": "upperback",
    "Spine1": "thorax",
    "Neck": "lowerneck",
    "Neck1": "upperneck",
    "Head": "head",
} | {
    f"{side}{joint}": f"{short}{bone}"
    for short, side in (("l", "Left"), ("r", "Right"))
    for joint, bone in (
        ("UpLeg", "femur"),
        ("Leg", "tibia"),
        ("Foot", "foot"),
        ("ToeBase", "toes"),
        ("Shoulder", "clavicle"),
        ("Arm", "humerus"),
        ("ForeArm", "radius"),
        ("Hand", "wrist"),
        ("FingerBase", "hand"),
    )
} | {"LHipJoint": "lhipjoint", "RHipJoint": "rhipjoint"}  # fmt: skip
PARENT = {BVH_TO_ASF[name]: BVH_TO_ASF.get(parent, "") for name, parent, _ in JOINTS}
END = {"head": (0.0, 1.0, 0.2)}
"""Where bones end that have none below them; (0, 0, 1) of all others."""


def _end_of(bone: str) -> np.ndarray:
    """A bone leads to where the joints below it begin."""
    for _, parent, offset in JOINTS:
        if BVH_TO_ASF.get(parent) == bone and any(offset):
            return np.array(offset)
    return np.array(END.get(bone, (0.0, 0.0, 1.0)))


def _matrix(axis: str, angle_deg: float) -> np.ndarray:
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    rows = {
        "X": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "Y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "Z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(rows[axis])


def _about_all(angles_deg) -> np.ndarray:
    """X turns first, then Y, then Z."""
    x, y, z = angles_deg
    return _matrix("Z", z) @ _matrix("Y", y) @ _matrix("X", x)


def axes_of(bone: str) -> np.ndarray:
    """Own axes of a bone, as angles in degrees; a forearm's first axis is its hinge."""
    if bone in ("lradius", "rradius"):
        x, y, z = HINGE_AXES["Left" if bone[0] == "l" else "Right"]
        return np.array([0.0, -math.degrees(math.asin(z)), math.degrees(math.atan2(y, x))])
    rng = np.random.default_rng(len(bone) + ord(bone[0]))
    return rng.uniform(-60, 60, 3).round(4) if bone.endswith(("femur", "humerus")) else np.zeros(3)


def dofs_of(bone: str) -> tuple[str, ...]:
    """Degrees of freedom of a bone, as CMU's skeletons have them."""
    if bone in ("lhipjoint", "rhipjoint"):
        return ()
    if bone in ("lradius", "rradius", "ltibia", "rtibia"):
        return ("rx",)
    return ("rx", "rz") if bone in ("lfoot", "rfoot", "lhand", "rhand") else ("rx", "ry", "rz")


def write_asf(path: Path) -> Path:
    """The skeleton."""
    lines = ["# AST/ASF file", ":version 1.10", ":name VICON", ":units", "  mass 1.0"]
    lines += ["  length 0.45", "  angle deg", ":documentation", "   made", ":root"]
    lines += ["   order TX TY TZ RX RY RZ", "   axis XYZ", "   position 0 0 0"]
    lines += ["   orientation 0 0 0", ":bonedata"]
    for number, bone in enumerate((b for b in PARENT if b != "root"), 1):
        end = _end_of(bone)
        length = float(np.linalg.norm(end))
        direction = " ".join(f"{value:.8f}" for value in end / length)
        axes = " ".join(f"{value:.8f}" for value in axes_of(bone))
        lines += [
            "  begin",
            f"     id {number}",
            f"     name {bone}",
            f"     direction {direction}",
        ]
        lines += [f"     length {length:.8f}", f"     axis {axes}  XYZ"]
        if dofs := dofs_of(bone):
            lines += [f"    dof {' '.join(dofs)}", "    limits (-160.0 20.0)"]
            lines += ["           (-70.0 70.0)"] * (len(dofs) - 1)
        lines.append("  end")
    lines += [":hierarchy", "  begin"]
    for bone in PARENT:
        below = [child for child, parent in PARENT.items() if parent == bone]
        lines += [f"    {bone} {' '.join(below)}"] if below else []
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, "  end", ""]))
    return path


def made_motion(frames: int, seed: int = 0, bend: bool = True) -> dict[str, np.ndarray]:
    """Numbers of each bone, frame by frame: somebody who moves a little and bends the elbows."""
    rng = np.random.default_rng(seed)
    motion = {}
    for bone in PARENT:
        count = 6 if bone == "root" else len(dofs_of(bone))
        motion[bone] = np.cumsum(rng.normal(0, 0.3, (frames, count)), 0)
    motion["root"][:, :3] = [1.0, 17.0, -2.0] + np.cumsum(rng.normal(0, 0.001, (frames, 3)), 0)
    for bone in ("lradius", "rradius"):
        motion[bone] = np.linspace(20, 80, frames)[:, None] if bend else np.zeros((frames, 1))
    return motion


def write_amc(path: Path, motion: dict[str, np.ndarray]) -> Path:
    """The motion."""
    lines = ["#!OML:ASF F:\\VICON\\USERDATA\\01.ASF", ":FULLY-SPECIFIED", ":DEGREES"]
    for frame in range(len(motion["root"])):
        lines.append(str(frame + 1))
        for bone, values in motion.items():
            if values.shape[1]:
                lines.append(f"{bone} {' '.join(f'{value:.6f}' for value in values[frame])}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def starts(motion: dict[str, np.ndarray], frame: int) -> dict[str, np.ndarray]:
    """Where each bone begins, by the definition of the format, in units of the file."""
    root = motion["root"][frame]
    G, end = {"root": _about_all(root[3:])}, {"root": root[:3]}
    begin = {"root": root[:3]}
    for bone, parent in PARENT.items():
        if not parent:
            continue
        angles = dict.fromkeys(("rx", "ry", "rz"), 0.0)
        angles |= dict(zip(dofs_of(bone), motion[bone][frame], strict=True))
        C = _about_all(axes_of(bone))
        G[bone] = G[parent] @ C @ _about_all(angles.values()) @ C.T
        begin[bone] = end[parent]
        end[bone] = end[parent] + G[bone] @ _end_of(bone)
    return begin
