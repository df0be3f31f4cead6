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

_ROWS_TOGETHER = 48
"""Rows of Jacobians, over blocks, that are worked on at once: of a few points those of all blocks,
since most of the time goes into calls then, of many points block by block, since it goes into
memory."""


@dataclass(frozen=True)
class _Baked:
    """All blocks in the order of decoding: each undoes a coupling, then a mixing.

    Attributes:
        weights_t: transposed weight matrices of the conditioning networks, by layer.
        biases: their biases.
        unmix_t: transposed matrices applied afterwards, with columns of zeros up to the widest (the
            last block's includes un-whitening).
        unmix_bias: offsets added after them.
    """

    weights_t: tuple[Float[Tensor, "blocks inputs outputs"], ...]
    biases: tuple[Float[Tensor, "blocks outputs"], ...]
    unmix_t: Float[Tensor, "blocks latent dim"]
    unmix_bias: Float[Tensor, "blocks dim"]

    def named(self) -> dict[str, Tensor]:
        """All tensors by name."""
        return {
            **{f"weight{i}_t": weight_t for i, weight_t in enumerate(self.weights_t)},
            **{f"bias{i}": bias for i, bias in enumerate(self.biases)},
            "unmix_t": self.unmix_t,
            "unmix_bias": self.unmix_bias,
        }


@dataclass(frozen=True)
class _Block:
    """One block's share of them, kept, since taking it out takes as long as using it."""

    weights_t: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    unmix_t: Tensor
    unmix_bias: Tensor


@dataclass
class _Passed:
    """What the blocks made of a batch on the way to its points; Jacobians follow from it."""

    pre: list[list[Tensor]]
    """By hidden layer and block: what activations were applied to."""
    b: list[Tensor]
    """Of each block, the decoded half."""
    inv_scale: list[Tensor]
    squash: list[Tensor]


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
        for name, tensor in self._bake(flow, whitening).named().items():
            self.register_buffer(name, tensor, persistent=False)
        self._gather()

    def _gather(self) -> None:
        """The buffers, and each block's share of them."""
        layers = range(self._depth + 1)
        self._baked = baked = _Baked(
            tuple(self.get_buffer(f"weight{i}_t") for i in layers),
            tuple(self.get_buffer(f"bias{i}") for i in layers),
            self.get_buffer("unmix_t"),
            self.get_buffer("unmix_bias"),
        )
        dim, last = baked.unmix_t.shape[1], len(baked.unmix_t) - 1
        self._blocks = tuple(
            _Block(
                tuple(weight_t[n] for weight_t in baked.weights_t),
                tuple(bias[n] for bias in baked.biases),
                baked.unmix_t[n] if n == last else baked.unmix_t[n, :, :dim].contiguous(),
                baked.unmix_bias[n] if n == last else baked.unmix_bias[n, :dim],
            )
            for n in range(last + 1)
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "BakedAffineDecoder":
        super()._apply(fn, recurse)
        self._gather()
        return self

    @staticmethod
    @torch.no_grad()
    def _bake(flow: CouplingFlow, whitening: Whitening) -> _Baked:
        weights, biases, unmixes, offsets = [], [], [], []
        for index in reversed(range(flow.config.blocks)):
            mixing, conditioner = flow.mixings[index], flow.conditioners[index]
            assert isinstance(mixing, LinearMixing)
            unmix = torch.linalg.inv(mixing.matrix().double())
            bias = -unmix @ mixing.bias.double()
            if index == 0:
                unwhiten = whitening.unwhitening.double().mT
                unmix, bias = unwhiten @ unmix, unwhiten @ bias + whitening.mean.double()
            linears = [m for m in conditioner.children() if isinstance(m, torch.nn.Linear)]
            weights.append([m.weight.detach().mT for m in linears])
            biases.append([m.bias.detach() for m in linears])
            unmixes.append(unmix.mT)
            offsets.append(bias)
        dtype, width = weights[0][0].dtype, unmixes[-1].shape[1]
        pad = torch.nn.functional.pad
        return _Baked(
            tuple(torch.stack(layer) for layer in zip(*weights, strict=True)),
            tuple(torch.stack(layer) for layer in zip(*biases, strict=True)),
            torch.stack([pad(one, (0, width - one.shape[1])) for one in unmixes]).to(dtype),
            torch.stack([pad(one, (0, width - len(one))) for one in offsets]).to(dtype),
        )

    def _scale(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Inverse scale of the coupling, and minus the squashing factor of its log scale.

        zuko's affine transform bounds the log scale as raw / (1 + |raw| / bound), whose derivative
        is the squashing factor squared.
        """
        squash = raw.abs().mul_(-1.0 / self._bound).sub_(1.0).reciprocal_()
        return torch.mul(raw, squash).exp_(), squash

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
        y, passed = self._pass(z)
        count = len(self._blocks)
        together = max(1, min(count, _ROWS_TOGETHER // max(1, len(z))))
        dim, tangents = z.shape[1], None
        for first in range(0, count, together):
            steps = self._steps(passed, slice(first, min(first + together, count)))
            for n, step in enumerate(steps.unbind(0), start=first):
                # The latent index comes first.
                if n < count - 1:
                    step = step[..., :dim]
                    tangents = step if tangents is None else torch.bmm(tangents, step)
                elif tangents is None:
                    tangents = step.mT.contiguous()
                else:
                    tangents = torch.bmm(step.mT, tangents.mT)
        assert tangents is not None, "a flow has blocks"
        return y, tangents

    def _pass(self, z: Tensor) -> tuple[Tensor, _Passed]:
        """Points, and what their Jacobians follow from."""
        y, passed = z, _Passed([[] for _ in range(self._depth)], [], [], [])
        for block in self._blocks:
            a, b = y[:, : self._split], y[:, self._split :]
            h = a
            for layer, pre in enumerate(passed.pre):
                pre.append(torch.addmm(block.biases[layer], h, block.weights_t[layer]))
                h = torch.nn.functional.silu(pre[-1])
            shift, raw = torch.addmm(block.biases[-1], h, block.weights_t[-1]).chunk(2, -1)
            inv_scale, squash = self._scale(raw)
            b = (b - shift).mul_(inv_scale)
            y = torch.addmm(block.unmix_bias, torch.cat([a, b], 1), block.unmix_t)
            passed.b.append(b)
            passed.inv_scale.append(inv_scale)
            passed.squash.append(squash)
        return y, passed

    def _steps(self, passed: _Passed, blocks: slice) -> Float[Tensor, "blocks batch latent dim"]:
        """Transposed Jacobians of some of the blocks, each of all it does, at once.

        With d the conditioning network's Jacobian, inputs first: da' = da, and
        db' = inv_scale (db - d_shift da) - b' d_log_scale da, both of which are mixed then.
        """
        b, inv_scale, squash = (
            torch.stack(values[blocks]) for values in (passed.b, passed.inv_scale, passed.squash)
        )
        d_shift, d_raw = self._conditioned(passed.pre, blocks).chunk(2, -1)
        d_log = b.mul_(squash).mul_(squash)[:, :, None]
        d_b = torch.addcmul(d_shift * inv_scale[:, :, None], d_raw, d_log)
        unmix_a, unmix_b = (
            part[:, None] for part in self._baked.unmix_t[blocks].tensor_split((self._split,), 1)
        )
        count, batch, split, _ = d_b.shape
        latent, dim = self._baked.unmix_t.shape[1:]
        steps = d_b.new_empty(count, batch, latent, dim)
        pushed = torch.bmm(d_b.flatten(1, 2), unmix_b[:, 0]).view(count, batch, split, dim)
        torch.sub(unmix_a, pushed, out=steps[:, :, :split])
        torch.mul(inv_scale[..., None], unmix_b, out=steps[:, :, split:])
        return steps

    def _conditioned(
        self, pre: list[list[Tensor]], blocks: slice
    ) -> Float[Tensor, "blocks batch inputs outputs"]:
        """Jacobians of the conditioning networks, transposed."""
        *hidden, last = (weight_t[blocks] for weight_t in self._baked.weights_t)
        jacobian = None
        for weight_t, values in zip(hidden, pre, strict=True):
            stacked = torch.stack(values[blocks])
            gate = torch.sigmoid(stacked)
            # the slope of SiLU h = x g(x) is h + g (1 - h)
            slope = torch.lerp(stacked.mul_(gate), gate.new_ones(()), gate)[:, :, None]
            if jacobian is None:
                jacobian = weight_t[:, None] * slope
            else:
                rows = torch.bmm(jacobian.flatten(1, 2), weight_t)
                jacobian = rows.view(*jacobian.shape[:3], rows.shape[-1]).mul_(slope)
        if jacobian is None:
            return last[:, None]
        rows = torch.bmm(jacobian.flatten(1, 2), last)
        return rows.view(*jacobian.shape[:3], rows.shape[-1])
