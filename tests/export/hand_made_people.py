"""People made by hand in front of a camera: what fitting would hand to the exporter."""

import roma
import torch

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.model import BodyModel
from kinflow.geometry.pinhole import Camera
from kinflow.results import Person

SIZE = (320, 240)


def make_person(number: int, t_m: list[float], yaw: float = 0.0, latent: int = 8) -> Person:
    generator = torch.Generator().manual_seed(number)
    camera = Camera.from_fov(SIZE, 55.0)
    rotvec = 0.25 * torch.randn(22, 3, generator=generator)
    rotvec[[16, 17], 2] += torch.tensor([-1.1, 1.1])  # arms down
    pose = roma.rotvec_to_rotmat(rotvec)
    # the body stands upright (y up) in a camera frame whose y points down
    pose[0] = torch.diag(torch.tensor([1.0, -1, -1])) @ roma.rotvec_to_rotmat(
        torch.tensor([0.0, yaw, 0.0])
    )
    shape = 0.3 + 0.4 * torch.rand(6, generator=generator)
    shape[1] = 0.8
    t_cam_root_m = torch.tensor(t_m)
    posed = BodyModel.load("joints").with_shape(shape).with_pose(pose, t_cam_root_m)
    keypoints_px = camera.project(posed.keypoints_m()[: len(BLAZEPOSE33)])
    return Person(
        person=number,
        camera=camera,
        R_cam_root=pose[0],
        t_cam_root_m=t_cam_root_m,
        pose=pose,
        z=torch.randn(latent, generator=generator),
        shape=shape,
        joints_cam_m=posed.joints_m,
        joint_std_m=0.02 * torch.rand(22, generator=generator),
        t_cam_root_std_m=torch.tensor([0.02, 0.02, 0.2]),
        keypoints_px=torch.cat([keypoints_px, torch.rand(33, 1, generator=generator)], -1),
        score=0.9,
        energy={"keypoints": 31.5, "pose_prior": 12.25},
    )
