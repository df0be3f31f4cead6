"""How well part networks label people whom a studio paints and the detectors look at.

Test subjects' poses, all kinds of people, clothes, cameras and occluders of `kinflow.synth.studio`;
keypoints, rough depth and silhouettes are those that the product's own networks find. The truth are
the parts of the naked body where nothing else stands before it. Printed are the mean IoU of the
parts, the F-score of the borders between parts (right within one cell), the IoU of the naked body's
silhouette, the area of heads relative to the truth (geometric mean, of children under ten and of
others), and the IoU of each part.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from kinflow.assets import asset_path
from kinflow.datasets.poses import Split
from kinflow.evidence.part_network import load_part_network
from kinflow.evidence.parts import SHIPPED
from kinflow.synth.studio import Studio, StudioConfig
from kinflow.training.parts.masks import MaskConfig
from kinflow.training.parts.scores import scores
from kinflow.training.parts.stream import Detectors, Watcher
from kinflow.training.parts.trainer import fixed_views


@dataclass(frozen=True)
class StudioPartsConfig:
    """Options of the comparison on people of a studio."""

    poses: Path
    """Pose set of `kinflow data poses`."""
    weights: tuple[Path, ...] = ()
    """Weight files of `kinflow train parts`, to be compared with the shipped network."""
    backgrounds: Path | None = None
    """Photographs without people, as the studio takes them."""
    count: int = 300
    split: Split = "test"
    """Subjects that pose; settings are chosen on those of `validation`."""
    device: str = "cpu"


def main(config: StudioPartsConfig) -> None:
    device = torch.device(config.device)
    studio = StudioConfig(
        poses=config.poses, split=config.split, backgrounds=config.backgrounds, seed=7
    )
    watcher = Watcher(Studio(studio, device), Detectors(device), MaskConfig(drawn_share=0.0))
    people = list(fixed_views(watcher, config.count))
    print(f"{sum(len(age) for _, age in people)} people of {config.count} pictures")
    for path in (asset_path(SHIPPED), *config.weights):
        network = load_part_network(path)[0].to(device)
        found = scores(network, people)
        figures = found.figures().items()
        print(path.name, ", ".join(f"{name} {value:.3f}" for name, value in figures))
        print("  ", ", ".join(f"{name} {value:.3f}" for name, value in found.iou().items()))
