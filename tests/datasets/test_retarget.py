import numpy as np
import pytest
import roma
import torch
from cmu_skeleton import bvh_text, elbow_angles_deg

from kinflow.body.skeleton import JOINT_INDEX, JOINT_NAMES, PARENTS
from kinflow.datasets.bvh import BvhClip, forward_kinematics, parse_bvh
from kinflow.datasets.retarget import (
    CALIBRATION_POSE_DEG,
    ElbowHinges,
    RetargetedMotion,
    measure_elbow_hinges,
    retarget_cmu,
)
from kinflow.errors import InputError

BENDS_DEG = np.array([20.0, 60.0, 100.0])


def bending_clip() -> BvhClip:
    """Random limbs, elbows that bend about CMU's axes only."""
    rng = np.random.default_rng(1)
    names = ("Hips", "LowerBack", "Spine", "Spine1", "LeftUpLeg", "RightUpLeg", "LeftArm")
    angles = {name: rng.uniform(-50, 50, (3, 3)) for name in (*names, "RightArm", "LeftLeg")}
    for side in ("Left", "Right"):
        angles[f"{side}ForeArm"] = elbow_angles_deg(side, BENDS_DEG)
    return parse_bvh(bvh_text(angles, 3))


@pytest.fixture(scope="module")
def hinges() -> ElbowHinges:
    return measure_elbow_hinges(bending_clip())


def rotvec_deg(motion: RetargetedMotion, joint: str) -> np.ndarray:
    R = torch.from_numpy(motion.rotations[:, JOINT_INDEX[joint]])
    return np.degrees(roma.rotmat_to_rotvec(R).numpy())


def test_hinge_axes_are_measured(hinges):
    np.testing.assert_allclose(hinges.left, [0.0, -(0.75**0.5), 0.5], atol=1e-6)
    np.testing.assert_allclose(hinges.right, [0.0, 0.75**0.5, -0.5], atol=1e-6)
    assert hinges.concentration == pytest.approx(1.0)


def test_the_calibration_pose_becomes_the_zero_pose(hinges):
    angles = {
        name: np.array([[angle if axis == letter else 0.0 for letter in "ZYX"]])
        for name, (axis, angle) in CALIBRATION_POSE_DEG.items()
    }
    motion = retarget_cmu(parse_bvh(bvh_text(angles, 1)), hinges)
    expected = np.broadcast_to(np.eye(3), motion.rotations.shape)
    # A T-pose with CMU's forearms at rest: only the arms' own twist is not at zero.
    untwisted = [i for i, n in enumerate(JOINT_NAMES) if not n.endswith("shoulder")]
    np.testing.assert_allclose(motion.rotations[:, untwisted], expected[:, untwisted], atol=1e-6)


def test_elbows_bend_forwards_about_the_vertical(hinges):
    motion = retarget_cmu(bending_clip(), hinges)
    zeros = np.zeros_like(BENDS_DEG)
    left = np.stack([zeros, -BENDS_DEG, zeros], axis=1)
    np.testing.assert_allclose(rotvec_deg(motion, "left_elbow"), left, atol=1e-4)
    np.testing.assert_allclose(rotvec_deg(motion, "right_elbow"), -left, atol=1e-4)


def test_a_known_knee_bend_carries_over(hinges):
    # About the axis perpendicular to CMU's spread leg, in its rest frame: the x axis.
    angles = {
        "LeftUpLeg": np.array([[-20.0, 0.0, 0.0]]),
        "RightUpLeg": np.array([[20.0, 0.0, 0.0]]),
    }
    bent = retarget_cmu(parse_bvh(bvh_text(angles, 1)), hinges)
    np.testing.assert_allclose(rotvec_deg(bent, "left_hip"), np.zeros((1, 3)), atol=1e-6)
    angles["Hips"] = np.array([[0.0, 35.0, 0.0]])
    turned = retarget_cmu(parse_bvh(bvh_text(angles, 1)), hinges)
    np.testing.assert_allclose(rotvec_deg(turned, "pelvis"), [[0.0, 35.0, 0.0]], atol=1e-6)
    np.testing.assert_allclose(rotvec_deg(turned, "left_hip"), np.zeros((1, 3)), atol=1e-6)


BONES = [
    (f"{side}_{a}", f"{side}_{b}", f"{Side}{c}", f"{Side}{d}", direction)
    for side, Side, x in (("left", "Left", 1.0), ("right", "Right", -1.0))
    for a, b, c, d, direction in (
        ("hip", "knee", "UpLeg", "Leg", (0.0, -1.0, 0.0)),
        ("knee", "ankle", "Leg", "Foot", (0.0, -1.0, 0.0)),
        ("shoulder", "elbow", "Arm", "ForeArm", (x, 0.0, 0.0)),
        ("elbow", "wrist", "ForeArm", "Hand", (x, 0.0, 0.0)),
    )
]


@pytest.mark.parametrize("bone", BONES, ids=lambda bone: bone[0])
def test_limb_directions_are_those_of_the_source(bone, hinges):
    target_joint, _, source_joint, source_child, t_pose_direction = bone
    clip = bending_clip()
    _, positions = forward_kinematics(clip)
    source = positions[:, clip.joint(source_child)] - positions[:, clip.joint(source_joint)]
    source /= np.linalg.norm(source, axis=-1, keepdims=True)
    R_global = retarget_cmu(clip, hinges).rotations.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            R_global[:, joint] = R_global[:, parent] @ R_global[:, joint]
    target = R_global[:, JOINT_INDEX[target_joint]] @ np.array(t_pose_direction)
    np.testing.assert_allclose(target, source, atol=1e-6)


def test_straight_arms_cannot_calibrate_elbows():
    straight = parse_bvh(bvh_text({}, 2))
    with pytest.raises(InputError, match="elbow"):
        retarget_cmu(straight, measure_elbow_hinges(straight))
