"""The inner loop of fitting: decoding an affine coupling flow, with its Jacobian, fast.

The trained flow is baked into plain matrices once, when it is loaded: LU products are multiplied
out and inverted in float64, and the last inverse mixing is merged with the un-whitening, so that
the pass from latent to the coordinates of a pose is nothing but matrix products. Its Jacobian
comes by hand-written forward mode: each conditioning network's own Jacobian is formed for its
inputs (half of the coordinates) and then applied to the tangents, which takes a fraction of the
work of pushing every latent direction through the network.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.priors.coupling import CouplingFlow
from kinflow.priors.flow_network import LinearMixing
from kinflow.priors.pose_space import Whitening


@dataclass(frozen=True)
class _BakedBlock:
    """One block in the direction of decoding: undo the coupling, then the mixing.

    Attributes:
        weights_t: transposed weight matrices of the conditioning network.
        biases: its biases.
        unmix_t: transposed matrix applied afterwards (the last block's includes un-whitening).
        unmix_bias: offset added after it.
    """

    weights_t: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    unmix_t: Tensor
    unmix_bias: Tensor

    def named(self) -> dict[str, Tensor]:
        """All tensors by name."""
        return {
            **{f"weight{i}_t": weight_t for i, weight_t in enumerate(self.weights_t)},
            **{f"bias{i}": bias for i, bias in enumerate(self.biases)},
            "unmix_t": self.unmix_t,
            "unmix_bias": self.unmix_bias,
        }


class BakedAffineDecoder(nn.Module):
    """Latent to the coordinates of a pose for a flow with affine couplings.

    The matrices are buffers that weight files leave out, since they follow from the weights.
    """

    def __init__(self, flow: CouplingFlow, whitening: Whitening) -> None:
        super().__init__()
        if flow.config.coupling != "affine":
            raise ValueError("only affine couplings have a baked decoder")
        self._split = flow.config.num_conditioning
        self._bound = flow.config.max_log_scale
        self._depth = flow.config.depth
        for index, block in enumerate(self._bake(flow, whitening)):
            for name, tensor in block.named().items():
                self.register_buffer(f"{name}_{index}", tensor, persistent=False)
        self._num_blocks = flow.config.blocks
        self._blocks = self._gathered()

    def _gathered(self) -> tuple[_BakedBlock, ...]:
        """The buffers by block: looking each up by its name takes as long as using it."""
        return tuple(
            _BakedBlock(
                tuple(self.get_buffer(f"weight{i}_t_{n}") for i in range(self._depth + 1)),
                tuple(self.get_buffer(f"bias{i}_{n}") for i in range(self._depth + 1)),
                self.get_buffer(f"unmix_t_{n}"),
                self.get_buffer(f"unmix_bias_{n}"),
            )
            for n in range(self._num_blocks)
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "BakedAffineDecoder":
        super()._apply(fn, recurse)
        self._blocks = self._gathered()
        return self

    @staticmethod
    @torch.no_grad()
    def _bake(flow: CouplingFlow, whitening: Whitening) -> list[_BakedBlock]:
        blocks = []
        for index in reversed(range(flow.config.blocks)):
            mixing, conditioner = flow.mixings[index], flow.conditioners[index]
            assert isinstance(mixing, LinearMixing)
            unmix = torch.linalg.inv(mixing.matrix().double())
            bias = -unmix @ mixing.bias.double()
            if index == 0:
                unwhiten = whitening.unwhitening.double().mT
                unmix, bias = unwhiten @ unmix, unwhiten @ bias + whitening.mean.double()
            linears = [m for m in conditioner.children() if isinstance(m, torch.nn.Linear)]
            dtype = linears[0].weight.dtype
            blocks.append(
                _BakedBlock(
                    weights_t=tuple(m.weight.detach().mT.contiguous() for m in linears),
                    biases=tuple(m.bias.detach() for m in linears),
                    unmix_t=unmix.mT.contiguous().to(dtype),
                    unmix_bias=bias.to(dtype),
                )
            )
        return blocks

    def _scale(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Inverse scale of the coupling, and the squashing factor of its log scale.

        zuko's affine transform bounds the log scale as raw / (1 + |raw| / bound), whose derivative
        is the squashing factor squared.
        """
        squash = raw.abs().mul_(1.0 / self._bound).add_(1.0).reciprocal_()
        return torch.mul(raw, squash).neg_().exp_(), squash

    def decode(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch dim"]:
        """Point of a latent; differentiable by autograd."""
        y = z
        for block in self._blocks:
            a, b = y[:, : self._split], y[:, self._split :]
            h = a
            for weight_t, bias in zip(block.weights_t[:-1], block.biases[:-1], strict=True):
                h = torch.nn.functional.silu(torch.addmm(bias, h, weight_t))
            shift, raw = torch.addmm(block.biases[-1], h, block.weights_t[-1]).chunk(2, -1)
            b = (b - shift) * torch.exp(-raw / (1.0 + raw.abs() / self._bound))
            y = torch.addmm(block.unmix_bias, torch.cat([a, b], 1), block.unmix_t)
        return y

    @torch.no_grad()
    def decode_with_jacobian(
        self, z: Float[Tensor, "batch latent"]
    ) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim latent"]]:
        """Point and its derivatives by z."""
        batch, dim = z.shape
        split = self._split
        y = z
        # The latent index comes first, so that every product below is one flat matrix product.
        tangents = torch.eye(dim, dtype=z.dtype, device=z.device).expand(batch, dim, dim)
        for block in self._blocks:
            a, b = y[:, :split], y[:, split:]
            out, jacobian = self._conditioner_with_jacobian(block, a)
            shift, raw = out.chunk(2, -1)
            inv_scale, squash = self._scale(raw)
            b = (b - shift).mul_(inv_scale)
            y = torch.addmm(block.unmix_bias, torch.cat([a, b], 1), block.unmix_t)
            # db' = inv_scale * (db - dshift) - b' dlog_scale, with both d's linear in da.
            d_shift, d_raw = jacobian.chunk(2, -1)
            d_log = torch.mul(b, squash).mul_(squash)
            d_b = torch.addcmul(d_shift * inv_scale[:, None], d_raw, d_log[:, None])
            t_a, t_b = tangents[..., :split], tangents[..., split:]
            t_b = torch.baddbmm(t_b * inv_scale[:, None], t_a, d_b, alpha=-1.0)
            tangents = torch.cat([t_a, t_b], -1)
            if block is not self._blocks[-1]:
                tangents = torch.mm(tangents.view(-1, dim), block.unmix_t).view(batch, dim, dim)
        unmix = self._blocks[-1].unmix_t.mT.expand(batch, -1, -1)
        return y, torch.bmm(unmix, tangents.mT)

    @staticmethod
    def _conditioner_with_jacobian(block: _BakedBlock, a: Tensor) -> tuple[Tensor, Tensor]:
        """Output of a conditioning network and its Jacobian, input index first."""
        h, jacobian = a, None
        for weight_t, bias in zip(block.weights_t[:-1], block.biases[:-1], strict=True):
            pre = torch.addmm(bias, h, weight_t)
            gate = torch.sigmoid(pre)
            h = pre * gate
            slope = torch.addcmul(gate + h, h, gate, value=-1.0)
            if jacobian is None:
                jacobian = weight_t * slope[:, None]
            else:
                jacobian = torch.mm(jacobian.view(-1, weight_t.shape[0]), weight_t)
                jacobian = jacobian.view(len(a), -1, weight_t.shape[1]).mul_(slope[:, None])
        out = torch.addmm(block.biases[-1], h, block.weights_t[-1])
        if jacobian is None:
            return out, block.weights_t[-1].expand(len(a), -1, -1)
        jacobian = torch.mm(jacobian.view(-1, h.shape[1]), block.weights_t[-1])
        return out, jacobian.view(len(a), -1, out.shape[1])
