"""How low bodies reach: the height of the lowest of all vertices, without moving them all."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from kinflow.body.model import BodyModel
from kinflow.body.skinning import joint_maps

_BATCH = 64
"""Bodies whose heights are computed at once."""


def lowest_m(
    shape: Float[Tensor, " shape"],
    pose: Float[Tensor, "bodies 22 3 3"],
    root_m: Float[Tensor, "bodies 3"],
    up: Float64[np.ndarray, "bodies 3"],
    model: BodyModel | None = None,
) -> Float64[np.ndarray, " bodies"]:
    """Height of each body's lowest vertex.

    Args:
        shape: of all bodies.
        pose: local rotations, those of the root into the outer frame.
        root_m: of the pelvis in the outer frame.
        up: unit vectors along which heights are measured, from the origin of that frame.
        model: what they are of; the bundled body unless another is given.
    """
    model = model or BodyModel.load()
    shaped = model.with_shape(shape)
    # made at once: small results between large ones would keep the allocator from using these again
    lowest = torch.empty(len(pose), dtype=torch.float32)
    with torch.inference_mode():
        rest_m = torch.nn.functional.pad(shaped.rest_vertices_m, (0, 1), value=1.0)
        # heights are linear in what the maps of the joints add along up: one matrix product
        shares = (model.skin_weights[:, :, None] * rest_m[:, None]).flatten(1).mT.contiguous()
        for first in range(0, len(pose), _BATCH):
            some = slice(first, first + _BATCH)
            posed = shaped.with_pose(pose[some], root_m[some])
            maps = joint_maps(posed.R_joints, posed.joints_m, shaped.rest_joints_m, model.Q_rest)
            along = torch.from_numpy(up[some]).to(maps)
            along_up = (along[:, None, None] @ maps)[:, :, 0]
            lowest[some] = (along_up.flatten(1) @ shares).amin(1)
    return lowest.double().numpy()
