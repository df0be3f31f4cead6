"""The baked body against Anny itself (needs the `anny` extra; skipped without it).

Anny rests in an A-pose and its local rotation of a bone is, in canonical axes,
D_child = Q_parentᵀ R_child Q_child (for the root R_root Q_root). All of Anny's other bones rest, so
that what we gathered on 22 joints moves as one piece; so do the toes, which are five bones there
and one joint here. The bounds are those that NOTICE states.
"""

import sys
from pathlib import Path

import pytest
import roma
import torch

pytest.importorskip("anny", reason="the anny extra is not installed")
sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import anny
from bake_body import ANNY_BONES, CANONICAL_FROM_ANNY

from kinflow.body.skeleton import JOINT_INDEX, NUM_JOINTS, PARENTS

BODIES = 30


@pytest.fixture(scope="module")
def model() -> "anny.Anny":
    return anny.Anny(
        rig="anny-blender-rootidentity", topology="anny", pose_parameterization="local-ref"
    )


def anny_pose(model, R: torch.Tensor, Q: torch.Tensor) -> torch.Tensor:
    """(*batch, bones, 4, 4) local poses in Anny's axes."""
    C = CANONICAL_FROM_ANNY
    pose = torch.eye(4, dtype=torch.float64).repeat(len(R), model.bone_count, 1, 1)
    for joint, bone in enumerate(ANNY_BONES):
        before = Q[PARENTS[joint]].T if joint else torch.eye(3, dtype=torch.float64)
        local = before @ R[:, joint] @ Q[joint]
        pose[:, model.bone_labels.index(bone), :3, :3] = C.T @ local @ C
    return pose


@pytest.mark.parametrize("spread_rad", [0.0, 0.5])
def test_joints_and_vertices_agree_with_anny(model, anny_body, spread_rad):
    body = anny_body
    generator = torch.Generator().manual_seed(11)
    shape = torch.rand(BODIES, 6, generator=generator)
    rotvec = torch.randn(BODIES, NUM_JOINTS, 3, generator=generator, dtype=torch.float64)
    rotvec[:, [JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]]] = 0
    R = roma.rotvec_to_rotmat(rotvec * spread_rad)
    pose = anny_pose(model, R, body.Q_rest.double()).to(model.dtype)
    output = model(pose_parameters=pose, phenotype_kwargs=shape.to(model.dtype))
    C = CANONICAL_FROM_ANNY.to(model.dtype)
    bones = [model.bone_labels.index(name) for name in ANNY_BONES]
    joints, vertices = output["bone_poses"][:, bones, :3, 3] @ C.T, output["vertices"] @ C.T
    posed = body.with_shape(shape).with_pose(R.float(), joints[:, 0].float())
    for name, ours, theirs in (
        ("joints", posed.joints_m, joints),
        ("vertices", posed.vertices_m(), vertices),
    ):
        error_mm = (ours - theirs).norm(dim=-1) * 1000
        print(f"{name}: mean {error_mm.mean():.4f} mm, max {error_mm.max():.3f} mm", end="; ")
        assert error_mm.mean() < 0.1
        assert error_mm.max() < 2.0
