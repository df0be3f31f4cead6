"""What fitted bodies say of up and of the floor, and how far that could be otherwise.

A body's pose says what is up for it (`priors/attitude.py`), and the lowest of the points with which
people touch the ground says how high the ground is. Both are uncertain as the body itself is: its
orientation, its limbs, and its distance, since its size is hardly known. Spreads are Laplace's, of
everything that the body was fitted to but for what was up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from kinflow.energy.body_energy import Energy, Targets
from kinflow.energy.terms import lowest
from kinflow.energy.unknowns import Unknowns
from kinflow.geometry.pinhole import NEAR_M

_FLESH_M = {
    "big_toe": 0.015,
    "heel": 0.025,
    "ankle": 0.06,
    "knee": 0.06,
    "hip": 0.10,
    "wrist": 0.03,
    "pinky": 0.015,
    "index": 0.015,
    "thumb": 0.015,
    "elbow": 0.04,
    "shoulder": 0.08,
    "ear": 0.08,
    "nose": 0.03,
}
"""How deep keypoints lie below the skin, by the end of their names; of an average adult."""


def flesh_m(names: Sequence[str]) -> Float[Tensor, " points"]:
    """How deep below the skin keypoints lie; infinite above those that nobody stands on.

    A point minus its flesh is where the body would touch the ground.
    """
    return torch.tensor(
        [
            next((deep for end, deep in _FLESH_M.items() if name.endswith(end)), -torch.inf)
            for name in names
        ]
    )


@dataclass(frozen=True)
class Stances:
    """Votes and points of the bodies of some people, with their covariances; on the CPU."""

    up_cam: Float64[Tensor, "people 3"]
    up_cov: Float64[Tensor, "people 3 3"]
    points_cam_m: Float64[Tensor, "people points 3"]
    point_cov_m2: Float64[Tensor, "people points 3 3"]
    flesh_m: Float64[Tensor, " points"]
    legs: Float64[Tensor, " people"]
    """How certain it is that legs were seen, 0 to 1."""

    def __len__(self) -> int:
        return len(self.up_cam)

    def __getitem__(self, people: slice | list[int]) -> Stances:
        """Those of some of the people."""
        return Stances(
            self.up_cam[people],
            self.up_cov[people],
            self.points_cam_m[people],
            self.point_cov_m2[people],
            self.flesh_m,
            self.legs[people],
        )

    def turned(self, R: Float64[Tensor, "people 3 3"]) -> Stances:
        """The same in the frame of a camera at the same place, each turned by its own R."""
        return replace(
            self,
            up_cam=(R @ self.up_cam[..., None])[..., 0],
            up_cov=R @ self.up_cov @ R.mT,
            points_cam_m=self.points_cam_m @ R.mT,
            point_cov_m2=R[:, None] @ self.point_cov_m2 @ R[:, None].mT,
        )

    def farther(self, factor: float) -> Stances:
        """The same people before a lens that is as many times as long: they look the same from as
        much further away, and are as deep as they were."""
        x, y, z = self.points_cam_m.unbind(-1)
        z = z.clamp_min(NEAR_M)  # nearer points are seen as if they were there
        away = z + (factor - 1) * z.mean(1, keepdim=True)
        aside = away / (factor * z)
        stretch = torch.diag(z.new_tensor((1.0, 1.0, factor)))
        return replace(
            self,
            points_cam_m=torch.stack([x * aside, y * aside, away], -1),
            point_cov_m2=stretch @ self.point_cov_m2 @ stretch,
        )

    @staticmethod
    def of(
        energy: Energy,
        unknowns: Unknowns,
        targets: Targets,
        flesh: Float[Tensor, " points"],
        legs: Float[Tensor, " people"],
    ) -> Stances:
        """Of fitted bodies, one row of `targets` each.

        Args:
            energy: what was minimised; its model has an attitude prior.
            unknowns: the bodies.
            targets: what they were fitted to.
            flesh: of the model's points.
            legs: how certain it is that theirs were seen.
        """
        with torch.no_grad():
            state = energy.model.evaluate(unknowns)
            _, J = energy.linearise(unknowns, replace(targets, up=None, floor=None), state)
        assert state.jacobian is not None and state.up_jacobian is not None
        assert state.up_cam is not None
        J = J.cpu().double()  # in single precision the product may be indefinite
        hessian = J.mT @ J
        eye = torch.eye(hessian.shape[-1], dtype=hessian.dtype)
        body = energy.layout.body
        covariance = torch.linalg.inv(hessian + 1e-6 * eye)[:, body, body]
        up_J, point_J = state.up_jacobian.cpu().double(), state.jacobian.cpu().double()
        spread = (point_J.flatten(1, 2) @ covariance).unflatten(1, point_J.shape[1:3])
        return Stances(
            up_cam=state.up_cam.cpu().double(),
            up_cov=up_J @ covariance @ up_J.mT,
            points_cam_m=state.keypoints_cam_m.cpu().double(),
            point_cov_m2=spread @ point_J.mT,
            flesh_m=flesh.cpu().double(),
            legs=legs.cpu().double(),
        )

    def ground_m(
        self, up_cam: Float64[Tensor, "directions 3"]
    ) -> tuple[Float64[Tensor, "people directions"], Float64[Tensor, "people directions"]]:
        """How high the ground under each person is, by each direction that may be up, and the
        variance of that (m²). Heights are above the camera."""
        height, row = lowest(self.points_cam_m[:, None], self.flesh_m, up_cam)
        person = torch.arange(len(self))[:, None]
        covariance = self.point_cov_m2[person, row]
        return height, torch.einsum("da,pdab,db->pd", up_cam, covariance, up_cam)
