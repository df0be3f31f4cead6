"""Decoding a flow of any family by zuko's own inverse, with its Jacobian by forward mode."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.priors.flow_network import FlowNetwork
from kinflow.priors.pose_space import Whitening


class TransformDecoder:
    """Latent to the coordinates of a pose; general, several times slower than a baked decoder.

    It has no tensors of its own: flow and whitening, to which it refers, are moved by their prior.
    """

    def __init__(self, flow: FlowNetwork, whitening: Whitening) -> None:
        self._flow, self._whitening = flow, whitening

    def decode(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch dim"]:
        """Point of a latent; differentiable by autograd."""
        y = self._transform().inv(z)
        return self._whitening.mean + y @ self._whitening.unwhitening

    @torch.no_grad()
    def decode_with_jacobian(
        self, z: Float[Tensor, "batch latent"]
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim latent"]]:
        """Point and its derivatives by z.

        Where decoding is the slow direction, the Jacobian of encoding is inverted instead.
        """
        transform = self._transform()
        y = transform.inv(z)
        if self._flow.decodes_in_one_pass:
            d_y = _jacobian(transform.inv, z)
        else:
            d_y = torch.linalg.inv(_jacobian(transform, y))
        unwhitening = self._whitening.unwhitening
        return self._whitening.mean + y @ unwhitening, unwhitening.mT @ d_y

    def _transform(self) -> Any:
        """torch declares that an inverse may be missing; zuko's transforms all have one."""
        return self._flow.transform()


def _jacobian(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Jacobians (batch, out, in) of a function of rows: one forward-mode pass over all tangents."""
    batch, dim = x.shape
    tangents = torch.eye(dim, dtype=x.dtype, device=x.device).repeat(batch, 1)
    columns = torch.func.jvp(function, (x.repeat_interleave(dim, 0),), (tangents,))[1]
    return columns.view(batch, dim, -1).mT
