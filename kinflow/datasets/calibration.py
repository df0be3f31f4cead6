"""Motion of any human skeleton to our 22 joints, whatever its rest pose, axes and units are.

Every target joint turns globally with its source joint, seen through a constant rotation:

    R_global[j](t) = W · G[s(j)](t) · C_j

`C_j` is the T-pose's axes of joint j in the source joint's frame and `W` turns the file's world
into ours (y up). Both are found from the skeleton itself, in one of two ways:

- *Standing rest.* Where the pose of zero angles is a person (a T-pose, an A-pose, arms down or
  forwards), up is from the legs to the head and left is from the right hip to the left; `C_j`
  turns each bone of the T-pose onto the source's rest bone by the smallest rotation, limb by limb
  from the top.
- *Axes along the bones.* Where zero angles are no person (all bones along x, say, as game engines
  keep them), `C_j` has the bone as one axis and the hinge about which the limb bends as the other.
  The trunk takes its sides from where hips and shoulders are. Up is where the bodies point most.

Along the arms there remains the twist: in the target an elbow bends about the vertical, as in SMPL,
so where the clips bend an elbow, the axis about which it bends is turned there. The axis is the
normal of the plane of upper arm and forearm, which does not care how a tool spreads the forearm's
own twist over its joints.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from kinflow.body.bones import LOWER_ARM, LOWER_LEG, UPPER_ARM, UPPER_LEG
from kinflow.body.skeleton import JOINT_NAMES
from kinflow.datasets.bvh import (
    BvhClip,
    axis_rotation,
    forward_kinematics,
    pruned,
    without_repeated_offsets,
)
from kinflow.datasets.retarget import RetargetedMotion, local_from_global
from kinflow.datasets.skeleton_presets import STAND_INS, JointMap, map_joints
from kinflow.datasets.source_skeleton import (
    SIDES,
    Bones,
    SourcePoses,
    hinge,
    smallest_turn,
    unit,
)
from kinflow.errors import InputError

_X, _Y, _Z = np.eye(3)
_UNITS_M = (0.001, 0.01, 0.0254, 0.0254 / 0.45, 0.1, 0.3048, 1.0)
"""Millimetres, centimetres, inches, CMU's unit, decimetres, feet, metres."""

_LEG_M = (0.6, 1.1)
_TYPICAL_LEG_M = 0.86
_CHUNK_NUMBERS = 1 << 20
_CALIBRATION_FRAMES = 512
_LEG_BONES = (UPPER_LEG, LOWER_LEG)
_ARM_BONES = (UPPER_ARM, LOWER_ARM)
_FOOT_DIRECTION = np.array([0.0, -0.45, 0.89])
"""From the ankle to the toes in the T-pose: forwards and 27 degrees down."""


@dataclass(frozen=True)
class Calibration:
    """How one skeleton maps to ours.

    Attributes:
        joints: the source joints.
        C: (22, 3, 3) axes of each of our joints, in its source joint's frame.
        W: (3, 3) from the file's world to the canonical one, y up.
        metres_per_unit: length of the file's unit.
        standing_rest: whether the skeleton's zero pose is a standing person.
    """

    joints: JointMap
    C: Float[np.ndarray, "22 3 3"]
    W: Float[np.ndarray, "3 3"]
    metres_per_unit: float
    standing_rest: bool


def calibrate(clip: BvhClip) -> Calibration:
    """Learn how a skeleton maps to ours, from its rest pose and what it does in a clip.

    Raises:
        InputError: the skeleton lacks a joint, or its bones have no length.
    """
    joints = map_joints(clip)
    bones = Bones(clip, joints)
    body_axes = _standing_axes(bones)
    if body_axes is not None and _toes_point_back(bones, body_axes):
        # a file whose "left" is its right: the feet know which way is forwards
        joints = joints.swapped()
        bones = Bones(clip, joints)
        body_axes = _standing_axes(bones)
    poses = SourcePoses(clip.frames(_spread(len(clip))), joints)
    if body_axes is not None:
        frames = _frames_from_rest(bones, body_axes)
        frames |= _arms_with_vertical_hinges(bones, poses, frames)
        W = body_axes.T @ _quarter_turn_above(clip, joints.source["pelvis"]).T
    else:
        frames = _frames_along_bones(bones, poses)
        W = smallest_turn(_mostly_up(poses, frames), _Y)
    for name, stand_in in STAND_INS.items():
        if name not in joints.own:
            frames[name] = frames[stand_in]
    return Calibration(
        joints=joints,
        C=np.stack([frames[name] for name in JOINT_NAMES]),
        W=W,
        metres_per_unit=metres_per_unit(bones.leg_length()),
        standing_rest=body_axes is not None,
    )


def retarget(clip: BvhClip, calibration: Calibration) -> RetargetedMotion:
    """Retarget one clip of the skeleton that was calibrated."""
    source = [calibration.joints.source[name] for name in JOINT_NAMES]
    small, new = pruned(clip, source)
    small = without_repeated_offsets(small)
    columns = [new[joint] for joint in source]
    rotations = np.empty((len(clip), len(JOINT_NAMES), 3, 3))
    root = np.empty((len(clip), 3))
    step = max(1, _CHUNK_NUMBERS // len(small.joint_names))
    for start in range(0, len(clip), step):
        part = slice(start, start + step)
        G, positions = forward_kinematics(small.frames(part))
        rotations[part] = local_from_global(calibration.W @ G[:, columns] @ calibration.C)
        root[part] = positions[:, columns[0]] @ calibration.W.T * calibration.metres_per_unit
    return RetargetedMotion(rotations, root, clip.frame_time_s)


def metres_per_unit(leg_length: float) -> float:
    """Length of a file's unit by the length of a leg in it: a usual unit if one fits a person."""
    for metres in _UNITS_M:
        if _LEG_M[0] <= leg_length * metres <= _LEG_M[1]:
            return metres
    return _TYPICAL_LEG_M / leg_length


def _spread(count: int) -> slice:
    return slice(None, None, max(1, -(-count // _CALIBRATION_FRAMES)))


def _axes(first: np.ndarray, second: np.ndarray) -> Float[np.ndarray, "3 3"]:
    """Orthonormal columns: first, what of second is perpendicular to it, and their product."""
    a = unit(first)
    b = unit(second - a * (a @ second))
    return np.stack([a, b, np.cross(a, b)], axis=1)


def _snapped(direction: np.ndarray) -> np.ndarray:
    """The coordinate axis that a direction is within 25 degrees of, or itself."""
    axis = np.zeros(3)
    largest = int(np.argmax(np.abs(direction)))
    axis[largest] = np.sign(direction[largest])
    return axis if axis @ direction > np.cos(np.radians(25.0)) else direction


def _standing_axes(bones: Bones) -> Float[np.ndarray, "3 3"] | None:
    """Left, up and forward of the zero pose as columns, or None if it is not a standing person."""
    leg = bones.leg_length()
    hips = (bones.at("left_hip") + bones.at("right_hip")) / 2
    shoulders = (bones.at("left_shoulder") + bones.at("right_shoulder")) / 2
    top = bones.at("head") if "head" in bones.joints.own else shoulders
    up = unit(top - hips)
    across = (bones.at("left_hip") - bones.at("right_hip")) + (
        bones.at("left_shoulder") - bones.at("right_shoulder")
    )
    left = across - up * (up @ across)
    legs = [bones.limb(side, upper, lower) for side, _ in SIDES for upper, lower in _LEG_BONES]
    arms = [bones.limb(side, *_ARM_BONES[0]) for side, _ in SIDES]
    if (
        np.linalg.norm(top - hips) < 0.2 * leg
        or np.linalg.norm(left) < 0.05 * leg
        or max(bone @ up for bone in legs) > -0.3
    ):
        return None
    up = _snapped(up)
    left = _snapped(unit(left - up * (up @ left)))
    left = unit(left - up * (up @ left))
    mirrored = arms[1] - 2.0 * left * (left @ arms[1])
    if arms[0] @ mirrored < 0.7:
        return None
    return np.stack([left, up, np.cross(left, up)], axis=1)


def _toes_point_back(bones: Bones, body_axes: np.ndarray) -> bool:
    feet = [_foot(bones, side) for side, _ in SIDES]
    length = sum(float(np.linalg.norm(foot)) for foot in feet)
    return length > 0 and float(sum(feet) @ body_axes[:, 2]) < -0.4 * length


def _foot(bones: Bones, side: str) -> np.ndarray:
    """Vector from the ankle to the toes, zero if nothing tells."""
    if f"{side}_ankle" not in bones.joints.own:
        return np.zeros(3)
    return bones.to(f"{side}_ankle", f"{side}_foot")


def _frames_from_rest(bones: Bones, body_axes: np.ndarray) -> dict[str, np.ndarray]:
    """`C_j` of every joint from a zero pose that is a standing person."""
    frames = {name: body_axes for name in JOINT_NAMES}
    for side, x in SIDES:
        leg = arm = body_axes
        for upper, lower in _LEG_BONES:
            leg = smallest_turn(leg @ -_Y, bones.limb(side, upper, lower)) @ leg
            frames[f"{side}_{upper}"] = leg
        frames[f"{side}_ankle"] = frames[f"{side}_foot"] = leg
        for upper, lower in _ARM_BONES:
            if upper == "shoulder" or bones.to(f"{side}_elbow", f"{side}_wrist").any():
                arm = smallest_turn(arm @ (x * _X), bones.limb(side, upper, lower)) @ arm
            frames[f"{side}_{upper}"] = arm
        frames[f"{side}_wrist"] = arm
    return frames


def _arms_with_vertical_hinges(
    bones: Bones, poses: SourcePoses, frames: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The arms' frames, turned about the arms so that elbows bend about the vertical."""
    turned = {}
    for side, x in SIDES:
        axis = hinge(bones, poses, side, *_ARM_BONES)
        if axis is not None:
            # a left elbow bends forwards about -y, a right one about +y
            _, y, z = -x * (frames[f"{side}_shoulder"].T @ axis[0])
            twist = axis_rotation("X", np.asarray(np.degrees(np.arctan2(z, y))))
            for part in ("shoulder", "elbow", "wrist"):
                turned[f"{side}_{part}"] = frames[f"{side}_{part}"] @ twist
    return turned


def _frames_along_bones(bones: Bones, poses: SourcePoses) -> dict[str, np.ndarray]:
    """`C_j` of every joint from bones, hinges and what the clips do on average."""
    frames = _trunk_along_bones(bones, poses)
    for side, x in SIDES:
        for joints, bone, hinge_axis, above in (
            (_LEG_BONES, -_Y, _X, "pelvis"),
            (_ARM_BONES, x * _X, -x * _Y, f"{side}_collar"),
        ):
            hinge_axes = hinge(bones, poses, side, *joints)
            for i, (upper, lower) in enumerate(joints):
                name = f"{side}_{upper}"
                usual = _as_on_average(poses, name, above, frames[above])
                along = bones.to(name, f"{side}_{lower}")
                across = usual @ hinge_axis if hinge_axes is None else hinge_axes[i]
                frames[name] = _matching((bone, hinge_axis), (along, across), usual)
                above = name
        knee, ankle, toes = (f"{side}_{part}" for part in ("knee", "ankle", "foot"))
        usual = _as_on_average(poses, ankle, knee, frames[knee])
        frames[ankle] = _matching((_FOOT_DIRECTION, _X), (_foot(bones, side), usual @ _X), usual)
        frames[toes] = _as_on_average(poses, toes, ankle, frames[ankle])
        frames[f"{side}_wrist"] = frames[f"{side}_elbow"]
    return frames


def _trunk_along_bones(bones: Bones, poses: SourcePoses) -> dict[str, np.ndarray]:
    """`C_j` of pelvis, spine, neck, head and collars.

    Hips and shoulders say where left is; in between, joints face on average where these face.
    """
    ends = {name: [f"left_{part}", f"right_{part}"] for name, part in _ACROSS.items()}
    up_from = {
        "pelvis": bones.at("spine1") - bones.at("pelvis"),
        "spine3": bones.at("neck") - bones.at("spine3"),
    }
    frames: dict[str, np.ndarray] = {}
    for name, (left, right) in ends.items():
        up, across = up_from[name], bones.at(left) - bones.at(right)
        if np.linalg.norm(up) < 1e-3 * bones.leg_length():
            up = (bones.at("left_shoulder") + bones.at("right_shoulder")) / 2 - bones.at(name)
        if np.linalg.norm(np.cross(up, across)) < 1e-3 * bones.leg_length() ** 2:
            across = poses.mean_in(name, poses.position(left) - poses.position(right))
        frames[name] = _matching((_Y, _X), (up, across), None)
    left_world = np.sum([poses.G(name) @ frames[name][:, 0] for name in frames], axis=0)
    source = bones.joints.source
    for name, following in (("spine1", "spine2"), ("spine2", "spine3")):
        if source[name] in (source["pelvis"], source["spine3"]):
            frames[name] = frames["pelvis" if source[name] == source["pelvis"] else "spine3"]
            continue
        following = following if source[following] != source[name] else "spine3"
        along = bones.at(following) - bones.at(name)
        usual = _as_on_average(poses, name, "spine3", frames["spine3"])
        frames[name] = _matching((_Y, _X), (along, poses.mean_in(name, left_world)), usual)
    # how a neck or a collarbone leans at rest differs between tools by more than people lean
    for name, above in (
        *(("neck", "spine3"), ("head", "neck")),
        *(("left_collar", "spine3"), ("right_collar", "spine3")),
    ):
        own = name in bones.joints.own
        frames[name] = _as_on_average(poses, name, above, frames[above]) if own else frames[above]
    return frames


_ACROSS = {"pelvis": "hip", "spine3": "shoulder"}


def _matching(
    ours: tuple[np.ndarray, np.ndarray],
    theirs: tuple[np.ndarray, np.ndarray],
    usual: np.ndarray | None,
) -> Float[np.ndarray, "3 3"]:
    """The rotation that turns our bone onto theirs, and our second axis as near to theirs as may
    be; where theirs say nothing, the usual rotation, turned no more than the bone asks for."""
    bone, axis = theirs
    if np.linalg.norm(np.cross(unit(bone), unit(axis))) > 0.05:
        return _axes(bone, axis) @ _axes(*ours).T
    if usual is None:
        raise InputError("its hips or shoulders lie in one point, so left and right are unknown")
    return usual if not bone.any() else smallest_turn(usual @ unit(ours[0]), unit(bone)) @ usual


def _as_on_average(
    poses: SourcePoses, name: str, above: str, frame_above: np.ndarray
) -> Float[np.ndarray, "3 3"]:
    """`C` of a joint that is turned against the one above by nothing on average."""
    mean = np.einsum("fji,fjk->ik", poses.G(name), poses.G(above) @ frame_above)
    u, _, vt = np.linalg.svd(mean)
    return u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt


def _quarter_turn_above(clip: BvhClip, pelvis: int) -> Float[np.ndarray, "3 3"]:
    """The constant turn to other axes by what the hips hang from, if it is one.

    Exporters that change from z up to y up leave it there.
    """
    parent = clip.parents[pelvis]
    if parent < 0:
        return np.eye(3)
    small, new = pruned(clip.frames(_spread(len(clip))), [parent])
    G = forward_kinematics(small)[0][:, new[parent]]
    turn = np.round(G[0])
    constant = np.abs(G - turn).max() < 0.05 and np.allclose(turn @ turn.T, np.eye(3))
    return turn if constant else np.eye(3)


def _mostly_up(poses: SourcePoses, frames: dict[str, np.ndarray]) -> np.ndarray:
    """The world axis along which bodies stand most of the time."""
    trunk = ("pelvis", "spine3")
    up = np.sum([(poses.G(name) @ frames[name][:, 1]).mean(0) for name in trunk], axis=0)
    axis = np.zeros(3)
    largest = int(np.argmax(np.abs(up)))
    axis[largest] = 1.0 if up[largest] > 0 else -1.0
    return axis
