"""BlazePose for many crops at once, in torch on any device: what `BlazePose` and `Pose.close_look`
give for one crop, step by step the same (see `blazepose.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from kinflow.evidence.blazepose import CROP_PX, HEATMAP_CONFIDENCE, HEATMAP_WINDOW, LANDMARKS
from kinflow.evidence.cell_sampling import joint_features
from kinflow.evidence.torch_network import TorchNetwork


@dataclass(frozen=True)
class BatchedLooks:
    """What the detector made of crops, in the axes of each: x right, y down, -0.5 to 0.5."""

    landmarks: Float[Tensor, "batch 33 3"]
    """(x, y, confidence) of the keypoints."""
    world_m: Float[Tensor, "batch 33 3"]
    """Rough 3D keypoints relative to the middle of the hips, z away from the camera."""
    features: Float[Tensor, "batch 1152"]
    joint_features: Float[Tensor, "batch 33 288"]
    map_features: Float[Tensor, "batch 4608"]
    score: Float[Tensor, " batch"]
    """Probability that the crop shows a person."""
    mask: Float[Tensor, "batch 256 256"]
    """Probability of the person at each pixel of the crop."""

    def __len__(self) -> int:
        return len(self.score)


class BatchedBlazePose:
    """The network with MediaPipe's decoding.

    Args:
        device: where it runs; the crops have to lie there.
        half: run in float16, which is quicker on a GPU and moves keypoints by fractions of a pixel.

    Attributes:
        network: may be compiled, which pays where many batches of one size follow.

    Raises:
        InputError: the package onnx is not installed.
    """

    def __init__(self, device: torch.device | str, half: bool = False) -> None:
        dtype = torch.float16 if half else torch.float32
        self.network: nn.Module = TorchNetwork("blazepose_heavy.onnx", dtype).to(device)

    @torch.no_grad()
    def __call__(self, crops: UInt8[Tensor, "batch 256 256 3"]) -> BatchedLooks:
        """Looks at the crops (`Region.crop`), all in float32."""
        outputs = self.network(crops)
        landmarks = outputs["landmarks"].unflatten(1, (-1, 5))[:, :LANDMARKS]
        points = refine_by_heatmaps(landmarks[..., :2], outputs["heatmap_logit"][..., :LANDMARKS])
        shares = points / CROP_PX
        confidence = landmarks[..., 3].sigmoid() * landmarks[..., 4].sigmoid()
        return BatchedLooks(
            landmarks=torch.cat([shares - 0.5, confidence[..., None]], -1),
            world_m=outputs["world"].unflatten(1, (-1, 3))[:, :LANDMARKS],
            features=outputs["features"].flatten(1),
            joint_features=joint_features(outputs["map32"], outputs["map16"], shares),
            map_features=outputs["map4"].flatten(1),
            score=outputs["presence"][:, 0],
            mask=outputs["mask_logit"][..., 0].sigmoid(),
        )


def refine_by_heatmaps(
    points: Float[Tensor, "batch n 2"], heatmap_logit: Float[Tensor, "batch rows columns n"]
) -> Float[Tensor, "batch n 2"]:
    """Move crop points (pixels) to the centre of mass of the heat around them.

    As `blazepose.refine_by_heatmap`, whose windows end at the heatmap's border.
    """
    rows, columns, count = heatmap_logit.shape[1:]
    cell_px = points.new_tensor([CROP_PX / columns, CROP_PX / rows])
    cells = (points / cell_px).long()  # towards zero, as int() does
    reach = HEATMAP_WINDOW // 2
    offsets = torch.arange(-reach, reach + 1, device=points.device)
    x, y = (cells[..., None] + offsets).unbind(-2)  # (batch, n, window)
    inside_x, inside_y = (x >= 0) & (x < columns), (y >= 0) & (y < rows)
    index = y.clamp(0, rows - 1)[..., :, None] * columns + x.clamp(0, columns - 1)[..., None, :]
    batch = torch.arange(len(points), device=points.device)[:, None, None, None]
    channel = torch.arange(count, device=points.device)[:, None, None]
    logits = heatmap_logit.flatten(1, 2)[batch, index, channel]
    heat = logits.sigmoid() * (inside_y[..., :, None] & inside_x[..., None, :])
    centre = torch.stack([(heat.sum(-2) * x).sum(-1), (heat.sum(-1) * y).sum(-1)], -1)
    total = heat.sum((-2, -1))[..., None]
    known = (inside_x & inside_y)[..., reach] & (heat.amax((-2, -1)) >= HEATMAP_CONFIDENCE)
    return torch.where(known[..., None], centre / total.clamp_min(1e-6) * cell_px, points)
