"""Clips of people who walk before a camera that looks down, made by hand."""

import math
from collections.abc import Sequence
from dataclasses import replace

import roma
import torch

from kinflow.body.model import BodyModel
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.geometry.pinhole import Camera
from kinflow.results import CameraTurn, Frame, Gravity, Person, Reconstruction

SIZE = (320, 240)
RATE_HZ = 29.97
PITCH = math.radians(20.0)
ROLL = math.radians(4.0)


def gravity_of(pitch: float, roll: float = ROLL) -> Gravity:
    """Of a camera that looks down by `pitch` and is turned by `roll`."""
    up = (math.sin(roll), -math.cos(roll) * math.cos(pitch), -math.cos(roll) * math.sin(pitch))
    return Gravity(up, 3.0)


def walker(
    number: int, times_s: Sequence[float], gravity: Gravity, heading: float, start_m: list[float]
) -> list[Person]:
    """A body for each time that swings arms and legs, bends its knees to the full and walks.

    Args:
        number: of the person.
        times_s: when.
        gravity: of the camera, which is 1.5 m over the floor.
        heading: direction of the walk, radians about the vertical.
        start_m: where the pelvis is at time 0, in the world.
    """
    t = torch.tensor(times_s)
    swing = torch.sin(2 * math.pi * 0.9 * t)
    rotvec = torch.zeros(len(t), 22, 3)
    generator = torch.Generator().manual_seed(number)
    wobble = 0.15 * torch.randn(22, 3, generator=generator)
    rotvec += wobble * torch.sin(2 * t + number)[:, None, None]
    rotvec[:, [JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]]] = 0
    for side, sign in (("left", 1.0), ("right", -1.0)):
        rotvec[:, JOINT_INDEX[f"{side}_hip"], 0] += 0.6 * sign * swing - 0.3
        rotvec[:, JOINT_INDEX[f"{side}_knee"], 0] += 1.2 + 1.0 * sign * swing
        rotvec[:, JOINT_INDEX[f"{side}_shoulder"], 2] += -1.2 * sign
        rotvec[:, JOINT_INDEX[f"{side}_elbow"], 1] += sign * (-1.2 - 0.8 * swing)
    pose = roma.rotvec_to_rotmat(rotvec)
    # turns all the way round while walking
    turn = torch.stack([torch.zeros_like(t), heading + 1.6 * t, torch.zeros_like(t)], -1)
    way = torch.tensor([math.sin(heading), 0.0, math.cos(heading)])
    root_m = torch.tensor(start_m) + 0.8 * t[:, None] * way
    root_m[:, 1] += 0.03 * torch.cos(4 * math.pi * 0.9 * t)
    R_world_cam = gravity.R_world_cam()
    pose[:, 0] = R_world_cam.mT @ roma.rotvec_to_rotmat(turn) @ pose[:, 0]
    root_cam_m = (root_m - torch.tensor([0.0, 1.5, 0.0])) @ R_world_cam
    shape = torch.tensor([0.2 + 0.6 * (number % 2), 0.8, 0.5, 0.45, 0.3 + 0.1 * number, 0.5])
    posed = BodyModel.load("joints").with_shape(shape).with_pose(pose, root_cam_m)
    camera = Camera.from_fov(SIZE, 55.0)
    return [
        Person(
            person=number,
            camera=camera,
            R_cam_root=pose[i, 0],
            t_cam_root_m=root_cam_m[i],
            pose=pose[i],
            z=torch.zeros(8),
            shape=shape,
            joints_cam_m=posed.joints_m[i],
            joint_std_m=torch.full((22,), 0.02),
            t_cam_root_std_m=torch.tensor([0.02, 0.02, 0.2]),
            keypoints_px=torch.zeros(33, 3),
            score=0.9,
        )
        for i in range(len(t))
    ]


def walking_clip(
    frames: int = 60, gap: tuple[int, int] = (20, 27), turns: bool = False, rate_hz: float = RATE_HZ
) -> Reconstruction:
    """Two people: one all the time, the other from frame 8 on, out of view within `gap`.

    Args:
        frames: how many.
        gap: first frame without the second person, and the first with them again.
        turns: the camera is tilted more and more.
        rate_hz: frames a second.
    """
    times_s = [i / rate_hz for i in range(frames)]
    camera = Camera.from_fov(SIZE, 55.0)
    gravity = [gravity_of(PITCH + (0.004 * i if turns else 0.0)) for i in range(frames)]
    bodies = []
    for number, heading, start_m in ((0, 0.4, [-0.6, 0.9, -3.5]), (3, -1.2, [0.8, 0.9, -4.2])):
        bodies.append(
            [
                walker(number, [s], g, heading, start_m)[0]
                for s, g in zip(times_s, gravity, strict=True)
            ]
        )
    shown = [
        [bodies[0][i]] + ([bodies[1][i]] if i >= 8 and not gap[0] <= i < gap[1] else [])
        for i in range(frames)
    ]
    clip = [Frame(i, times_s[i], camera, gravity[i]) for i in range(frames)]
    return Reconstruction.of_frames(clip, shown, "clips/walk.mp4")


def panned(clip: Reconstruction) -> Reconstruction:
    """The same people, filmed by a camera that turns to the right and rolls at its place."""
    frames, seen = [], []
    for i, frame in enumerate(clip.frames):
        R = roma.rotvec_to_rotmat(0.01 * i * torch.tensor([-0.2, 1.0, 0.3], dtype=torch.float64))
        assert frame.gravity is not None
        gravity = frame.gravity.turned(R.mT)
        frames.append(replace(frame, gravity=gravity, turn=CameraTurn.of(R)))
        R_cam_first = R.mT.float()
        bodies = []
        for body in clip.people_of(frame.index):
            pose = body.pose.clone()
            pose[0] = R_cam_first @ pose[0]
            bodies.append(
                replace(
                    body,
                    pose=pose,
                    R_cam_root=pose[0],
                    t_cam_root_m=R_cam_first @ body.t_cam_root_m,
                    joints_cam_m=body.joints_cam_m @ R_cam_first.mT,
                )
            )
        seen.append(bodies)
    return Reconstruction.of_frames(frames, seen, clip.source)
