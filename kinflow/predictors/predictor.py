"""Predictors as files and as something to call: close looks in, a density over bodies out."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn

from kinflow.assets import asset_path
from kinflow.files.json_values import from_json
from kinflow.files.network_files import Header, read_network
from kinflow.files.tensor_files import load_weights, write_tensors
from kinflow.predictors.coordinates import ViewFrame
from kinflow.predictors.image_network import ImageNetwork, ImageNetworkConfig
from kinflow.predictors.looks import Looks
from kinflow.predictors.network import EvidenceNetwork, NetworkConfig
from kinflow.predictors.posterior import Posterior
from kinflow.priors.base import PosePrior

SHIPPED = {"evidence": "predictors/evidence.safetensors"}
DEFAULT = "evidence"
AnyNetworkConfig: TypeAlias = NetworkConfig | ImageNetworkConfig
_FORMATS: dict[str, type[NetworkConfig | ImageNetworkConfig]] = {
    "kinflow predictor 2": NetworkConfig,
    "kinflow image predictor 1": ImageNetworkConfig,
}


@dataclass(frozen=True)
class PredictorInfo:
    """Where a predictor comes from; stored in the header of its weight file.

    Attributes:
        command: the command that trained it.
        seed: its seed.
        prior_sha256: of the weights of the pose prior whose latent it predicts.
        samples: number of samples it was trained on.
        metrics: figures on samples it was not trained on, by name.
    """

    command: str = ""
    seed: int = 0
    prior_sha256: str = ""
    samples: int = 0
    metrics: dict[str, float] = field(default_factory=dict)


class Predictor(nn.Module):
    """A network and what it says of people.

    Args:
        config: shape of the network.
        info: where it comes from.
    """

    def __init__(self, config: AnyNetworkConfig, info: PredictorInfo) -> None:
        super().__init__()
        self.config, self.info = config, info
        self.network: EvidenceNetwork | ImageNetwork = (
            EvidenceNetwork(config) if isinstance(config, NetworkConfig) else ImageNetwork(config)
        )

    def forward(self, looks: Looks) -> Posterior:
        """What the network believes of some people."""
        guess = self.network(looks)
        return Posterior(guess, self.network.flow, ViewFrame.of(looks, self.config.latent_size))

    @property
    def crop_px(self) -> int | None:
        """Side of the crops that it looks at; None where it takes what a detector saw."""
        return None if isinstance(self.config, NetworkConfig) else self.config.crop_px

    def quick(self) -> Predictor:
        """A copy that computes its trunk in bfloat16, where processors do so in silicon: in half
        the time on a CPU that has it. Elsewhere itself.
        """
        on_cpu = next(self.parameters()).device.type == "cpu"
        if not isinstance(self.network, EvidenceNetwork) or not on_cpu or not computes_in_half():
            return self
        quick = copy.deepcopy(self)
        assert isinstance(quick.network, EvidenceNetwork)
        quick.network.trunk_dtype = torch.bfloat16
        for module in quick.network.trunk.modules():
            if isinstance(module, nn.Linear):  # or they would be made anew every time
                module.to(torch.bfloat16)
        return quick

    def save(self, path: Path | str) -> None:
        """Write a weight file in half precision, atomically."""
        (kind,) = [name for name, shape in _FORMATS.items() if type(self.config) is shape]
        header = {"format": kind, "info": asdict(self.info), "network": asdict(self.config)}
        tensors = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in self.state_dict().items()
        }
        write_tensors(Path(path), tensors, {"kinflow": json.dumps(header)})

    def is_of(self, prior: PosePrior) -> bool:
        """Whether latents mean the same to the network as to this pose prior."""
        return self.info.prior_sha256 == weights_sha256(prior)

    @staticmethod
    def load(name: Path | str = DEFAULT) -> Predictor:
        """A shipped one by name, or any from its weight file.

        Raises:
            InputError: the file is missing, damaged or of another kind.
            AssetError: the shipped file is missing or damaged.
        """
        return _shipped(name) if isinstance(name, str) and name in SHIPPED else _read(name)


def computes_in_half() -> bool:
    """Whether this machine's processor multiplies matrices of bfloat16 quicker than others."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # older versions do not tell
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def weights_sha256(prior: PosePrior) -> str:
    """Hash of a pose prior's weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(prior.state()[0].items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@cache
def _shipped(name: str) -> Predictor:
    return _read(asset_path(SHIPPED[name]), trusted=True)


def _read(path: Path | str, trusted: bool = False) -> Predictor:
    return read_network(path, "a predictor", _FORMATS, _built, trusted)


def _built(header: Header, tensors: dict[str, Tensor]) -> Predictor:
    info = from_json(PredictorInfo, header.get("info"), {})
    config = from_json(_FORMATS[header["format"]], header.get("network"), {})
    predictor = Predictor(config, info)
    load_weights(predictor, tensors)
    return predictor.float().eval().requires_grad_(False)
