"""Draw poses from the prior, give them different bodies, and write the group as scene.glb.

python examples/03_sample_poses.py [OUT] [NUMBER]
"""

import sys
from pathlib import Path

import torch

import kinflow
import kinflow.priors
from kinflow.body import BodyModel
from kinflow.body.skeleton import FREE_JOINTS, NUM_JOINTS
from kinflow.export.bodies import Bodies
from kinflow.export.gltf import scene_glb
from kinflow.geometry.pinhole import Camera
from kinflow.priors.shape import ShapePrior

SPACING_M = 1.1
DISTANCE_M = 6.0


def main(out: Path, number: int) -> None:
    generator = torch.Generator().manual_seed(0)
    prior, shapes = kinflow.priors.load(), ShapePrior()
    z = torch.randn(number, prior.latent_dim, generator=generator)
    shape = shapes.decode(torch.randn(number, shapes.size, generator=generator))
    pose = torch.eye(3).repeat(number, NUM_JOINTS, 1, 1)
    pose[:, FREE_JOINTS] = prior.decode(z)
    # upright before the camera, whose y axis points down, and facing it
    pose[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    x_m = SPACING_M * (torch.arange(number) - (number - 1) / 2)
    t_cam_root_m = torch.stack([x_m, torch.zeros(number), torch.full((number,), DISTANCE_M)], 1)
    joints_m = BodyModel.load("joints").with_shape(shape).with_pose(pose, t_cam_root_m).joints_m

    camera = Camera.from_fov((1280, 720), fov_deg=55.0)
    people = tuple(
        kinflow.Person(
            person=i,
            camera=camera,
            R_cam_root=pose[i, 0],
            t_cam_root_m=t_cam_root_m[i],
            pose=pose[i],
            z=z[i],
            shape=shape[i],
            joints_cam_m=joints_m[i],
            joint_std_m=torch.zeros(NUM_JOINTS),
            t_cam_root_std_m=torch.zeros(3),
            keypoints_px=torch.zeros(33, 3),
            score=1.0,
        )
        for i in range(number)
    )
    scene = kinflow.Reconstruction.of_frame(camera, people)
    out.write_bytes(scene_glb(scene, Bodies.of(people), "smpl"))
    nats = prior.log_prob(prior.decode(z))
    for person, log_density in zip(people, nats.tolist(), strict=True):
        height_m = person.measures().height_m
        print(f"person {person.person}: {height_m:.2f} m tall, {log_density:.0f} nats")
    print(out)


if __name__ == "__main__":
    main(
        Path(sys.argv[1] if len(sys.argv) > 1 else "poses.glb"),
        int(sys.argv[2]) if len(sys.argv) > 2 else 5,
    )
