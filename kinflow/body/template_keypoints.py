"""Where BlazePose's keypoints lie on a template mesh that does not name them.

Keypoints of the limbs are joints. The others are vertices found by their place on an adult standing
in a T-pose (y up, facing +z, +x to the left): the nose is the foremost vertex of the head, the
heel the rearmost low one of the foot, and so on. They are approximate, a centimetre or two, and
ignore pose blend shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kinflow.body.keypoints import KEYPOINT_NAMES
from kinflow.body.parts import PART_INDEX
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.errors import InputError

# from the tip of the nose, for the left side of the face: outwards, up, forwards
_FACE_OFFSETS_M = {
    "eye_inner": (0.017, 0.036, -0.028),
    "eye": (0.032, 0.038, -0.028),
    "eye_outer": (0.047, 0.037, -0.035),
    "mouth": (0.025, -0.030, -0.028),
}
_EAR_HEIGHT_M = 0.04
"""Ears are looked for this far above and below the tip of the nose."""
_KNUCKLES = 0.5
_FINGERS = (0.55, 0.75)
"""Where the knuckles and where the fingers without the thumb lie, on the way to the fingertips."""
_THUMB_KNUCKLE = 0.6
"""Where the second knuckle of the thumb lies, on the way from the wrist to its tip."""
_SMALL_TOE = 0.8
"""The small toe is in front of this part of the foot's length; the ball of the foot is behind."""
_MIN_WEIGHT = 1e-6


@dataclass(frozen=True)
class TemplateKeypoints:
    """Keypoints as sums of virtual points, each a joint or vertex that one joint moves rigidly."""

    source: Int64[np.ndarray, " virtual"]
    """Row among the joints followed by the vertices."""
    joint: Int64[np.ndarray, " virtual"]
    mass: Float64[np.ndarray, "keypoints virtual"]


def find_keypoints(
    vertices_m: Float64[np.ndarray, "vertices 3"],
    joints_m: Float64[np.ndarray, "22 3"],
    weights: Float64[np.ndarray, "vertices 22"],
    parts: Int64[np.ndarray, " vertices"],
) -> TemplateKeypoints:
    """Keypoints of a template in the T-pose.

    Raises:
        InputError: no vertex belongs to the head, a hand or a foot.
    """
    template = _Template(vertices_m, joints_m, parts)
    found = _face(template)
    for side in ("left", "right"):
        found |= _hand(template, side) | _foot(template, side)
    rows: list[tuple[int, int, int, float]] = []
    for keypoint, name in enumerate(KEYPOINT_NAMES):
        if name in JOINT_INDEX:
            rows.append((JOINT_INDEX[name], JOINT_INDEX[name], keypoint, 1.0))
            continue
        vertex = found[name]
        moving = np.flatnonzero(weights[vertex] > _MIN_WEIGHT)
        share = weights[vertex, moving] / weights[vertex, moving].sum()
        source = len(joints_m) + vertex
        rows += [(source, int(j), keypoint, w) for j, w in zip(moving, share, strict=True)]
    source, joint, keypoint, share = (np.array(column) for column in zip(*rows, strict=True))
    mass = np.zeros((len(KEYPOINT_NAMES), len(rows)))
    mass[keypoint, np.arange(len(rows))] = share
    return TemplateKeypoints(source, joint, mass)


@dataclass(frozen=True)
class _Template:
    vertices_m: np.ndarray
    joints_m: np.ndarray
    parts: np.ndarray

    def part(self, name: str) -> np.ndarray:
        """Indices of the vertices of a part."""
        index = np.flatnonzero(self.parts == PART_INDEX[name])
        if len(index) == 0:
            raise InputError(f"none of its vertices belongs to the {name.replace('_', ' ')}.")
        return index

    def nearest(self, allowed: np.ndarray, point_m: np.ndarray) -> int:
        distance = np.linalg.norm(self.vertices_m[allowed] - point_m, axis=1)
        return int(allowed[distance.argmin()])

    def farthest(self, allowed: np.ndarray, direction: tuple[float, float, float]) -> int:
        return int(allowed[(self.vertices_m[allowed] @ np.array(direction)).argmax()])


def _sign(side: str) -> float:
    return 1.0 if side == "left" else -1.0


def _face(template: _Template) -> dict[str, int]:
    head = template.part("head")
    found = {"nose": template.farthest(head, (0.0, 0.0, 1.0))}
    nose_m = template.vertices_m[found["nose"]]
    level = np.abs(template.vertices_m[head, 1] - nose_m[1]) < _EAR_HEIGHT_M
    for side in ("left", "right"):
        mirror = np.array([_sign(side), 1, 1])
        for name, offset_m in _FACE_OFFSETS_M.items():
            full = f"mouth_{side}" if name == "mouth" else f"{side}_{name}"
            found[full] = template.nearest(head, nose_m + mirror * offset_m)
        found[f"{side}_ear"] = template.farthest(head[level], (_sign(side), 0.0, 0.0))
    return found


def _hand(template: _Template, side: str) -> dict[str, int]:
    """Fingers point outwards and the thumb is on the front side."""
    hand, sign = template.part(f"{side}_hand"), _sign(side)
    wrist_m = template.joints_m[JOINT_INDEX[f"{side}_wrist"]]
    points = template.vertices_m[hand]
    reach = sign * (points[:, 0] - wrist_m[0])
    length_m = reach.max()
    fingers = points[(reach > _FINGERS[0] * length_m) & (reach < _FINGERS[1] * length_m)]
    fingers = fingers if len(fingers) else points
    back_m, front_m = fingers[:, 2].min(), fingers[:, 2].max()
    finger_m = (front_m - back_m) / 4
    knuckle_x, knuckle_y = wrist_m[0] + sign * _KNUCKLES * length_m, np.median(fingers[:, 1])
    thumb_m = template.vertices_m[template.farthest(hand, (0.0, 0.0, 1.0))]
    targets_m = {
        "index": np.array([knuckle_x, knuckle_y, front_m - finger_m / 2]),
        "pinky": np.array([knuckle_x, knuckle_y, back_m + finger_m / 2]),
        "thumb": wrist_m + _THUMB_KNUCKLE * (thumb_m - wrist_m),
    }
    return {f"{side}_{name}": template.nearest(hand, p) for name, p in targets_m.items()}


def _foot(template: _Template, side: str) -> dict[str, int]:
    foot = template.part(f"{side}_foot")
    _, y, z = template.vertices_m[foot].T
    low = foot[y <= (y.min() + y.max()) / 2]
    front = foot[z >= z.min() + _SMALL_TOE * np.ptp(z)]
    return {
        f"{side}_heel": template.farthest(low, (0.0, 0.0, -1.0)),
        f"{side}_big_toe": template.farthest(foot, (0.0, 0.0, 1.0)),
        f"{side}_small_toe": template.farthest(front, (_sign(side), 0.0, 0.0)),
    }
