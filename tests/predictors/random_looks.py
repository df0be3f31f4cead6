"""Looks at people at random, and the size of a network for them."""

import torch

from kinflow.evidence.region import Region
from kinflow.evidence.types import CloseLook
from kinflow.geometry import Camera
from kinflow.predictors import Looks
from kinflow.predictors.network import NetworkConfig

SMALL = NetworkConfig(
    latent_size=42,
    width=32,
    layers=1,
    heads=4,
    readout=32,
    blocks=1,
    context=8,
    flow_blocks=2,
    flow_hidden=16,
)
"""Of a network for tests."""


def look(seed: int, center=(300.0, 260.0), size=220.0, roll=0.3) -> CloseLook:
    generator = torch.Generator().manual_seed(seed)
    landmarks = torch.rand(33, 3, generator=generator) - torch.tensor([0.5, 0.5, 0.0])
    world = 0.4 * torch.randn(33, 3, generator=generator)
    features = torch.randn(1152, generator=generator).relu()
    joint_features = torch.randn(33, 288, generator=generator).half()
    map_features = torch.randn(4608, generator=generator).relu().half()
    return CloseLook(
        Region(center, size, roll), landmarks, world, features, joint_features, map_features
    )


def looks_of(count: int, camera: Camera | None = None) -> Looks:
    camera = camera or Camera.from_fov((640, 480), 60.0)
    several = [look(i, (100.0 + 150 * i, 250.0), 200.0, 0.2 * i) for i in range(count)]
    return Looks.of(several, [camera] * count)
