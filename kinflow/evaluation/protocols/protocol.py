"""A protocol: everything that two numbers have to have in common to stand in one table.

All that papers differ in without saying so is a named field. The hash is one over all fields, so
two numbers with the same hash were measured alike.

>>> from kinflow.evaluation.protocols.named import PROTOCOLS
>>> one = PROTOCOLS["3dpw"]
>>> one.hash == PROTOCOLS["3dpw-pelvis"].hash
False
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from kinflow.body.keypoints import COCO17
from kinflow.checks import is_number, number, numbers_of, one_of, some_of, whole, words
from kinflow.errors import InputError
from kinflow.evaluation.protocols.joint_sets import JOINT_SETS
from kinflow.files.json_files import read_json
from kinflow.files.reading import guarded
from kinflow.metrics.keypoints import (
    ANY_AREA_PX2,
    COCO_SIGMAS,
    MAX_DETECTIONS,
    OKS_THRESHOLDS,
)

Figure = Literal[
    "MPJPE mm",
    "N-MPJPE mm",
    "PA-MPJPE mm",
    "PVE mm",
    "PA-PVE mm",
    "PVE-T mm",
    "PVE-T-SC mm",
    "PCK %",
    "AUC %",
    "acceleration error m/s²",
    "WA-MPJPE mm",
    "W-MPJPE mm",
    "RTE %",
    "jitter 10 m/s³",
    "foot sliding cm/s",
    "OKS AP %",
    "OKS AP50 %",
    "OKS AP75 %",
    "OKS AR %",
    "part IoU %",
    "silhouette IoU %",
]
"""What can be measured; of those in per cent more is better, but for RTE."""
Matching = Literal["id", "box", "oks", "oracle"]
Missing = Literal["excluded", "refused", "counted"]
Average = Literal["frames", "actions"]

HASH_FORMAT = 1
"""Of what is hashed; raised whenever a field begins to mean something else."""
_HASH_LETTERS = 12
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Protocol:
    """One way to measure.

    Raises:
        InputError: a field is out of range, or fields do not fit together.
    """

    name: str
    """What it is called."""
    dataset: str
    """Whose truth: what truth files call their `dataset`."""
    split: str
    """Part of the data set, as truth files call it."""
    figures: tuple[Figure, ...]
    """What is reported, the most important first: worst cases are those of the first."""
    selection: str = ""
    """In words: which rows of the data set a truth file holds."""
    subjects: tuple[str, ...] = ()
    """Only rows of these; all if empty."""
    cameras: tuple[str, ...] = ()
    """Only rows of these; all if empty."""
    every_nth: int = 1
    """Only frames whose number is a multiple of it."""
    joint_set: str = ""
    """Name of the set of joints (`kinflow.evaluation.protocols.joint_sets`); empty without any."""
    joints: tuple[str, ...] = ()
    """Joints that errors are averaged over, some or all of the set."""
    truth_joints: str = ""
    """Where the true joints come from: `model:` those of a body model, `mesh:` regressed from the
    vertices of the posed mesh by the regressor of that name, `mocap:` markers, `network:` a
    network's own."""
    predicted_joints: str = ""
    """The same of predictions."""
    root: tuple[str, ...] = ()
    """Joints of the set whose middle is put on its truth: one, or both hips."""
    frame: str = "camera"
    """Axes that joints are compared in."""
    matching: Matching = "id"
    """Who is compared with whom: by `id`, by overlap of `box`es, by `oks` of keypoints, or with
    the `oracle` that takes whoever is nearest in 3D, which flatters."""
    match_at_least: float = 0.0
    """Overlap or similarity below which nobody is matched."""
    missing: Missing = "excluded"
    """People without a prediction are left out (and counted), are refused, or count as an error."""
    missing_mm: float = 0.0
    """What they count as; their PCK and overlaps are 0 then."""
    average: Average = "frames"
    """Means are over all rows, or over the means of actions."""
    best_of: int = 1
    """Each figure takes the smallest error among so many samples of a prediction, by the truth."""
    pa_vertices_by: Literal["joints", "vertices"] = "vertices"
    """What the similarity of PA-PVE is found on."""
    pck_within_mm: float = 150.0
    """A joint nearer than this is correct."""
    auc_thresholds_mm: tuple[float, ...] = tuple(float(t) for t in range(0, 151, 5))
    """Thresholds that PCK is averaged over."""
    gaps: Literal["split", "joined"] = "split"
    """Whether figures of motion are those of runs of successive frames, or take frames on both
    sides of a gap for neighbours."""
    world_chunk: int = 100
    """Frames that are aligned together in the world."""
    feet: tuple[str, ...] = ()
    """Joints whose sliding is measured."""
    keypoints: tuple[str, ...] = COCO17
    """Keypoints that similarity is the mean over."""
    keypoint_sigmas: tuple[float, ...] = COCO_SIGMAS
    """How far annotators disagree on each of them."""
    oks_thresholds: tuple[float, ...] = OKS_THRESHOLDS
    """Similarities that precision is averaged over."""
    max_detections: int = MAX_DETECTIONS
    """Of a picture, the best ones."""
    area_px2: tuple[float, float] = ANY_AREA_PX2
    """Range of area of the people who count."""
    part_names: tuple[str, ...] = ()
    """Parts whose overlap is averaged, for each person over those seen, then over people."""
    unit: str = "mm"
    """Of distances in tables."""
    source: str = ""
    """Whose protocol it is: the code or paper that it follows."""

    def __post_init__(self) -> None:
        some_of(self, "figures", get_args(Figure))
        one_of(self, "matching", get_args(Matching))
        one_of(self, "missing", get_args(Missing))
        one_of(self, "average", get_args(Average))
        one_of(self, "pa_vertices_by", ("joints", "vertices"))
        one_of(self, "gaps", ("split", "joined"))
        number(self, "match_at_least", at_least=0, at_most=1)
        number(self, "missing_mm", at_least=0)
        number(self, "pck_within_mm", above=0)
        numbers_of(self, "auc_thresholds_mm", at_least=0, ascending=True)
        numbers_of(self, "oks_thresholds", at_least=0, at_most=1, ascending=True)
        numbers_of(self, "keypoint_sigmas", above=0)
        numbers_of(self, "area_px2", count=2, at_least=0, ascending=True)
        whole(self, "every_nth", at_least=1)
        whole(self, "best_of", at_least=1)
        whole(self, "max_detections", at_least=1)
        whole(self, "world_chunk", at_least=2)
        for name in ("subjects", "cameras", "joints", "root", "feet", "keypoints", "part_names"):
            words(self, name, "a tuple of names", or_none=True)
        if len(self.keypoints) != len(self.keypoint_sigmas):
            raise InputError(
                f"The protocol '{self.name}' has {len(self.keypoint_sigmas)} sigmas for "
                f"{len(self.keypoints)} keypoints."
            )
        self._check_joints()

    def _check_joints(self) -> None:
        if not self.joint_set:
            if self.joints or self.root or self.feet:
                raise InputError(f"The protocol '{self.name}' has joints, but no joint_set.")
            return
        one_of(self, "joint_set", tuple(JOINT_SETS))
        there = JOINT_SETS[self.joint_set]
        for name in (*self.joints, *self.root, *self.feet):
            if name not in there:
                raise InputError(f"'{name}' is not one of the joints of {self.joint_set}.")
        if not (self.joints and self.root):
            raise InputError(f"The protocol '{self.name}' needs joints and a root.")

    @property
    def needed_joints(self) -> tuple[str, ...]:
        """All joints that files have to have, in the order of the set: those averaged over, the
        root and the feet."""
        needed = {*self.joints, *self.root, *self.feet}
        return tuple(name for name in JOINT_SETS.get(self.joint_set, ()) if name in needed)

    @cached_property
    def hash(self) -> str:
        """The first letters of the SHA-256 of all fields."""
        document = {"format": HASH_FORMAT, **self.as_json()}
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:_HASH_LETTERS]

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return json.loads(json.dumps(asdict(self)))

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> Protocol:
        """The protocol that `as_json` gave.

        Raises:
            InputError: fields are missing, unknown or out of range.
        """
        names = {field.name for field in fields(Protocol)}
        if set(content) != names:
            off = sorted(set(content) ^ names)
            raise InputError(f"a protocol of another version: {', '.join(off)} differ.")
        values: dict[str, Any] = {
            n: tuple(v) if isinstance(v, list) else v for n, v in content.items()
        }
        for field in fields(Protocol):
            is_text = str(field.type) == "str"
            if is_text and not isinstance(values[field.name], str):
                raise InputError(f"{field.name} has to be text.")
        if not is_number(values["best_of"]):
            raise InputError("best_of has to be a whole number.")
        return Protocol(**values)


def read_protocol(path: Path | str) -> Protocol:
    """The protocol of a file such as the protocol.json of a report; its hash is left unread.

    Raises:
        InputError: it cannot be read, or holds other fields than a protocol has.
    """
    with guarded(path, "a protocol"):
        content = read_json(path, _MAX_BYTES)
        if not isinstance(content, dict):
            raise InputError(f"'{path}' is not a protocol.")
        content.pop("hash", None)
        try:
            return Protocol.from_json(content)
        except InputError as error:
            raise InputError(f"'{path}' is not a protocol: {error}") from error
