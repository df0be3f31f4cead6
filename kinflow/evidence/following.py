"""A person of the frame before, looked at closely where they should be now.

This is what makes clips quick: BlazePose looks at the region that its own landmarks suggested in
the frame before, and MoveNet sees a small crop of that region instead of the whole image at several
scales. MoveNet's word is still asked for: what it does not confirm is either very sure and where it
was expected, or lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, UInt8

from kinflow.checks import not_negative, share, whole
from kinflow.evidence.agreement import COCO_ROWS, pose_agreement
from kinflow.evidence.blazepose import BlazePose, Pose, region_from_coco
from kinflow.evidence.looks import Demands, Person
from kinflow.evidence.movenet import Detection, MoveNet
from kinflow.evidence.people import keypoint_similarity, person_size
from kinflow.evidence.region import Region, transform_points
from kinflow.evidence.tracking import Sighting

_LOOSELY = 2.0
"""Where somebody is expected is known less well than where a keypoint is."""
_SEEN = 0.3
_QUARTER = math.pi / 2


@dataclass(frozen=True)
class FollowConfig:
    """What it takes to go on with a person."""

    crop_px: int = 192
    """Side of the crop that MoveNet sees."""
    min_score: float = 0.1
    """Least MoveNet score of whoever is in the crop."""
    min_presence: float = 0.5
    """Least BlazePose score."""
    min_agreement: float = 0.4
    """Least similarity of BlazePose's and MoveNet's keypoints."""
    sure_presence: float = 0.9
    """BlazePose score that needs no word of MoveNet's."""
    min_likeness: float = 0.45
    """Least similarity to the person of the frame before, moved on."""
    min_certain_keypoints: int = 3
    second_look: float = 0.15
    """A second look follows where the landmarks suggest a region that is off by more than this
    share of its side, or turned by twice as many radians."""

    def __post_init__(self) -> None:
        whole(self, "crop_px", at_least=64, at_most=1024)
        share(self, "min_score", "min_presence", "min_agreement", "sure_presence", "min_likeness")
        whole(self, "min_certain_keypoints", at_most=33)
        not_negative(self, "second_look")


class Follower:
    """Looks at people who were there in the frame before.

    Args:
        movenet: the network that finds people.
        blazepose: the network that looks at one person.
        config: what it takes to go on with a person.
    """

    def __init__(
        self, movenet: MoveNet, blazepose: BlazePose, config: FollowConfig = FollowConfig()
    ) -> None:
        self._movenet, self._blazepose, self._config = movenet, blazepose, config

    def follow(
        self,
        image_rgb: UInt8[np.ndarray, "height width 3"],
        region: Region,
        expected: Sighting,
    ) -> Person | None:
        """The person who was expected somewhere, None where they are lost.

        Args:
            image_rgb: the frame.
            region: where to look.
            expected: the person as they were, moved on.
        """
        config = self._config
        demands = Demands(config.min_presence, config.min_agreement, config.min_certain_keypoints)
        pose = self._look(image_rgb, region)
        others = self._in_crop(image_rgb, region)
        if others:
            detection = max(others, key=lambda other: pose_agreement(pose, other))
            if demands.met_by(pose, detection) and self._is_expected(pose, expected):
                return Person(detection, pose)
            meant = max(others, key=lambda other: _likeness(_as_33(other.keypoints_px), expected))
            if _likeness(_as_33(meant.keypoints_px), expected) >= config.min_likeness:
                pose = self._look(image_rgb, region_from_coco(meant.keypoints_px))
                if demands.met_by(pose, meant):
                    return Person(meant, pose)
        sure = pose.score >= config.sure_presence and self._is_expected(pose, expected)
        return Person(_as_detection(pose), pose, seen_twice=False) if sure else None

    def _look(self, image_rgb: np.ndarray, region: Region) -> Pose:
        pose = self._blazepose(image_rgb, region)
        far = _differs(region, pose.next_region, self._config.second_look)
        if far and pose.score >= self._config.min_presence:
            again = self._blazepose(image_rgb, pose.next_region)
            return again if again.score >= pose.score / 2 else pose
        return pose

    def _is_expected(self, pose: Pose, expected: Sighting) -> bool:
        keypoints = np.column_stack((pose.keypoints_px, pose.confidence))
        return _likeness(keypoints, expected) >= self._config.min_likeness

    def _in_crop(self, image_rgb: np.ndarray, region: Region) -> list[Detection]:
        """Whoever MoveNet sees in a region, in the image's pixels.

        The crop is turned by quarters only, so that boxes stay along the image's sides.
        """
        side = self._config.crop_px
        region = replace(region, roll=round(region.roll / _QUARTER) * _QUARTER)
        look = self._movenet.look(region.crop(image_rgb, side), self._config.min_score)
        to_image = region.to_image(side)
        return [_moved(person, to_image) for person in look.people]


def shifted(region: Region, shift_px: Float[np.ndarray, "2"]) -> Region:
    """The same region elsewhere."""
    x, y = region.center_px
    return replace(region, center_px=(x + float(shift_px[0]), y + float(shift_px[1])))


def _differs(region: Region, other: Region, share: float) -> bool:
    shift = math.dist(region.center_px, other.center_px) / region.size_px
    turn = math.remainder(region.roll - other.roll, 2 * math.pi)
    ratio = abs(math.log(other.size_px / region.size_px))
    return shift > share or ratio > share or abs(turn) > 2 * share


def _likeness(keypoints_px: Float[np.ndarray, "33 3"], expected: Sighting) -> float:
    return keypoint_similarity(
        keypoints_px, expected.keypoints_px, _LOOSELY * person_size(expected.box_px)
    )


def _as_33(coco_px: Float[np.ndarray, "17 3"]) -> Float[np.ndarray, "33 3"]:
    keypoints = np.zeros((33, 3))
    keypoints[COCO_ROWS] = coco_px
    return keypoints


def _as_detection(pose: Pose) -> Detection:
    """What MoveNet might have said of a pose."""
    keypoints = np.column_stack((pose.keypoints_px, pose.confidence))
    seen = keypoints[keypoints[:, 2] > _SEEN, :2]
    seen = seen if len(seen) >= 3 else keypoints[:, :2]
    box = np.concatenate((seen.min(axis=0), seen.max(axis=0)))
    return Detection(keypoints[COCO_ROWS].astype(np.float32), box.astype(np.float32), pose.score)


def _moved(person: Detection, to_image: Float[np.ndarray, "2 3"]) -> Detection:
    keypoints = person.keypoints_px.copy()
    keypoints[:, :2] = transform_points(to_image, keypoints[:, :2])
    x0, y0, x1, y1 = person.box_px
    corners = transform_points(to_image, np.array(((x0, y0), (x1, y0), (x1, y1), (x0, y1))))
    box = np.concatenate((corners.min(axis=0), corners.max(axis=0))).astype(np.float32)
    return Detection(keypoints, box, person.score)
