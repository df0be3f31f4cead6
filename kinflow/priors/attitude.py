"""Which way is up for a body in some pose.

People stand, walk, sit and bend so that they do not fall over, and a pose shows it: with the hips
bent and the knees straight the trunk leans forward, with both bent somebody sits with an upright
trunk. A small network, learned from motion capture, turns the pose into the direction that is up in
the frame of the root. On people it has never seen it errs by 5.5 degrees on average.

Whoever lies, falls or tumbles has another up than their pose suggests. The network does not know of
them; whoever uses it allows for outliers.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinflow.assets import asset_path
from kinflow.files.json_values import from_json
from kinflow.files.network_files import Header, read_network
from kinflow.files.tensor_files import load_weights, write_tensors

SHIPPED = "priors/attitude.safetensors"
FEATURES = 19 * 3 * 2
"""The first two columns of every free joint's rotation."""

_FORMAT = "kinflow attitude 1"
_UP = (0.0, 1.0, 0.0)
"""What is up for somebody who stands straight."""


@dataclass(frozen=True)
class AttitudeInfo:
    """Where a network comes from; stored in the header of its weight file.

    Attributes:
        command: the command that trained it.
        seed: its seed.
        data_sha256: content hash of the pose set.
        hidden: width of its two hidden layers.
        metrics: errors on subjects it was not trained on, by name.
    """

    command: str = ""
    seed: int = 0
    data_sha256: str = ""
    hidden: int = 32
    metrics: dict[str, float] = field(default_factory=dict)


class AttitudePrior(nn.Module):
    """The direction that is up, as a function of a pose.

    Args:
        info: where it comes from, and its size.
    """

    def __init__(self, info: AttitudeInfo) -> None:
        super().__init__()
        self.info = info
        self.first = nn.Linear(FEATURES, info.hidden)
        self.second = nn.Linear(info.hidden, info.hidden)
        self.last = nn.Linear(info.hidden, 3)
        with torch.no_grad():  # an untrained network says that everybody stands straight
            self.last.weight.mul_(0.1)
            self.last.bias.copy_(torch.tensor(_UP))

    def forward(self, R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch 3"]:
        """Up in the root's frame, of length 1."""
        hidden = F.silu(self.first(_features(R_free)))
        return F.normalize(self.last(F.silu(self.second(hidden))), dim=-1)

    def with_jacobian(
        self,
        R_free: Float[Tensor, "batch 19 3 3"],
        omega: Float[Tensor, "batch 19 3 latent"],
    ) -> tuple[Float[Tensor, "batch 3"], Float[Tensor, "batch 3 latent"]]:
        """Up, and how it changes with what turns the joints.

        Args:
            R_free: the pose.
            omega: angular velocities of the joints, each in its parent's frame, as
                `PosePrior.decode_with_jacobian` gives them.
        """
        first = self.first(_features(R_free))
        second = self.second(F.silu(first))
        raw = self.last(F.silu(second))
        length = raw.norm(dim=-1, keepdim=True)
        up = raw / length
        slope = (self.last.weight - up[..., None] * (up @ self.last.weight)[:, None]) / length[
            ..., None
        ]
        slope = (slope * _silu_slope(second)[:, None]) @ self.second.weight
        slope = (slope * _silu_slope(first)[:, None]) @ self.first.weight
        # a column c of a rotation that turns with w moves by w x c, so that g.dc = w.(c x g)
        columns = R_free[..., :2].mT[:, None]
        pull = slope.unflatten(-1, (19, 2, 3))
        torque = torch.linalg.cross(columns.expand_as(pull), pull).sum(-2)
        return up, torque.flatten(-2) @ omega.flatten(1, 2)

    def save(self, path: Path | str) -> None:
        """Write a weight file, atomically."""
        header = {"format": _FORMAT, "info": asdict(self.info)}
        write_tensors(Path(path), self.state_dict(), {"kinflow": json.dumps(header)})

    @staticmethod
    def load(path: Path | str | None = None) -> AttitudePrior:
        """From a weight file; the shipped one if none is named.

        Raises:
            InputError: the file is missing, damaged or of another kind.
            AssetError: the shipped file is missing or damaged.
        """
        return _shipped() if path is None else _read(path)


def _features(R_free: Float[Tensor, "*batch 19 3 3"]) -> Float[Tensor, "*batch features"]:
    return R_free[..., :2].mT.flatten(-3)


def _silu_slope(x: Tensor) -> Tensor:
    sigmoid = torch.sigmoid(x)
    return sigmoid * (1 + x * (1 - sigmoid))


@cache
def _shipped() -> AttitudePrior:
    return _read(asset_path(SHIPPED), trusted=True)


def _read(path: Path | str, trusted: bool = False) -> AttitudePrior:
    return read_network(path, "an attitude prior", (_FORMAT,), _built, trusted)


def _built(header: Header, tensors: dict[str, Tensor]) -> AttitudePrior:
    network = AttitudePrior(from_json(AttitudeInfo, header.get("info"), {"hidden": (1, 4096)}))
    load_weights(network, tensors)
    return network.float().eval().requires_grad_(False)
