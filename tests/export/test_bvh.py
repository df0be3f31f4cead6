"""person_<id>.bvh: what readers make of it is the motion, to the last digit that is written."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import roma
import torch
from moving_people import RATE_HZ, walking_clip

from kinflow.body.skeleton import JOINT_NAMES, PARENTS
from kinflow.datasets.bvh import forward_kinematics, local_rotations, parse_bvh
from kinflow.datasets.motion_files import find_motions, read_motions
from kinflow.errors import InputError
from kinflow.export.bvh import bvh_bytes
from kinflow.export.euler import euler_angles
from kinflow.export.joint_names import MIXAMO_NAMES
from kinflow.export.motion import Motion, motions_of, period_of
from kinflow.export.stage import Stage
from kinflow.results import Frame, Reconstruction


class Bvh:
    """A reader of its own, by the format's definition (Meredith & Maddock 2001): a stack of
    joints, and for each a matrix that is the product of its channels in the order of the file."""

    def __init__(self, data: bytes) -> None:
        head, motion = data.decode("ascii").split("MOTION\n")
        self.names, self.parents, self.offsets, self.channels = [], [], [], []
        stack: list[int] = []
        for word, rest in re.findall(r"(\S+)[ \t]*(.*)", head):
            if word in ("ROOT", "JOINT") or (word, rest) == ("End", "Site"):
                self.parents.append(stack[-1] if stack else -1)
                self.names.append(rest)
                self.channels.append([])
            elif word == "{":
                stack.append(len(self.names) - 1)
            elif word == "}":
                stack.pop()
            elif word == "OFFSET":
                self.offsets.append([float(v) for v in rest.split()])
            elif word == "CHANNELS":
                count, *self.channels[-1] = rest.split()
                assert int(count) == len(self.channels[-1])
        assert stack == []
        frames, time, *rows = motion.splitlines()
        self.frame_time_s = float(time.removeprefix("Frame Time:"))
        self.rows = [[float(v) for v in row.split()] for row in rows]
        assert int(frames.removeprefix("Frames:")) == len(self.rows)

    def world(self, frame: int) -> dict[str, np.ndarray]:
        """Global 4x4 matrices by name; the sites at ends are called Site."""
        values = iter(self.rows[frame])
        matrices: list[np.ndarray] = []
        for parent, offset, channels in zip(self.parents, self.offsets, self.channels, strict=True):
            local = np.eye(4)
            local[:3, 3] = offset
            for channel in channels:
                value = next(values)
                step = np.eye(4)
                axis = "XYZ".index(channel[0])
                if channel.endswith("position"):
                    step[axis, 3] = value
                else:
                    rotvec = math.radians(value) * torch.eye(3, dtype=torch.float64)[axis]
                    step[:3, :3] = roma.rotvec_to_rotmat(rotvec).numpy()
                local = local @ step
            matrices.append(local if parent < 0 else matrices[parent] @ local)
        assert next(values, None) is None
        return dict(zip(self.names, matrices, strict=True))


@pytest.fixture(scope="module")
def motions(clip) -> tuple[Motion, ...]:
    return tuple(motions_of(clip.tracks, clip.frames, Stage.of(clip)))


def in_world(clip: Reconstruction, points_cam_m: np.ndarray) -> np.ndarray:
    stage = Stage.of(clip)
    return points_cam_m @ stage.R_world_cam[0].T + [0, stage.camera_height_m, 0]


def angle_deg(R: np.ndarray, S: np.ndarray) -> np.ndarray:
    distance = roma.rotmat_geodesic_distance(torch.from_numpy(R), torch.from_numpy(S))
    return distance.rad2deg().numpy()


def test_an_independent_reader_finds_the_joints_of_the_bodies(clip, motions):
    bvh = Bvh(bvh_bytes(motions[0]))
    assert bvh.frame_time_s == pytest.approx(1 / RATE_HZ, rel=1e-8)
    assert len(bvh.rows) == len(clip.frames)
    worst_m = 0.0
    for frame in range(0, len(clip.frames), 7):
        world = bvh.world(frame)
        joints_m = in_world(clip, clip.tracks[0].bodies[frame].joints_cam_m.double().numpy())
        read_m = np.stack([world[name][:3, 3] for name in JOINT_NAMES]) / 100
        worst_m = max(worst_m, np.abs(read_m - joints_m).max())
    assert worst_m < 1e-6


def test_bvhio_finds_the_joints_of_the_bodies(clip, motions, tmp_path):
    bvhio = pytest.importorskip("bvhio")
    (tmp_path / "a.bvh").write_bytes(bvh_bytes(motions[0]))
    root = bvhio.readAsHierarchy(str(tmp_path / "a.bvh"))
    for frame in (0, 25, 59):
        root.loadPose(frame)
        places = {joint.Name: np.array(joint.PositionWorld) for joint, _, _ in root.layout()}
        joints_m = in_world(clip, clip.tracks[0].bodies[frame].joints_cam_m.double().numpy())
        read_m = np.stack([places[name] for name in JOINT_NAMES]) / 100
        np.testing.assert_allclose(read_m, joints_m, atol=1e-5)


@pytest.mark.parametrize("track", [0, 1])
def test_our_reader_finds_rotations_and_places(motions, track):
    motion = motions[track]
    clip = parse_bvh(bvh_bytes(motion))
    order = [clip.joint_names.index(name) for name in JOINT_NAMES]
    assert angle_deg(local_rotations(clip)[:, order], motion.pose).max() < 1e-3
    _, positions_cm = forward_kinematics(clip)
    np.testing.assert_allclose(positions_cm[:, order[0]] / 100, motion.t_world_root_m, atol=1e-6)
    offsets_m = clip.offsets[order] / 100
    np.testing.assert_allclose(offsets_m, motion.offsets_m, atol=1e-7)
    assert [clip.parents[order[j]] for j in range(22)] == [
        -1 if parent < 0 else order[parent] for parent in PARENTS
    ]


def test_the_rest_is_a_t_pose_in_centimetres(motions):
    clip = parse_bvh(bvh_bytes(motions[0]))
    still = parse_bvh(bvh_bytes(at_rest(motions[0])))
    _, joints_cm = forward_kinematics(still)
    place = dict(zip(still.joint_names, joints_cm[0], strict=True))
    left = place["left_wrist"] - place["left_shoulder"]
    assert left[0] > 30 and np.abs(left[1:]).max() < 0.15 * left[0]
    leg = place["left_ankle"] - place["left_hip"]
    assert -110 < leg[1] < -60 and np.abs(leg[[0, 2]]).max() < 0.15 * -leg[1]
    assert (place["left_foot"] - place["left_ankle"])[2] > 5  # toes in front: it faces +z
    ends = dict(zip(clip.joint_names, clip.end_offsets, strict=True))
    assert 10 < ends["head"][1] < 35 and 10 < ends["left_wrist"][0] < 25
    assert -25 < ends["right_wrist"][0] < -10 and 3 < ends["left_foot"][2] < 15
    assert (ends["left_knee"] == 0).all()


def at_rest(motion: Motion) -> Motion:
    return replace(
        motion,
        pose=np.tile(np.eye(3), (1, 22, 1, 1)),
        t_world_root_m=np.zeros((1, 3)),
        seen=np.ones(1, bool),
    )


def test_people_stand_upright_on_the_floor(clip, motions):
    """Though the camera looks down by 20 degrees and is not held straight."""
    lowest_m = [
        min(in_world(clip, p.vertices().numpy())[:, 1].min() for p in clip.people_of(f.index))
        for f in clip.frames
    ]
    assert np.quantile(lowest_m, 0.25) == pytest.approx(0, abs=1e-4)
    assert min(lowest_m) > -0.1
    up = motions[0].pose[:, 0, 1, 1]
    assert up.min() > 0.9
    np.testing.assert_allclose(motions[0].t_world_root_m[:, 1], 0.9, atol=0.25)


def test_gaps_are_filled_and_files_begin_with_the_person(clip, motions):
    motion, track = motions[1], clip.tracks[1]
    assert motion.start_s == track.bodies[0].time_s == 8 / RATE_HZ
    assert len(motion) == 52
    assert np.flatnonzero(~motion.seen).tolist() == list(range(12, 19))
    joints = angle_deg(motion.pose[11:19], motion.pose[12:20])
    # constant speed through the gap
    assert np.ptp(joints, axis=0).max() < 1e-3
    steps_m = np.diff(motion.t_world_root_m[11:20], axis=0)
    assert np.abs(steps_m - steps_m[0]).max() < 1e-9


def test_angles_do_not_jump(motions):
    """Knees pass 90 degrees and the body turns all the way round.

    Where x passes 90 degrees a joint's other two angles may change fast, but nothing wraps.
    """
    clip = parse_bvh(bvh_bytes(motions[0]))
    steps_deg = {}
    for joint, names in enumerate(clip.channels):
        first = clip.first_column(joint) + len(names) - 3
        angles_deg = clip.motion[:, first : first + 3]
        steps_deg[clip.joint_names[joint]] = np.abs(np.diff(angles_deg, axis=0)).max()
    assert max(steps_deg.values()) < 100
    assert all(step < 15 for name, step in steps_deg.items() if "knee" not in name)
    knee = clip.motion[:, clip.channel("left_knee", "Xrotation")]
    assert knee.max() > 100 and knee.min() < 60
    yaw = clip.motion[:, clip.channel("pelvis", "Yrotation")]
    assert yaw.max() - yaw.min() > 150


@pytest.mark.parametrize("order", ["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX"])
def test_euler_angles_of_any_rotation(order):
    R = roma.random_rotmat(200, dtype=torch.float64)
    axes = torch.eye(3, dtype=torch.float64)

    def about(axis: str, angle: torch.Tensor) -> torch.Tensor:
        return roma.rotvec_to_rotmat(angle[:, None] * axes["XYZ".index(axis)])

    locked = torch.tensor([90.0, -90.0, 90.0, -90.0]).double().deg2rad()
    outer = torch.tensor([0.3, -1.0, 2.0, 3.0]).double()
    R = torch.cat(
        [R, about(order[0], outer) @ about(order[1], locked) @ about(order[2], -2 * outer)]
    )
    a, b, c = torch.from_numpy(euler_angles(R.numpy(), order)).unbind(-1)
    again = about(order[0], a) @ about(order[1], b) @ about(order[2], c)
    torch.testing.assert_close(again, R, atol=2e-5, rtol=0)


def test_names_of_mixamo(motions, tmp_path):
    bvh = Bvh(bvh_bytes(motions[0], "mixamo"))
    ours = Bvh(bvh_bytes(motions[0]))
    named = [dict(zip(JOINT_NAMES, MIXAMO_NAMES, strict=True)).get(n, n) for n in ours.names]
    assert bvh.names == named
    assert bvh.rows == ours.rows


@pytest.mark.parametrize("naming", ["smpl", "mixamo"])
def test_it_comes_back_through_the_reader_of_foreign_skeletons(motions, tmp_path, naming):
    """Which knows nothing of us: it calibrates the skeleton by its zero pose."""
    motion = motions[0]
    (tmp_path / "person_0.bvh").write_bytes(bvh_bytes(motion, naming))
    ((_, read),) = read_motions(find_motions([tmp_path]), rate_hz=RATE_HZ)
    legs = [JOINT_NAMES.index(f"{side}_{part}") for side in ("left", "right")
            for part in ("hip", "knee")]  # fmt: skip
    assert angle_deg(read.rotations[:, legs], motion.pose[:, legs]).max() < 6.0


def test_rates():
    camera = walking_clip(2).camera

    def period(times_s) -> float:
        return period_of([Frame(i, float(t), camera) for i, t in enumerate(times_s)])

    # milliseconds, as some containers store them, make no other rate
    rounded = np.round(np.arange(300) / 29.97, 3)
    assert period(rounded) == pytest.approx(1 / 29.97, rel=1e-4)
    # every other frame a tenth late: the median, not the mean of a pause in the middle
    pause = np.concatenate([np.arange(20) / 25, 5 + np.arange(40) / 25])
    assert period(pause) == pytest.approx(1 / 25)
    assert period([0.0]) == pytest.approx(1 / 30)


def test_a_varying_rate_is_resampled(clip):
    """Frames at irregular times give the motion that they were taken from."""
    from moving_people import PITCH, gravity_of, walker

    rng = np.random.default_rng(0)
    # mostly 30 frames a second, but many are a third of a frame early or late, and some missing
    times_s = np.arange(90) / 30 + rng.choice([0, 0, 0.01, -0.01], 90)
    times_s = np.delete(np.abs(times_s), [20, 50, 51]).round(4)
    gravity = gravity_of(PITCH)
    frames = [Frame(i, float(t), clip.camera, gravity) for i, t in enumerate(times_s)]
    bodies = walker(0, [float(t) for t in times_s], gravity, 0.4, [-0.6, 0.9, -3.5])
    uneven = Reconstruction.of_frames(frames, [[b] for b in bodies])
    (motion,) = motions_of(uneven.tracks, uneven.frames, Stage.of(uneven))
    wanted_s = motion.start_s + motion.period_s * np.arange(len(motion))
    truth = walker(0, wanted_s.tolist(), gravity, 0.4, [-0.6, 0.9, -3.5])
    pose = np.stack([b.pose.double().numpy() for b in truth])
    assert angle_deg(motion.pose[:, 1:], pose[:, 1:]).max() < 6.0
    assert np.median(angle_deg(motion.pose[:, 1:], pose[:, 1:])) < 0.2
    root_m = in_world(uneven, np.stack([b.t_cam_root_m.double().numpy() for b in truth]))
    assert np.abs(root_m - motion.t_world_root_m).max() < 0.01


def test_a_photo_is_a_motion_of_one_frame(reconstruction):
    stage = Stage.of(reconstruction)
    motions = motions_of(reconstruction.tracks, reconstruction.frames, stage)
    for motion in motions:
        bvh = Bvh(bvh_bytes(motion))
        assert len(bvh.rows) == 1
        assert bvh.frame_time_s == pytest.approx(1 / 30)
    lowest = min(
        in_world(reconstruction, p.vertices().numpy())[:, 1].min() for p in reconstruction.people
    )
    assert lowest == pytest.approx(0, abs=1e-5)


def test_somebody_who_is_there_for_one_frame(clip):
    brief = Reconstruction.of_frames(
        clip.frames[:3], [(), clip.people_of(1)[:1], clip.people_of(2)[1:]]
    )
    (motion,) = motions_of(brief.tracks, brief.frames, Stage.of(brief))
    assert len(Bvh(bvh_bytes(motion)).rows) == 1
    assert motion.start_s == clip.frames[1].time_s


def test_times_that_no_file_can_hold(clip):
    frames = [Frame(0, 0.0, clip.camera), Frame(1, 0.03, clip.camera), Frame(2, 1e9, clip.camera)]
    bodies = [[clip.people_of(i)[0]] for i in range(3)]
    endless = Reconstruction.of_frames(frames, bodies)
    with pytest.raises(InputError, match="too long for one file; cut the clip"):
        list(motions_of(endless.tracks, endless.frames, Stage.of(endless)))
