"""What a frame network says of one person over frames, as a temporal network reads it.

    x = [two columns of the root's rotation (6), its direction (3), its log distance (1), z, s]

All of it in axes that mean the same in every frame of a window: those of a camera that stands
still, turned about its centre so that it looks, level, at where the person is in the first frame in
which they were seen. So a window means the same wherever in the picture the person is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.energy.unknowns import Unknowns
from kinflow.errors import InputError
from kinflow.predictors.coordinates import ViewFrame
from kinflow.predictors.heads import from_two_columns
from kinflow.predictors.looks import Looks
from kinflow.predictors.network import EvidenceNetwork
from kinflow.predictors.posterior import Posterior
from kinflow.predictors.predictor import Predictor

ROTATION, DIRECTION, DISTANCE = slice(0, 6), slice(6, 9), slice(9, 10)
OTHERS = 10
"""Numbers before the latent."""
_NEAREST_M = 0.1


@dataclass(frozen=True)
class Words:
    """Frames of windows; rows of frames in which nobody was seen are zero but for the first three.

    All tensors may lack the axis of windows.
    """

    time_s: Float[Tensor, "*windows frames"]
    seen: Bool[Tensor, "*windows frames"]
    R_still_cam: Float[Tensor, "*windows frames 3 3"]
    """From each frame's camera to one at the same place that stands still."""
    hidden: Float[Tensor, "*windows frames readout"]
    """What the frame network's heads read."""
    R_cam_root: Float[Tensor, "*windows frames 3 3"]
    """Its best guess, as the next three."""
    t_cam_root_m: Float[Tensor, "*windows frames 3"]
    z: Float[Tensor, "*windows frames latent"]
    s: Float[Tensor, "*windows frames shape"]
    std: Float[Tensor, "*windows frames size"]
    """Scale of deviations from it (`Guess.std`)."""
    R_cam_view: Float[Tensor, "*windows frames 3 3"]
    """Axes of each look (`ViewFrame`)."""
    side: Float[Tensor, "*windows frames"]
    """Side of each region in focal lengths."""

    def each(self, change: Callable[[Tensor], Tensor]) -> Words:
        """The same with all tensors changed."""
        return Words(**{f.name: change(getattr(self, f.name)) for f in fields(self)})

    @property
    def frames(self) -> int:
        """Number of frames of each window."""
        return self.time_s.shape[-1]

    def without(self, dropped: Bool[Tensor, "*windows frames"]) -> Words:
        """The same, as if the person had not been seen in some frames."""
        kept = self.each(
            lambda v: v * ~dropped.view(*dropped.shape, *[1] * (v.dim() - dropped.dim()))
        )
        return replace(
            kept, time_s=self.time_s, seen=self.seen & ~dropped, R_still_cam=self.R_still_cam
        )

    def R_still_window(self) -> Float[Tensor, "*windows 3 3"]:
        """From a window's axes to those of the camera that stands still."""
        rows = self.seen.float().argmax(-1)[..., None]  # 0 where nobody was ever seen
        index = rows[..., None, None].expand(*rows.shape, 3, 3)
        R = (self.R_still_cam @ self.R_cam_view).gather(-3, index)[..., 0, :, :]
        forward = F.pad(torch.zeros_like(R[..., :2, 0]), (0, 1), value=1.0)
        z = torch.where(self.seen.any(-1, keepdim=True), R[..., 2], forward)
        down = torch.roll(forward, -1, -1).expand_as(z)
        x = F.normalize(torch.linalg.cross(down, z), dim=-1)
        return torch.stack([x, torch.linalg.cross(z, x), z], -1)

    def vectors(self, R_still_window: Float[Tensor, "*windows 3 3"]) -> Tensor:
        """Best guesses as x, in the axes of each window; no use where nobody was seen."""
        R = R_still_window[..., None, :, :].mT @ self.R_still_cam
        root = (R @ self.t_cam_root_m[..., None])[..., 0]
        distance = root.norm(dim=-1, keepdim=True).clamp_min(_NEAREST_M)
        columns = (R @ self.R_cam_root)[..., :2].mT.flatten(-2)
        return torch.cat([columns, root / distance, distance.log(), self.z, self.s], -1)

    def bodies(
        self,
        vectors: Float[Tensor, "*windows frames numbers"],
        R_still_window: Float[Tensor, "*windows 3 3"],
    ) -> Unknowns:
        """Bodies of x in each frame's camera, all windows' frames in one row; undoes `vectors`."""
        R_cam_window = self.R_still_cam.mT @ R_still_window[..., None, :, :]
        R = R_cam_window @ from_two_columns(vectors[..., ROTATION])
        direction = F.normalize(vectors[..., DIRECTION], dim=-1)
        root = direction * vectors[..., DISTANCE].clamp(-3, 6).exp()
        t = (R_cam_window @ root[..., None])[..., 0]
        z, s = vectors[..., OTHERS:].split([self.z.shape[-1], self.s.shape[-1]], -1)
        flat = self.time_s.dim() - 1
        R, t, z, s, one = (v.flatten(0, flat) for v in (R, t, z, s, torch.zeros_like(self.time_s)))
        return Unknowns(R, t, z, s, one)


@torch.no_grad()
def words_of(
    predictor: Predictor,
    looks: Looks,
    time_s: Float[Tensor, " frames"],
    seen: Bool[Tensor, " frames"],
    R_still_cam: Float[Tensor, "frames 3 3"] | None = None,
    at_once: int = 256,
) -> Words:
    """What a frame network says of a person.

    Args:
        predictor: the frame network.
        looks: of the frames in which they were seen, in order.
        time_s: of all frames.
        seen: which these are.
        R_still_cam: how the camera turns; None for one that does not.
        at_once: looks that the network sees in one batch.

    Raises:
        InputError: the predictor looks at pictures.
    """
    if not isinstance(predictor.network, EvidenceNetwork):
        raise InputError("Sequences take a predictor of what a detector saw, not one of pictures.")
    network, parts = predictor.network, []
    for rows in torch.arange(len(looks)).split(at_once):
        some = looks.each(lambda v, rows=rows: v[rows])
        hidden, points_m = network.read(some)
        guess = network.guess(hidden, points_m)
        frame = ViewFrame.of(some, predictor.config.latent_size)
        body = Posterior(guess, network.flow, frame).point()
        told = (hidden, body.R_cam_root, body.t_cam_root_m, body.z, body.s, guess.std)
        parts.append((*told, frame.R_cam_view, frame.side))
    names = ("hidden", "R_cam_root", "t_cam_root_m", "z", "s", "std", "R_cam_view", "side")
    columns = {}
    for name, values in zip(names, zip(*parts, strict=True), strict=True):
        known = torch.cat(values)
        column = known.new_zeros(len(time_s), *known.shape[1:])
        column[seen] = known
        columns[name] = column
    if R_still_cam is None:
        R_still_cam = torch.eye(3).to(columns["side"]).expand(len(time_s), 3, 3)
    return Words(time_s=time_s, seen=seen, R_still_cam=R_still_cam, **columns)
