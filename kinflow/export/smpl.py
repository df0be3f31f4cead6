"""People as parameters of a user's own SMPL, SMPL-H or SMPL-X body, one archive a person.

The first part of an archive is what readers of AMASS look for: `poses`, `trans`, `betas`, `gender`
and `mocap_framerate`, in a world that is z up, at a constant rate (see `kinflow.export.motion`).
The second has one row for each frame of the source that the person is in, in the frame of its
camera (x right, y down, z forwards), with the lens, and how far the body is from the one that was
converted.

`trans` is SMPL's own: the pelvis is at `trans` plus its place in the rest of that shape. Joints of
hands and face are at rest, as they are in our body.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64

from kinflow.body.conversion import ConvertedPoses, Converter
from kinflow.body.model import BodyModel
from kinflow.body.skeleton import NUM_JOINTS
from kinflow.body.users_body import UsersBody
from kinflow.export.amass import R_ZUP_YUP
from kinflow.export.motion import Motion
from kinflow.export.stage import Stage
from kinflow.geometry.rotations import matrix_to_rotvec
from kinflow.results import Track


@dataclass(frozen=True)
class SmplPerson:
    """A person on the user's body."""

    track: Track
    """As they were reconstructed."""
    converted: ConvertedPoses
    """One pose for each body of the track, in the frame of its camera."""
    rest_pelvis_m: Float[np.ndarray, "3"]

    @staticmethod
    def of(track: Track, theirs: UsersBody) -> SmplPerson:
        """Convert all bodies of a track; they share a shape.

        Who is of that body already stays as they are.
        """
        users = track.bodies[0].users_body
        if users is not None and users.checksum == theirs.checksum:
            return SmplPerson._of_users(track, users)
        converter = Converter.to_theirs(BodyModel.load(), theirs.body, theirs.registration)
        converted = converter.convert(
            track.shape.float(),
            torch.stack([body.pose for body in track.bodies]).float(),
            torch.stack([body.t_cam_root_m for body in track.bodies]).float(),
        )
        rest_m = theirs.body.with_shape(converted.shape).rest_joints_m[0]
        return SmplPerson(track, converted, rest_m.double().numpy())

    @staticmethod
    def _of_users(track: Track, users: UsersBody) -> SmplPerson:
        exact = torch.zeros(len(track.bodies), dtype=torch.float32)
        converted = ConvertedPoses(
            track.shape,
            torch.stack([body.pose for body in track.bodies]),
            torch.stack([body.t_cam_root_m for body in track.bodies]),
            *(exact, exact, exact),
        )
        rest_m = users.body.with_shape(track.shape).rest_joints_m[0]
        return SmplPerson(track, converted, rest_m.double().numpy())

    def residual(self) -> str:
        """How far it is off, in a few words."""
        found = self.converted
        mean_mm = 1e3 * float(found.vertex_error_m.mean())
        joints_mm = 1e3 * float(found.joint_error_m.mean())
        worst = int(found.vertex_error_m.argmax())
        text = f"mesh off by {mean_mm:.1f} mm, joints by {joints_mm:.1f} mm"
        if len(found.pose) > 1:
            worst_mm = 1e3 * float(found.vertex_error_m[worst])
            text += (
                f", mesh at worst by {worst_mm:.1f} mm in frame {self.track.bodies[worst].frame}"
            )
        return text

    def motion(self, stage: Stage, period_s: float) -> Motion:
        """The converted poses in the world, at a constant rate."""
        found = self.converted
        bodies = [
            replace(body, pose=pose, R_cam_root=pose[0], t_cam_root_m=t_root_m)
            for body, pose, t_root_m in zip(
                self.track.bodies, found.pose, found.t_root_m, strict=True
            )
        ]
        return Motion.of(Track(tuple(bodies)), stage, period_s)


def smpl_name(identity: int, theirs: UsersBody) -> str:
    """Name of a person's file; readers of AMASS look for the ending."""
    return f"person_{identity}_{theirs.family}_poses.npz"


def smpl_bytes(person: SmplPerson, motion: Motion, theirs: UsersBody) -> bytes:
    """Content of a person's file."""
    found, bodies = person.converted, person.track.bodies
    pose = motion.pose.copy()
    pose[:, 0] = R_ZUP_YUP @ pose[:, 0]
    cam_pose = _padded(found.pose.double().numpy(), theirs.num_joints)
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        allow_pickle=False,
        poses=_padded(pose, theirs.num_joints),
        trans=motion.t_world_root_m @ R_ZUP_YUP.T - person.rest_pelvis_m,
        betas=found.shape.double().numpy(),
        num_betas=np.array(len(found.shape)),
        gender=np.array(theirs.gender),
        surface_model_type=np.array(theirs.family),
        mocap_framerate=np.array(motion.rate_hz),
        mocap_frame_rate=np.array(motion.rate_hz),
        seen=motion.seen,
        frame=np.array([body.frame for body in bodies]),
        time_s=np.array([body.time_s for body in bodies]),
        cam_global_orient=cam_pose[:, :3],
        cam_body_pose=cam_pose[:, 3 : 3 * NUM_JOINTS],
        cam_trans=found.t_root_m.double().numpy() - person.rest_pelvis_m,
        focal_px=np.array([body.camera.focal_px for body in bodies]),
        principal_px=np.array([body.camera.principal_px for body in bodies]),
        image_size=np.array([body.camera.image_size for body in bodies]),
        vertex_error_mm=1e3 * found.vertex_error_m.double().numpy(),
        vertex_max_mm=1e3 * found.vertex_max_m.double().numpy(),
        joint_error_mm=1e3 * found.joint_error_m.double().numpy(),
        model_sha256=np.array(theirs.checksum),
    )
    return stream.getvalue()


def _padded(
    pose: Float64[np.ndarray, "poses 22 3 3"], joints: int
) -> Float64[np.ndarray, "poses coordinates"]:
    """Rotation vectors of all joints of the file side by side; those beyond ours are at rest."""
    rotvec = np.zeros((len(pose), joints, 3))
    rotvec[:, :NUM_JOINTS] = matrix_to_rotvec(torch.from_numpy(pose)).numpy()
    return rotvec.reshape(len(pose), -1)
