"""Which way is up in a photo: pitch and roll of the camera, shared by everybody in it.

Cameras are held about level, and people's poses tell what is up for them
(`kinflow.priors.attitude`). A person alone is fitted with what both say together: how far their up
may be from the image's is the spread of cameras and that of poses. Of several people each votes
and each is corrected by the others: their bodies and the direction are solved for together, the
people as independent blocks and the direction as what they share (`optim.arrow`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinflow.checks import nested, positive
from kinflow.energy.body_energy import Energy, Targets, UpTarget
from kinflow.energy.terms import robustify
from kinflow.energy.unknowns import Unknowns
from kinflow.geometry.rotations import rotvec_to_matrix, skew
from kinflow.optim import ArrowModel, ArrowStep, ChainTerm, DenseModel, LMConfig, minimise
from kinflow.results import Gravity

IMAGE_UP = (0.0, -1.0, 0.0)
"""Up, as long as nothing else is known: that of the image."""


@dataclass(frozen=True)
class GravityConfig:
    """How cameras are held, and how well poses tell what is up."""

    pitch_std_deg: float = 12.0
    roll_std_deg: float = 4.0
    attitude_std_deg: float = 8.0
    """Of what is up by a fitted pose: on motion capture the error is 5 degrees on average."""
    steps: LMConfig = LMConfig(max_iterations=8, relative_tolerance=1e-3)

    def __post_init__(self) -> None:
        positive(self, "pitch_std_deg", "roll_std_deg", "attitude_std_deg")
        nested(self, steps=LMConfig)


class GravityEstimator:
    """Estimates what is up, and tells fits what they may take for it.

    Args:
        energy: of a model with an attitude prior.
        config: spreads.
    """

    def __init__(self, energy: Energy, config: GravityConfig) -> None:
        self.energy, self.config = energy, config
        self._device = energy.origin.device
        self._image_up = torch.tensor(IMAGE_UP, device=self._device)
        # the camera rolls to the sides and pitches in depth
        camera_deg = torch.tensor(
            [config.roll_std_deg, config.pitch_std_deg, config.pitch_std_deg], device=self._device
        )
        self._camera_std = torch.deg2rad(camera_deg)
        self._attitude_std = math.radians(config.attitude_std_deg)

    def unknown(self, people: int) -> UpTarget:
        """For people of whose photo nothing is known yet: one row each."""
        std = (self._camera_std.square() + self._attitude_std**2).sqrt()
        return UpTarget(self._image_up.expand(people, 3), (1 / std).expand(people, 3))

    def known(self, gravity: Gravity, people: int) -> UpTarget:
        """For people in whose photo this is up: one row each."""
        std = math.hypot(self._attitude_std, math.radians(gravity.std_deg))
        up = torch.tensor(gravity.up_cam, device=self._device, dtype=torch.float32)
        return UpTarget(up.expand(people, 3), up.new_full((people, 3), 1 / std))

    def of_people(self, bodies: Unknowns, targets: Targets) -> Gravity:
        """What is up by the bodies of one photo, fitted together with it.

        Args:
            bodies: one row a person, fitted to `targets`.
            targets: one row a person.
        """
        with torch.no_grad():
            up = self._first_guess(bodies)
        scene = _Scene(bodies, up[None])

        def linearise(state: _Scene, rows: Tensor) -> ArrowModel:
            return self._model(state, targets)

        with torch.no_grad():
            solved = minimise(scene, linearise, self.config.steps).state
            std = _std_of_shared(self._model(solved, targets))
        x, y, z = F.normalize(solved.up_cam[0].double(), dim=0).tolist()
        return Gravity((x, y, z), math.degrees(std))

    def _first_guess(self, bodies: Unknowns) -> Float[Tensor, "3"]:
        """The best of the image's up and of what each body says, as the bodies are."""
        votes = self._votes(bodies)
        share = self._camera_std.square() / (self._camera_std.square() + self._attitude_std**2)
        guesses = torch.cat([votes[:1] * 0, share * (votes - self._image_up)]) + self._image_up
        guesses = F.normalize(guesses, dim=-1)
        away = (votes - guesses[:, None]) / self._attitude_std
        away, _ = robustify(away, None, self.energy.config.up_cutoff)
        tilt = (guesses - self._image_up) / self._camera_std
        return guesses[int((away.square().sum((1, 2)) + tilt.square().sum(1)).argmin())]

    def _votes(self, bodies: Unknowns) -> Float[Tensor, "people 3"]:
        votes = self.energy.model.evaluate(bodies, with_jacobian=False).up_cam
        assert votes is not None, "a model without an attitude prior knows of no up"
        return votes

    def _model(self, scene: _Scene, targets: Targets) -> ArrowModel:
        """Everybody's energy about the current bodies and direction, and the camera's."""
        up, people = scene.up_cam[0], len(scene.bodies)
        told = replace(targets, up=self._exactly(up, people))
        terms = self.energy.terms(scene.bodies, told, with_jacobian=True)
        r = torch.cat([t.residual for t in terms], 1)
        J = torch.cat([t.jacobian for t in terms if t.jacobian is not None], 1)
        turned = _turns(up)
        away = (self._votes(scene.bodies) - up) / self._attitude_std
        by_up = (-turned / self._attitude_std).expand(people, 3, 2)
        shared = [t.residual.new_zeros(*t.residual.shape, 2) for t in terms]
        (place,) = (i for i, term in enumerate(terms) if term.name == "attitude")
        _, by_up = robustify(away, by_up, self.energy.config.up_cutoff)
        assert by_up is not None
        shared[place] = by_up
        people_term = ChainTerm(r[None], J[None, :, None], torch.cat(shared, 1)[None])
        tilt = (up - self._image_up) / self._camera_std
        camera = DenseModel.of(tilt[None], (turned / self._camera_std[:, None])[None])
        return ArrowModel.of([people_term], camera)

    def _exactly(self, up: Float[Tensor, "3"], people: int) -> UpTarget:
        return UpTarget(up.expand(people, 3), up.new_full((people, 3), 1 / self._attitude_std))


@dataclass(frozen=True)
class _Scene:
    """The people of one photo and what is up there: one problem."""

    bodies: Unknowns
    up_cam: Float[Tensor, "1 3"]

    def __len__(self) -> int:
        return 1

    def step(self, step: ArrowStep) -> _Scene:
        """Bodies move on their own; up turns about two axes across it."""
        turn = rotvec_to_matrix(_axes(self.up_cam[0]) @ step.shared[0])
        return _Scene(self.bodies.step(step.frames[0]), (turn @ self.up_cam[0])[None])

    def __getitem__(self, rows: Any) -> _Scene:
        return self

    def replaced(self, rows: Tensor, values: _Scene) -> _Scene:
        """The only problem there is, exchanged."""
        return values


def _axes(up: Float[Tensor, "3"]) -> Float[Tensor, "3 2"]:
    """Two axes at right angles to a direction and to each other."""
    across = torch.eye(3, device=up.device, dtype=up.dtype)[int(up.abs().argmin())]
    first = F.normalize(torch.linalg.cross(up, across), dim=0)
    return torch.stack([first, torch.linalg.cross(up, first)], -1)


def _turns(up: Float[Tensor, "3"]) -> Float[Tensor, "3 2"]:
    """How a direction moves as it turns about its two axes."""
    return -skew(up) @ _axes(up)


def _std_of_shared(model: ArrowModel) -> float:
    """Root of the mean variance of what the blocks share (Schur complement), by Laplace."""
    blocks = model.band[0, :, 0].double()
    border = model.border[0].double()
    eye = torch.eye(blocks.shape[-1], dtype=blocks.dtype, device=blocks.device)
    solved = torch.linalg.solve(blocks + 1e-6 * eye, border)
    left = model.corner[0].double() - (border.mT @ solved).sum(0)
    return float(torch.linalg.inv(left).diagonal().mean().clamp_min(0).sqrt())
