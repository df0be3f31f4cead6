"""Cost of the body's forward pass on a CPU, per pose in a batch.

Three amounts of work: joints and keypoints; those and the ~1200 vertices that fitting uses; and the
full mesh of 13,718 vertices. The last two are compared, in the same run and on the same bodies,
with linear blend skinning written the plain way: kinematics joint by joint, then one weighted
addition of rotated vertices for each of the 22 joints. Both must give the same vertices.

    python benchmarks/body.py [--batch 64] [--threads 2]
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import tyro
from torch import Tensor

from kinflow.body import BodyModel, ShapedBody
from kinflow.body.skeleton import NUM_JOINTS, PARENTS
from kinflow.geometry.rotations import rotvec_to_matrix


@dataclass(frozen=True)
class Config:
    batch: int = 64
    threads: int = 2
    repeats: int = 9
    """The best of this many is reported: other work on the machine only ever adds time."""


def loop_skinning(shaped: ShapedBody, pose: Tensor, t_root_m: Tensor) -> Tensor:
    """Linear blend skinning, joint after joint."""
    offsets = shaped.joint_offsets_m()
    R, p = [pose[:, 0]], [t_root_m]
    for joint in range(1, NUM_JOINTS):
        parent = PARENTS[joint]
        R.append(R[parent] @ pose[:, joint])
        p.append(p[parent] + (R[parent] @ offsets[:, joint, :, None])[..., 0])
    vertices = torch.zeros_like(shaped.rest_vertices_m)
    for joint in range(NUM_JOINTS):
        W = R[joint] @ shaped.body.Q_rest[joint]
        from_joint = shaped.rest_vertices_m - shaped.rest_joints_m[:, joint, None]
        moved = from_joint @ W.mT + p[joint][:, None]
        vertices += shaped.body.skin_weights[:, joint, None] * moved
    return vertices


def best_ms(work: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


@torch.inference_mode()
def main(config: Config) -> None:
    torch.set_num_threads(config.threads)
    generator = torch.Generator().manual_seed(0)
    shape = torch.rand(config.batch, 6, generator=generator)
    pose = rotvec_to_matrix(torch.randn(config.batch, NUM_JOINTS, 3, generator=generator) * 0.4)
    t_root_m = torch.zeros(config.batch, 3)

    def evaluate(body: BodyModel) -> Tensor:
        posed = body.with_shape(shape).with_pose(pose, t_root_m)
        posed.keypoints_m()
        return posed.vertices_m() if body.num_vertices else posed.joints_m

    print(f"{config.batch} poses, {config.threads} threads, milliseconds a pose")
    for name in ("joints", "fit", "full"):
        body = BodyModel.load(name)
        ours = best_ms(lambda body=body: evaluate(body), config.repeats) / config.batch
        line = f"{name:6} {body.num_vertices:6d} vertices  shape + pose {ours:7.3f}"
        if body.num_vertices:
            shaped = body.with_shape(shape)
            posing, looped = (
                best_ms(work, config.repeats) / config.batch
                for work in (
                    lambda s=shaped: s.with_pose(pose, t_root_m).vertices_m(),
                    lambda s=shaped: loop_skinning(s, pose, t_root_m),
                )
            )
            difference = loop_skinning(shaped, pose, t_root_m) - evaluate(body)
            assert difference.abs().max() < 1e-5
            line += f"  pose alone {posing:7.3f}  loop {looped:7.3f}  ratio {looped / posing:.1f}"
        print(line)


if __name__ == "__main__":
    main(tyro.cli(Config))
