"""Motion as rotations and joints of the average adult, whichever model it comes from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.kinematics import forward_kinematics, full_pose
from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix
from kinflow.priors.average_adult import joint_offsets_m
from kinflow.priors.base import PosePrior
from kinflow.priors.dynamics.state import LatentMotion


@dataclass(frozen=True)
class PosedMotion:
    """Local rotations and the root's place.

    Attributes:
        R: of the root in the world, then of the free joints in their parents.
        root_m: position of the root.
    """

    R: Float[Tensor, "batch frames 20 3 3"]
    root_m: Float[Tensor, "batch frames 3"]

    @staticmethod
    @torch.no_grad()
    def of(motion: LatentMotion, prior: PosePrior) -> PosedMotion:
        R = torch.cat([motion.R_root[..., None, :, :], prior.decode(motion.z)], -3)
        return PosedMotion(R, motion.root_m)

    def frames(self, begin: int | None, end: int | None = None) -> PosedMotion:
        """The frames from `begin` to before `end`."""
        return PosedMotion(self.R[:, begin:end], self.root_m[:, begin:end])

    def then(self, other: PosedMotion) -> PosedMotion:
        """Followed by further frames."""
        return PosedMotion(
            torch.cat([self.R, other.R], 1), torch.cat([self.root_m, other.root_m], 1)
        )

    def joints(
        self,
    ) -> tuple[Float[Tensor, "batch frames 22 3 3"], Float[Tensor, "batch frames 22 3"]]:
        """Rotations and positions of all joints in the world."""
        pose = full_pose(self.R[..., 0, :, :], self.R[..., 1:, :, :])
        return forward_kinematics(pose, self.root_m, joint_offsets_m(self.root_m.device))

    def quaternions(self) -> Float[Tensor, "batch frames 22 4"]:
        """Of all joints in the world, real part first."""
        rotvec = matrix_to_rotvec(self.joints()[0])
        angle = rotvec.norm(dim=-1, keepdim=True)
        axis = rotvec / angle.clamp_min(1e-9)
        return torch.cat([(angle / 2).cos(), axis * (angle / 2).sin()], -1)


def interpolated(last: PosedMotion, goal: PosedMotion, frames: int) -> PosedMotion:
    """What animators do first: places on a straight line, rotations by the shortest turn."""
    share = (torch.arange(1, frames + 1) / (frames + 1))[None, :, None]
    root_m = last.root_m + share * (goal.root_m - last.root_m)
    turn = share[..., None] * matrix_to_rotvec(last.R.mT @ goal.R)
    return PosedMotion(last.R @ rotvec_to_matrix(turn), root_m)


def going_on_turning(past: PosedMotion, times: Float[Tensor, " moments"]) -> PosedMotion:
    """What comes after two frames if the root and every joint keep their velocities.

    Args:
        past: two frames.
        times: moments, counted in the time between the two.
    """
    before, last = past.frames(-2, -1), past.frames(-1)
    turn = matrix_to_rotvec(before.R.mT @ last.R) * times[:, None, None]
    root_m = last.root_m + times[:, None] * (last.root_m - before.root_m)
    return PosedMotion(last.R @ rotvec_to_matrix(turn), root_m)
