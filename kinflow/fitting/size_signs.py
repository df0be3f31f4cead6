"""Signs of a child: a head and a face that are large for the body, how old the face looks, and what
a network says.

Detectors give everybody the proportions of an adult, and so does a fit to their keypoints. By that
body a child's head is too large, where three independent observers see it: the part parser, which
looks at pixels, the silhouette (`fitting/head_outline.py`), and the detector of keypoints, which
puts those of a face where the face is. A network that learned from children as well sees more than
proportions (`fitting/beliefs.py`). How old a face looks (`evidence/faces.py`) tells of people of
whom nothing else is seen as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.part_mesh import PartMesh
from kinflow.body.parts import PART_INDEX, UNKNOWN
from kinflow.body.sides import SIDES
from kinflow.evidence.part_labels import PARSER_CONFIDENCE
from kinflow.evidence.types import FaceAge, PartLabels, PersonEvidence
from kinflow.fitting.drawing import drawn_parts
from kinflow.fitting.head_outline import head_outline
from kinflow.fitting.observations import FITTED_KEYPOINTS
from kinflow.geometry.pinhole import Camera

LEAST_HEAD_CELLS = 30
"""Of a head that is seen and one that is drawn; less says nothing."""
LEAST_KNEES = 0.5
"""Mean confidence of the knees: a body whose legs nobody saw has any size."""
FARTHEST_HEAD = 0.4
"""Nobody's head is wider or narrower than an adult's by more than this (logarithm): what is, was
taken for one with something else."""

_ROWS = [BLAZEPOSE33.index(name) for name in FITTED_KEYPOINTS]
_KNEES = [BLAZEPOSE33.index(f"{side}_knee") for side in SIDES]
_HEAD = PART_INDEX["head"]
_FACE = 7
"""The first of the fitted keypoints are those of the face."""
_SOME_CELLS = 16.0
"""Added to counts of cells, so that small heads say little."""


@dataclass(frozen=True)
class FittedAdult:
    """The body that explains a person's keypoints, in the camera's frame."""

    vertices_m: Float[np.ndarray, "vertices 3"]
    """None of them where parts are not looked at."""
    keypoints_m: Float[np.ndarray, "points 3"]
    """Those that are fitted."""


@dataclass(frozen=True)
class SizeSigns:
    """What tells how large a person is; at least one of these."""

    head: float | None
    """Logarithm of how much wider the head is than the adult's: half of that of the area's. None
    where the parser, whose errors are known, saw no head or something that is none."""
    face: float | None
    """Logarithm of how much larger the spread of the face's keypoints is; None of a body whose legs
    nobody saw."""
    network: float | None = None
    """Log odds of being a child by a network; None where it knows nothing of the person."""
    outline: float | None = None
    """Logarithm of how much larger the head is by the silhouette; None where too little of its
    outline is against the background, and where there is no silhouette but one of the user's."""
    floor: float | None = None
    """How much likelier the ground under the person is for a child than for an adult, by where
    others of the photo stand (`fitting/size_by_floor.py`); None where nobody asked."""
    face_age: FaceAge | None = None
    """How old the face looks; None where it is hardly seen, or nobody looked."""


def shows_size(seen: PersonEvidence) -> bool:
    """Whether the body that explains a person's keypoints is as large as they look."""
    return float(seen.keypoints_px[_KNEES, 2].mean()) >= LEAST_KNEES


def signs(
    seen: PersonEvidence,
    adult: FittedAdult,
    camera: Camera,
    mesh: PartMesh | None,
    network: float | None = None,
    reads_faces: bool = True,
) -> SizeSigns | None:
    """The signs of one person; None where there are none.

    Args:
        seen: the person.
        adult: the body that explains their keypoints.
        camera: what they were seen with.
        mesh: the adult's triangles; None where parts are not looked at.
        network: log odds of being a child by a network.
        reads_faces: whether it counts how old the face looks.
    """
    face_age = seen.face_age if reads_faces else None
    nothing_else = network is None and face_age is None
    if not shows_size(seen):
        return None if nothing_else else SizeSigns(None, None, network, face_age=face_age)
    head = outline = None
    if mesh is not None:
        head = _head(seen, adult, camera, mesh)
        if seen.mask is not None and not _is_given(seen.parts):
            outline = head_outline(adult.vertices_m, seen.mask.to("cpu"), camera, mesh)
    if head is None and network is None:
        # a face's size alone, and it may be somebody else's keypoints
        return None if nothing_else else SizeSigns(None, None, None, face_age=face_age)
    seen_px = seen.keypoints_px.cpu().numpy()[_ROWS[:_FACE], :2]
    fitted_px = camera.project(torch.from_numpy(adult.keypoints_m[:_FACE])).numpy()
    face = math.log(_spread(seen_px) / _spread(fitted_px))
    return SizeSigns(head, face, network, outline, face_age=face_age)


def _is_given(parts: PartLabels | None) -> bool:
    """Whether the user gave parts, or the silhouette that they are made of: these are sharper than
    those whose errors are known."""
    return parts is not None and float(parts.confidence.max()) >= 2 * PARSER_CONFIDENCE


def _head(seen: PersonEvidence, adult: FittedAdult, camera: Camera, mesh: PartMesh) -> float | None:
    parts = seen.parts
    if parts is None or _is_given(parts):
        return None
    allowed = parts.allowed.cpu().numpy()
    found = np.count_nonzero(allowed == 1 << _HEAD)
    if found < LEAST_HEAD_CELLS:
        return None
    drawn = drawn_parts(adult.vertices_m, parts.grid.camera(camera), mesh)
    own = np.count_nonzero((drawn == _HEAD) & (allowed != UNKNOWN))
    head = 0.5 * math.log((found + _SOME_CELLS) / (own + _SOME_CELLS))
    return None if own < LEAST_HEAD_CELLS or abs(head) > FARTHEST_HEAD else head


def _spread(points: Float[np.ndarray, "points 2"]) -> float:
    """Root mean square distance from the mean, at least a pixel."""
    return max(1.0, float(np.sqrt(np.square(points - points.mean(0)).sum(1).mean())))
