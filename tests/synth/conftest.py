"""Scenes that several tests look at."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kinflow.body.skeleton import FREE_JOINTS, JOINT_INDEX
from kinflow.datasets.poses import PoseSet
from kinflow.synth import Scene, SceneConfig, SceneSource
from kinflow.synth.rendering import RenderedBody
from kinflow.synth.views import ViewConfig


@pytest.fixture(scope="session")
def source() -> SceneSource:
    return SceneSource(SceneConfig(grid_cells=96))


@pytest.fixture(scope="session")
def scenes(source) -> list[Scene]:
    return [source.scene(seed) for seed in range(12)]


@pytest.fixture(scope="session")
def bodies() -> list[RenderedBody]:
    """Bodies of which nothing is cut off."""
    source = SceneSource(SceneConfig(views=ViewConfig(truncated_share=0.0), grid_cells=96))
    return [source.body(source.rng(seed)).render for seed in range(6)]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def pose_set_path(tmp_path_factory) -> Path:
    """A pose set of one training subject in one pose: the left elbow bent by 1 rad."""
    rotvec = torch.zeros(5, 19, 3)
    rotvec[:, FREE_JOINTS.index(JOINT_INDEX["left_elbow"]), 1] = -1.0
    poses = PoseSet(
        rotvec=rotvec,
        root_rotvec=torch.zeros(5, 3),
        clip=torch.zeros(5, dtype=torch.int32),
        frame=torch.arange(5, dtype=torch.int32),
        clip_names=("clip",),
        clip_subjects=("01",),
    )
    path = tmp_path_factory.mktemp("poses") / "poses.safetensors"
    poses.save(path)
    return path
