"""Legs as a picture shows them, and as bodies have them."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from kinflow.body.hinges import KNEES, hinge_flexion_deg
from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.skeleton import FREE_JOINTS
from kinflow.evidence.types import ImageEvidence
from kinflow.results import Person


def with_legs(evidence: ImageEvidence, knees_px: float) -> ImageEvidence:
    """The only person with legs straight down, but for knees that are aside."""
    (seen,) = evidence.people
    points = seen.keypoints_px.clone()
    for side, x in (("left", 300.0), ("right", 220.0)):
        for name, at in (("hip", (x, 400)), ("knee", (x + knees_px, 510)), ("ankle", (x, 620))):
            points[KEYPOINT_INDEX[f"{side}_{name}"]] = torch.tensor([*at, 0.9])
    std_px = torch.full_like(seen.keypoint_std_px, 4.0)
    return replace(evidence, people=(replace(seen, keypoints_px=points, keypoint_std_px=std_px),))


def knees_deg(people: Sequence[Person]) -> torch.Tensor:
    """How far left and right knee of each are bent."""
    poses = torch.stack([person.pose[list(FREE_JOINTS)] for person in people])
    return hinge_flexion_deg(poses)[:, KNEES]
