"""Both forms of the optimiser: they agree, statuses are earned, a chain costs what it is long."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from kinflow.optim import (
    STATUS_SENTENCES,
    ArrowModel,
    ArrowStep,
    ChainTerm,
    DenseModel,
    LMConfig,
    Status,
    minimise,
)

CONFIG = LMConfig(max_step=1e6)


@dataclass(frozen=True)
class Points:
    """States in a plain vector space."""

    x: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows) -> Points:
        return Points(self.x[rows])

    def step(self, step: Tensor) -> Points:
        return Points(self.x + step)

    def replaced(self, rows: Tensor, values: Points) -> Points:
        return Points(self.x.index_copy(0, rows, values.x))


@dataclass(frozen=True)
class Chain:
    """States of a chain in plain vector spaces."""

    frames: Tensor
    shared: Tensor

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, rows) -> Chain:
        return Chain(self.frames[rows], self.shared[rows])

    def step(self, step: ArrowStep) -> Chain:
        return Chain(self.frames + step.frames, self.shared + step.shared)

    def replaced(self, rows: Tensor, values: Chain) -> Chain:
        frames = self.frames.index_copy(0, rows, values.frames)
        return Chain(frames, self.shared.index_copy(0, rows, values.shared))


def random_chain(problems: int, frames: int, size: int, shared: int, span: int, seed: int = 0):
    """Terms of all spans up to `span` about a random point, and one of the shared unknowns."""
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    terms = []
    for reach in range(1, span + 1):
        links = frames - reach + 1
        if links > 0:
            terms.append(
                ChainTerm(
                    randn(problems, links, 7),
                    randn(problems, links, reach, 7, size),
                    randn(problems, links, 7, shared),
                )
            )
    return terms, DenseModel.of(randn(problems, shared), randn(problems, shared, shared))


def as_dense(terms: list[ChainTerm], shared: DenseModel, frames: int) -> DenseModel:
    """The same model with one full Hessian, the frames' unknowns first."""
    problems, _, _, rows, size = terms[0].jacobian.shape
    total = frames * size + shared.gradient.shape[-1]
    residuals, jacobians = [], []
    for term in terms:
        for link in range(term.residuals.shape[1]):
            J = term.residuals.new_zeros(problems, rows, total)
            for i in range(term.jacobian.shape[2]):
                at = (link + i) * size
                J[:, :, at : at + size] = term.jacobian[:, link, i]
            J[:, :, frames * size :] = term.shared[:, link]
            residuals.append(term.residuals[:, link])
            jacobians.append(J)
    chain = DenseModel.of(torch.cat(residuals, 1), torch.cat(jacobians, 1))
    chain.gradient[:, frames * size :] += shared.gradient
    chain.hessian[:, frames * size :, frames * size :] += shared.hessian
    return replace(chain, energy=chain.energy + shared.energy)


@pytest.mark.parametrize("span", [1, 2, 3])
@pytest.mark.parametrize(("frames", "size", "shared"), [(1, 4, 2), (2, 3, 5), (9, 5, 3)])
def test_the_arrow_form_equals_the_dense_one(frames, size, shared, span):
    terms, own = random_chain(3, frames, size, shared, span)
    arrow, dense = ArrowModel.of(terms, own), as_dense(terms, own, frames)
    torch.testing.assert_close(arrow.energy, dense.energy, rtol=1e-12, atol=0)
    for damping in (1e-6, 1e-2, 10.0):
        damped = torch.full((3,), damping, dtype=torch.float64)
        step, whole = arrow.step(damped, 1e6), dense.step(damped, 1e6)
        both = torch.cat([step.frames.flatten(1), step.shared], 1)
        torch.testing.assert_close(both, whole, rtol=1e-8, atol=1e-8)
        gains = arrow.expected_gain(damped), dense.expected_gain(damped)
        torch.testing.assert_close(*gains, rtol=1e-8, atol=1e-8)


def test_terms_of_single_precision_are_summed_up_in_that_of_what_is_shared():
    terms, own = random_chain(1, 6, 3, 2, 3)
    rough = [ChainTerm(**{n: v.float() for n, v in vars(term).items()}) for term in terms]
    found, exact = ArrowModel.of(rough, own), ArrowModel.of(terms, own)
    for name, value in vars(exact).items():
        assert getattr(found, name).dtype == torch.float64
        torch.testing.assert_close(getattr(found, name), value, atol=1e-4, rtol=1e-5)


def test_a_nonlinear_chain_comes_to_the_same_rest_in_both_forms():
    """A curve through noisy angles, all turned by one offset that is shared."""
    frames = 40
    generator = torch.Generator().manual_seed(1)
    seen = torch.linspace(0, 2, frames, dtype=torch.float64).sin()
    seen = (seen + 0.05 * torch.randn(frames, generator=generator, dtype=torch.float64))[None]

    def terms(frames_x: Tensor, shared: Tensor) -> tuple[list[ChainTerm], DenseModel]:
        x = frames_x[..., 0]
        error = torch.sin(x + shared) - seen
        slope = torch.cos(x + shared)
        data = ChainTerm(
            10 * error[..., None], 10 * slope[..., None, None, None], 10 * slope[..., None, None]
        )
        ones = torch.ones_like(x[:, 1:-1])
        bend = (x[:, 2:] - 2 * x[:, 1:-1] + x[:, :-2])[..., None]
        J = torch.stack([ones, -2 * ones, ones], 2)[..., None, None]
        smooth = ChainTerm(30 * bend, 30 * J, torch.zeros_like(bend)[..., None])
        own = DenseModel.of(shared - 0.3, torch.eye(1, dtype=torch.float64)[None])
        return [data, smooth], own

    config = LMConfig(relative_tolerance=1e-12, absolute_tolerance=0.0, max_iterations=60)
    zero = torch.zeros(1, frames, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    arrow = minimise(
        Chain(*zero), lambda x, rows: ArrowModel.of(*terms(x.frames, x.shared)), config
    )
    dense = minimise(
        Points(torch.zeros(1, frames + 1, dtype=torch.float64)),
        lambda x, rows: as_dense(*terms(x.x[:, :-1, None], x.x[:, -1:]), frames),
        config,
    )
    assert arrow.converged.all() and dense.converged.all()
    torch.testing.assert_close(arrow.energy, dense.energy, rtol=1e-9, atol=0)
    torch.testing.assert_close(arrow.state.frames[..., 0], dense.state.x[:, :-1], atol=1e-6, rtol=0)


def test_the_work_grows_with_the_number_of_frames_only():
    """Counted, not timed: each further frame adds as many operations as the one before it."""
    counts = [operations(frames) for frames in (100, 200, 1000)]
    per_frame = (counts[1] - counts[0]) / 100
    assert counts[2] - counts[1] == pytest.approx(800 * per_frame, rel=0.01)
    assert counts[2] <= 11 * counts[0]


def operations(frames: int) -> int:
    model = ArrowModel.of(*random_chain(1, frames, 3, 2, 3))
    with Counter() as counter:
        model.step(torch.full((1,), 1e-2, dtype=torch.float64), 1.0)
    return counter.operations


class Counter(TorchDispatchMode):
    """Counts the operations that torch is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.operations += 1
        return func(*args, **(kwargs or {}))


def parabola(goal: Tensor, lift: float = 0.0):
    """Residuals x - goal, and one that nothing changes."""
    size = goal.shape[-1]

    def linearise(x: Points, rows: Tensor) -> DenseModel:
        constant = torch.full((len(rows), 1), lift, dtype=x.x.dtype)
        r = torch.cat([x.x - goal[rows], constant], 1)
        J = torch.cat([torch.eye(size), torch.zeros(1, size)]).expand(len(rows), -1, -1)
        return DenseModel.of(r, J.to(x.x))

    return linearise


def test_statuses_are_earned():
    goal = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    start = Points(torch.zeros(5, 3))
    assert minimise(start, parabola(goal), CONFIG).converged.all()
    exhausted = minimise(start, parabola(goal), LMConfig(max_iterations=1, max_step=0.1))
    assert (exhausted.status == Status.EXHAUSTED).all() and exhausted.iterations == 1

    def wrong_slope(x: Points, rows: Tensor) -> DenseModel:
        model = parabola(goal, lift=1.0)(x, rows)
        return DenseModel(model.energy, -model.gradient, model.hessian)

    stuck = minimise(start, wrong_slope, CONFIG)
    assert (stuck.status == Status.NO_STEP).all()
    assert torch.equal(stuck.state.x, start.x)
    at_minimum = minimise(Points(goal.clone()), parabola(goal, lift=1.0), CONFIG)
    assert at_minimum.converged.all()
    lost = minimise(Points(torch.full((5, 3), float("nan"))), parabola(goal), CONFIG)
    assert (lost.status == Status.NOT_FINITE).all() and lost.iterations == 0
    assert set(STATUS_SENTENCES) == set(Status)


def test_one_lost_problem_does_not_disturb_the_others():
    goal = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    x = torch.zeros(4, 3)
    x[1] = float("inf")
    together = minimise(Points(x), parabola(goal), CONFIG)
    assert together.status.tolist() == [0, int(Status.NOT_FINITE), 0, 0]
    rows = torch.tensor([0, 2, 3])
    alone = minimise(Points(torch.zeros(3, 3)), parabola(goal[rows]), CONFIG)
    torch.testing.assert_close(together.state.x[rows], alone.state.x)


def test_steps_have_a_longest_length():
    terms, own = random_chain(2, 5, 3, 2, 2)
    step = ArrowModel.of(terms, own).step(torch.full((2,), 1e-9, dtype=torch.float64), 1e-2)
    assert step.frames.norm(dim=-1).max() <= 1e-2 + 1e-9 and step.shared.norm(dim=-1).max() <= 1e-2
    dense = DenseModel.of(torch.ones(1, 2), 1e-3 * torch.eye(2)[None])
    assert dense.step(torch.tensor([1e-9]), 0.5).norm() <= 0.5 + 1e-6


def test_a_singular_chain_takes_no_step():
    terms, own = random_chain(1, 4, 3, 2, 1)
    model = ArrowModel.of(terms, own)
    model.band[:, 2, 0] = -torch.eye(3, dtype=torch.float64)
    step = model.step(torch.full((1,), 1e-3, dtype=torch.float64), 1.0)
    assert not step.frames.any() and not step.shared.any()
