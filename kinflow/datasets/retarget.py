"""CMU motion capture to rotations of the 22-joint skeleton, by calibrated global orientations.

Both skeletons are brought into the same T-pose; from then on every target joint turns globally
exactly as its source joint does:

    R_global[j](t) = G[s(j)](t) · G[s(j)](calibration)ᵀ · A_j,      R_local = R_parentᵀ R_child

so bone directions carry over whatever the bone lengths and rest poses are. `G` are the source's
global rotations and `A_j` is the identity except along the arms: there it is the twist about the
arm that turns the elbow's hinge axis, measured in the clip, onto the vertical. In the target, a
bent elbow is therefore a pure rotation about y that brings the forearm forwards, as in SMPL and
AMASS.

The source is the 31-joint skeleton of CMU's database with the joint names of the
"MotionBuilder-friendly" conversion, y up and facing +z, like the target.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from kinflow.body.skeleton import JOINT_NAMES, PARENTS
from kinflow.datasets.bvh import BvhClip, axis_rotation, forward_kinematics, joint_rotation
from kinflow.errors import InputError

METRES_PER_CMU_UNIT = 0.0254 / 0.45

CALIBRATION_POSE_DEG: dict[str, tuple[str, float]] = {
    "LeftUpLeg": ("Z", -20.0),
    "RightUpLeg": ("Z", 20.0),
    "Neck": ("X", -16.0),
    "Neck1": ("X", 21.0),
    "Head": ("X", 11.0),
}
"""Angles that bring CMU's rest pose into the T-pose: legs straight down, head upright. All others,
arms included, are zero."""

_SIDES = (("left", "Left"), ("right", "Right"))

# CMU's Hand joint carries only the forearm's twist and its FingerBase joint the wrist's flexion, so
# the orientation of the hand is that of FingerBase. CMU's hip joints sit above UpLeg.
SOURCE_JOINTS: dict[str, str] = {
    "pelvis": "Hips",
    "spine1": "LowerBack",
    "spine2": "Spine",
    "spine3": "Spine1",
    "neck": "Neck",
    "head": "Head",
} | {
    f"{side}_{target}": f"{Side}{source}"
    for side, Side in _SIDES
    for target, source in (
        ("hip", "UpLeg"),
        ("knee", "Leg"),
        ("ankle", "Foot"),
        ("foot", "ToeBase"),
        ("collar", "Shoulder"),
        ("shoulder", "Arm"),
        ("elbow", "ForeArm"),
        ("wrist", "FingerBase"),
    )
}
"""Which source joint each of the 22 target joints follows."""

_CMU_LIMBS = ("Leg", "Foot", "ForeArm", "Hand")
_ARM_PARTS = ("shoulder", "elbow", "wrist")
_MIN_BEND = 0.1  # sine-scaled axis length below which a rotation says nothing about its axis


@dataclass(frozen=True)
class RetargetedMotion:
    """Motion on the 22-joint skeleton in the canonical frame (y up, facing +z, x to the left).

    Attributes:
        rotations: (F, 22, 3, 3) local rotations; entry 0 is the root's global rotation.
        root_positions_m: (F, 3) position of the hips in metres.
        frame_time_s: seconds between frames.
    """

    rotations: Float[np.ndarray, "frames 22 3 3"]
    root_positions_m: Float[np.ndarray, "frames 3"]
    frame_time_s: float


@dataclass(frozen=True)
class ElbowHinges:
    """Unit axes about which the elbows bend, in the source's rest frame.

    `concentration` is the length of the mean of the unit axes over the bent frames: 1 means a
    perfect hinge, 0 that the clip never bends an elbow.
    """

    left: Float[np.ndarray, "3"]
    right: Float[np.ndarray, "3"]
    concentration: float


def is_cmu(clip: BvhClip) -> bool:
    """Whether a clip has CMU's joints in CMU's rest pose and unit.

    A conversion with the same names but other axes, another rest pose or another unit is for
    `kinflow.datasets.calibration`.
    """
    needed = {*SOURCE_JOINTS.values(), *CALIBRATION_POSE_DEG}
    if not needed <= set(clip.joint_names):
        return False
    for name, (axis, _) in CALIBRATION_POSE_DEG.items():
        if f"{axis}rotation" not in clip.channels[clip.joint(name)]:
            return False
    for x, Side in ((1.0, "Left"), (-1.0, "Right")):
        spread = np.radians(20.0)
        leg, arm = np.array([x * np.sin(spread), -np.cos(spread), 0.0]), np.array([x, 0.0, 0.0])
        bones = {part: clip.offsets[clip.joint(f"{Side}{part}")] for part in _CMU_LIMBS}
        length = {part: float(np.linalg.norm(bone)) for part, bone in bones.items()}
        rest = {"Leg": leg, "Foot": leg, "ForeArm": arm, "Hand": arm}
        if any(bones[part] @ rest[part] < 0.99 * length[part] for part in _CMU_LIMBS):
            return False
        if not 0.6 < (length["Leg"] + length["Foot"]) * METRES_PER_CMU_UNIT < 1.1:
            return False
    return True


def measure_elbow_hinges(clip: BvhClip) -> ElbowHinges:
    """Mean rotation axis of each elbow over the frames in which it is bent."""
    axes, lengths = [], []
    for _, Side in _SIDES:
        R = joint_rotation(clip, clip.joint(f"{Side}ForeArm"))
        axis = np.stack(
            [R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]], axis=1
        )
        norm = np.linalg.norm(axis, axis=1, keepdims=True)
        bent = norm[:, 0] > _MIN_BEND
        mean = (axis[bent] / norm[bent]).sum(0) / max(bent.sum(), 1)
        length = float(np.linalg.norm(mean))
        axes.append(mean / max(length, 1e-9))
        lengths.append(length)
    return ElbowHinges(axes[0], axes[1], min(lengths))


def _arm_twist(hinge_axis: Float[np.ndarray, "3"], target_y: float) -> np.ndarray:
    """The rotation A about x with Aᵀ·hinge = (0, target_y, 0)."""
    angle = np.arctan2(target_y * hinge_axis[2], target_y * hinge_axis[1])
    return axis_rotation("X", np.asarray(np.rad2deg(angle)))


def _calibration_clip(clip: BvhClip) -> BvhClip:
    motion = np.zeros((1, clip.motion.shape[1]))
    for joint_name, (axis, angle_deg) in CALIBRATION_POSE_DEG.items():
        motion[0, clip.channel(joint_name, f"{axis}rotation")] = angle_deg
    return replace(clip, motion=motion)


def local_from_global(R_global: Float[np.ndarray, "frames 22 3 3"]) -> np.ndarray:
    """Local rotations of the 22-joint skeleton from global ones."""
    R_local = R_global.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            R_local[:, joint] = np.swapaxes(R_global[:, parent], -1, -2) @ R_global[:, joint]
    return R_local


def retarget_cmu(clip: BvhClip, hinges: ElbowHinges) -> RetargetedMotion:
    """Retarget one CMU clip.

    Args:
        clip: a clip of the 31-joint CMU skeleton.
        hinges: the elbow axes of this skeleton, from a clip that bends both elbows.

    Raises:
        InputError: the clip lacks a joint, or the hinges were measured on straight arms.
    """
    if hinges.concentration < 0.9:
        raise InputError(
            "the elbow axes cannot be read from this clip: its elbows stay straight or are not "
            "hinges; measure them on another clip of the same skeleton"
        )
    G_cal, _ = forward_kinematics(_calibration_clip(clip))
    G, positions = forward_kinematics(clip)
    # A left elbow flexes forwards about -y, a right one about +y.
    twists = {"left": _arm_twist(hinges.left, -1.0), "right": _arm_twist(hinges.right, 1.0)}
    R_global = np.empty((len(G), len(JOINT_NAMES), 3, 3))
    for joint, name in enumerate(JOINT_NAMES):
        source = clip.joint(SOURCE_JOINTS[name])
        R_global[:, joint] = G[:, source] @ G_cal[0, source].T
        side, _, part = name.partition("_")
        if part in _ARM_PARTS:
            R_global[:, joint] = R_global[:, joint] @ twists[side]
    return RetargetedMotion(
        rotations=local_from_global(R_global),
        root_positions_m=positions[:, clip.joint("Hips")] * METRES_PER_CMU_UNIT,
        frame_time_s=clip.frame_time_s,
    )
