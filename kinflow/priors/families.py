"""The kinds of flow by name, all built from the same few settings."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Literal

import torch
from typing_extensions import assert_never

from kinflow.priors.autoregressive import AutoregressiveConfig, AutoregressiveFlow
from kinflow.priors.coupling import CouplingConfig, CouplingFlow
from kinflow.priors.flow_network import FlowConfig, FlowNetwork

FlowFamily = Literal["nice", "realnvp", "glow", "spline", "maf", "iaf"]

FLOW_FAMILIES: tuple[FlowFamily, ...] = ("nice", "realnvp", "glow", "spline", "maf", "iaf")


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
    """JSON-able settings from which `flow_from_settings` rebuilds the network."""
    if isinstance(flow, CouplingFlow):
        return {"flow": asdict(flow.config)}
    assert isinstance(flow, AutoregressiveFlow)
    return {"autoregressive": asdict(flow.config)}


def flow_from_settings(settings: Mapping[str, object]) -> FlowNetwork:
    """The network of the given settings, its weights still to be loaded; KeyError if neither."""
    with torch.random.fork_rng(devices=[]):  # loading must not disturb anyone's random numbers
        if "autoregressive" in settings:
            config = AutoregressiveConfig(**settings["autoregressive"])  # type: ignore[arg-type]
        else:
            config = CouplingConfig(**settings["flow"])  # type: ignore[arg-type]
        return make_flow(config)
