"""Joints of our own body by the names that protocols use, and the floor that comes from it.

Our skeleton has SMPL's joints where SMPL has them, but not its mesh, and nobody's regressor fits
our mesh; other names are the nearest thing there is: the middle of two spine joints, a vertex on
top of the head, the knuckles. How much of an error that alone makes is the *conversion floor*: the
truth put through our body (its rotations, the best shape) and compared with itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.model import BodyModel, PosedBody
from kinflow.body.shape import PHENOTYPES
from kinflow.body.skeleton import JOINT_INDEX
from kinflow.datasets.person_rows import PersonRows
from kinflow.errors import InputError
from kinflow.evaluation.protocols.joint_sets import LINES
from kinflow.evaluation.protocols.protocol import Protocol

SOURCE = "model:kinflow"
TOPOLOGY = "kinflow"
_MIDDLES: dict[str, tuple[str, str]] = {
    "spine": ("spine1", "spine2"),
    "left_hand": ("left_index", "left_pinky"),
    "right_hand": ("right_index", "right_pinky"),
}
_STEPS, _RATE = 150, 0.1
_STARTS = tuple((age, height) for age in (0.2, 0.4, 0.67, 0.9) for height in (0.2, 0.5, 0.8))
_PRIOR_M2 = 1e-4
"""Of shapes about the neutral one, so that what bones do not say stays as it is."""
_CHUNK = 256


@lru_cache(maxsize=1)
def small_body() -> BodyModel:
    """Our body with one vertex only: the one on top of the head."""
    body = BodyModel.load()
    rest = body.with_shape(body.shape_space.neutral()).rest_vertices_m
    return body.select_vertices(rest[:, 1].argmax()[None])


def joints_named(posed: PosedBody, names: Sequence[str]) -> Float[Tensor, "*batch joints 3"]:
    """Joints of a posed `small_body` by name.

    Raises:
        InputError: our body has nothing that is called so.
    """
    keypoints = posed.keypoints_m()
    found: list[Tensor] = []
    for name in names:
        if name in JOINT_INDEX:
            found.append(posed.joints_m[..., JOINT_INDEX[name], :])
        elif name == "head_top":
            found.append(posed.vertices_m()[..., 0, :])
        elif name in _MIDDLES:
            ends = [_point(posed, keypoints, end) for end in _MIDDLES[name]]
            found.append((ends[0] + ends[1]) / 2)
        elif name in KEYPOINT_INDEX:
            found.append(keypoints[..., KEYPOINT_INDEX[name], :])
        else:
            raise InputError(f"Our body has no joint '{name}'.")
    return torch.stack(found, -2)


def _point(posed: PosedBody, keypoints: Tensor, name: str) -> Tensor:
    if name in JOINT_INDEX:
        return posed.joints_m[..., JOINT_INDEX[name], :]
    return keypoints[..., KEYPOINT_INDEX[name], :]


@torch.no_grad()
def through_our_body(truth: PersonRows, protocol: Protocol) -> PersonRows:
    """The truth as our body can be it: its rotations, its shape or the one whose bones fit best.

    Args:
        truth: rows with `pose`.
        protocol: whose joints are wanted.

    Returns:
        predictions of the truth, for `evaluate`: what is left is the floor.

    Raises:
        InputError: the truth has no `pose`, or neither `shape` nor joints to find one by.
    """
    if "pose" not in truth:
        raise InputError(
            f"The truth '{truth.name}' has no pose, so it cannot be put through our body; give a "
            "floor as a file."
        )
    names = protocol.needed_joints
    pose = torch.from_numpy(truth["pose"].astype(np.float32))
    known = torch.isfinite(pose).flatten(1).all(1)
    pose = torch.where(known[:, None, None, None], pose, torch.eye(3).to(pose))
    shape = _shapes(truth)
    arrays = {
        name: truth[name] for name in ("sequence", "frame", "person", "action") if name in truth
    }
    arrays["valid"] = known.numpy() & truth.flags("valid", True)
    if names:
        joints = _posed(small_body(), shape, pose, names)
        arrays["joints_m"] = joints.numpy()[:, None]
        arrays["joint_names"] = np.array(names)
        arrays["joint_source"] = np.array(protocol.predicted_joints)
    arrays["shape"] = shape.numpy()
    if truth.text("topology") == TOPOLOGY and "vertices_m" in truth:
        arrays["vertices_m"] = _posed(BodyModel.load(), shape, pose, None).numpy()[:, None]
        arrays["topology"] = np.array(TOPOLOGY)
    return PersonRows("floor", arrays)


def _posed(
    body: BodyModel, shape: Tensor, pose: Tensor, names: Sequence[str] | None
) -> Float[Tensor, "rows points 3"]:
    """Named joints, or all vertices, of many bodies with the pelvis at the origin."""
    parts = []
    for begin in range(0, len(pose), _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        root = pose.new_zeros(len(pose[rows]), 3)
        posed = body.with_shape(shape[rows]).with_pose(pose[rows], root)
        parts.append(posed.vertices_m() if names is None else joints_named(posed, names))
    return torch.cat(parts)


def _shapes(truth: PersonRows) -> Float[Tensor, "rows shape"]:
    """The true shapes, or those whose bones are nearest to each person's mean ones."""
    if "shape" in truth and not np.isnan(truth["shape"]).any():
        return torch.from_numpy(truth["shape"].astype(np.float32))
    if "joints_m" not in truth:
        raise InputError(f"The truth '{truth.name}' has neither shape nor joints_m.")
    names = truth["joint_names"].tolist()
    ends = [(a, b) for a, b in LINES if a in names and b in names]
    if not ends:
        raise InputError(f"The truth '{truth.name}' has no two joints with a bone between them.")
    used = sorted({name for pair in ends for name in pair})
    place = torch.tensor([[used.index(a), used.index(b)] for a, b in ends]).T
    joints = truth["joints_m"][:, 0].astype(np.float64)
    where = [[names.index(used[i]) for i in row] for row in place.tolist()]
    lengths = np.linalg.norm(joints[:, where[0]] - joints[:, where[1]], axis=-1)
    people = truth["person"] if "person" in truth else np.zeros(len(truth), np.int64)
    sequence = np.unique(truth["sequence"], return_inverse=True)[1].reshape(-1)
    keys, owner = np.unique(np.stack([sequence, people], 1), axis=0, return_inverse=True)
    owner = owner.reshape(-1)
    bones = np.stack([np.nanmean(lengths[owner == i], 0) for i in range(len(keys))])
    known = torch.from_numpy(np.isfinite(bones))
    shape = _fitted(torch.from_numpy(np.nan_to_num(bones)).float(), known, used, place)
    return shape[torch.from_numpy(owner)]


@torch.enable_grad()
def _fitted(
    bones_m: Float[Tensor, "people bones"], known: Tensor, names: Sequence[str], place: Tensor
) -> Float[Tensor, "people shape"]:
    """Shapes from 0 to 1 with bones of these lengths, by gradient descent from several ages and
    heights: a child and a small adult are valleys of their own."""
    body = small_body()
    neutral = body.shape_space.neutral()
    starts = neutral.repeat(len(_STARTS), 1)
    sizes = [PHENOTYPES.index("age"), PHENOTYPES.index("height")]
    starts[:, sizes] = torch.tensor(_STARTS).to(starts)
    free = torch.logit(starts.clamp(0.05, 0.95)).repeat(len(bones_m), 1, 1).requires_grad_()
    optimiser = torch.optim.Adam([free], _RATE)
    rest = torch.eye(3).to(free).expand(*free.shape[:2], 22, 3, 3)
    loss = free.new_zeros(free.shape[:2])
    for _ in range(_STEPS):
        optimiser.zero_grad()
        shape = torch.sigmoid(free)
        posed = body.with_shape(shape).with_pose(rest, rest.new_zeros(*free.shape[:2], 3))
        joints = joints_named(posed, names)
        lengths = torch.linalg.vector_norm(
            joints[..., place[0], :] - joints[..., place[1], :], dim=-1
        )
        off = (lengths - bones_m[:, None]).square() * known[:, None]
        loss = off.sum(-1) + _PRIOR_M2 * (shape - neutral).square().sum(-1)
        loss.sum().backward()
        optimiser.step()
    best = loss.detach().argmin(1)
    return torch.sigmoid(free.detach())[torch.arange(len(best)), best]
