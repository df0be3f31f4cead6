"""What the alignment energy and its Jacobian cost for one person, step by step.

A body stands beside the place where it was seen. The outlines of what was seen and of the body as
drawn are sampled at 2000 pixels or a few more, and 1000 of the matches that these give are kept.
Drawing and matching happen once a round, the energy with its Jacobian once a step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from convergence import CAMERA, Bench, ConvergenceConfig

from kinflow.energy.part_matching import DrawnParts, MatchingConfig, PartTarget
from kinflow.evidence.types import PartLabels

FINER = 2
"""The far starts' labels have outlines of fewer than 2000 cells."""


@dataclass(frozen=True)
class CostConfig:
    """How much one evaluation does."""

    vertices: int = 1000
    pixels: int = 2000
    shift_m: float = 0.1
    """How far the body stands from where it was seen."""
    repeats: int = 30
    """The best of this many is reported: other work on the machine only ever adds time."""


def finer(labels: PartLabels) -> PartLabels:
    """The same labels on a grid of smaller cells."""
    allowed, confidence = (
        grid.repeat_interleave(FINER, 0).repeat_interleave(FINER, 1)
        for grid in (labels.allowed, labels.confidence)
    )
    return PartLabels(allowed, confidence, labels.grid.finer(FINER))


def sampled(target: PartTarget, drawn: DrawnParts) -> int:
    """Pixels on the outlines of both that matching looks at."""
    of_part = np.bincount(drawn.part[drawn.rim])
    on_body = of_part.clip(max=target.config.samples_per_part).sum()
    return int(on_body) + sum(map(len, target.outlines.values()))


def sampled_target(labels: PartLabels, bench: Bench, points: np.ndarray, pixels: int) -> PartTarget:
    """Labels prepared so that matching looks at that many pixels, or a few more."""
    for samples in range(1, labels.allowed.numel()):
        config = MatchingConfig(samples_per_part=samples)
        target = PartTarget(labels, CAMERA, bench.aligner.mesh, config)
        drawn = target.draw(points)
        if sampled(target, drawn) >= pixels:
            return target
    raise ValueError(f"the outlines have fewer than {pixels} cells")


def best_ms(call: Callable[[], object], repeats: int) -> float:
    """Shortest processor time of several calls, after one to warm up."""
    call()
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        call()
        times.append(time.process_time() - begin)
    return 1000 * min(times)


def main(config: CostConfig) -> None:
    bench = Bench(ConvergenceConfig(turn_deg=0.0, shift_m=config.shift_m))
    case = bench.case(0)
    points = bench.points(case.start).numpy()
    target = sampled_target(finer(case.parts), bench, points, config.pixels)
    drawn = target.draw(points)
    found = target.matches(drawn)
    kept = torch.linspace(0, found.vertex.shape[1] - 1, config.vertices).long()
    parts = type(found)(**{f.name: getattr(found, f.name)[:, kept] for f in fields(found)})
    matched = replace(bench.targets, parts=parts)
    motion = bench.model.evaluate(case.start).motion
    print(f"{config.vertices} of {found.vertex.shape[1]} matches, {sampled(target, drawn)} pixels")
    steps: dict[str, Callable[[], object]] = {
        "draw the body": lambda: target.draw(points),
        "match": lambda: target.matches(replace(drawn)),
        "energy with Jacobian": lambda: bench.energy.linearise(case.start, matched),
        "of it, skeleton and prior": lambda: bench.model.evaluate(case.start),
        "of it, vertices": lambda: bench.vertices.evaluate(motion, parts.vertex),
        "energy alone": lambda: bench.energy.residuals(case.start, matched),
    }
    print("| step | ms |\n|---|---|")
    with torch.no_grad():
        for name, call in steps.items():
            print(f"| {name} | {best_ms(call, config.repeats):.1f} |")
