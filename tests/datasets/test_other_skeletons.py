"""Skeletons of other tools: names, rest poses, axes and units that the retarget has to find out."""

from dataclasses import replace

import numpy as np
import pytest
from other_skeletons import (
    UNITY,
    Z_UP,
    Skeleton,
    about,
    along_bones,
    global_rotations,
    other_bvh,
    turned_limbs,
)

from kinflow.body.skeleton import JOINT_INDEX, JOINT_NAMES
from kinflow.datasets.bvh import parse_bvh
from kinflow.datasets.calibration import calibrate, metres_per_unit, retarget
from kinflow.datasets.skeleton_presets import map_joints, side_and_part
from kinflow.errors import InputError

LIMB_PARTS = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")


def names(trunk: str, limbs: str, side: str = "{Side}") -> dict[str, str]:
    """Names by our joint: the trunk's in our order, `-` for a missing one, and the limbs'."""
    trunk_parts = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
    found = dict(zip(trunk_parts, trunk.split(","), strict=True))
    for ours, letter in (("left", "L"), ("right", "R")):
        for part, word in zip(LIMB_PARTS, limbs.split(","), strict=True):
            text = word if "{" in word or word == "-" else side.replace("{part}", word)
            text = text if "{part}" in side or word == "-" else f"{side}{word}"
            sides = {"Side": ours.capitalize(), "L": letter, "l": letter.lower()}
            found[f"{ours}_{part}"] = text.format(**sides)
    return {ours: name for ours, name in found.items() if name != "-"}


HUMAN_IK = "UpLeg,Leg,Foot,ToeBase,Shoulder,Arm,ForeArm,Hand"
NAMES = {
    "mixamo": names(
        "mixamorig:Hips,mixamorig:Spine,mixamorig:Spine1,mixamorig:Spine2,mixamorig:Neck,"
        "mixamorig:Head",
        HUMAN_IK,
        "mixamorig:{Side}",
    ),
    "motionbuilder": names("Hips,Spine,Spine1,Spine2,Neck,Head", HUMAN_IK),
    "rokoko": names(
        "Hips,Spine1,Spine2,Spine4,Neck,Head", "Thigh,Shin,Foot,Toe,Shoulder,Arm,ForeArm,Hand"
    ),
    "xsens": names(
        "Hips,Chest,Chest2,Chest4,Neck,Head", "Hip,Knee,Ankle,Toe,Collar,Shoulder,Elbow,Wrist"
    ),
    "xsens mvn": names(
        "Pelvis,L5,T12,T8,Neck,Head",
        "UpperLeg,LowerLeg,Foot,Toe,Shoulder,UpperArm,ForeArm,Hand",
    ),
    "3ds max cmu": names(
        "Hips,-,-,Chest,Neck,Head", "Hip,Knee,Ankle,Toe,Collar,Shoulder,Elbow,Wrist"
    ),
    "biped": names(
        "Bip01 Pelvis,Bip01 Spine,-,Bip01 Spine1,Bip01 Neck,Bip01 Head",
        "Thigh,Calf,Foot,Toe0,Clavicle,UpperArm,Forearm,Hand",
        "Bip01 {L} {part}",
    ),
    "bandai": names(
        "Hips,Spine,-,Chest,Neck,Head",
        "UpperLeg,LowerLeg,Foot,Toes,Shoulder,UpperArm,LowerArm,Hand",
        "{part}_{L}",
    ),
    "unity": UNITY,
    "vroid": names(
        "J_Bip_C_Hips,J_Bip_C_Spine,J_Bip_C_Chest,J_Bip_C_UpperChest,J_Bip_C_Neck,J_Bip_C_Head",
        "UpperLeg,LowerLeg,Foot,ToeBase,Shoulder,UpperArm,LowerArm,Hand",
        "J_Bip_{L}_{part}",
    ),
    "unreal": names(
        "pelvis,spine_01,spine_02,spine_03,neck_01,head",
        "thigh,calf,foot,ball,clavicle,upperarm,lowerarm,hand",
        "{part}_{l}",
    ),
    "rigify": names(
        "spine,spine.001,spine.002,spine.003,spine.004,head",
        "thigh,shin,foot,toe,shoulder,upper_arm,forearm,hand",
        "{part}.{L}",
    ),
    "rigify's own bones": names(
        ",".join(f"DEF-spine{n}" for n in ("", ".001", ".002", ".003", ".004", ".006")),
        "thigh,shin,foot,toe,shoulder,upper_arm,forearm,hand",
        "DEF-{part}.{L}",
    ),
    "deepmotion": names(
        "hips_JNT,spine_JNT,spine1_JNT,spine2_JNT,neck_JNT,head_JNT",
        "upleg,leg,foot,toebase,shoulder,arm,forearm,hand",
        "{l}_{part}_JNT",
    ),
    "daz": names(
        "hip,abdomen,-,chest,neck,head",
        "Thigh,Shin,Foot,Toe,Collar,Shldr,ForeArm,Hand",
        "{l}",
    ),
    "wisconsin": names("Hips,-,-,Chest,Neck,Head", "UpLeg,LowLeg,Foot,-,Collar,UpArm,LowArm,Hand"),
    "smpl": names(
        "Pelvis,Spine1,Spine2,Spine3,Neck,Head",
        "Hip,Knee,Ankle,Foot,Collar,Shoulder,Elbow,Wrist",
        "{L}_{part}",
    ),
    "few joints": names("Hips,Spine,-,-,-,-", "UpLeg,Leg,-,-,-,Arm,ForeArm,Hand"),
}


def motion(frames: int = 24) -> np.ndarray:
    """Local rotations (F, 22, 3, 3) of somebody who moves; knees and elbows are hinges."""
    rng = np.random.default_rng(7)
    time = np.linspace(0.0, 2.0 * np.pi, frames)
    R = np.tile(np.eye(3), (frames, 22, 1, 1))
    wave = lambda size: size * np.sin(time + rng.uniform(0, 6))  # noqa: E731
    for name in JOINT_NAMES:
        side, _, part = name.partition("_")
        x = -1.0 if side == "right" else 1.0
        turn = about("X", wave(20.0)) @ about("Z", wave(10.0))
        if part in ("knee", "elbow"):
            bend = 35.0 + wave(30.0)
            turn = about("X", bend) if part == "knee" else about("Y", -x * bend)
        elif part == "shoulder":
            turn = about("Z", -x * (50.0 + wave(20.0))) @ about("Y", wave(25.0))
        elif part in ("foot", "collar") or name in ("neck", "head", "spine1", "spine2"):
            turn = np.eye(3)
        R[:, JOINT_INDEX[name]] = turn
    R[:, 0] = about("Y", np.linspace(0.0, 90.0, frames)) @ about("X", wave(8.0))
    return R


ROOT_M = np.linspace([0.0, 0.9, 0.0], [0.5, 1.0, 2.0], 24)

SAME_BONES = {
    f"{side}_{part}": direction
    for side, x in (("left", 1.0), ("right", -1.0))
    for part, direction in (
        ("hip", (0.0, -1.0, 0.0)),
        ("knee", (0.0, -1.0, 0.0)),
        ("shoulder", (x, 0.0, 0.0)),
        ("elbow", (x, 0.0, 0.0)),
    )
}


def angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    """Largest angle between rotations of two motions."""
    cosine = (np.einsum("...ab,...ab->...", a, b) - 1.0) / 2.0
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))).max())


def check_limbs(found: np.ndarray, truth: np.ndarray, limit_deg: float = 0.5) -> None:
    found, truth = global_rotations(found), global_rotations(truth)
    for name, direction in SAME_BONES.items():
        a, b = (R[:, JOINT_INDEX[name]] @ np.array(direction) for R in (found, truth))
        error = np.degrees(np.arccos(np.clip((a * b).sum(-1), -1.0, 1.0))).max()
        assert error < limit_deg, name


@pytest.mark.parametrize("tool", NAMES)
def test_names_of_every_tool_are_known(tool):
    truth = motion()
    clip = parse_bvh(other_bvh(Skeleton(NAMES[tool]), truth, ROOT_M))
    joints = map_joints(clip)
    found = {name: clip.joint_names[joint] for name, joint in joints.source.items()}
    assert {name: found[name] for name in joints.own & set(NAMES[tool])} == {
        name: NAMES[tool][name] for name in joints.own & set(NAMES[tool])
    }
    moved = retarget(clip, calibrate(clip))
    check_limbs(moved.rotations, truth)
    np.testing.assert_allclose(moved.root_positions_m, ROOT_M, atol=1e-4)


def test_each_joint_that_a_tool_has_is_carried_over():
    truth = motion()
    clip = parse_bvh(other_bvh(Skeleton(NAMES["unreal"]), truth, ROOT_M))
    moved = retarget(clip, calibrate(clip))
    assert angle_deg(moved.rotations, truth) < 0.01


def everywhere(W_rest: np.ndarray, limbs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: W_rest @ limbs.get(name, np.eye(3)) for name in JOINT_NAMES}


RESTS = {
    "A-pose, metres": Skeleton(NAMES["unity"], turned_limbs(45, 6), units_per_metre=1.0),
    "arms down": Skeleton(NAMES["xsens"], turned_limbs(86, 0), channels="YXZ"),
    "arms forwards, inches": Skeleton(
        NAMES["mixamo"], turned_limbs(80, 0, "Y"), units_per_metre=1 / 0.0254, channels="XYZ"
    ),
    "z up": Skeleton(NAMES["biped"], everywhere(Z_UP, turned_limbs(40, 12)), Z_UP.T, 1000.0),
    "z up below a root, positions everywhere": Skeleton(
        NAMES["rigify"],
        everywhere(Z_UP, turned_limbs(30, 3)),
        Z_UP.T,
        positions_everywhere=True,
        above=("Armature",),
    ),
    "facing x": Skeleton(
        NAMES["daz"], everywhere(about("Y", 90.0), turned_limbs(10, 3)), about("Y", -90.0)
    ),
}


@pytest.mark.parametrize("rest", RESTS)
def test_any_rest_pose_axes_and_unit(rest):
    truth = motion()
    clip = parse_bvh(other_bvh(RESTS[rest], truth, ROOT_M))
    calibration = calibrate(clip)
    assert calibration.standing_rest
    assert calibration.metres_per_unit == pytest.approx(1 / RESTS[rest].units_per_metre)
    moved = retarget(clip, calibration)
    check_limbs(moved.rotations, truth)
    np.testing.assert_allclose(moved.root_positions_m, ROOT_M, atol=1e-3)
    for name in ("pelvis", "left_hip", "right_knee", "left_shoulder", "right_elbow"):
        joint = JOINT_INDEX[name]
        assert angle_deg(moved.rotations[:, joint], truth[:, joint]) < 0.5, name


@pytest.mark.parametrize("W", [np.eye(3), Z_UP.T], ids=["y up", "z up"])
def test_bones_along_one_axis_are_no_rest_pose_and_read_all_the_same(W):
    skeleton = Skeleton(
        NAMES["bandai"], along_bones(), W, positions_everywhere=True, above=("joint_Root",)
    )
    truth = motion()
    clip = parse_bvh(other_bvh(skeleton, truth, ROOT_M))
    calibration = calibrate(clip)
    assert not calibration.standing_rest
    moved = retarget(clip, calibration)
    check_limbs(moved.rotations, truth)
    for name in ("left_knee", "right_knee", "left_elbow", "right_elbow"):
        joint = JOINT_INDEX[name]
        assert angle_deg(moved.rotations[:, joint], truth[:, joint]) < 1.0, name
    assert angle_deg(moved.rotations[:, 0], truth[:, 0]) < 15.0


def test_feet_tell_left_from_right_where_names_are_mirrored():
    names_swapped = {
        name: text.replace("Left", "?").replace("Right", "Left").replace("?", "Right")
        for name, text in NAMES["unity"].items()
    }
    truth = motion()
    clip = parse_bvh(other_bvh(Skeleton(names_swapped), truth, ROOT_M))
    check_limbs(retarget(clip, calibrate(clip)).rotations, truth)


def test_elbows_that_bend_about_another_axis_at_rest_bend_about_the_vertical_afterwards():
    palms_forward = {
        f"{side}_{part}": about("X", -50.0)
        for side in ("left", "right")
        for part in ("shoulder", "elbow", "wrist")
    }
    truth = motion()
    clip = parse_bvh(other_bvh(Skeleton(NAMES["unity"], palms_forward), truth, ROOT_M))
    moved = retarget(clip, calibrate(clip))
    for name in ("left_shoulder", "left_elbow", "right_elbow"):
        joint = JOINT_INDEX[name]
        assert angle_deg(moved.rotations[:, joint], truth[:, joint]) < 0.5, name


@pytest.mark.parametrize("joint", ["left_hip", "right_knee", "left_shoulder", "right_elbow"])
def test_a_missing_joint_is_named_with_what_there_is(joint):
    lacking = {name: text for name, text in NAMES["unity"].items() if name != joint}
    clip = parse_bvh(other_bvh(Skeleton(lacking), motion(), ROOT_M))
    with pytest.raises(InputError, match=f"no joint for {joint}.*it has: Hips.*known skeletons"):
        calibrate(clip)


def test_joints_in_the_wrong_place_are_refused():
    swapped = NAMES["unity"] | {
        "left_hip": NAMES["unity"]["left_knee"],
        "left_knee": NAMES["unity"]["left_hip"],
    }
    clip = parse_bvh(other_bvh(Skeleton(swapped), motion(), ROOT_M))
    with pytest.raises(InputError, match="LeftLowerLeg.*does not hang below"):
        calibrate(clip)


def test_two_people_in_one_file_are_refused_by_name():
    text = other_bvh(Skeleton(NAMES["unity"]), motion(), ROOT_M)
    tree, rows = text.split("MOTION\n")
    body = tree.removeprefix("HIERARCHY\n")
    head, rows = rows.rstrip("\n").split("\n", 2)[:2], rows.rstrip("\n").split("\n")[2:]
    both = ["HIERARCHY", body + body.replace("Hips", "OtherHips") + "MOTION", *head]
    both += [f"{row} {row}" for row in rows]
    with pytest.raises(InputError, match="2 people .*Hips.*OtherHips"):
        calibrate(parse_bvh("\n".join(both)))


def test_bones_without_length_are_refused():
    text = other_bvh(Skeleton(NAMES["unity"]), motion(), ROOT_M)
    lines = ["OFFSET 0 0 0" if line.startswith("OFFSET") else line for line in text.split("\n")]
    with pytest.raises(InputError, match="has no length"):
        calibrate(parse_bvh("\n".join(lines)))


@pytest.mark.parametrize(
    ("leg", "metres"),
    [
        (0.86, 1.0),
        (86.0, 0.01),
        (860.0, 0.001),
        (34.0, 0.0254),
        (15.0, 0.0254 / 0.45),
        (2.8, 0.3048),
    ],
)
def test_units_are_known_by_the_leg(leg, metres):
    assert metres_per_unit(leg) == pytest.approx(metres)


def test_a_unit_of_nobody_gives_a_usual_leg():
    assert metres_per_unit(5.0) * 5.0 == pytest.approx(0.86)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mixamorigLeftForeArm", ("left", "forearm")),
        ("Armature|mixamorig:RightUpLeg", ("right", "upleg")),
        ("ValveBiped.Bip01_L_Thigh", ("left", "thigh")),
        ("DEF-shin.R", ("right", "shin")),
        ("KneeLeft", ("left", "knee")),
        ("rightupleg", ("right", "upleg")),
        ("LHipJoint", ("left", "hipjoint")),
        ("lowerarm01.L", ("left", "lowerarm01")),
        ("HeadTop_End", ("", "headtopend")),
        ("ValveBiped.Bip01_Head1", ("", "head")),
        ("Head_M", ("", "head")),
        ("l_upleg_JNT", ("left", "upleg")),
        ("thigh_stretch.l", ("left", "thigh")),
        ("toes_01.r", ("right", "toes")),
        ("Ball", ("", "ball")),
    ],
)
def test_names_are_taken_apart(name, expected):
    assert side_and_part(name) == expected


def test_a_biped_keeps_its_collars_below_the_neck():
    text = other_bvh(Skeleton(NAMES["biped"]), motion(), ROOT_M)
    clip = parse_bvh(text)
    parents = list(clip.parents)
    neck = clip.joint("Bip01 Neck")
    for letter in "LR":
        parents[clip.joint(f"Bip01 {letter} Clavicle")] = neck
    joints = map_joints(replace(clip, parents=tuple(parents)))
    assert clip.joint_names[joints.source["neck"]] == "Bip01 Neck"
    assert clip.joint_names[joints.source["spine3"]] == "Bip01 Spine1"


def test_long_clips_are_computed_in_parts_that_fit_together(monkeypatch):
    clip = parse_bvh(other_bvh(RESTS["z up"], motion(), ROOT_M))
    calibration = calibrate(clip)
    whole = retarget(clip, calibration)
    monkeypatch.setattr("kinflow.datasets.calibration._CHUNK_NUMBERS", 100)
    parts = retarget(clip, calibration)
    np.testing.assert_array_equal(parts.rotations, whole.rotations)
    np.testing.assert_array_equal(parts.root_positions_m, whole.root_positions_m)
