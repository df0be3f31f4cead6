"""What the dynamics cost: steps as the dynamics see them, with exact derivatives."""

import pytest
import torch

from kinflow.energy.dynamics import StepModel, dynamics_term, step_coordinates
from kinflow.energy.layout import TangentLayout
from kinflow.energy.unknowns import Unknowns
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.priors.dynamics.state import LatentMotion, contexts, steps

FRAMES, LATENT, NUMBERS = 5, 3, 4
LAYOUT = TangentLayout(LATENT, 6)
UP = torch.tensor([0.1, -0.9, 0.4]).double() / torch.tensor(0.98).double().sqrt()
DT_S = torch.tensor([1 / 30, 1 / 25, 0.1]).double()


def some_bodies() -> Unknowns:
    g = torch.Generator().manual_seed(0)

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=g).double()

    upside_down = torch.tensor([3.0, 0.0, 0.0]).double()
    place = torch.tensor([0.3, -0.2, 4.0]).double()
    return Unknowns(
        rotvec_to_matrix(upside_down + 0.4 * draw(FRAMES, 3)),
        place + 0.2 * draw(FRAMES, 3),
        draw(FRAMES, LATENT),
        torch.zeros(FRAMES, 6).double(),
        torch.zeros(FRAMES).double(),
    )


def turns() -> torch.Tensor:
    g = torch.Generator().manual_seed(1)
    return rotvec_to_matrix(0.5 * torch.randn(FRAMES, 3, generator=g).double())


def model(cutoff: float = 3.0) -> StepModel:
    g = torch.Generator().manual_seed(2)
    size = 3 * LATENT + 15
    return StepModel(
        DT_S,
        UP,
        torch.randn(3, size, generator=g).double(),
        torch.randn(3, NUMBERS, generator=g).double(),
        torch.randn(3, NUMBERS, size, generator=g).double(),
        torch.tensor([1.0, 0.0, 2.0]).double(),
        cutoff,
    )


def test_steps_are_those_that_the_dynamics_were_trained_with():
    bodies, dt_s = some_bodies(), 1 / 30
    side = torch.linalg.cross(UP, torch.tensor([0.0, 0.0, 1.0]).double())
    side = side / side.norm()
    R_world_cam = torch.stack([side, UP, torch.linalg.cross(side, UP)])
    motion = LatentMotion(
        bodies.z, R_world_cam @ bodies.R_cam_root, bodies.t_cam_root_m @ R_world_cam.mT
    )
    dt = torch.tensor([dt_s]).double()
    before = contexts(motion.frames(None, -1), dt)
    expected = torch.cat([steps(motion.frames(1), dt), before], -1)
    found = step_coordinates(bodies, dt.expand(3), UP)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("R_still_cam", [None, turns()], ids=["still", "turning"])
def test_derivatives_match_finite_differences(R_still_cam):
    bodies = some_bodies()
    g = torch.Generator().manual_seed(3)
    delta = torch.randn(FRAMES, LAYOUT.size, generator=g).double()
    h = 1e-6
    ahead, behind = (
        dynamics_term(bodies.step(sign * h * delta), model(), LAYOUT, R_still_cam).residuals[0]
        for sign in (1, -1)
    )
    term = dynamics_term(bodies, model(), LAYOUT, R_still_cam)
    own = delta[:, LAYOUT.frame]
    along = sum(
        torch.einsum("lru,lu->lr", term.jacobian[0, :, i], own[i : i + 3]) for i in range(3)
    )
    torch.testing.assert_close(along, (ahead - behind) / (2 * h), atol=1e-6, rtol=1e-5)
    assert not term.shared.any(), "dynamics know nothing of shapes"


def test_a_frame_of_weight_zero_says_nothing_and_a_wrong_one_no_more_than_its_cutoff():
    term = dynamics_term(some_bodies(), model(cutoff=0.5), LAYOUT)
    energy = term.residuals[0].square().sum(-1)
    assert float(energy[1]) == 0 and not term.jacobian[0, 1].any()
    assert float(energy.max()) <= 0.5**2 * NUMBERS + 1e-9
