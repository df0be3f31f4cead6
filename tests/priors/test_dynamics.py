"""Latent dynamics: the laws of their density, what they are blind to, and their files."""

import json
import math

import pytest
import torch

from kinflow.errors import InputError
from kinflow.files.tensor_files import read_tensors, write_tensors
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.priors.attitude import AttitudeInfo, AttitudePrior
from kinflow.priors.dynamics import Dynamics, DynamicsInfo, LatentMotion
from kinflow.priors.dynamics.network import StepDensity
from kinflow.priors.dynamics.state import contexts, stepped, steps
from kinflow.priors.dynamics.weights import DynamicsConfig, DynamicsNetwork
from kinflow.priors.pose_space import log_normal

DT_S = 1 / 30


def small(latent: int = 2, seed: int = 0) -> DynamicsNetwork:
    """A network with weights as if it had learned something."""
    torch.manual_seed(seed)
    config = DynamicsConfig(
        latent, hidden=8, depth=2, couplings=2, coupling_hidden=6, course_hidden=8
    )
    network = DynamicsNetwork(config).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.2 * torch.randn(weight.shape))
        density = network.density
        density.linear.copy_(0.1 * torch.randn(density.linear.shape))
        density.log_std.copy_(0.2 * torch.randn(density.log_std.shape))
        dim = len(density.cholesky)
        density.cholesky.copy_(torch.eye(dim) + 0.2 * torch.randn(dim, dim).tril(-1))
    return network.requires_grad_(False)


def dynamics_of(latent: int = 2) -> Dynamics:
    return Dynamics(small(latent), DynamicsInfo("a test", 3, "abc", "def", {"nats": 1.0}))


def moving(*batch: int, frames: int = 6, latent: int = 2, seed: int = 0) -> LatentMotion:
    """People who turn and go somewhere."""
    generator = torch.Generator().manual_seed(seed)

    def walk(size: int, scale: float) -> torch.Tensor:
        drawn = scale * torch.randn(*batch, frames, size, generator=generator)
        return drawn.cumsum(-2)

    R = rotvec_to_matrix(walk(3, 0.1) + torch.tensor([0.3, 2.0, 0.1]))
    return LatentMotion(walk(latent, 0.2), R, walk(3, 0.03) + torch.tensor([1.0, 0.9, -2.0]))


def turned(motion: LatentMotion, yaw_rad: float, shift_m: tuple[float, ...]) -> LatentMotion:
    """The same in a world turned about the vertical and moved."""
    Y = rotvec_to_matrix(torch.tensor([0.0, yaw_rad, 0.0]))
    place = motion.root_m @ Y.mT + torch.tensor(shift_m)
    return LatentMotion(motion.z, Y @ motion.R_root, place)


def assert_same(a: LatentMotion, b: LatentMotion, atol: float = 2e-5) -> None:
    torch.testing.assert_close(a.z, b.z, atol=atol, rtol=1e-4)
    torch.testing.assert_close(a.R_root, b.R_root, atol=atol, rtol=1e-4)
    torch.testing.assert_close(a.root_m, b.root_m, atol=atol, rtol=1e-4)


def step_of(density: StepDensity, rows: int, seed: int = 1) -> tuple[torch.Tensor, ...]:
    """A step, a context and a time step, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    config = density.config
    x, context = (
        torch.randn(rows, size, generator=generator, dtype=torch.float64)
        for size in (config.step_dim, config.context_dim)
    )
    dt = torch.rand(rows, 1, generator=generator, dtype=torch.float64)
    return x, context, DT_S * (1 + 2 * dt)


def test_the_log_determinant_is_that_of_autograd():
    density = small().density.double()
    x, context, dt = step_of(density, 5)
    for row in range(len(x)):
        one = slice(row, row + 1)

        def normalised(value, one=one):
            return density.normalised(value[None], context[one], dt[one])[0][0]

        jacobian = torch.autograd.functional.jacobian(normalised, x[row])
        assert isinstance(jacobian, torch.Tensor)
        _, log_det = density.normalised(x[one], context[one], dt[one])
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], log_det[0])


def test_a_step_is_the_inverse_of_its_normal_numbers():
    density = small().density.double()
    x, context, dt = step_of(density, 16)
    e, _ = density.normalised(x, context, dt)
    # mixings are rotations to single precision
    torch.testing.assert_close(density.step(e, context, dt), x, atol=1e-5, rtol=1e-5)


def test_the_density_is_normalised():
    """The mean of q/p over samples of p is 1 for every density q, here a narrow normal one."""
    density = small(latent=1).density.double()
    _, context, dt = step_of(density, 1)
    generator = torch.Generator().manual_seed(2)
    e = torch.randn(40_000, density.config.step_dim, generator=generator, dtype=torch.float64)
    context, dt = (value.expand(len(e), -1) for value in (context, dt))
    x = density.step(e, context, dt)
    spread = 0.6 * x.std(0)
    q = log_normal((x - x.mean(0)) / spread) - spread.log().sum()
    ratio = (q - density.log_prob(x, context, dt)).exp()
    assert float(ratio.mean()) == pytest.approx(1.0, abs=0.05)


def test_untrained_it_is_the_linear_gaussian_model():
    density = small().density
    with torch.no_grad():
        for weight in density.parameters():
            weight.zero_()
    x, context, dt = (value.float() for value in step_of(density, 7))
    dt = torch.full_like(dt, DT_S)  # log time 0: the first of the polynomials' coefficients
    q = torch.cat([density.normal_context(context), torch.ones(7, 1)], -1)
    mean = q @ density.linear[: q.shape[-1]]
    root = density.log_std[0].exp()[:, None] * density.cholesky
    gaussian = torch.distributions.MultivariateNormal(mean, scale_tril=root)
    torch.testing.assert_close(density.log_prob(x, context, dt), gaussian.log_prob(x))


def zeroed(module: torch.nn.Module) -> None:
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()


def test_the_gaussian_is_the_density_but_for_its_couplings():
    density = small().density.double()
    zeroed(density.couplings)
    x, context, dt = step_of(density, 6)
    e, slope = density.gaussian(x, context, dt)
    exact, _ = density.normalised(x, context, dt)
    # couplings that do nothing turn it, which keeps its length
    torch.testing.assert_close(e.norm(dim=-1), exact.norm(dim=-1), atol=1e-5, rtol=1e-5)
    further = x + 0.5 * step_of(density, 6, seed=5)[0]
    moved, _ = density.gaussian(further, context, dt)
    by_step = slope[..., : x.shape[-1]] @ (further - x)[..., None]
    torch.testing.assert_close(moved, e + by_step[..., 0])


def test_the_mean_of_the_gaussian_moves_with_the_context_as_the_linear_model_does():
    density = small().density.double()
    zeroed(density)  # what the network adds is nothing
    x, context, dt = step_of(density, 6)
    delta, h = step_of(density, 6, seed=6)[1], 1e-5
    ahead, behind = (density.gaussian(x, context + s * h * delta, dt)[0] for s in (1, -1))
    _, slope = density.gaussian(x, context, dt)
    along = (slope[..., x.shape[-1] :] @ delta[..., None])[..., 0]
    torch.testing.assert_close(along, (ahead - behind) / (2 * h), atol=1e-7, rtol=1e-6)


def test_steps_lead_to_the_frames_that_they_were_taken_from():
    motion = moving(3, latent=4)
    dt = torch.tensor([DT_S])
    x = steps(motion, dt)
    found = motion.frames(0, 1)
    for frame in range(motion.num_frames - 1):
        found = found.then(stepped(found.frames(-1), x[:, frame], dt))
    assert_same(found, motion)


def test_a_context_is_made_of_velocities_in_the_roots_frame():
    dt = torch.tensor([0.1])
    R = rotvec_to_matrix(torch.tensor([[0.0, 0.0, 0.0], [0.0, math.pi / 2, 0.0]]))
    place = torch.tensor([[0.0, 1.0, 0.0], [0.2, 1.0, 0.0]])
    context = contexts(LatentMotion(torch.tensor([[1.0], [1.5]]), R, place), dt)[0]
    # who has turned left by a quarter and went along x went backwards... or forwards: +z is x now
    expected = torch.tensor([1.5, 5.0, 0.0, 5 * math.pi, 0.0, 0.0, 0.0, 2.0, 0.0, 1.0, 0.0])
    torch.testing.assert_close(context, expected, atol=1e-5, rtol=1e-5)


def test_heading_and_place_do_not_matter():
    dynamics, motion, way = dynamics_of(), moving(3), (0.9, (5.0, 1.0, -7.0))
    there = turned(motion, *way)
    torch.testing.assert_close(
        dynamics.log_prob(there, DT_S), dynamics.log_prob(motion, DT_S), atol=2e-3, rtol=1e-3
    )
    past, goal = motion.frames(0, 3), motion.frames(-1)
    far_past, far_goal = there.frames(0, 3), there.frames(-1)
    assert_same(
        dynamics.predict(far_past, 5, DT_S), turned(dynamics.predict(past, 5, DT_S), *way), 1e-4
    )
    assert_same(
        dynamics.inbetween(far_past, far_goal, 4, DT_S),
        turned(dynamics.inbetween(past, goal, 4, DT_S), *way),
        1e-4,
    )
    drawn = [
        dynamics.sample(one, 4, DT_S, torch.Generator().manual_seed(0)) for one in (past, far_past)
    ]
    assert_same(drawn[1], turned(drawn[0], *way), 1e-3)


def test_gravity_does_matter():
    dynamics, motion = dynamics_of(), moving(3)
    X = rotvec_to_matrix(torch.tensor([1.0, 0.0, 0.0]))
    lying = LatentMotion(motion.z, X @ motion.R_root, motion.root_m @ X.mT)
    there, here = dynamics.log_prob(lying, DT_S), dynamics.log_prob(motion, DT_S)
    assert (there - here).abs().max() > 1e-2


def test_a_batch_is_its_people_one_by_one():
    dynamics, motion = dynamics_of(), moving(2, 3)
    dt = torch.linspace(1 / 30, 1 / 10, 6).view(2, 3)
    nats = dynamics.log_prob(motion, dt)
    assert nats.shape == (2, 3, 4)
    torch.testing.assert_close(dynamics.sequence_log_prob(motion, dt), nats.sum(-1))
    goal = motion.frames(-1)
    ahead, filled = dynamics.predict(motion, 5, dt), dynamics.inbetween(motion, goal, 3, dt)
    for row, column in ((0, 1), (1, 2)):
        one = motion.people((row, column))
        alone = float(dt[row, column])
        torch.testing.assert_close(
            dynamics.log_prob(one, alone), nats[row, column], atol=1e-3, rtol=1e-4
        )
        assert_same(dynamics.predict(one, 5, alone), ahead.people((row, column)))
        between = dynamics.inbetween(one, one.frames(-1), 3, alone)
        assert_same(between, filled.people((row, column)))


def test_gradients_reach_the_motion():
    dynamics, motion = dynamics_of(), moving(2)
    z, R, root_m = (
        value.clone().requires_grad_() for value in (motion.z, motion.R_root, motion.root_m)
    )
    dynamics.sequence_log_prob(LatentMotion(z, R, root_m), DT_S).sum().backward()
    for value in (z, R, root_m):
        assert value.grad is not None and value.grad.isfinite().all() and value.grad.abs().max() > 0


def test_samples_belong_to_their_seed_and_disturb_no_other_numbers():
    dynamics, past = dynamics_of(), moving(4, frames=2)
    state = torch.random.get_rng_state()
    first, again, other = (
        dynamics.sample(past, 5, DT_S, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first.z, again.z) and torch.equal(first.root_m, again.root_m)
    assert not torch.equal(first.z, other.z)


def test_samples_follow_the_density():
    """One step's numbers, normalised again, are standard normal."""
    dynamics = dynamics_of()
    past = moving(1, frames=2).people(torch.zeros(4000, dtype=torch.long))
    drawn = dynamics.sample(past, 1, DT_S, torch.Generator().manual_seed(0))
    dt = torch.tensor([DT_S])
    x = steps(past.frames(-1).then(drawn), dt)[:, 0]
    e, _ = dynamics.network.density.normalised(x, contexts(past, dt)[:, 0], dt)
    torch.testing.assert_close(e.mean(0), torch.zeros(8), atol=0.08, rtol=0)
    torch.testing.assert_close(torch.cov(e.mT), torch.eye(8), atol=0.12, rtol=0)


def test_a_bridge_begins_and_ends_where_it_has_to():
    network, motion = small(), moving(3)
    past, goal = motion.frames(0, 2), motion.frames(-1)
    ends = torch.tensor([[0.0, 1.0]]).expand(3, -1)
    span = torch.full((3, 1), 0.5)
    found = network.bridge_of(past, goal, torch.full((3, 1), DT_S), span, ends)
    assert_same(found, past.frames(-1).then(goal))


def test_a_forecast_begins_where_the_past_ends_and_keeps_its_velocity():
    network = small()
    past = moving(3).frames(0, 2)
    dt, soon = torch.full((3, 1), DT_S), torch.tensor([[0.0, 1e-4]]).expand(3, -1)
    for weight in network.forecast.parameters():
        weight.data.zero_()
    found = network.forecast_of(past, dt, soon)
    assert_same(found.frames(0, 1), past.frames(-1))
    speed = torch.diff(found.root_m, dim=1) / 1e-4
    torch.testing.assert_close(speed, torch.diff(past.root_m, dim=1) / DT_S, atol=0.02, rtol=0.02)


def test_what_does_not_fit_is_refused():
    dynamics, motion = dynamics_of(), moving(3)
    with pytest.raises(InputError, match="At least 3 frames"):
        dynamics.log_prob(motion.frames(0, 2), DT_S)
    with pytest.raises(InputError, match="dt_s has to be from"):
        dynamics.log_prob(motion, 1 / 120)
    with pytest.raises(InputError, match="one number, or of the shape"):
        dynamics.log_prob(motion, torch.full((2,), DT_S))
    with pytest.raises(InputError, match="z has to have"):
        dynamics.log_prob(moving(3, latent=5), DT_S)
    with pytest.raises(InputError, match="frames has to be"):
        dynamics.predict(motion, 0, DT_S)
    with pytest.raises(InputError, match="temperature"):
        dynamics.sample(motion, 1, DT_S, temperature=-1.0)
    with pytest.raises(InputError, match="goal has to be one frame"):
        dynamics.inbetween(motion, motion, 3, DT_S)


def test_a_file_gives_the_dynamics_back(tmp_path):
    dynamics, path = dynamics_of(), tmp_path / "dynamics.safetensors"
    dynamics.save(path)
    state = torch.random.get_rng_state()
    loaded = Dynamics.load(path)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert loaded.info == dynamics.info
    motion = moving(3)
    assert torch.equal(loaded.log_prob(motion, DT_S), dynamics.log_prob(motion, DT_S))
    assert_same(loaded.predict(motion, 3, DT_S), dynamics.predict(motion, 3, DT_S))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        Dynamics.load(tmp_path / "none.safetensors")
    AttitudePrior(AttitudeInfo(hidden=4)).save(tmp_path / "attitude.safetensors")
    with pytest.raises(InputError, match="does not hold dynamics"):
        Dynamics.load(tmp_path / "attitude.safetensors")


@pytest.mark.parametrize(
    "damage",
    ["wider", "not numbers", "huge", "a tensor less", "no rotation", "no spread", "folded"],
)
def test_damaged_files_are_refused(tmp_path, damage):
    path = tmp_path / "dynamics.safetensors"
    dynamics_of().save(path)
    texts, tensors = read_tensors(path, what="weights")
    tensors, header = {k: v.clone() for k, v in tensors.items()}, json.loads(texts["kinflow"])
    if damage == "wider":
        header["config"]["hidden"] = 1 << 20
    elif damage == "not numbers":
        tensors["density.head.bias"][0] = math.nan
    elif damage == "huge":
        tensors["density.head.bias"][0] = 1e9
    elif damage == "a tensor less":
        del tensors["bridge.last.bias"]
    elif damage == "no rotation":
        tensors["density.mixings"] *= 1.1
    elif damage == "no spread":
        tensors["density.context_std"][0] = 0.0
    else:
        tensors["density.cholesky"][0, 0] = -1.0
    write_tensors(path, tensors, {"kinflow": json.dumps(header)})
    with pytest.raises(InputError, match="dynamics.safetensors"):
        Dynamics.load(path)
