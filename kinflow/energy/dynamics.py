"""What the dynamics of people (`kinflow.priors.dynamics`) say of a chain of frames.

A step of a frame, given the two before it, is Gaussian in numbers e of the step and of its context
(`StepDensity.gaussian`). About a chain that is near enough they are linear,

    e = e_0 + G (y - y_0),    y = (step, context),

so that the term reaches two frames back, as accelerations do, and costs no network in the solver.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.energy.belief import inverse_left_jacobian
from kinflow.energy.layout import TangentLayout
from kinflow.energy.terms import robustify
from kinflow.energy.unknowns import Unknowns, position_columns
from kinflow.geometry.rotations import matrix_to_rotvec, skew
from kinflow.optim.arrow import ChainTerm


@dataclass(frozen=True)
class StepModel:
    """The standard normal numbers of the steps of a chain, linear in the steps' coordinates."""

    dt_s: Float[Tensor, " links"]
    """Of each link's three frames, from one to the next."""
    up_still: Float[Tensor, " 3"]
    """What is up for the camera that stands still."""
    about: Float[Tensor, "links coordinates"]
    """Steps and contexts that it is linear about."""
    e: Float[Tensor, "links numbers"]
    """There."""
    slope: Float[Tensor, "links numbers coordinates"]
    weight: Float[Tensor, " links"]
    """Of the energy of each link; 0 where nothing is to be said."""
    cutoff: float
    """Of the weighted numbers, for each."""


def step_coordinates(
    bodies: Unknowns, dt_s: Float[Tensor, " links"], up_still: Float[Tensor, " 3"]
) -> Float[Tensor, "links coordinates"]:
    """(z, w, v; z', dz', w', v', up) of every frame from the third on: step, and context.

    As `kinflow.priors.dynamics.state` has them, for frames of a camera that stands still.

    Args:
        bodies: one row a frame, as that camera has them.
        dt_s: from frame to frame, for each three of them.
        up_still: what is up for that camera.
    """
    z, R, p = bodies.z, bodies.R_cam_root, bodies.t_cam_root_m
    dt, back = dt_s[:, None], R[1:-1].mT
    turn = matrix_to_rotvec(R[:-1].mT @ R[1:])
    first, second = _turned(back, p[1:-1] - p[:-2]), _turned(back, p[2:] - p[1:-1])
    step = [z[2:], turn[1:] / dt, second / dt]
    context = [z[1:-1], (z[1:-1] - z[:-2]) / dt, turn[:-1] / dt, first / dt, back @ up_still]
    return torch.cat([*step, *context], -1)


def dynamics_term(
    bodies: Unknowns,
    model: StepModel,
    layout: TangentLayout,
    R_still_cam: Float[Tensor, "frames 3 3"] | None = None,
) -> ChainTerm:
    """The steps of a chain of three frames and more, in standard deviations.

    Args:
        bodies: one row a frame, each in its own camera's frame.
        model: of the steps.
        layout: the unknowns.
        R_still_cam: from the frames' cameras to one that stands still; None where they do.
    """
    still = bodies if R_still_cam is None else bodies.turned(R_still_cam)
    y = step_coordinates(still, model.dt_s, model.up_still)
    r = model.e + (model.slope @ (y - model.about)[..., None])[..., 0]
    place = position_columns(bodies.t_cam_root_m)
    if R_still_cam is not None:
        place = R_still_cam @ place
    frames = _columns(still, model, R_still_cam, place)
    root = model.weight.sqrt()[:, None]
    J = root[..., None] * frames.flatten(-2)
    r, J = robustify(root * r, J, model.cutoff * r.shape[-1] ** 0.5)
    assert J is not None
    J = J.unflatten(-1, frames.shape[-2:]).transpose(1, 2)
    shared = r.new_zeros(1, *r.shape, layout.shared.stop - layout.shared.start)
    return ChainTerm(r[None], J[None], shared)


def _columns(
    still: Unknowns,
    model: StepModel,
    turns: Float[Tensor, "frames 3 3"] | None,
    place: Float[Tensor, "frames 3 3"],
) -> Float[Tensor, "links numbers 3 unknowns"]:
    """Derivatives of the numbers along local steps of each link's three frames.

    Args:
        still: the bodies as the camera that stands still has them.
        model: of the steps.
        turns: from the frames' cameras to that one; None where they stand still.
        place: derivatives of positions there along the position of a step.
    """
    latent = still.z.shape[-1]
    sizes = [latent, 3, 3, latent, latent, 3, 3, 3]
    z, w, v, own, moved, w_before, v_before, up = model.slope.split(sizes, -1)
    R, p = still.R_cam_root, still.t_cam_root_m
    dt = model.dt_s[:, None, None]
    back, turn = R[:-1].mT, matrix_to_rotvec(R[:-1].mT @ R[1:])
    turning = inverse_left_jacobian(turn) @ back  # of a turn, along one of the later frame
    here = back[1:] / dt
    moving = p[1:] - p[:-1]
    w, w_before = w @ turning[1:] / dt, w_before @ turning[:-1] / dt
    by_turn = v @ (here @ skew(moving[1:])) + v_before @ (here @ skew(moving[:-1]))
    by_turn = by_turn + up @ (back[1:] @ skew(model.up_still)) - w + w_before
    v, v_before = v @ here, v_before @ here
    rotation = [-w_before, by_turn, w]
    position = [-v_before, v_before - v, v]
    pose = [-moved / dt, own + moved / dt, z]
    frames = []
    for i in range(3):
        rows = slice(i, i + len(z))
        around = rotation[i] if turns is None else rotation[i] @ turns[rows]
        frames.append(torch.cat([around, position[i] @ place[rows], pose[i]], -1))
    return torch.stack(frames, -2)


def _turned(R: Float[Tensor, "rows 3 3"], vector: Float[Tensor, "rows 3"]) -> Tensor:
    return (R @ vector[..., None])[..., 0]
