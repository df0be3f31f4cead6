"""The believed Gaussian as a term: zero at its centre, with exact derivatives, bounded."""

from dataclasses import replace

import torch

from kinflow.energy.belief import Belief
from kinflow.energy.layout import TangentLayout
from kinflow.energy.terms import believed
from kinflow.energy.unknowns import Unknowns
from kinflow.geometry.rotations import rotvec_to_matrix

LATENT, SHAPE = 5, 6
LAYOUT = TangentLayout(LATENT, SHAPE)


def some_bodies(count=3, seed=0) -> Unknowns:
    g = torch.Generator().manual_seed(seed)
    R = rotvec_to_matrix(torch.randn(count, 3, generator=g).double())
    t = torch.rand(count, 3, generator=g).double() + torch.tensor([0.0, 0.0, 3.0])
    z, s = (torch.randn(count, size, generator=g).double() for size in (LATENT, SHAPE))
    return Unknowns(R, t, z, s, torch.zeros(count).double())


def belief_about(bodies: Unknowns, std: float = 1.0) -> Belief:
    g = torch.Generator().manual_seed(9)
    size, count = 3 + LATENT + 1 + SHAPE, len(bodies)
    root = torch.randn(count, size, size, generator=g).double() + 3 * torch.eye(size).double()
    starts = Unknowns(**{n: v[:, None] for n, v in vars(bodies).items()})
    log_depth = bodies.t_cam_root_m[:, 2:].log()
    centre = torch.cat([torch.zeros(count, 3).double(), bodies.z, log_depth, bodies.s], 1)
    weight = torch.full((count,), 0.3).double()
    return Belief(bodies.R_cam_root, centre, root.tril() / std, starts, weight, torch.zeros(count))


def test_it_is_zero_at_its_centre():
    bodies = some_bodies()
    r, _ = belief_about(bodies).residual(bodies)
    torch.testing.assert_close(r, torch.zeros_like(r), atol=1e-6, rtol=0)


def test_derivatives_match_finite_differences():
    belief, bodies = belief_about(some_bodies()), some_bodies(seed=4)
    term = believed(bodies, belief, True, 2.0, LAYOUT)
    assert term.jacobian is not None
    step = 1e-6
    for k in range(LAYOUT.size):
        delta = torch.zeros(3, LAYOUT.size).double()
        delta[:, k] = step
        ahead, behind = (
            believed(bodies.step(sign * delta), belief, False, 2.0, LAYOUT).residual
            for sign in (1, -1)
        )
        numeric = (ahead - behind) / (2 * step)
        torch.testing.assert_close(term.jacobian[..., k], numeric, atol=1e-5, rtol=1e-4)


def test_a_wrong_belief_costs_no_more_than_its_cutoff():
    belief, size = belief_about(some_bodies(), std=1e-4), 3 + LATENT + 1 + SHAPE
    term = believed(some_bodies(seed=5), belief, False, 2.0, LAYOUT)
    assert bool((term.energy() <= 0.5 * 4.0 * size + 1e-6).all())
    assert bool((term.energy() > 0.9 * 0.5 * 4.0 * size).all())


def test_rows_of_zeros_believe_nothing():
    belief = belief_about(some_bodies())
    silent = Belief(**{**vars(belief), "whitening": 0 * belief.whitening})
    assert not bool(silent.says_something().any()) and bool(belief.says_something().all())
    assert float(believed(some_bodies(seed=5), silent, False, 2.0, LAYOUT).energy().sum()) == 0


def test_rows_are_those_of_the_people():
    belief, bodies = belief_about(some_bodies()), some_bodies(seed=6)
    whole, _ = belief.residual(bodies)
    joined = Belief.concatenate([belief[:1], belief[1:]])
    rows = torch.tensor([2, 0])
    part, _ = joined[rows].residual(bodies[rows])
    torch.testing.assert_close(part, whole[rows])


def test_without_sizes_it_is_about_the_others_alone():
    belief, bodies = belief_about(some_bodies()), some_bodies(seed=7)
    weighted = belief.weighted(2.0, 0.0)
    r, blocks = weighted.residual(bodies, with_jacobian=True)
    assert blocks is not None
    assert not bool(blocks["shape"].any()) and not bool(blocks["position"].any())
    first = 3 + LATENT
    torch.testing.assert_close(r[:, :first], 2 * belief.residual(bodies)[0][:, :first])
    assert not bool(r[:, first:].any())
    # the marginal of a Gaussian: the same precision as that of the covariance's first rows
    covariance = torch.linalg.inv(belief.whitening.mT @ belief.whitening)
    marginal = torch.linalg.inv(covariance[:, :first, :first])
    own = belief.whitening[:, :first, :first]
    torch.testing.assert_close(own.mT @ own, marginal)
    rows = belief.weighted(1.0, torch.tensor([1.0, 0.5, 0.0])).whitening[:, first:]
    factor = torch.tensor([1.0, 0.5, 0.0]).double()[:, None, None]
    torch.testing.assert_close(rows, factor * belief.whitening[:, first:])


def test_what_is_between_two_beliefs_is_evenly_between_them():
    bodies = some_bodies(2, seed=1)
    turn = torch.tensor([0.2, -0.4, 0.1]).double()
    bodies = replace(
        bodies,
        R_cam_root=torch.stack(
            [bodies.R_cam_root[0], rotvec_to_matrix(turn) @ bodies.R_cam_root[0]]
        ),
    )
    belief = belief_about(bodies)
    own_s, times_s = torch.tensor([1.0, 2.0]).double(), torch.tensor([0.5, 1, 1.25, 2, 9]).double()
    found = belief.between(own_s, times_s)

    for row, share in enumerate((0, 0, 0.25, 1, 1)):
        R = rotvec_to_matrix(share * turn) @ bodies.R_cam_root[0]
        torch.testing.assert_close(found.R_cam_base[row], R)
        torch.testing.assert_close(found.centre[row], torch.lerp(*belief.centre, share))
        torch.testing.assert_close(found.whitening[row], torch.lerp(*belief.whitening, share))
    (one,) = belief[:1].between(own_s[:1], times_s[:1]).centre
    torch.testing.assert_close(one, belief.centre[0])
    rows = torch.tensor([False, True])
    mixed = belief.replaced(rows, belief[[1, 0]])
    assert torch.equal(mixed.centre, belief.centre[[0, 0]])
