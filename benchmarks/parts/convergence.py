"""From how far away alignment finds home, and what an evaluation costs, against soft rendering.

Bodies of the test subjects stand fully visible before the camera; what was seen of them is exact.
Fits start with the root turned by up to `turn_deg`, shifted by half a body and in another pose, and
get no keypoints: the energy under test and the priors are all there is. A fit has converged when
the joints' mean distance in the image is below 5 % of the person's size.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from soft_silhouette import soft_silhouette

import kinflow.priors
from kinflow.body import BodyModel
from kinflow.body.skeleton import FREE_JOINTS
from kinflow.energy.body_energy import Energy, EnergyConfig, Targets
from kinflow.energy.keypoint_model import KeypointModel
from kinflow.energy.part_matching import MatchingConfig, PartMesh, PartTarget
from kinflow.energy.unknowns import Unknowns
from kinflow.energy.vertex_model import VertexModel
from kinflow.evidence.types import ANY_PART, BACKGROUND, PartLabels
from kinflow.fitting.parts import PartAligner, PartFitConfig, part_body
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.priors.shape import ShapePrior
from kinflow.synth.people import PeopleConfig, PeopleSource

CAMERA = Camera(900.0, (256.0, 256.0), (512, 512))
GRID_CELLS = 192
DISTANCE_M = 4.5
CONVERGED = 0.05


@dataclass(frozen=True)
class ConvergenceConfig:
    """Options of the far starts."""

    poses: Path | None = None
    """Pose set of `kinflow data poses`, whose test subjects pose; without one the prior does."""
    count: int = 40
    turn_deg: float = 60.0
    shift_m: float = 0.85
    """Half a body."""
    seed: int = 0
    softening: tuple[float, ...] = (48.0, 48.0, 32.0, 32.0, 16.0, 16.0, 8.0, 4.0, 2.0, 1.0, 1.0)
    """Rounds of alignment, more and softer ones than from a keypoint fit."""
    soft_cells: int = 40
    """Cells along a side of the soft rasterizer's grid."""
    soft_cube_m: float = 0.12
    """Vertex clustering of the soft rasterizer's mesh: it pays for every pair of cell and face."""
    soft_rate: float = 0.03
    budgets: tuple[float, ...] = (1.0, 5.0)
    """Time given to soft rendering, as a multiple of the alignment's."""


@dataclass(frozen=True)
class Case:
    """A body, what is seen of it, and where the fit starts."""

    joints_px: torch.Tensor
    size_px: float
    parts: PartLabels
    silhouette: PartLabels
    start: Unknowns


class Bench:
    """What all methods share: the body, the priors and an energy without keypoints."""

    def __init__(self, config: ConvergenceConfig) -> None:
        self.config = config
        prior = kinflow.priors.load()
        self.model = KeypointModel(
            BodyModel.load("joints"), prior, ShapePrior(), (0,), with_joints=True
        )
        origin = torch.zeros(self.model.num_points)
        self.vertices = VertexModel(part_body())
        self.energy = Energy(self.model, origin, EnergyConfig(), self.vertices)
        far = MatchingConfig(max_distance=0.5)
        fit = PartFitConfig(matching=far, softening=config.softening)
        self.aligner = PartAligner(self.energy, fit)
        count = self.model.num_points
        self.targets = Targets(
            focal_px=torch.tensor([CAMERA.focal_px]),
            principal_px=torch.tensor([CAMERA.principal_px]),
            observed_px=torch.zeros(1, count, 2),
            inverse_std_px=torch.zeros(1, count),
        )
        self.people = PeopleSource(
            PeopleConfig(poses=config.poses, split="test", prior_share=0.0, child_share=0.0)
        )

    def case(self, seed: int) -> Case:
        rng = np.random.default_rng((self.config.seed, seed))
        generator = torch.Generator().manual_seed(seed)
        pose, shape = self.people.pose(rng), self.people.shape(rng)
        R_cam_world = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
        R_root = R_cam_world @ _yaw(rng.uniform(-180, 180)) @ pose[0]
        z = self.model.prior.encode(pose[list(FREE_JOINTS)][None])
        s = ShapePrior().encode(shape[None].clamp(0.02, 0.98)).clamp(-3, 3)
        t = torch.tensor([[0.0, 0.0, DISTANCE_M]])
        truth = Unknowns(R_root[None], t, z, s, torch.zeros(1))
        angle = rng.uniform(-180, 180) * np.pi / 180
        shift = self.config.shift_m * torch.tensor([[np.cos(angle), np.sin(angle), 0.0]]).float()
        turn = _yaw(rng.uniform(-self.config.turn_deg, self.config.turn_deg))
        start = Unknowns(
            R_cam_world @ turn @ R_cam_world.mT @ truth.R_cam_root,
            t + shift,
            0.5 * torch.randn(z.shape, generator=generator),
            torch.zeros_like(s),
            torch.zeros(1),
        )
        return self._seen(truth, start)

    def _seen(self, truth: Unknowns, start: Unknowns) -> Case:
        cell = CAMERA.image_size[0] / GRID_CELLS
        blank = torch.full((GRID_CELLS, GRID_CELLS), BACKGROUND, dtype=torch.int32)
        labels = PartLabels(blank, torch.ones(blank.shape), (0.0, 0.0), cell)
        mesh = PartMesh.of(self.vertices.body)
        drawn = PartTarget(labels, CAMERA, mesh, MatchingConfig()).draw(self.points(truth).numpy())
        part = torch.from_numpy(drawn.part).int()
        joints_px = self.joints_px(truth)
        return Case(
            joints_px,
            float((joints_px.amax(0) - joints_px.amin(0)).max()),
            replace(labels, allowed=(1 << part).int()),
            replace(labels, allowed=torch.where(part > 0, ANY_PART, BACKGROUND).int()),
            start,
        )

    def points(self, unknowns: Unknowns) -> torch.Tensor:
        """Vertices of the mesh that is drawn."""
        motion = self.model.evaluate(unknowns, with_jacobian=False).motion
        return self.vertices.all_vertices(motion)[0]

    def joints_px(self, unknowns: Unknowns) -> torch.Tensor:
        with torch.no_grad():
            points = self.model.evaluate(unknowns, with_jacobian=False).keypoints_cam_m
        return CAMERA.project(points[0, 1:])

    def error(self, unknowns: Unknowns, case: Case) -> float:
        """Mean distance of the joints in the image, as a share of the person's size."""
        gap = (self.joints_px(unknowns) - case.joints_px).norm(dim=-1).mean()
        return float(gap) / case.size_px

    def align(self, case: Case, labels: PartLabels) -> Unknowns:
        return self.aligner.align(case.start, self.targets, labels, CAMERA).unknowns


class SoftRendering:
    """Adam on a soft silhouette over the same unknowns and priors."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.config = bench, bench.config
        self.vertices = VertexModel(BodyModel.load().coarsened(self.config.soft_cube_m))
        self.faces = self.vertices.body.faces.long()
        self.cells = self.config.soft_cells
        self.camera = CAMERA.scaled(self.cells / CAMERA.image_size[0])

    def energy(self, delta: torch.Tensor, case: Case, sigma: float) -> torch.Tensor:
        """Squared difference of the silhouettes, in about the scale of nats, and the priors."""
        unknowns = case.start.step(delta)
        motion = self.bench.model.evaluate(unknowns, with_jacobian=False).motion
        points = self.camera.project(self.vertices.all_vertices(motion)[0])
        drawn = soft_silhouette(points, self.faces, (self.cells, self.cells), sigma)
        seen = case.silhouette.allowed.float() > BACKGROUND
        seen = torch.nn.functional.interpolate(
            seen[None, None].float(), (self.cells, self.cells), mode="area"
        )[0, 0]
        prior = 0.5 * (unknowns.z**2).sum() + 0.5 * (unknowns.s**2).sum()
        return ((drawn - seen) ** 2).sum() + 0.01 * prior

    def run(self, case: Case, seconds: float) -> tuple[Unknowns, int]:
        """Descend for a given time, from soft to sharp."""
        delta = torch.zeros(1, self.bench.model.layout.size, requires_grad=True)
        optimiser = torch.optim.Adam([delta], lr=self.config.soft_rate)
        begin, steps = time.process_time(), 0
        while (elapsed := time.process_time() - begin) < seconds:
            sigma = 8.0 * 0.05 ** (elapsed / seconds)
            optimiser.zero_grad()
            self.energy(delta, case, sigma).backward()
            optimiser.step()
            steps += 1
        return case.start.step(delta.detach()), steps


def _yaw(degrees: float) -> torch.Tensor:
    return rotvec_to_matrix(torch.tensor([0.0, float(np.deg2rad(degrees)), 0.0]))


def _timed(work: Callable[[], Unknowns]) -> tuple[Unknowns, float]:
    begin = time.process_time()
    result = work()
    return result, time.process_time() - begin


def main(config: ConvergenceConfig) -> None:
    bench = Bench(config)
    soft = SoftRendering(bench)
    cases = [bench.case(seed) for seed in range(config.count)]
    started = np.mean([bench.error(case.start, case) for case in cases])
    print(f"{config.count} far starts, {100 * started:.0f} % of the person's size off on average")
    print("| energy | converged | median error, % of size | seconds a fit |")
    print("|---|---|---|---|")
    times = []
    for name in ("parts", "silhouette"):
        labels = [getattr(case, name) for case in cases]
        fits = [
            _timed(partial(bench.align, case, seen))
            for case, seen in zip(cases, labels, strict=True)
        ]
        errors = [bench.error(x, case) for (x, _), case in zip(fits, cases, strict=True)]
        times.append(float(np.median([t for _, t in fits])))
        _print_row(f"matched {name}", errors, times[-1])
    for budget in config.budgets:
        runs = [soft.run(case, budget * times[0]) for case in cases]
        errors = [bench.error(x, case) for (x, _), case in zip(runs, cases, strict=True)]
        steps = int(np.median([n for _, n in runs]))
        _print_row(f"soft silhouette, {steps} steps", errors, budget * times[0])
    _print_costs(bench, soft, cases[0])


def _print_row(name: str, errors: list[float], seconds: float) -> None:
    share = 100 * np.mean(np.array(errors) < CONVERGED)
    print(f"| {name} | {share:.0f} % | {100 * np.median(errors):.1f} | {seconds:.2f} |", flush=True)


def _print_costs(bench: Bench, soft: SoftRendering, case: Case) -> None:
    """Time of one evaluation with derivatives."""
    seen = PartTarget(case.parts, CAMERA, bench.aligner.mesh, MatchingConfig())
    points = bench.points(case.start).numpy()
    matched = replace(bench.targets, parts=seen.matches(seen.draw(points)))
    delta = torch.zeros(1, bench.model.layout.size, requires_grad=True)
    work: dict[str, Callable[[], object]] = {
        "draw and match": lambda: seen.matches(seen.draw(points)),
        "residuals and Jacobian of matches": lambda: bench.energy.linearise(case.start, matched),
        f"soft silhouette and gradient, {soft.cells} x {soft.cells} cells, {len(soft.faces)} faces":
            lambda: soft.energy(delta, case, 1.0).backward(),
    }  # fmt: skip
    for name, call in work.items():
        call()
        seconds = [_timed_call(call) for _ in range(10)]
        print(f"{name}: {1000 * float(np.median(seconds)):.1f} ms")


def _timed_call(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin
