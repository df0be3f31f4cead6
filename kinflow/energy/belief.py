"""What a network believes of people, as a term of the energy: a Gaussian over their unknowns.

It is over y = [turn (3), z, log depth (1), s], where the turn is the rotation vector, in camera
axes, from the believed orientation of the root to the body's, and the depth is the root's. Where
bodies are seen is left to what was seen. The whitening is lower triangular: without its last rows,
those of sizes (depth and shape), what is left is the Gaussian over the others.
What a network knows of who is a child is told beside it (`kinflow/fitting/sizes.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.energy.unknowns import Unknowns
from kinflow.geometry.pinhole import NEAR_M
from kinflow.geometry.rotations import matrix_to_rotvec, rotvec_to_matrix, skew

_STREAM = 0


@dataclass(frozen=True)
class Belief:
    """Gaussians over the unknowns of people; a row of zeros in `whitening` believes nothing."""

    R_cam_base: Float[Tensor, "batch 3 3"]
    """Orientations that turns are about."""
    centre: Float[Tensor, "batch size"]
    whitening: Float[Tensor, "batch size size"]
    """From deviations to standard ones, lower triangular: its square is the precision."""
    starts: Unknowns
    """Bodies to start from, the likeliest first, as many for everybody, on a second axis."""
    prior_weight: Float[Tensor, " batch"]
    """Weight that is left to the pose prior."""
    child_log_odds: Float[Tensor, " batch"]
    """Of being a child; NaN of whom nothing is believed."""

    def __getitem__(self, index) -> Belief:
        """Rows of the batch."""
        return Belief(**{name: value[index] for name, value in vars(self).items()})

    def weighted(self, pose: float, sizes: float | Tensor) -> Belief:
        """The same beliefs with other weights (inverse spreads).

        Args:
            pose: factor for orientations and poses.
            sizes: for depths and shapes, given the others; one number, or one for each row.
        """
        first = self.whitening.shape[1] - 1 - self.starts.s.shape[-1]
        factor = torch.full_like(self.whitening[..., 0], pose)
        factor[:, first:] = torch.as_tensor(sizes).to(factor).reshape(-1, 1)
        return replace(self, whitening=self.whitening * factor[..., None])

    def says_something(self) -> Bool[Tensor, " batch"]:
        """Rows of people of whom something is believed."""
        return self.whitening.flatten(1).any(1)

    def between(self, own_s: Float[Tensor, " batch"], times_s: Float[Tensor, " times"]) -> Belief:
        """What is believed of a person at all times, by what is at some, a row each.

        Orientations, centres and whitenings go evenly from one to the next; before the first and
        after the last they stay. Starts are those before.

        Args:
            own_s: increasing.
            times_s: in any order.
        """
        last = len(own_s) - 1
        right = torch.searchsorted(own_s, times_s, right=True).clamp(min(1, last), last)
        left = (right - 1).clamp_min(0)
        gap_s = (own_s[right] - own_s[left]).clamp_min(1e-9)
        a = ((times_s - own_s[left]) / gap_s).clamp(0, 1)
        here, there = self[left], self[right]
        mixed = {}
        for name in ("centre", "whitening", "prior_weight", "child_log_odds"):
            first = getattr(here, name)
            share = a.to(first).reshape(-1, *[1] * (first.ndim - 1))
            mixed[name] = torch.lerp(first, getattr(there, name), share)
        turn = matrix_to_rotvec(there.R_cam_base @ here.R_cam_base.mT)
        R_cam_base = rotvec_to_matrix(a[:, None] * turn) @ here.R_cam_base
        return replace(here, R_cam_base=R_cam_base, **mixed)

    def replaced(self, rows: Bool[Tensor, " batch"], others: Belief) -> Belief:
        """A copy in which some rows are those of others, of which there are as many in all."""
        index = torch.arange(len(rows), device=rows.device)
        return Belief.concatenate([self, others])[index + len(rows) * rows]

    def drawn(self, count: int, about: Unknowns) -> Unknowns:
        """Bodies whose orientation and pose are as believed, always the same ones.

        Args:
            count: of bodies for each row, an even number.
            about: bodies, one for each row, whose place and shape they have. Rows that believe
                nothing get bodies of no meaning.
        """
        size = 3 + about.z.shape[1]  # the first rows of the whitening are the Gaussian over these
        generator = torch.Generator().manual_seed(_STREAM)
        half = torch.randn(size, count // 2, generator=generator, dtype=torch.float32)
        noise = torch.cat([half, -half], 1).to(self.centre)
        empty = ~self.says_something()[:, None, None]
        lower = self.whitening[:, :size, :size] + empty * torch.eye(size).to(noise)
        gap = torch.linalg.solve_triangular(lower, noise.expand(len(lower), -1, -1), upper=False)
        y = (self.centre[:, :size, None] + gap).mT.flatten(0, 1)
        rows = torch.arange(len(self.centre), device=y.device).repeat_interleave(count)
        R_cam_root = rotvec_to_matrix(y[:, :3]) @ self.R_cam_base[rows]
        return replace(about[rows], R_cam_root=R_cam_root, z=y[:, 3:])

    @staticmethod
    def concatenate(parts: Sequence[Belief]) -> Belief:
        """Join along the batch."""
        names = ("R_cam_base", "centre", "whitening", "prior_weight", "child_log_odds")
        joined = {n: torch.cat([getattr(part, n) for part in parts]) for n in names}
        return Belief(**joined, starts=Unknowns.concatenate([part.starts for part in parts]))

    def residual(
        self, unknowns: Unknowns, with_jacobian: bool = False
    ) -> tuple[Float[Tensor, "batch size"], dict[str, Tensor] | None]:
        """Standard deviations from the centre, and derivatives by blocks of a local step."""
        turn = matrix_to_rotvec(unknowns.R_cam_root @ self.R_cam_base.mT)
        log_depth = unknowns.t_cam_root_m[:, 2:].clamp_min(NEAR_M).log()
        vector = torch.cat([turn, unknowns.z, log_depth, unknowns.s], 1) - self.centre
        r = (self.whitening @ vector[..., None])[..., 0]
        if not with_jacobian:
            return r, None
        sizes = [3, unknowns.z.shape[1], 1, unknowns.s.shape[1]]
        rotation, latent, depth, shape = self.whitening.split(sizes, -1)
        blocks = {
            "rotation": rotation @ inverse_left_jacobian(turn),
            # steps of the position are of the depth's logarithm
            "position": torch.nn.functional.pad(depth, (2, 0)),
            "latent": latent,
            "shape": shape,
        }
        return r, blocks


def inverse_left_jacobian(rotvec: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3 3"]:
    """From a small turn on the left to the change of a rotation vector.

    J⁻¹ = I − ½ [v]ₓ + (1/θ² − (1 + cos θ) / (2 θ sin θ)) [v]ₓ² (Solà et al. 2018, eq. 146), which
    has a pole at a full turn only.
    """
    theta2 = (rotvec * rotvec).sum(-1)[:, None, None]
    theta = theta2.clamp_min(1e-8).sqrt()
    half = theta / 2
    exact = (1 - half * torch.cos(half) / torch.sin(half).clamp_min(1e-6)) / theta2.clamp_min(1e-8)
    factor = torch.where(theta2 < 1e-4, torch.full_like(theta, 1 / 12), exact)
    K = skew(rotvec)
    eye = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
    return eye - K / 2 + factor * (K @ K)
