"""The kinds of flow by name, all built from the same few settings."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import assert_never

from kinflow.errors import InputError
from kinflow.files.json_values import from_json
from kinflow.files.tensor_files import load_weights
from kinflow.priors.autoregressive import AutoregressiveConfig, AutoregressiveFlow
from kinflow.priors.coupling import CouplingConfig, CouplingFlow
from kinflow.priors.flow_network import FlowConfig, FlowNetwork
from kinflow.priors.pose_space import NUM_FREE

FlowFamily = Literal["nice", "realnvp", "glow", "spline", "maf", "iaf"]

FLOW_FAMILIES: tuple[FlowFamily, ...] = ("nice", "realnvp", "glow", "spline", "maf", "iaf")


_LIMITS = {
    "dim": (2, 6 * NUM_FREE),
    "blocks": (1, 256),
    "hidden": (1, 8192),
    "depth": (0, 64),
    "dropout": (0, 1),
    "max_log_scale": (1e-3, 20),
    "bins": (2, 256),
}


def flow_config(
    family: FlowFamily, dim: int, blocks: int, hidden: int, depth: int, dropout: float
) -> FlowConfig:
    """Shape of a flow of the given family."""
    shape = (dim, blocks, hidden, depth, dropout)
    match family:
        case "nice":
            return CouplingConfig(*shape, coupling="additive")
        case "realnvp":
            return CouplingConfig(*shape)
        case "glow":
            return CouplingConfig(*shape, act_norm=True)
        case "spline":
            return CouplingConfig(*shape, coupling="spline")
        case "maf":
            return AutoregressiveConfig(*shape)
        case "iaf":
            return AutoregressiveConfig(*shape, fast="decode")
        case _ as unreachable:
            assert_never(unreachable)


def make_flow(config: FlowConfig) -> FlowNetwork:
    """An untrained flow; draws its initial weights from torch's global random generator."""
    if isinstance(config, CouplingConfig):
        return CouplingFlow(config)
    assert isinstance(config, AutoregressiveConfig)
    return AutoregressiveFlow(config)


def flow_settings(flow: FlowNetwork) -> Mapping[str, object]:
    """JSON-able settings from which `flow_from_state` rebuilds the network."""
    if isinstance(flow, CouplingFlow):
        return {"flow": asdict(flow.config)}
    assert isinstance(flow, AutoregressiveFlow)
    return {"autoregressive": asdict(flow.config)}


def flow_from_state(settings: Mapping[str, object], weights: Mapping[str, Tensor]) -> FlowNetwork:
    """The network of settings that `flow_settings` gave, with its weights.

    Raises:
        InputError: the settings are out of range, or the weights are not those of such a network.
    """
    if "autoregressive" in settings:
        config = from_json(AutoregressiveConfig, settings["autoregressive"], _LIMITS)
    elif "flow" in settings:
        config = from_json(CouplingConfig, settings["flow"], _LIMITS)
    else:
        raise InputError("the settings are not those of a flow")
    if config.num_weights > sum(weight.numel() for weight in weights.values()):
        raise InputError("the settings are those of a larger flow than the weights make up")
    with torch.random.fork_rng(devices=[]):  # loading must not disturb anyone's random numbers
        flow = make_flow(config)
    load_weights(flow, weights)
    return flow
