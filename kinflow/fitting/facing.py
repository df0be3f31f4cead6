"""A start for everybody: the prior's central pose, turned as the 3D hint or the trunk says."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.energy.body_energy import Targets
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.unknowns import Unknowns
from kinflow.fitting.initialisers import Proposals
from kinflow.fitting.starts import (
    R_CAM_UPRIGHT,
    estimate_depth_m,
    image_roll_rad,
    place,
    resting,
)
from kinflow.geometry.rotations import nearest_rotation, rotvec_to_matrix

_TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


class FacingStart:
    """Proposes one body for each person, upright or as the person leans.

    Args:
        model: gives the prior and the points that targets are ordered by.
    """

    def __init__(self, model: KeypointModel) -> None:
        self._model = model

    def propose(self, targets: Targets, names: tuple[str, ...]) -> Proposals:
        """One body for each row of `targets`."""
        person = torch.arange(len(targets.focal_px), device=targets.observed_px.device)
        return Proposals(facing_start(self._model, targets, names), person, "facing")


def facing_start(model: KeypointModel, targets: Targets, names: tuple[str, ...]) -> Unknowns:
    """The prior's central pose, oriented as `facing` guesses and placed where it was seen."""
    people = len(targets.focal_px)
    rest = model.points_at_rest_m
    depth = estimate_depth_m(
        targets.observed_px, targets.inverse_std_px, rest, targets.focal_px, names
    )
    rest = rest.expand(people, -1, -1)
    R = facing(targets, rest, names)
    t = place(rest, R, depth, targets)
    return replace(resting(model, people, targets.observed_px.device), R_cam_root=R, t_cam_root_m=t)


def facing(
    targets: Targets, rest_points_m: Float[Tensor, "people points 3"], names: tuple[str, ...]
) -> Float[Tensor, "people 3 3"]:
    """First guess of the root's orientation.

    From the trunk of a person's 3D hint where there is one, else upright, facing the camera and
    turned by the lean that the trunk has in the image.
    """
    roll = image_roll_rad(targets.observed_px, targets.inverse_std_px, names)
    zero = torch.zeros_like(roll)
    R = rotvec_to_matrix(torch.stack([zero, zero, roll], -1)) @ R_CAM_UPRIGHT.to(roll.device)
    if targets.hint is None:
        return R
    trunk = [names.index(name) for name in _TRUNK]
    R_hint = nearest_rotation(rest_points_m[:, trunk], targets.hint.points_m[:, trunk])
    return torch.where(targets.hint.known()[:, None, None], R_hint, R)
