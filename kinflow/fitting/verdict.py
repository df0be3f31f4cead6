"""How far a body can be relied on: what its code rests on, each threshold beside its reason.

Numbers that cannot be right whoever is to blame are the business of `plausibility.py`.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.bones import UPPER_LEG, both_sides
from kinflow.body.keypoints import BLAZEPOSE33, KEYPOINT_INDEX, LIMB_KEYPOINTS
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.evidence.types import PersonEvidence
from kinflow.fitting.observations import FITTED_KEYPOINTS
from kinflow.geometry.pinhole import Camera
from kinflow.results import ResultCode

AMBIGUOUS_NATS = 2.0
"""Another body within so much of the best one's energy makes a result ambiguous."""

CONFIDENT = 0.5
"""Keypoints of a higher confidence count as seen: a body is measured by these alone."""

MIN_LIMB_KEYPOINTS = 4
"""With fewer confident limb keypoints of the twelve, a pose is mostly the prior's."""

MAX_LIMB_ERROR = 0.06
"""Mean distance from the confident limb keypoints, as a share of the person's size, up to which a
body follows them: on an adult about the width of a hand."""

HIDDEN = 0.3
"""Hips and knees of a lower confidence are out of view."""

MAX_HIDDEN = 1
"""So many of the hips and knees may be out of view. With two, a leg or the pelvis is the prior's
guess."""

MIN_SILHOUETTE_IOU = 0.3
"""A body that overlaps less with what was seen was not what was seen; what bodies on photos have is
printed by `benchmarks/parts photos`."""

LIMB_ROWS = [FITTED_KEYPOINTS.index(BLAZEPOSE33[i]) for i in LIMB_KEYPOINTS]
"""Where the limb keypoints are among FITTED_KEYPOINTS."""
_LEGS = [KEYPOINT_INDEX[name] for leg in both_sides(UPPER_LEG) for name in leg]


def is_ambiguous(energies: Float[Tensor, " bodies"]) -> bool:
    """Whether another body explains a person almost as well as the first, the best."""
    return bool((energies[1:] - energies[0] < AMBIGUOUS_NATS).any())


def limbs_px(model: KeypointModel, bodies: Unknowns, camera: Camera) -> Float[Tensor, "batch 12 2"]:
    """Where the limb keypoints of bodies are in the image, on the CPU.

    Args:
        model: its points are FITTED_KEYPOINTS.
    """
    points = model.evaluate(bodies, with_jacobian=False).keypoints_cam_m
    return camera.project(points[:, LIMB_ROWS]).cpu()


def judge(limbs_px: Float[Tensor, "12 2"], seen: PersonEvidence, ambiguous: bool) -> ResultCode:
    """The result code of a body by its keypoints.

    Args:
        limbs_px: where its limb keypoints are in the image.
        seen: what was seen of the person.
        ambiguous: whether another body explains the keypoints almost as well.
    """
    keypoints = seen.keypoints_px.cpu()
    limbs = keypoints[list(LIMB_KEYPOINTS)]
    confident = limbs[:, 2] > CONFIDENT
    if int(confident.sum()) < MIN_LIMB_KEYPOINTS:
        return "few_keypoints"
    if limb_error(limbs_px, seen) > MAX_LIMB_ERROR:
        return "poor_fit"
    hidden = torch.count_nonzero(keypoints[_LEGS, 2] < HIDDEN)
    if int(hidden) > MAX_HIDDEN:
        return "truncated"
    return "ambiguous" if ambiguous else "ok"


def limb_error(limbs_px: Float[Tensor, "12 2"], seen: PersonEvidence) -> float:
    """Mean distance of the confident limb keypoints from a body's, as a share of the person's size;
    NaN where none is confident.

    Args: as in `judge`.
    """
    limbs = seen.keypoints_px.cpu()[list(LIMB_KEYPOINTS)]
    distance = (limbs_px - limbs[:, :2]).norm(dim=-1)[limbs[:, 2] > CONFIDENT]
    size = max(seen.height_px, float(seen.box_px[2] - seen.box_px[0]))
    return float(distance.mean()) / size


def parts_belong(before: float, after: float, silhouette_iou: float) -> bool:
    """Whether the parts that a body was moved onto are this person's.

    Labels that tear a body off its keypoints are not, however few of these there are, nor are those
    that hardly have a place in common with it: a mask of nearly everything, a photo for a mask.

    Args:
        before: limb error of the body that follows the keypoints alone, NaN without confident ones.
        after: limb error of the body on the parts.
        silhouette_iou: its overlap with what was seen, NaN when that is not known.
    """
    torn = after > MAX_LIMB_ERROR and not before > MAX_LIMB_ERROR
    return not torn and not silhouette_iou < MIN_SILHOUETTE_IOU


def without_parts(code: ResultCode) -> ResultCode:
    """The code of a body by its keypoints (`code`), once its parts turned out to be unusable."""
    return code if code in ("poor_fit", "few_keypoints") else "no_parts"
