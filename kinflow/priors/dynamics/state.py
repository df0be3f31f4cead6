"""Motion in the coordinates of the dynamics: free of heading and of place.

A frame is the latent of its pose, and the root's rotation and position in a world whose y axis is
up. What happens from a frame to the next is described in the frame of the root before the step,

    x_t = (z_t, w_t, v_t),    R_t = R_{t-1} exp(w_t dt),    p_t = p_{t-1} + R_{t-1} v_t dt,

with the angular velocity w (rad/s) and the linear velocity v (m/s); gravity enters by the direction
that is up in the root's frame. Turning the world about the vertical, or moving it, changes neither.
(Unlike a yaw, the root's own frame is well defined upside down, too.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix

ROOT_DIM = 6
"""Numbers that a step of the root has: angular and linear velocity."""
CONTEXT_ROOT_DIM = 9
"""Numbers that a context has beside latents: velocities and up."""


@dataclass(frozen=True)
class LatentMotion:
    """People through frames that lie equally far apart in time.

    Attributes:
        z: latents of their poses.
        R_root: rotation of the root in a world whose y axis is up.
        root_m: position of the root there.
    """

    z: Float[Tensor, "*batch frames latent"]
    R_root: Float[Tensor, "*batch frames 3 3"]
    root_m: Float[Tensor, "*batch frames 3"]

    @property
    def num_frames(self) -> int:
        return self.z.shape[-2]

    def frames(self, begin: int | None, end: int | None = None) -> LatentMotion:
        """The frames from `begin` to before `end`, counted as in slices."""
        part = slice(begin, end)
        return LatentMotion(
            self.z[..., part, :], self.R_root[..., part, :, :], self.root_m[..., part, :]
        )

    def people(self, rows: object) -> LatentMotion:
        """Some along the first axis."""
        return LatentMotion(self.z[rows], self.R_root[rows], self.root_m[rows])  # pyright: ignore[reportArgumentType]

    def then(self, other: LatentMotion) -> LatentMotion:
        """Followed by further frames."""
        return LatentMotion(
            torch.cat([self.z, other.z], -2),
            torch.cat([self.R_root, other.R_root], -3),
            torch.cat([self.root_m, other.root_m], -2),
        )


def contexts(motion: LatentMotion, dt_s: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*rows q"]:
    """What is known at each frame from the second on: for the next one's density.

    Latent, latent velocity, the root's angular and linear velocity, up; the last three in the
    root's frame. One row less than frames.
    """
    z, before = motion.z[..., 1:, :], motion.z[..., :-1, :]
    R = motion.R_root[..., 1:, :, :]
    turn, _ = _root_steps(motion)
    moved = torch.diff(motion.root_m, dim=-2)
    moved = (R.mT @ moved[..., None])[..., 0]
    dt = dt_s[..., None]
    return torch.cat([z, (z - before) / dt, turn / dt, moved / dt, R[..., 1, :]], -1)


def steps(motion: LatentMotion, dt_s: Float[Tensor, "*batch 1"]) -> Float[Tensor, "*rows x"]:
    """x of each frame from the second on."""
    turn, moved = _root_steps(motion)
    dt = dt_s[..., None]
    return torch.cat([motion.z[..., 1:, :], turn / dt, moved / dt], -1)


def _root_steps(motion: LatentMotion) -> tuple[Tensor, Tensor]:
    before = motion.R_root[..., :-1, :, :].mT
    turn = matrix_to_rotvec(before @ motion.R_root[..., 1:, :, :])
    moved = torch.diff(motion.root_m, dim=-2)
    return turn, (before @ moved[..., None])[..., 0]


def stepped(
    last: LatentMotion, x: Float[Tensor, "*batch x"], dt_s: Float[Tensor, "*#batch 1"]
) -> LatentMotion:
    """The frame after `last`, which is one frame, by a step."""
    z, turn, moved = x.split([x.shape[-1] - ROOT_DIM, 3, 3], -1)
    R = last.R_root[..., -1, :, :]
    p = last.root_m[..., -1, :] + (R @ (moved * dt_s)[..., None])[..., 0]
    R = R @ rotvec_to_matrix(turn * dt_s)
    return LatentMotion(z[..., None, :], R[..., None, :, :], p[..., None, :])
