"""ASF/AMC against a forward kinematics written from the format's definition."""

import numpy as np
import pytest
from acclaim_files import BVH_TO_ASF, made_motion, starts, write_amc, write_asf

from kinflow.datasets.acclaim import as_bvh, read_amc, read_asf
from kinflow.datasets.build_poses import build_pose_set
from kinflow.datasets.bvh import forward_kinematics
from kinflow.datasets.retarget import is_cmu
from kinflow.errors import InputError

FRAMES = 5


@pytest.fixture
def files(tmp_path):
    return write_asf(tmp_path / "01.asf"), write_amc(tmp_path / "01_01.amc", made_motion(FRAMES))


def test_bones_are_where_the_definition_puts_them(files):
    skeleton = read_asf(files[0])
    clip = as_bvh(skeleton, read_amc(files[1], skeleton), 1 / 120)
    _, places = forward_kinematics(clip)

    assert is_cmu(clip) and skeleton.unit_m == pytest.approx(0.0254 / 0.45)
    for frame in range(FRAMES):
        truth = starts(made_motion(FRAMES), frame)
        for joint, bone in BVH_TO_ASF.items():
            np.testing.assert_allclose(places[frame, clip.joint(joint)], truth[bone], atol=2e-5)


def test_radians_mean_the_same(files, tmp_path):
    skeleton = read_asf(files[0])
    motion = made_motion(FRAMES)
    in_radians = {
        bone: np.concatenate([v[:, :3], np.radians(v[:, 3:])], 1)
        if bone == "root"
        else np.radians(v)
        for bone, v in motion.items()
    }
    path = write_amc(tmp_path / "b.amc", in_radians)
    path.write_text(path.read_text().replace(":DEGREES", ":RADIANS"))

    np.testing.assert_allclose(read_amc(path, skeleton), read_amc(files[1], skeleton), atol=1e-4)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (":bonedata", ":other", "no root, no bones or no hierarchy"),
        ("     length 7.00000000", "", "a bone has no length"),
        ("     length 7.00000000", "     length much", "(line"),
        ("     length 7.00000000", "     length -7", "length below 0"),
        ("    dof rx ry rz", "    dof rx ry rz l", "moves along itself"),
        ("   orientation 0 0 0", "   orientation 0 90 0", "turned at rest"),
        ("  XYZ", "  XXZ", "order of axes"),
        ("   order TX", "   order TW", "the root's order"),
        ("    lfemur ltibia", "", "not in the hierarchy"),
        ("    lfemur ltibia", "    lfemur ltibia lfemur", "twice or nowhere"),
        ("  length 0.45", "  length 0", "units"),
        ("     name ltibia", "     name lfemur", "too many"),
    ],
)
def test_damaged_skeletons_are_refused(files, old, new, says):
    text = files[0].read_text()
    assert old in text
    files[0].write_text(text.replace(old, new))
    with pytest.raises(InputError, match=r"01.asf' is not a readable ASF file") as caught:
        read_asf(files[0])
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text[: len(text) // 2], "line"),
        (lambda text: "\n".join(text.splitlines()[:-3]), "may be cut off"),
        (lambda text: "hello", "no bone that moves"),
        (lambda text: ":DEGREES\n", "no frames"),
        (lambda text: text.replace("\n2\n", "\n2\nrlimb 1 2 3\n"), "'rlimb' is no bone"),
        (lambda text: text.replace("lowerback ", "lowerback 1 "), "4 numbers, not 3"),
        (lambda text: text.replace("lowerback ", "lowerback nan ", 1), "line"),
    ],
)
def test_damaged_motions_are_refused(files, damage, says):
    files[1].write_text(damage(files[1].read_text()))
    with pytest.raises(InputError, match="is not a readable AMC file") as caught:
        read_amc(files[1], read_asf(files[0]))
    assert says in str(caught.value)


def test_recordings_become_poses_and_their_skeleton_has_to_be_there(tmp_path):
    skeleton = write_asf(tmp_path / "05" / "05.asf")
    write_amc(tmp_path / "05" / "05_03.amc", made_motion(24))
    poses, report = build_pose_set([tmp_path])
    assert (poses.clip_names, poses.clip_subjects) == (("05_03",), ("05",))
    assert report.frames_read == 6 and len(poses.split("test")) == len(poses) > 0

    skeleton.unlink()
    with pytest.raises(InputError, match="05.asf' does not exist"):
        build_pose_set([tmp_path])
