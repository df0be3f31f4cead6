"""How the arrow form's cost grows with the number of frames, and what the dense form costs.

python benchmarks/optim.py

A step of one chain with unknowns as a video has them: 50 a frame, 7 shared, ties over three frames.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
import tyro

from kinflow.optim import ArrowModel, ChainTerm, DenseModel


@dataclass(frozen=True)
class OptimConfig:
    """What is measured.

    Attributes:
        frames: lengths of chains.
        dense_frames: length up to which the dense form is measured as well.
        unknowns: unknowns of a frame.
        shared: unknowns that all frames share.
        repeats: runs, of which the quickest counts.
    """

    frames: tuple[int, ...] = (100, 1000)
    dense_frames: int = 100
    unknowns: int = 50
    shared: int = 7
    repeats: int = 5


def chain(config: OptimConfig, frames: int) -> ArrowModel:
    """A random chain of single frames and of three frames in a row."""
    generator = torch.Generator().manual_seed(0)
    size, shared = config.unknowns, config.shared
    terms = []
    for span in (1, 3):
        links, rows = frames - span + 1, 2 * size
        terms.append(
            ChainTerm(
                torch.randn(1, links, rows, generator=generator),
                torch.randn(1, links, span, rows, size, generator=generator),
                torch.randn(1, links, rows, shared, generator=generator),
            )
        )
    own = DenseModel.of(torch.zeros(1, shared), torch.eye(shared)[None])
    return ArrowModel.of(terms, own)


def dense(model: ArrowModel) -> DenseModel:
    """The same problem with one full Hessian."""
    _, frames, lags, size, _ = model.band.shape
    total = frames * size
    hessian = model.band.new_zeros(
        1, total + model.corner.shape[-1], total + model.corner.shape[-1]
    )
    for t in range(frames):
        at = slice(t * size, (t + 1) * size)
        for lag in range(min(lags, t + 1)):
            before = slice((t - lag) * size, (t - lag + 1) * size)
            hessian[:, at, before] = model.band[:, t, lag]
            hessian[:, before, at] = model.band[:, t, lag].mT
        hessian[:, at, total:] = model.border[:, t]
        hessian[:, total:, at] = model.border[:, t].mT
    hessian[:, total:, total:] = model.corner
    gradient = torch.cat([model.gradient.flatten(1), model.shared_gradient], 1)
    return DenseModel(model.energy, gradient, hessian)


def seconds(model: ArrowModel | DenseModel, repeats: int) -> float:
    """The quickest of some damped steps."""
    damping, best = torch.full((1,), 1e-2), float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        model.step(damping, 6.0)
        best = min(best, time.perf_counter() - begin)
    return best


def main(config: OptimConfig) -> None:
    """Print a line a length."""
    torch.set_num_threads(1)
    first = 0.0
    for frames in config.frames:
        model = chain(config, frames)
        taken = seconds(model, config.repeats)
        first = first or taken
        line = (
            f"{frames:5d} frames: arrow {1e3 * taken:8.1f} ms, {taken / first:5.1f} times the first"
        )
        if frames <= config.dense_frames:
            whole = seconds(dense(model), config.repeats)
            line += f"; dense {1e3 * whole:8.1f} ms, {whole / taken:.0f} times the arrow form"
        print(line)


if __name__ == "__main__":
    main(tyro.cli(OptimConfig))
