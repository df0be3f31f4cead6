"""Thinning of near-duplicate poses.

Motion capture at 30 frames a second repeats itself: walking, standing and waiting make up most of
it. A greedy net keeps a pose if it lies farther than some distance from every pose kept before, so
that what is left covers the same poses evenly, however often each was held.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_BLOCK = 256


def distinct_poses(
    rotvec: Float[Tensor, "poses 57"], min_distance_rad: float
) -> Bool[Tensor, "poses"]:
    """Which poses a greedy net keeps, in their order.

    Args:
        rotvec: rotation vectors of the free joints, radians.
        min_distance_rad: least distance between poses that are kept, as root mean square over
            joints of the difference of rotation vectors.
    """
    radius = min_distance_rad * (rotvec.shape[1] / 3) ** 0.5
    keep = torch.zeros(len(rotvec), dtype=torch.bool)
    for begin in range(0, len(rotvec), _BLOCK):
        block = rotvec[begin : begin + _BLOCK]
        kept = rotvec[:begin][keep[:begin]]
        far = torch.ones(len(block), dtype=torch.bool)
        if len(kept):
            far = torch.cdist(block, kept).amin(1) > radius
        close = torch.cdist(block, block) <= radius
        chosen: list[int] = []
        for row in torch.nonzero(far)[:, 0].tolist():
            if not bool(close[row, chosen].any()):
                chosen.append(row)
        keep[begin + torch.tensor(chosen, dtype=torch.long)] = True
    return keep
