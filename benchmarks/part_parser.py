"""How well the part parser labels people it has never seen, how long it takes, how large it is.

Scenes of our own body (`kinflow.synth`): test subjects' poses, random shapes, cameras and framing,
clothes, occluders, a segmenter's and a detector's errors, and a picture. The truth are the parts of
the naked body; cells outside the image and under occluders do not count. Printed are the
intersection over union of each label (likeliest label, all cells of all scenes together), how often
the sets that the parser hands out hold the truth, and the median processor time per person on one
thread. The yardstick tells how much a small shift of all outlines costs parts of this size.

    python benchmarks/part_parser.py --poses poses.safetensors [--weights run/parts.safetensors]

Without a pose set, poses are samples of the shipped prior. With `--detected`, the product's own
networks look at the painted pictures, in place of simulated detectors; scenes whose person they do
not see are left out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import tyro

from kinflow.assets import asset_path
from kinflow.body.keypoints import COCO17_ROWS
from kinflow.body.parts import PART_NAMES, UNKNOWN
from kinflow.datasets.same_person import LEAST_SCORE, are_of
from kinflow.evidence.blazepose import BlazePose, region_from_coco
from kinflow.evidence.part_network import GRID, NUM_LABELS
from kinflow.evidence.parts import SHIPPED, PartParser, PartParserConfig, label_sets
from kinflow.evidence.selfie import SelfieSegmenter
from kinflow.evidence.silhouette import Subject, silhouettes
from kinflow.evidence.types import PersonMask
from kinflow.evidence.weights import RuntimeConfig
from kinflow.synth import Scene, SceneConfig, SceneSource
from kinflow.synth.observation import ObservationConfig
from kinflow.synth.occlusion import OcclusionConfig
from kinflow.synth.people import PeopleConfig
from kinflow.synth.picture import Painter
from kinflow.synth.views import ViewConfig
from kinflow.training.parts.scores import intersection_over_union

UNSEEN_SEED = 5_000_011


@dataclass(frozen=True)
class Config:
    """Benchmark options."""

    poses: Path | None = None
    """Pose set; its test split is taken."""
    weights: Path | None = None
    """Weight file of `kinflow train parts`; the shipped network without."""
    count: int = 300
    whole: bool = False
    """Only people whom neither the image's edge nor an occluder cuts."""
    without_depth: bool = False
    """Do not tell the parser the detector's rough depths."""
    without_pixels: bool = False
    """Do not show it the scenes' pictures."""
    detected: bool = False
    """Have BlazePose and the segmenters look at the pictures."""


def scene_config(config: Config) -> SceneConfig:
    """Scenes that no training has seen."""
    people = PeopleConfig(poses=config.poses, split="test", prior_share=0.0)
    if not config.whole:
        return SceneConfig(people=people, seed=UNSEEN_SEED)
    return SceneConfig(
        people=people,
        views=ViewConfig(truncated_share=0.0),
        observation=ObservationConfig(occlusion=OcclusionConfig(shape_share=0.0, person_share=0.0)),
        seed=UNSEEN_SEED,
    )


@dataclass(frozen=True)
class Measured:
    """What the parser is told of a person, in the order of its arguments."""

    keypoints_px: torch.Tensor
    mask: PersonMask
    image_size: tuple[int, int]
    world_m: torch.Tensor | None
    image_rgb: np.ndarray | None

    def arguments(self) -> tuple[Any, ...]:
        """All of it."""
        return tuple(getattr(self, field.name) for field in fields(self))


class Detectors:
    """The product's networks, told roughly where the person is."""

    def __init__(self) -> None:
        runtime = RuntimeConfig(threads=1)
        self._blazepose, self._segmenter = BlazePose(runtime), SelfieSegmenter(runtime)

    def look(self, scene: Scene, image_rgb: np.ndarray) -> Measured | None:
        """What they see; None where it is of nobody or of somebody else."""
        truth, shows = scene.keypoints_px.float(), scene.keypoint_visible
        coco = torch.cat([truth, 0.7 * shows[:, None]], 1)[list(COCO17_ROWS)].numpy()
        pose = self._blazepose(image_rgb, region_from_coco(coco))
        if not pose.region.resembles(pose.next_region):
            pose = self._blazepose(image_rgb, pose.next_region)
        seen = torch.from_numpy(np.column_stack((pose.keypoints_px, pose.confidence))).float()
        if pose.score < LEAST_SCORE or not bool(are_of(seen, truth, shows)):
            return None
        size = scene.camera.image_size
        shown = scene.grid.centres_px()[scene.dressed & scene.known]
        if not len(shown):
            return None
        box_px = torch.cat([shown.amin(0), shown.amax(0)]).double().numpy()
        (mask,) = silhouettes(image_rgb, [Subject(pose, box_px)], self._segmenter)
        inside = ((seen[:, :2] >= 0) & (seen[:, :2] <= torch.tensor(size))).all(1)
        seen[:, 2] *= inside
        depth = torch.from_numpy(pose.world_m).float()
        return Measured(seen, mask, size, depth, image_rgb)


def world_m(scene: Scene) -> torch.Tensor | None:
    """The detector's 3D keypoints, of which the parser reads the depth only."""
    if scene.detected_depth_m is None:
        return None
    flat = torch.zeros(len(scene.detected_depth_m), 2)
    return torch.cat([flat, scene.detected_depth_m[:, None]], 1)


def truth_at(scene: Scene, points_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True label at image points, and whether it counts."""
    cells = (scene.grid.to_cells(points_px) - 0.5).astype(np.float32)
    labels = _nearest(scene.parts.numpy(), cells, beyond=0)
    known = _nearest(scene.known.numpy().astype(np.uint8), cells, beyond=1)
    in_image = ((points_px >= 0) & (points_px < scene.camera.image_size)).all(-1)
    return labels, (known > 0) & in_image


def _nearest(values: np.ndarray, cells: np.ndarray, beyond: int) -> np.ndarray:
    """Value of the nearest cell, `beyond` outside of the grid."""
    x, y = cells[..., 0], cells[..., 1]
    return cv2.remap(values, x, y, cv2.INTER_NEAREST, None, cv2.BORDER_CONSTANT, [beyond])


def counted(truth: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Cells by (true label, answer)."""
    pairs = NUM_LABELS * truth.astype(np.int64) + answer
    return np.bincount(pairs.ravel(), minlength=NUM_LABELS**2).reshape(NUM_LABELS, NUM_LABELS)


def main(config: Config) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    parser = PartParser(PartParserConfig(config.weights))
    source = SceneSource(scene_config(config))
    painter = None if config.without_pixels else Painter.load()
    detectors = Detectors() if config.detected else None
    confusion, yardstick = np.zeros((2, NUM_LABELS, NUM_LABELS), np.int64)
    seconds, single_right, set_right, unknown, person_cells, single = [], 0, 0, 0, 0, 0
    for seed in range(config.count):
        scene = source.scene(seed)
        depth = None if config.without_depth else world_m(scene)
        image_rgb = None
        if painter is not None:
            image_rgb = painter.paint(scene, np.random.default_rng((UNSEEN_SEED, seed, 1)))
        simulated = (scene.detected_keypoints_px, scene.mask, scene.camera.image_size)
        measured = Measured(*simulated, depth, image_rgb)
        if detectors is not None and image_rgb is not None:
            measured = detectors.look(scene, image_rgb)
            if measured is None:
                continue
        inputs = measured.arguments()
        begin = time.process_time()
        parser(*inputs)
        seconds.append(time.process_time() - begin)
        found = parser.probabilities(*inputs)
        if found is None:
            continue
        labels, counts = truth_at(scene, found.grid.centres_px().numpy())
        answer = found.probability.argmax(0).numpy()
        confusion += counted(labels[counts], answer[counts])
        both = counts[:, 1:] & counts[:, :-1]
        yardstick += counted(labels[:, 1:][both], labels[:, :-1][both])
        allowed = label_sets(found.probability, parser.config.set_probability)[0].numpy()
        # the empty background would hide what matters
        person = counts & ((labels > 0) | (answer > 0))
        right = (allowed >> labels & 1) > 0
        one = np.isin(allowed, [1 << k for k in range(NUM_LABELS)])
        person_cells += person.sum()
        single += (person & one).sum()
        single_right += (person & one & right).sum()
        unknown += (person & (allowed == UNKNOWN)).sum()
        set_right += (person & right).sum()
    iou = intersection_over_union(confusion)
    path = asset_path(SHIPPED) if config.weights is None else config.weights
    of, steps = f"{len(seconds)} of {config.count}", parser.info.steps
    print(f"{of} scenes, {GRID} x {GRID} cells, network of {steps} steps")
    for name, value in zip(PART_NAMES, iou, strict=True):
        print(f"  {name:16s} {value:.3f}")
    print(f"mIoU of the 14 parts {iou[1:].mean():.3f}, with the background {iou.mean():.3f}")
    shifted = intersection_over_union(yardstick)
    print(f"(the truth itself, moved by one cell to the side: {shifted[1:].mean():.3f})")
    shares = (single, single_right, unknown, set_right)
    one, one_right, none, held = (share / max(person_cells, 1) for share in shares)
    print(
        f"cells on or near the person: one label {one:.1%} (right in {one_right / one:.1%} of these"
        f"), unknown {none:.1%}; the set holds the truth in {held:.1%}"
    )
    print(
        f"{1000 * np.median(seconds):.1f} ms of one processor core a person (median), "
        f"{path.stat().st_size / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
