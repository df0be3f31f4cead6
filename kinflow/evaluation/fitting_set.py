"""The fitting sets: how well single-view fitting recovers 3D poses of people it never saw.

200 frames of CMU subjects 05, 127 and 135 (never trained on), balanced over clips, are put on
random adult bodies with random headings, 400-600 px tall before a camera; the 17 COCO keypoints
get noise; the fitter gets them, and optionally a rough root-relative 3D hint. Scored by PA-MPJPE
over the 22 joints with a 95 % interval from a bootstrap over clips (frames of one clip are alike),
and shapes by their standing height and their vertices in the T-pose.

There are two sets, which differ in nothing but their bodies. Those of `typical` adults are drawn
from nearly the fitter's own shape prior, which flatters it; `even` ones evenly from all adults that
the shape space knows.

The sets are seeded and must not change, so that results stay comparable; `sha256` tells.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.bones import LIMB_CHAINS
from kinflow.body.keypoints import COCO17, COCO17_ROWS
from kinflow.body.skeleton import FREE_JOINTS, NUM_JOINTS
from kinflow.datasets.poses import PoseSet, Split
from kinflow.energy.body_energy import Targets
from kinflow.energy.rough_points import RoughPoints
from kinflow.fitting.multistart import Candidates
from kinflow.fitting.solver import FitConfig, PersonFitter
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.metrics.pose import pa_mpjpe
from kinflow.metrics.vertices import t_pose_pve, t_pose_vertices_m
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import ShapePrior

FOCAL_PX = 1000.0
LIMBS = tuple(tuple(COCO17.index(name) for name in limb) for limb in LIMB_CHAINS)
HIPS = [COCO17.index("left_hip"), COCO17.index("right_hip")]
BATCH = 25

Shapes = Literal["typical", "even"]
"""Which adults: from about the middle of the shape space, or evenly from all of it."""

# Written out, not taken from the shape prior: the sets stay what they are when the prior changes.
TYPICAL_MEAN = (0.5, 0.83, 0.5, 0.5, 0.39, 0.5)
TYPICAL_STD = (0.3, 0.03, 0.2, 0.25, 0.07, 0.2)
EVEN_LOW = (0.0, 0.77, 0.0, 0.0, 0.0, 0.0)
EVEN_HIGH = (1.0, 0.89, 1.0, 1.0, 1.0, 1.0)
"""Ages of 18 to 80 years are 0.77 to 0.89; all else is what the space has."""
EVEN_SEED = 500_000
"""Even shapes come from a source of randomness of their own, so that all else is as it was."""


@dataclass(frozen=True)
class FittingSet:
    """Truth and observations, camera frame, principal point at the pixel origin."""

    clip: Int[Tensor, " scenes"]
    shape: Float[Tensor, "scenes 6"]
    """Phenotypes."""
    joints_m: Float[Tensor, "scenes 22 3"]
    keypoints_m: Float[Tensor, "scenes 17 3"]
    noise_px: Float[Tensor, "scenes 17 2"]
    """Standard normal; scaled by the noise level."""
    hint_m: Float[Tensor, "scenes 17 3"]
    """Keypoints relative to the mid-hip with 60 mm of limb-correlated error, heavier in depth."""

    sha256: str
    """Of the chosen poses and the noise, the inputs that are exact on every machine; and of even
    shapes."""


@dataclass(frozen=True)
class Condition:
    """What the fitter is told.

    Attributes:
        noise_px: standard deviation of the keypoints' noise.
        hint: whether it gets the rough 3D hint.
        hide_legs: whether knees and ankles are left out.
    """

    noise_px: float = 4.0
    hint: bool = False
    hide_legs: bool = False

    @property
    def name(self) -> str:
        """The condition in a few words."""
        return f"{self.noise_px:g} px{', hint' * self.hint}{', legs hidden' * self.hide_legs}"


@dataclass(frozen=True)
class FitErrors:
    """What fits of a set are off by, one number a scene, all in mm."""

    pa_mpjpe: Float[Tensor, " scenes"]
    """Of the best body."""
    pa_mpjpe_of_any: Float[Tensor, " scenes"]
    """Of the hypothesis that is nearest to the truth."""
    height: Float[Tensor, " scenes"]
    """Difference of the standing heights, without its sign."""
    t_pose: Float[Tensor, " scenes"]
    """Mean distance of the vertices in the T-pose, roots on each other."""
    t_pose_scaled: Float[Tensor, " scenes"]
    """The same after the best common scale, which one view cannot tell."""


def build(
    poses: PoseSet,
    count: int = 200,
    seed: int = 0,
    split: Split = "test",
    shapes: Shapes = "typical",
) -> FittingSet:
    """A set from one split of a CMU pose set; all kinds of `shapes` share poses, views, noise."""
    chosen = poses.split(split)
    rows = _clip_balanced(chosen.clip, count, seed)
    body = BodyModel.load("joints")
    scenes = [
        _scene(body, chosen.rotvec[row], chosen.root_rotvec[row], 1000 * seed + i, shapes)
        for i, row in enumerate(rows.tolist())
    ]
    shape, joints, keypoints, noise, hint = (torch.stack(x) for x in zip(*scenes, strict=True))
    digest = hashlib.sha256()
    exact = [chosen.rotvec[rows], chosen.root_rotvec[rows], noise]
    if shapes == "even":
        exact.append(shape)
    for part in exact:
        digest.update(part.contiguous().numpy().tobytes())
    return FittingSet(
        chosen.clip[rows], shape, joints, keypoints, noise, hint, digest.hexdigest()[:16]
    )


def _clip_balanced(clip: Tensor, count: int, seed: int) -> Tensor:
    """Rows in rounds: one frame of each clip, in random order, until there are enough."""
    generator = torch.Generator().manual_seed(seed)
    queues = []
    for name in clip.unique().tolist():
        rows = torch.nonzero(clip == name)[:, 0]
        queues.append(rows[torch.randperm(len(rows), generator=generator)].tolist())
    chosen: list[int] = []
    while len(chosen) < min(count, len(clip)):
        for position in torch.randperm(len(queues), generator=generator).tolist():
            if queues[position] and len(chosen) < count:
                chosen.append(queues[position].pop())
    return torch.tensor(chosen)


def typical_adult(generator: torch.Generator) -> Float[Tensor, "6"]:
    """Phenotypes of a random adult: both genders, 18-80 years, 7 cm of height spread."""
    mean, std = torch.tensor(TYPICAL_MEAN), torch.tensor(TYPICAL_STD)
    return (mean + std * torch.randn(6, generator=generator)).clamp(0.01, 0.99)


def any_adult(generator: torch.Generator) -> Float[Tensor, "6"]:
    """Phenotypes drawn evenly from all adults of 18-80 years that the shape space has."""
    low, high = torch.tensor(EVEN_LOW), torch.tensor(EVEN_HIGH)
    return low + (high - low) * torch.rand(6, generator=generator)


def _scene(
    body: BodyModel, rotvec: Tensor, root: Tensor, seed: int, shapes: Shapes
) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    yaw = (torch.rand(1, generator=generator) * 2 - 1) * math.pi
    tilt = torch.randn(2, generator=generator) * 0.12
    height_px = 400 + 200 * torch.rand(1, generator=generator)
    shape = typical_adult(generator)  # in any case, for what is drawn later
    if shapes == "even":
        shape = any_adult(torch.Generator().manual_seed(EVEN_SEED + seed))
    shaped = body.with_shape(shape)
    pose = torch.eye(3).repeat(NUM_JOINTS, 1, 1)
    pose[list(FREE_JOINTS)] = rotvec_to_matrix(rotvec)
    heading = rotvec_to_matrix(torch.tensor([0.0, float(yaw), 0.0]))
    camera_tilt = rotvec_to_matrix(torch.tensor([float(tilt[0]), 0.0, float(tilt[1])]))
    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    pose[0] = upright @ camera_tilt @ heading @ rotvec_to_matrix(root)
    rest = shaped.with_pose(torch.eye(3).repeat(NUM_JOINTS, 1, 1), torch.zeros(3)).keypoints_m()
    height_m = 1.03 * (rest[:, 1].max() - rest[:, 1].min())
    t = torch.tensor([0.2 * float(torch.randn(1, generator=generator)), 0.1, 0.0])
    t[2] = FOCAL_PX * height_m / height_px
    posed = shaped.with_pose(pose, t)
    keypoints = posed.keypoints_m()[list(COCO17_ROWS)]
    noise_px = torch.randn(17, 2, generator=generator)
    return shape, posed.joints_m, keypoints, noise_px, keypoints_hint(keypoints, generator)


def keypoints_hint(keypoints: Tensor, generator: torch.Generator) -> Tensor:
    """Root-relative keypoints with errors that grow along limbs and in depth, 60 mm on average."""
    error = 0.02 * torch.randn(17, 3, generator=generator)
    direction = torch.randn(4, 3, generator=generator) * torch.tensor([1.0, 1.0, 1.8])
    for limb, joints in enumerate(LIMBS):
        for rank, joint in enumerate(joints):
            error[joint] += 0.025 * (0.5 + rank) * direction[limb]
    error = error * 0.06 / error.norm(dim=1).mean()
    return keypoints - keypoints[HIPS].mean(0) + error


def targets(scenes: FittingSet, config: Condition) -> Targets:
    """Observations of the set, in the order of the 17 COCO keypoints."""
    count = len(scenes.keypoints_m)
    pixels = FOCAL_PX * scenes.keypoints_m[..., :2] / scenes.keypoints_m[..., 2:]
    inverse_std = torch.full((count, 17), 1 / max(config.noise_px, 2.0))
    if config.hide_legs:
        inverse_std[:, 13:] = 0
    weight = torch.full((count, 17, 3), 1 / 0.06)
    return Targets(
        focal_px=torch.full((count,), FOCAL_PX),
        principal_px=torch.zeros(count, 2),
        observed_px=pixels + config.noise_px * scenes.noise_px,
        inverse_std_px=inverse_std,
        hint=RoughPoints.of(scenes.hint_m, weight) if config.hint else None,
    )


def clip_interval(values: Tensor, clip: Tensor, rounds: int = 2000) -> tuple[float, float]:
    """95 % interval of the mean from resampling whole clips."""
    generator = torch.Generator().manual_seed(0)
    names = clip.unique()
    sums = torch.stack([values[clip == name].sum() for name in names])
    sizes = torch.stack([(clip == name).sum() for name in names])
    picks = torch.randint(len(names), (rounds, len(names)), generator=generator)
    means = sums[picks].sum(1) / sizes[picks].sum(1)
    return float(means.quantile(0.025)), float(means.quantile(0.975))


def errors_mm(scenes: FittingSet, fitter: PersonFitter, condition: Condition) -> FitErrors:
    """What is left between fits and truth."""
    observed = targets(scenes, condition)
    best, any_of, shape = [], [], []
    for begin in range(0, len(scenes.clip), BATCH):
        rows = slice(begin, begin + BATCH)
        truth = scenes.joints_m[rows]
        found: Candidates = fitter.fit(observed[rows])
        errors = 1000 * pa_mpjpe(fitter.joints_m(found.unknowns), truth[found.person])
        shapes = fitter.model.shape_prior.decode(found.unknowns.s)
        for person in range(len(truth)):
            mine = found.of(person)
            best.append(errors[mine[0]])
            any_of.append(errors[mine].min())
            shape.append(shapes[mine[0]])
    of_shape = _shape_errors_mm(torch.stack(shape), scenes.shape)
    return FitErrors(torch.stack(best), torch.stack(any_of), *of_shape)


def _shape_errors_mm(
    shape: Float[Tensor, "scenes 6"], true_shape: Float[Tensor, "scenes 6"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the height, and of the vertices in the T-pose before and after scaling."""
    body = BodyModel.load()
    errors = []
    for own, true in zip(shape.split(BATCH), true_shape.split(BATCH), strict=True):
        height = _standing_height_m(body, own) - _standing_height_m(body, true)
        plain = t_pose_pve(body, own, true)
        scaled = t_pose_pve(body, own, true, scale_corrected=True)
        errors.append(1000 * torch.stack([height.abs(), plain, scaled]))
    height, plain, scaled = torch.cat(errors, 1)
    return height, plain, scaled


def _standing_height_m(body: BodyModel, shape: Tensor) -> Float[Tensor, " scenes"]:
    y = t_pose_vertices_m(body, shape)[..., 1]
    return y.amax(-1) - y.amin(-1)


def make_fitter(prior: PosePrior, fit: FitConfig | None = None) -> PersonFitter:
    """The fitter of the main job with the prior that is to be compared."""
    body = BodyModel.load("joints")
    return PersonFitter(body, prior, ShapePrior(), COCO17, fit or FitConfig())
