"""People for the part parser to learn from, without a studio: bodies as flat colours."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from kinflow.synth import SceneConfig, SceneSource
from kinflow.synth.views import ViewConfig
from kinflow.training.parts.pictures import Pictures

SIDE = 256


def people(count: int = 4, seed: int = 0) -> Pictures:
    """Whole bodies in the middle of their crops."""
    source = SceneSource(SceneConfig(views=ViewConfig(truncated_share=0.0), grid_cells=SIDE))
    rng = np.random.default_rng(seed)
    shades = rng.integers(40, 255, (15, 3))
    shades[0] = 20
    labels, points, depths = [], [], []
    for number in range(count):
        body = source.body(source.rng(1000 * seed + number)).render
        rows, columns = np.nonzero(body.labels)
        middle = np.array([columns.mean(), rows.mean()])
        shift = SIDE / 2 - middle
        matrix = np.array([[0.8, 0, 0], [0, 0.8, 0]])
        matrix[:, 2] = 0.8 * shift + 0.1 * SIDE
        labels.append(cv2.warpAffine(body.labels, matrix, (SIDE, SIDE), flags=cv2.INTER_NEAREST))
        points.append((body.keypoints_cells @ matrix[:, :2].T + matrix[:, 2]) / SIDE - 0.5)
        depths.append(body.keypoint_depth_m)
    parts = torch.from_numpy(np.stack(labels))
    xy = torch.from_numpy(np.stack(points)).float()
    return Pictures(
        rgb=torch.from_numpy(shades).to(torch.uint8)[parts.long()],
        mask=(parts > 0).to(torch.uint8) * 255,
        labels=parts,
        inside=torch.ones_like(parts, dtype=torch.bool),
        keypoints_crop=torch.cat([xy, torch.full((count, 33, 1), 0.9)], -1),
        depth_m=torch.from_numpy(np.stack(depths)).float(),
        roll=torch.zeros(count),
        age=torch.linspace(0.1, 0.7, count),
        useful=torch.ones(count, dtype=torch.bool),
    )


class Painter:
    """In place of `stream.Watcher`: bodies in an order that the generator gives."""

    def __init__(self, bodies: Pictures) -> None:
        self.bodies, self.draws = bodies, 0

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def pictures(self, count: int, generator: torch.Generator) -> Pictures:
        self.draws += 1
        return self.bodies[torch.randint(len(self.bodies), (count,), generator=generator)]
