"""Pixels to evidence: find the people, look at each one closely, keep what is consistent.

1. MoveNet searches the image at several scales, and turned where people may not be upright;
   duplicates are removed.
2. BlazePose looks at each person, and again where its own landmarks suggest another region.
3. The result has to show the person that MoveNet meant: in a crowd BlazePose may lock onto a
   neighbour. If it did, the narrower first look, looks at other regions, and at last MoveNet's own
   keypoints stand in.
4. When asked, two segmenters give each person's silhouette, a detector of objects tells what is
   about them, and another network how old their faces look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import UInt8

from kinflow.checks import flag, nested, not_negative, share, whole
from kinflow.evidence.agreement import confirmed, difference_px
from kinflow.evidence.blazepose import BlazePose, region_from_coco
from kinflow.evidence.candidates import WeakConfig, sure_candidates, weak_candidates
from kinflow.evidence.error_model import keypoint_std_px
from kinflow.evidence.faces import FaceAges
from kinflow.evidence.lines import upright_lines
from kinflow.evidence.looks import CloseLooks, Demands, MoreLooksConfig, Person
from kinflow.evidence.movenet import Detection, MoveNet
from kinflow.evidence.objects import ObjectDetector, Objects
from kinflow.evidence.part_labels import without_strangers
from kinflow.evidence.parts import PartParser
from kinflow.evidence.people import keypoint_similarity, person_size, same_person
from kinflow.evidence.pyramid import PyramidConfig, search
from kinflow.evidence.second_looks import SecondLooksConfig, looks_at_boxes, second_looks
from kinflow.evidence.selfie import SelfieSegmenter
from kinflow.evidence.silhouette import Subject, silhouettes
from kinflow.evidence.surroundings import surroundings
from kinflow.evidence.turns import TurnsConfig, search_turned
from kinflow.evidence.types import ImageEvidence, PersonEvidence, PersonMask
from kinflow.evidence.weights import RuntimeConfig
from kinflow.threads import lazy


@dataclass(frozen=True)
class DetectorConfig:
    """What to look for and how certain to be."""

    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    pyramid: PyramidConfig = field(default_factory=PyramidConfig)
    turns: TurnsConfig = field(default_factory=TurnsConfig)
    min_score: float = 0.18
    """Least MoveNet score of a candidate that BlazePose only has to confirm."""
    weak: WeakConfig = field(default_factory=WeakConfig)
    """Candidates that score less."""
    more_looks: MoreLooksConfig = field(default_factory=MoreLooksConfig)
    """Looks at candidates whom the first look does not show."""
    second_looks: SecondLooksConfig = field(default_factory=SecondLooksConfig)
    """Looks at whom nobody found, and at groups."""
    min_presence: float = 0.5
    """Least BlazePose score; below it a candidate is not a person."""
    min_agreement: float = 0.4
    """Least similarity of BlazePose's and MoveNet's keypoints of the same person."""
    min_certain_keypoints: int = 3
    """A candidate with fewer keypoints of a confidence above 0.5 says nothing about a pose."""
    silhouette: bool = False
    """Whether to segment people also where nobody asks for their parts; costs about as much as
    finding their keypoints."""
    min_parts_px: float = 80.0
    """People smaller than this get no part labels: outlines of a few pixels say little."""

    def __post_init__(self) -> None:
        nested(self, runtime=RuntimeConfig, pyramid=PyramidConfig)
        nested(self, turns=TurnsConfig, weak=WeakConfig, more_looks=MoreLooksConfig)
        nested(self, second_looks=SecondLooksConfig)
        share(self, "min_score", "min_presence", "min_agreement")
        whole(self, "min_certain_keypoints", at_most=33)
        flag(self, "silhouette")
        not_negative(self, "min_parts_px")


class EvidenceDetector:
    """Finds people and their keypoints; the networks are loaded at first use and then kept.

    Args:
        config: what to look for.
        parts: label body parts as well; that needs silhouettes and so implies them.
        mirrors: look at the mirror image of everybody in a photo as well.
        things: look for things in photos that tell who sits, and for people of groups whom only
            the detector of things sees.
        faces: tell how old everybody in a photo looks.
    """

    def __init__(
        self,
        config: DetectorConfig | None = None,
        parts: bool = False,
        mirrors: bool = False,
        things: bool = False,
        faces: bool = False,
    ) -> None:
        self.config = config or DetectorConfig()
        self.parts, self.mirrors, self.things, self.faces = parts, mirrors, things, faces

    @lazy
    def movenet(self) -> MoveNet:
        """The network that finds people."""
        return MoveNet(self.config.runtime)

    @lazy
    def blazepose(self) -> BlazePose:
        """The network that looks at one person."""
        return BlazePose(self.config.runtime)

    @lazy
    def segmenter(self) -> SelfieSegmenter:
        """The network that outlines people."""
        return SelfieSegmenter(self.config.runtime)

    @lazy
    def parser(self) -> PartParser:
        """The network that tells body parts apart."""
        return PartParser()

    @lazy
    def objects(self) -> ObjectDetector:
        """The network that finds things."""
        return ObjectDetector(self.config.runtime)

    @lazy
    def face_ages(self) -> FaceAges:
        """The network that tells how old faces look."""
        return FaceAges(self.config.runtime)

    def detect(
        self, image_rgb: UInt8[np.ndarray, "height width 3"], max_people: int | None = None
    ) -> ImageEvidence:
        """The people of an image, largest first, at most `max_people`."""
        height, width = image_rgb.shape[:2]
        objects = self.objects.look(image_rgb) if self.things else None
        found = self.people(image_rgb, max_people, objects=objects)
        people = self.measured(image_rgb, found)
        if self.mirrors:
            people = tuple(self._in_mirror(image_rgb, person) for person in people)
        if objects is not None:
            things = surroundings(objects, people)
            people = tuple(
                replace(one, surroundings=about) for one, about in zip(people, things, strict=True)
            )
        if self.faces:
            look = self.face_ages.look
            people = tuple(
                replace(one, face_age=look(image_rgb, one.keypoints_px.numpy())) for one in people
            )
        lines = upright_lines(image_rgb, [person.box_px.numpy() for person in people])
        return ImageEvidence((width, height), people, torch.from_numpy(lines).float())

    def measured(
        self,
        image_rgb: UInt8[np.ndarray, "height width 3"],
        people: Sequence[Person],
        parts: bool | None = None,
    ) -> tuple[PersonEvidence, ...]:
        """All that is measured of people who were found, in their order.

        Args:
            image_rgb: the picture.
            people: who was found in it.
            parts: whether to label body parts, where that is not as the detector was told.
        """
        height, width = image_rgb.shape[:2]
        parts = self.parts if parts is None else parts
        masks = self._masks(image_rgb, people, parts)
        evidence = [
            _person_evidence(person, (width, height), mask)
            for person, mask in zip(people, masks, strict=True)
        ]
        if parts:
            evidence = [self._with_parts(i, evidence, image_rgb) for i in range(len(people))]
        return tuple(evidence)

    def people(
        self,
        image_rgb: UInt8[np.ndarray, "height width 3"],
        max_people: int | None,
        known: Sequence[Detection] = (),
        objects: Objects | None = None,
    ) -> list[Person]:
        """Who is in an image besides those who are known to be, largest first.

        Sure candidates go first, so that no weak one takes the place of one of them, and last those
        of whom the detector of things has to tell.
        """
        config, weakly = self.config, self.config.weak
        least = min(config.min_score, weakly.min_score)
        faint = min(least, config.second_looks.min_score)
        first = search(image_rgb, self.movenet, config.pyramid, faint, config.min_score)
        found = [one for one in first if one.score >= least]
        turned = search_turned(image_rgb, self.movenet, found, config.turns, least)
        found, turned = _without(known, found), _without(known, turned)
        sure = sure_candidates(found + turned, config.min_score)
        weak = weak_candidates(found + turned, sure, weakly)
        looks = CloseLooks(image_rgb, self.blazepose, [*sure, *weak], config.more_looks)
        people: list[Person] = []
        for candidate in (*sure, *weak):
            if max_people is not None and len(people) >= max_people:
                break
            person = self._look_at(candidate, looks, any(candidate is other for other in turned))
            if person is not None and not self._seen_before(person, people):
                people.append(person)
        if not known and (max_people is None or len(people) < max_people):
            people += self._second_looks(image_rgb, first, people)[:max_people]
            if objects is not None:
                people += self._in_boxes(image_rgb, objects, people)
        return sorted(people, key=_size, reverse=True)[:max_people]

    def _second_looks(
        self, image_rgb: np.ndarray, first: list[Detection], people: list[Person]
    ) -> list[Person]:
        """People whom the first look did not show."""
        config = self.config.second_looks
        found = [person.detection for person in people]
        more = second_looks(image_rgb, self.movenet, first, found, config)
        looks = CloseLooks(image_rgb, self.blazepose, [*found, *more], self.config.more_looks)
        demands = Demands(config.min_presence, config.min_agreement, config.min_certain_keypoints)
        others: list[Person] = []
        for candidate in more:
            person = looks.at_weak(candidate, demands)
            if person is not None and not self._seen_before(person, [*people, *others]):
                others.append(person)
        return others

    def _in_boxes(
        self, image_rgb: np.ndarray, objects: Objects, people: list[Person]
    ) -> list[Person]:
        """People whom only the detector of things showed."""
        config = self.config.second_looks
        found = [person.detection for person in people]
        more = looks_at_boxes(image_rgb, self.movenet, objects.people_px, found, config)
        looks = CloseLooks(image_rgb, self.blazepose, found, self.config.more_looks)
        agreement, certain = config.min_agreement_in_box, config.min_certain_keypoints
        demands = Demands(config.min_presence, agreement, certain)
        others: list[Person] = []
        for candidate, box_px in more:
            person = looks.at_weak(candidate, demands, box_px)
            before, alike = [*people, *others], config.most_alike_in_box
            if person is not None and not self._seen_before(person, before, alike):
                others.append(person)
        return others

    def _look_at(self, candidate: Detection, looks: CloseLooks, turned: bool) -> Person | None:
        """BlazePose on one candidate; None when there is nobody."""
        config, weak, certain = self.config, self.config.weak, self.config.min_certain_keypoints
        if turned or candidate.score < config.min_score:  # dogs upside down look like people
            demands = Demands(weak.min_presence, weak.min_agreement, certain)
            return looks.at_weak(candidate, demands)
        demands = Demands(config.min_presence, config.min_agreement, certain)
        return looks.at_sure(candidate, demands)

    def _seen_before(self, person: Person, others: list[Person], alike: float = 0.6) -> bool:
        """Whether two candidates ended up on the same person."""
        size = person_size(person.detection.box_px)
        return any(
            keypoint_similarity(person.keypoints_px, other.keypoints_px, size) > alike
            for other in others
        )

    def _in_mirror(self, image_rgb: np.ndarray, person: PersonEvidence) -> PersonEvidence:
        if person.look is None:
            return person
        look = self.blazepose.in_mirror(image_rgb, person.look.region)
        return replace(person, look_in_mirror=look)

    def _masks(
        self, image_rgb: np.ndarray, people: Sequence[Person], parts: bool
    ) -> list[PersonMask | None]:
        masks: list[PersonMask | None] = [None] * len(people)
        if self.config.silhouette or parts:
            rows = [i for i, person in enumerate(people) if person.pose is not None]
            subjects = [
                Subject(person.pose, person.detection.box_px)
                for person in people
                if person.pose is not None
            ]
            for row, mask in zip(
                rows, silhouettes(image_rgb, subjects, self.segmenter), strict=True
            ):
                masks[row] = mask
        return masks

    def _with_parts(
        self, index: int, people: list[PersonEvidence], image_rgb: np.ndarray
    ) -> PersonEvidence:
        person, image_size = people[index], (image_rgb.shape[1], image_rgb.shape[0])
        if person.mask is None or person_size(person.box_px.numpy()) < self.config.min_parts_px:
            return person
        others = [p.mask for i, p in enumerate(people) if i != index and p.mask is not None]
        labels = self.parser.labels(person, image_size, image_rgb)
        if labels is None:
            return person
        return replace(person, parts=without_strangers(labels, others, image_size))


def _without(known: Sequence[Detection], found: list[Detection]) -> list[Detection]:
    return [one for one in found if not any(same_person(one, other) for other in known)]


def _size(person: Person) -> float:
    return person_size(person.detection.box_px)


def _person_evidence(
    person: Person, image_size: tuple[int, int], mask: PersonMask | None
) -> PersonEvidence:
    keypoints = person.keypoints_px
    if person.pose is not None and person.seen_twice:
        lent = confirmed(person.pose, person.detection)
        keypoints[:, 2] = np.maximum(keypoints[:, 2], lent)
    inside = (keypoints[:, :2] >= 0).all(axis=1) & (keypoints[:, :2] <= image_size).all(axis=1)
    keypoints[:, 2] *= inside
    region = (
        person.pose.region
        if person.pose is not None
        else region_from_coco(person.detection.keypoints_px)
    )
    std = keypoint_std_px(keypoints[:, 2], person_size(person.detection.box_px), region.size_px)
    if person.pose is not None:
        std = np.hypot(std, difference_px(person.pose, person.detection) / 2)
    world = None if person.pose is None else torch.from_numpy(person.pose.world_m).float()
    return PersonEvidence(
        keypoints_px=torch.from_numpy(keypoints).float(),
        keypoint_std_px=torch.from_numpy(std).float(),
        world_m=world,
        box_px=torch.from_numpy(person.detection.box_px).float(),
        score=person.pose.score if person.pose is not None else person.detection.score,
        mask=mask,
        look=None if person.pose is None else person.pose.close_look(),
    )
