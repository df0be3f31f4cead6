"""What is wrong with labels by how people are built: sides, axes and cameras exchanged.

Nobody's left eye is left of the right one in a picture of the face; feet and noses point where left
is on the left; people are upright more often than they lie; and a body's joints are near the points
that are labelled in the picture. Each is true of nearly all people, so a dataset of which it is
false has its sides, axes or cameras exchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from jaxtyping import Float32

from kinflow.datasets.readers.figures import body_figure, joint_figure
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import Joints3D

_LOOKED_AT, _EVERY = 200, 25
"""Samples of a unit that are all looked at, and of the others each so-manieth."""
_LEAST = 8
_CLEAR = 0.15
"""Cosine, or share of a length, below which a direction is not told."""
_OFF = 0.25
"""Of a person's extent in the picture by which a body's joints may be off on average; our body of
average shape, which stands for all, is off by some 3 %."""
_CLEAR_OFF = 0.02
"""Of the same, by which the sides have to differ to say which one somebody shows."""
_UPRIGHT = 0.3
_LYING_UNITS = 5


@dataclass
class Anatomy:
    """What was seen of a unit's people.

    Attributes:
        faces: whether the left eye is right of the other in the picture, of faces seen from before.
        sides: whether left is on the left of where people face, of joints in space.
        upright: cosines of people's own way up and the label's.
        off: of bodies before the camera from labelled points, by the extent of these.
        straight: whether they are nearer to points of their own side than to the other's.
    """

    faces: list[bool] = field(default_factory=list)
    sides: list[bool] = field(default_factory=list)
    upright: list[float] = field(default_factory=list)
    off: list[float] = field(default_factory=list)
    straight: list[bool] = field(default_factory=list)
    _met: int = 0

    def add(self, sample: Sample) -> None:
        """Look at a sample, if it is among those that are looked at."""
        self._met += 1
        if self._met > _LOOKED_AT and self._met % _EVERY:
            return
        if not sample.valid or sample.crowd:
            return
        self.faces += islice(_faces(sample), 1)
        if sample.joints is not None:
            self.sides += _sides(sample.joints)
        own = _own_way_up(sample)
        if own is not None and sample.up is not None:
            self.upright.append(float(own @ sample.up))
        seen = _before_camera(sample)
        if seen is not None:
            own, other = (_median_off(seen, names) for names in (_same, _other_side))
            self.straight += [own <= other] if abs(own - other) > _CLEAR_OFF else []
            if sample.joints is None:  # `reprojection` is stricter with joints
                self.off.append(own)

    def sentences(self, unit: str) -> list[str]:
        """What cannot be right."""
        said = []
        if _mostly_false(self.faces):
            said.append(
                f"'{unit}': the left eye is left of the right one in {self.faces.count(False)} of "
                f"{len(self.faces)} faces, which only mirrors show: left and right are exchanged, "
                "or pictures or points are mirrored."
            )
        if _mostly_false(self.sides):
            said.append(
                f"'{unit}': {self.sides.count(False)} of {len(self.sides)} people have their left "
                "on the right of where they face: left and right are exchanged, or an axis has "
                "another sign or place."
            )
        if _mostly_false(self.straight):
            said.append(
                f"'{unit}': {self.straight.count(False)} of {len(self.straight)} people in space "
                "are nearer to points of the other side in the picture: left and right of one of "
                "the two are exchanged."
            )
        elif len(self.off) >= _LEAST and float(np.median(self.off)) > _OFF:
            said.append(
                f"'{unit}': bodies lie {100 * float(np.median(self.off)):.0f} % of a person's size "
                "from the points in the picture; compare cameras, axes and left and right."
            )
        return said


def lying(upright_by_unit: list[float]) -> str | None:
    """What is to be said where the people of most units lie or stand on their heads."""
    if not upright_by_unit or float(np.median(upright_by_unit)) > _UPRIGHT:
        return None
    tilt_deg = float(np.degrees(np.arccos(np.clip(np.median(upright_by_unit), -1, 1))))
    return (
        f"People are {tilt_deg:.0f} degrees from upright (median of {len(upright_by_unit)} label "
        "files): unless all of them lie, axes are exchanged (y for z) or have another sign."
    )


def is_dataset_at_fault(upright_by_unit: list[float]) -> bool:
    """Whether there are too many label files for all of them to show people who lie."""
    return len(upright_by_unit) >= _LYING_UNITS


def _mostly_false(votes: list[bool]) -> bool:
    return len(votes) >= _LEAST and votes.count(True) < len(votes) / 2


def _faces(sample: Sample) -> list[bool]:
    """One vote of a face whose eyes and nose an annotator or a detector saw.

    Projected joints are seen from behind too, so points of bodies in space have none.
    """
    points = sample.keypoints
    if points is None or sample.body is not None or sample.joints is not None:
        return []
    at = {}
    for name in ("left_eye", "right_eye", "nose"):
        if name not in points.names:
            return []
        row = points.names.index(name)
        if points.confidence[row] <= 0 or (points.shown is not None and not points.shown[row]):
            return []
        at[name] = points.px[row]
    across = at["left_eye"] - at["right_eye"]
    below = at["nose"] - (at["left_eye"] + at["right_eye"]) / 2
    # heads that are turned on their side, or upside down, say nothing
    if abs(across[0]) < 2 or abs(across[0]) < abs(across[1]) or below[1] <= 0:
        return []
    return [bool(across[0] > 0)]


def _sides(joints: Joints3D) -> list[bool]:
    """One vote: whether a person's left is left of where feet, nose or knees point."""
    at = {n: joints.position_m[i] for i, n in enumerate(joints.names) if joints.valid[i]}
    hips, up = _across(at, "hip"), _trunk(at)
    forward = _forward(at, up) if up is not None else None
    if hips is None or up is None or forward is None:
        return []
    cosine = float(np.cross(up, forward) @ hips)
    return [cosine > 0] if abs(cosine) > _CLEAR else []


def _across(at: dict[str, np.ndarray], joint: str) -> Float32[np.ndarray, "3"] | None:
    left, right = at.get(f"left_{joint}"), at.get(f"right_{joint}")
    return None if left is None or right is None else _unit(left - right)


def _trunk(at: dict[str, np.ndarray]) -> Float32[np.ndarray, "3"] | None:
    """From the hips to the shoulders."""
    ends = [at.get(f"{side}_{part}") for part in ("shoulder", "hip") for side in ("left", "right")]
    if any(end is None for end in ends):
        return None
    a, b, c, d = (end for end in ends if end is not None)
    return _unit(a + b - c - d)


def _forward(at: dict[str, np.ndarray], up: np.ndarray) -> Float32[np.ndarray, "3"] | None:
    """Where somebody faces: where feet point, or the nose, or knees bend to."""
    ways = []
    for side in ("left", "right"):
        ankle = at.get(f"{side}_ankle")
        toe = next((at[n] for n in (f"{side}_toe", f"{side}_foot") if n in at), None)
        if ankle is not None and toe is not None:
            ways.append(toe - ankle)
    if not ways and "nose" in at and "neck" in at and "head_top" in at:
        ways.append(at["nose"] - (at["neck"] + at["head_top"]) / 2)
    if not ways:
        ways += _knees(at)
    if not ways:
        return None
    way = np.mean(ways, 0)
    level = way - up * float(way @ up)
    clear = float(np.linalg.norm(level)) > _CLEAR * max(float(np.linalg.norm(way)), 1e-6)
    return _unit(level) if clear else None


def _knees(at: dict[str, np.ndarray]) -> list[np.ndarray]:
    """How far knees are before the lines from hips to ankles, where they bend."""
    ways = []
    for side in ("left", "right"):
        ends = [at.get(f"{side}_{joint}") for joint in ("hip", "knee", "ankle")]
        if any(end is None for end in ends):
            continue
        hip, knee, ankle = (end for end in ends if end is not None)
        bend = knee - (hip + ankle) / 2
        if float(np.linalg.norm(bend)) > _CLEAR * float(np.linalg.norm(hip - ankle)):
            ways.append(bend)
    return ways


def _own_way_up(sample: Sample) -> Float32[np.ndarray, "3"] | None:
    """A person's own way up in the space of `Sample.up`."""
    if sample.body is not None:
        return sample.body.R_parent_joint[0][:, 1]
    if sample.joints is None:
        return None
    joints = sample.joints
    return _trunk({n: joints.position_m[i] for i, n in enumerate(joints.names) if joints.valid[i]})


_Places = dict[str, Float32[np.ndarray, "2"]]


def _before_camera(sample: Sample) -> tuple[_Places, _Places] | None:
    """Projected joints and labelled points by their names; None where there are too few of both."""
    points, camera = sample.keypoints, sample.camera
    if points is None or camera is None:
        return None
    if sample.joints is None:
        figure = body_figure(sample, camera, with_mesh=False)
    else:
        figure = joint_figure(sample, camera)
    if figure is None:
        return None
    labelled = {n: points.px[k] for k, n in enumerate(points.names) if points.confidence[k] > 0}
    shared = [i for i, name in enumerate(figure.names) if name in labelled]
    if len(shared) < _LEAST:
        return None
    px = np.nan_to_num(camera.project(figure.joints_cam_m[shared]), nan=np.inf)
    projected = {figure.names[i]: at for i, at in zip(shared, px, strict=True)}
    return projected, {name: labelled[name] for name in projected}


def _median_off(seen: tuple[_Places, _Places], name_of: Callable[[str], str]) -> float:
    """How far projected joints are from points of other names, by the extent of the points."""
    projected, labelled = seen
    extent = float(np.linalg.norm(np.ptp(list(labelled.values()), axis=0)))
    off = [np.linalg.norm(at - labelled.get(name_of(n), at)) for n, at in projected.items()]
    return float(np.median(np.nan_to_num(off, nan=np.inf))) / max(extent, 1.0)


def _same(name: str) -> str:
    return name


def _other_side(name: str) -> str:
    if name.startswith("left_"):
        return "right_" + name.removeprefix("left_")
    return "left_" + name.removeprefix("right_") if name.startswith("right_") else name


def _unit(vector: np.ndarray) -> Float32[np.ndarray, "3"] | None:
    length = float(np.linalg.norm(vector))
    return None if length < 1e-6 else (vector / length).astype(np.float32)
