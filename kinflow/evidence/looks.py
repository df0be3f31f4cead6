"""Close looks at one candidate: who is there, and is it the person that MoveNet meant?

BlazePose first looks where MoveNet's keypoints point, and again where its own landmarks suggest
another region. In a crowd it may lock onto a neighbour, and the hips of people who are cut off at
the chest are guesses that lead it astray: if what it sees does not agree with MoveNet, it looks at
the candidate's box and below its shoulders as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from kinflow.checks import not_negative, whole
from kinflow.evidence.agreement import COCO_ROWS, pose_agreement, trust
from kinflow.evidence.blazepose import (
    Pose,
    region_from_box,
    region_from_coco,
    region_from_shoulders,
)
from kinflow.evidence.movenet import Detection
from kinflow.evidence.people import person_size
from kinflow.evidence.region import Region

# Above these a keypoint counts as certain; MoveNet's heat is lower than BlazePose's probability.
CERTAIN, CERTAIN_HEAT = 0.5, 0.3
# Where the first look at a weak candidate is less certain of a person, no other is taken.
ANYBODY = 0.5


@dataclass(frozen=True)
class Person:
    """A candidate that was accepted; `pose` is None where only MoveNet is to be trusted."""

    detection: Detection
    pose: Pose | None
    seen_twice: bool = True
    """Whether the detection is MoveNet's own, not made of the pose."""

    @property
    def keypoints_px(self) -> Float[np.ndarray, "33 3"]:
        """(x, y, confidence) in BlazePose's order."""
        if self.pose is not None:
            confidence = self.pose.confidence * trust(self.pose, self.detection)
            return np.column_stack((self.pose.keypoints_px, confidence))
        keypoints = np.zeros((33, 3))
        keypoints[COCO_ROWS] = self.detection.keypoints_px
        return keypoints

    @property
    def certain_keypoints(self) -> int:
        """How many keypoints say something about the pose."""
        least = CERTAIN_HEAT if self.pose is None else CERTAIN
        return int((self.keypoints_px[:, 2] > least).sum())


@dataclass(frozen=True)
class Demands:
    """What BlazePose has to say of a candidate."""

    presence: float
    """Least score."""
    agreement: float
    """Least similarity to MoveNet's keypoints."""
    certain_keypoints: int
    """Least number of keypoints that say something about the pose."""

    def met_by(self, pose: Pose, detection: Detection) -> bool:
        """Whether a look at a candidate shows the person that MoveNet meant."""
        return (
            pose.score >= self.presence
            and pose_agreement(pose, detection) >= self.agreement
            and Person(detection, pose).certain_keypoints >= self.certain_keypoints
        )


@dataclass(frozen=True)
class MoreLooksConfig:
    """Looks at other regions than that of the keypoints."""

    at_most: int = 16
    """Most of them in a photo."""
    min_px: float = 48.0
    """Least size of a candidate that gets them: the square root of its box's area."""

    def __post_init__(self) -> None:
        whole(self, "at_most", at_most=10_000)
        not_negative(self, "min_px")


class CloseLooks:
    """BlazePose on the candidates of one photo, with a limit to the looks it takes.

    Args:
        image_rgb: the photo.
        blazepose: the network, `BlazePose`.
        candidates: everybody who may be there; a pose of one of them must not be another's.
        config: how many looks at other regions, and at whom.
    """

    def __init__(
        self,
        image_rgb: UInt8[np.ndarray, "height width 3"],
        blazepose: Callable[[np.ndarray, Region], Pose],
        candidates: list[Detection],
        config: MoreLooksConfig,
    ) -> None:
        self._image_rgb = image_rgb
        self._blazepose = blazepose
        self._candidates = candidates
        self._min_px = config.min_px
        self._left = config.at_most

    def at_sure(self, detection: Detection, demands: Demands) -> Person | None:
        """The person of a candidate that need not be confirmed by more than any presence.

        If no look agrees with MoveNet, but somebody is there, MoveNet's own keypoints are taken.
        """
        first = self._look(region_from_coco(detection.keypoints_px))
        looks = self._with_next(first)
        for pose in looks:
            if demands.met_by(pose, detection):
                return Person(detection, pose)
        more = self._by_other_regions(detection, demands)
        if more is not None:
            return more
        alone = Person(detection, None)
        somebody = any(pose.score >= demands.presence for pose in looks)
        certain = alone.certain_keypoints >= demands.certain_keypoints
        return alone if somebody and certain else None

    def at_weak(
        self,
        detection: Detection,
        demands: Demands,
        seen_px: Float[np.ndarray, " 4"] | None = None,
    ) -> Person | None:
        """The person of a candidate that BlazePose has to confirm.

        Where another detector saw them too, in the box `seen_px`, the first look need not show
        anybody, and that box is looked at in place of MoveNet's.
        """
        first = self._look(region_from_coco(detection.keypoints_px))
        if first.score < ANYBODY and seen_px is None:
            return None
        for pose in self._with_next(first):
            if demands.met_by(pose, detection) and self._is_of(detection, pose):
                return Person(detection, pose)
        return self._by_other_regions(detection, demands, seen_px)

    def _look(self, region: Region) -> Pose:
        return self._blazepose(self._image_rgb, region)

    def _with_next(self, first: Pose) -> list[Pose]:
        """A look after the one at the region that its landmarks suggest, if that is another."""
        if first.region.resembles(first.next_region):
            return [first]
        return [self._look(first.next_region), first]

    def _by_other_regions(
        self,
        detection: Detection,
        demands: Demands,
        seen_px: Float[np.ndarray, " 4"] | None = None,
    ) -> Person | None:
        box_px = detection.box_px if seen_px is None else seen_px
        if person_size(box_px) < self._min_px:
            return None
        below_shoulders = region_from_shoulders(detection.keypoints_px, box_px)
        for region in (region_from_box(box_px), below_shoulders):
            if self._left == 0:
                return None
            self._left -= 1
            pose = self._look(region)
            if demands.met_by(pose, detection) and self._is_of(detection, pose):
                return Person(detection, pose)
        return None

    def _is_of(self, detection: Detection, pose: Pose) -> bool:
        """Whether no other candidate agrees better with a pose."""
        own = pose_agreement(pose, detection)
        return all(pose_agreement(pose, other) <= own for other in self._candidates)
