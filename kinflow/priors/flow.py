"""Normalizing-flow pose priors: a flow of any family over whitened coordinates of poses.

Coordinates are rotation vectors or the 6D representation (`kinflow.priors.coordinates`). The latent
covers the principal directions that move; along the rest a decoded pose stays at the mean.
Densities cover all dimensions: the directions outside the latent are Gaussian with the spread seen
in training plus the dequantisation noise.
"""

from collections.abc import Callable, Mapping

from jaxtyping import Float
from torch import Tensor, nn

from kinflow.errors import InputError
from kinflow.priors.base import PosePrior
from kinflow.priors.coordinates import SPACES, Coordinates, SpaceName
from kinflow.priors.coupling import CouplingFlow
from kinflow.priors.decoder import BakedAffineDecoder
from kinflow.priors.families import flow_from_state, flow_settings
from kinflow.priors.flow_network import FlowNetwork
from kinflow.priors.interface import PriorInfo
from kinflow.priors.pose_space import NUM_FREE, Whitening, log_normal, matrix_to_rotvec
from kinflow.priors.transform_decoder import TransformDecoder


class FlowPrior(PosePrior):
    """A flow with a standard normal latent; what it is called depends on its network."""

    def __init__(
        self,
        flow: FlowNetwork,
        whitening: Whitening,
        info: PriorInfo,
        space: SpaceName = "rotvec",
    ) -> None:
        super().__init__(info)
        self.family = flow.config.family
        self.space: Coordinates = SPACES[space]
        self.pose_space = self.space.label
        self.flow = flow.eval().requires_grad_(False)
        self.whitening = whitening
        self._decoder = _decoder_of(flow, whitening)
        self.register_load_state_dict_post_hook(_decode_by_new_weights)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FlowPrior":
        before = self.whitening.std.dtype
        super()._apply(fn, recurse)
        if self.whitening.std.dtype != before:
            # what was rounded to one precision is no decoder of another
            self._decoder = _decoder_of(self.flow, self.whitening)
        return self

    @property
    def latent_dim(self) -> int:
        return self.flow.config.dim

    def log_prob(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch"]:
        rotvec = matrix_to_rotvec(R_free).flatten(-2)
        return rotvec_log_prob(self.flow, self.whitening, self.space, rotvec)

    def encode(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch latent"]:
        y = self.whitening.whiten(self.space.from_matrix(R_free))
        z, _ = self.flow.transform().call_and_ladj(y[..., : self.latent_dim])
        return z

    def decode(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch 19 3 3"]:
        points = self._decoder.decode(z.reshape(-1, self.latent_dim))
        return self.space.to_matrix(points).view(*z.shape[:-1], NUM_FREE, 3, 3)

    def decode_with_jacobian(
        self, z: Float[Tensor, "*batch latent"]
    ) -> tuple[Float[Tensor, "*batch 19 3 3"], Float[Tensor, "*batch 19 3 latent"]]:
        batch_shape = z.shape[:-1]
        points, d_points = self._decoder.decode_with_jacobian(z.reshape(-1, self.latent_dim))
        R_free, omega = self.space.to_matrix_and_turning(points, d_points)
        return R_free.view(*batch_shape, NUM_FREE, 3, 3), omega.view(
            *batch_shape, NUM_FREE, 3, self.latent_dim
        )

    def state(self) -> tuple[dict[str, Tensor], Mapping[str, object]]:
        return dict(self.state_dict()), {**flow_settings(self.flow), "space": self.space.name}

    @classmethod
    def from_state(
        cls, tensors: dict[str, Tensor], settings: Mapping[str, object], info: PriorInfo
    ) -> "FlowPrior":
        space = settings.get("space", "rotvec")
        if not isinstance(space, str) or space not in SPACES:
            raise InputError(f"'space' is not one of {', '.join(SPACES)}")
        prefix = "flow."
        weights = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
        flow = flow_from_state(settings, weights)
        whitening = Whitening.from_state(tensors, flow.config.dim, SPACES[space].dim)
        return cls(flow, whitening, info, space)


def _decoder_of(flow: FlowNetwork, whitening: Whitening) -> BakedAffineDecoder | TransformDecoder:
    if isinstance(flow, CouplingFlow) and flow.config.coupling == "affine":
        return BakedAffineDecoder(flow, whitening)
    return TransformDecoder(flow, whitening)


def _decode_by_new_weights(prior: nn.Module, _: object) -> None:
    """What happens after `load_state_dict`: decoders are made of weights."""
    assert isinstance(prior, FlowPrior)
    prior._decoder = _decoder_of(prior.flow, prior.whitening)


def point_log_prob(
    flow: FlowNetwork, whitening: Whitening, points: Float[Tensor, "*batch dim"]
) -> Float[Tensor, "*batch"]:
    """Log density of points under a flow over their leading whitened coordinates."""
    y = whitening.whiten(points)
    kept, rest = y[..., : whitening.num_kept], y[..., whitening.num_kept :]
    return flow.log_prob(kept) + log_normal(rest) + whitening.log_volume()


def rotvec_log_prob(
    flow: FlowNetwork,
    whitening: Whitening,
    space: Coordinates,
    rotvec: Float[Tensor, "*batch 57"],
) -> Float[Tensor, "*batch"]:
    """Log density of poses with respect to rotation vectors; for 6D a tight lower bound."""
    return space.log_prob(lambda points: point_log_prob(flow, whitening, points), rotvec)
