"""A second look where somebody seems to be missing: enlarged, and in groups mirrored.

MoveNet scores somebody whom others hide in part, or whom the photo's edge cuts, by little, and by
how much depends on where they lie in the picture. A candidate that became nobody is looked at once
more in the middle of a crop that it fills. Where several people are, others are near whom nothing
showed yet, so the whole photo is searched once more, mirrored and finer. Whom this shows BlazePose
has to confirm, with more certainty than anybody else. At last, in groups, boxes are looked at in
which only the detector of things saw somebody: MoveNet then need not be sure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from kinflow.body.keypoints import COCO17
from kinflow.body.sides import other_side
from kinflow.checks import not_negative, number, share, whole
from kinflow.evidence.movenet import Detection, MoveNet
from kinflow.evidence.people import box_overlap, person_size, same_person, without_duplicates
from kinflow.evidence.pyramid import MAX_SIDE_PX, resized
from kinflow.evidence.region import Region, transform_points

# Two detections that are this much alike are of one person; people who stand behind one another are
# less so, see `candidates.CERTAINLY_SAME`.
_SAME, _SAME_BOX = 0.6, 0.7
# A box of the detector of things that overlaps a person's by more than this is of that person.
_SAME_THING = 0.6
MIRRORED = np.array([COCO17.index(other_side(name)) for name in COCO17])


@dataclass(frozen=True)
class SecondLooksConfig:
    """Where to look twice, and what a second look has to show."""

    min_score: float = 0.05
    """Least MoveNet score, at the first look, of a candidate that is looked at again."""
    min_px: float = 40.0
    """Least size of such a candidate, the square root of the area of its box."""
    of_photo: float = 0.1
    """The same, in heights of the photo."""
    at_most: int = 4
    """Most candidates of a photo that are looked at again; the surest come first."""
    crop_px: int = 256
    """Side of the crop around a candidate, as the network sees it."""
    crop_margin: float = 1.5
    """Side of that crop in the photo, in longer sides of the candidate's box."""
    same_box: float = 0.45
    """Least overlap of a detection in a crop with the candidate's box."""
    from_people: int = 3
    """A photo of as many people is searched whole once more."""
    mirrored_px: int = 640
    """Long side of the mirrored photo."""
    least: float = 0.1
    """Least MoveNet score at the second look."""
    min_presence: float = 0.9
    """Least BlazePose score."""
    min_agreement: float = 0.75
    """Least similarity of BlazePose's and MoveNet's keypoints: a dog reached 0.7."""
    min_certain_keypoints: int = 10
    """Least keypoints of a confidence above 0.5: a tablecloth had seven, an arm eight."""
    boxes_at_most: int = 8
    """Most boxes of people, as the detector of things sees them, that are looked at in a photo of
    `from_people` and more; the surest come first."""
    least_in_box: float = 0.03
    """Least MoveNet score of somebody in such a box."""
    same_thing: float = 0.4
    """Least overlap of their boxes."""
    min_agreement_in_box: float = 0.65
    """Least similarity of BlazePose's and MoveNet's keypoints there."""
    most_alike_in_box: float = 0.4
    """Most similarity of somebody there to anybody who was found before."""

    def __post_init__(self) -> None:
        share(self, "min_score", "of_photo", "same_box", "least", "min_presence", "min_agreement")
        share(self, "least_in_box", "same_thing", "min_agreement_in_box", "most_alike_in_box")
        not_negative(self, "min_px")
        whole(self, "at_most", "from_people", "boxes_at_most", at_most=10_000)
        whole(self, "crop_px", "mirrored_px", at_least=32, at_most=MAX_SIDE_PX)
        whole(self, "min_certain_keypoints", at_most=33)
        number(self, "crop_margin", above=0)


def second_looks(
    image_rgb: UInt8[np.ndarray, "height width 3"],
    movenet: MoveNet,
    first: Sequence[Detection],
    people: Sequence[Detection],
    config: SecondLooksConfig,
) -> list[Detection]:
    """Who else may be there, surest first.

    Args:
        image_rgb: the photo.
        movenet: the network.
        first: candidates of the first look.
        people: those who were found to be somebody.
        config: where to look, and how surely MoveNet has to see somebody.
    """
    seen: list[Detection] = []
    if len(people) >= config.from_people:
        seen += _in_mirror(image_rgb, movenet, config)
    for candidate in _left(first, people, image_rgb.shape[0], config):
        box_px = candidate.box_px
        seen += _enlarged(image_rgb, movenet, box_px, config, config.least, config.same_box)
    seen = [one for one in seen if not _is_one_of(one, people)]
    return sorted(without_duplicates(seen), key=lambda one: one.score, reverse=True)


def looks_at_boxes(
    image_rgb: UInt8[np.ndarray, "height width 3"],
    movenet: MoveNet,
    boxes_px: Float[np.ndarray, "boxes 4"],
    people: Sequence[Detection],
    config: SecondLooksConfig,
) -> list[tuple[Detection, Float[np.ndarray, " 4"]]]:
    """Who may be where another detector sees people and nobody was found, at most one in each box.

    Each comes with that box.

    Args:
        image_rgb: the photo.
        movenet: the network.
        boxes_px: people as the other detector sees them, surest first.
        people: those who were found to be somebody.
        config: which boxes to look at, and how surely MoveNet has to see somebody.
    """
    if len(people) < config.from_people:
        return []
    least_px = max(config.min_px, config.of_photo * image_rgb.shape[0])
    left = [
        box
        for box in boxes_px
        if person_size(box) >= least_px
        and all(box_overlap(box, one.box_px) <= _SAME_THING for one in people)
    ]
    seen: list[tuple[Detection, np.ndarray]] = []
    for box in left[: config.boxes_at_most]:
        inside = _enlarged(image_rgb, movenet, box, config, config.least_in_box, config.same_thing)
        others = [one for one in inside if not _is_one_of(one, people)]
        seen += [(one, box) for one in sorted(others, key=lambda one: one.score)[-1:]]
    return seen


def _left(
    first: Sequence[Detection],
    people: Sequence[Detection],
    height_px: int,
    config: SecondLooksConfig,
) -> list[Detection]:
    """Candidates that became nobody, surest first."""
    least_px = max(config.min_px, config.of_photo * height_px)
    left = [
        one
        for one in first
        if one.score >= config.min_score
        and person_size(one.box_px) >= least_px
        and not _is_one_of(one, people)
    ]
    left = sorted(without_duplicates(left), key=lambda one: one.score, reverse=True)
    return left[: config.at_most]


def _is_one_of(one: Detection, people: Sequence[Detection]) -> bool:
    return any(same_person(one, other, _SAME, _SAME_BOX) for other in people)


def _enlarged(
    image_rgb: np.ndarray,
    movenet: MoveNet,
    box: Float[np.ndarray, " 4"],
    config: SecondLooksConfig,
    least: float,
    same_box: float,
) -> list[Detection]:
    """Who fills a box, as the crop around it shows them."""
    middle, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
    region = Region((float(middle[0]), float(middle[1])), config.crop_margin * side)
    look = movenet.look(region.crop(image_rgb, config.crop_px), least)
    seen = [_from_crop(one, region, config.crop_px) for one in look.people]
    return [one for one in seen if box_overlap(one.box_px, box) > same_box]


def _from_crop(one: Detection, region: Region, crop_px: int) -> Detection:
    keypoints, to_image = one.keypoints_px.copy(), region.to_image(crop_px)
    keypoints[:, :2] = transform_points(to_image, keypoints[:, :2])
    box = transform_points(to_image, one.box_px.reshape(2, 2)).ravel()
    return Detection(keypoints, box, one.score)


def _in_mirror(
    image_rgb: np.ndarray, movenet: MoveNet, config: SecondLooksConfig
) -> list[Detection]:
    """Everybody whom the mirrored photo shows."""
    scale = config.mirrored_px / max(image_rgb.shape[:2])
    mirror = np.ascontiguousarray(resized(image_rgb, scale)[:, ::-1])
    look = movenet.look(mirror, config.least)
    return [mirrored(one, mirror.shape[1]).moved((0, 0), scale) for one in look.people]


def mirrored(one: Detection, width_px: int) -> Detection:
    """A detection in a picture of that width, from the same in its mirror."""
    keypoints = one.keypoints_px[MIRRORED]
    keypoints[:, 0] = width_px - keypoints[:, 0]
    x0, y0, x1, y1 = one.box_px
    box = np.array([width_px - x1, y0, width_px - x0, y1], one.box_px.dtype)
    return Detection(keypoints, box, one.score)
