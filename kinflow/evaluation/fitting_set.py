"""The fitting set: how well single-view fitting recovers 3D poses of people it never saw.

200 frames of CMU subjects 05, 127 and 135 (never trained on), balanced over clips, are put on
random adult bodies with random headings, 400-600 px tall before a camera; the 17 COCO keypoints
get noise; the fitter gets them, and optionally a rough root-relative 3D hint. Scored by PA-MPJPE
over the 22 joints with a 95 % interval from a bootstrap over clips (frames of one clip are alike).

The set is seeded and must not change, so that results stay comparable; `sha256` tells.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import roma
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.body import BodyModel
from kinflow.body.bones import LIMB_CHAINS
from kinflow.body.keypoints import COCO17, COCO17_ROWS
from kinflow.body.skeleton import FREE_JOINTS, NUM_JOINTS
from kinflow.datasets.poses import PoseSet, Split
from kinflow.energy.body_energy import Targets
from kinflow.fitting.multistart import Candidates
from kinflow.fitting.solver import FitConfig, PersonFitter
from kinflow.metrics.pose import pa_mpjpe
from kinflow.priors.base import PosePrior
from kinflow.priors.shape import ShapePrior

FOCAL_PX = 1000.0
LIMBS = tuple(tuple(COCO17.index(name) for name in limb) for limb in LIMB_CHAINS)
HIPS = [COCO17.index("left_hip"), COCO17.index("right_hip")]
BATCH = 25


@dataclass(frozen=True)
class FittingSet:
    """Truth and observations, camera frame, principal point at the pixel origin."""

    clip: Int[Tensor, " scenes"]
    joints_m: Float[Tensor, "scenes 22 3"]
    keypoints_m: Float[Tensor, "scenes 17 3"]
    noise_px: Float[Tensor, "scenes 17 2"]
    """Standard normal; scaled by the noise level."""
    hint_m: Float[Tensor, "scenes 17 3"]
    """Keypoints relative to the mid-hip with 60 mm of limb-correlated error, heavier in depth."""

    sha256: str
    """Of the chosen poses and the noise, the inputs that are exact on every machine."""


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


def build(poses: PoseSet, count: int = 200, seed: int = 0, split: Split = "test") -> FittingSet:
    """The set from one split of a CMU pose set."""
    chosen = poses.split(split)
    rows = _clip_balanced(chosen.clip, count, seed)
    body = BodyModel.load("joints")
    scenes = [
        _scene(body, chosen.rotvec[row], chosen.root_rotvec[row], 1000 * seed + i)
        for i, row in enumerate(rows.tolist())
    ]
    joints, keypoints, noise, hint = (torch.stack(x) for x in zip(*scenes, strict=True))
    digest = hashlib.sha256()
    for exact in (chosen.rotvec[rows], chosen.root_rotvec[rows], noise):
        digest.update(exact.contiguous().numpy().tobytes())
    return FittingSet(chosen.clip[rows], joints, keypoints, noise, hint, digest.hexdigest()[:16])


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


def random_adult(generator: torch.Generator) -> Float[Tensor, "6"]:
    """Phenotypes of a random adult: both genders, 18-80 years, 7 cm of height spread."""
    adults = ShapePrior()
    mean, std = torch.tensor(adults.mean), torch.tensor(adults.std)
    return (mean + std * torch.randn(6, generator=generator)).clamp(0.01, 0.99)


def _scene(body: BodyModel, rotvec: Tensor, root: Tensor, seed: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    yaw = (torch.rand(1, generator=generator) * 2 - 1) * math.pi
    tilt = torch.randn(2, generator=generator) * 0.12
    height_px = 400 + 200 * torch.rand(1, generator=generator)
    shaped = body.with_shape(random_adult(generator))
    pose = torch.eye(3).repeat(NUM_JOINTS, 1, 1)
    pose[list(FREE_JOINTS)] = roma.rotvec_to_rotmat(rotvec)
    heading = roma.rotvec_to_rotmat(torch.tensor([0.0, float(yaw), 0.0]))
    camera_tilt = roma.rotvec_to_rotmat(torch.tensor([float(tilt[0]), 0.0, float(tilt[1])]))
    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    pose[0] = upright @ camera_tilt @ heading @ roma.rotvec_to_rotmat(root)
    rest = shaped.with_pose(torch.eye(3).repeat(NUM_JOINTS, 1, 1), torch.zeros(3)).keypoints_m()
    height_m = 1.03 * (rest[:, 1].max() - rest[:, 1].min())
    t = torch.tensor([0.2 * float(torch.randn(1, generator=generator)), 0.1, 0.0])
    t[2] = FOCAL_PX * height_m / height_px
    posed = shaped.with_pose(pose, t)
    keypoints = posed.keypoints_m()[list(COCO17_ROWS)]
    noise_px = torch.randn(17, 2, generator=generator)
    return posed.joints_m, keypoints, noise_px, keypoints_hint(keypoints, generator)


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
    hint_weight = torch.full((count, 17, 3), 1 / 0.06)
    return Targets(
        focal_px=torch.full((count,), FOCAL_PX),
        principal_px=torch.zeros(count, 2),
        observed_px=pixels + config.noise_px * scenes.noise_px,
        inverse_std_px=inverse_std,
        hint_m=scenes.hint_m if config.hint else None,
        hint_inverse_std_m=hint_weight if config.hint else None,
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


def errors_mm(
    scenes: FittingSet, fitter: PersonFitter, condition: Condition
) -> tuple[Float[Tensor, " scenes"], Float[Tensor, " scenes"]]:
    """PA-MPJPE in mm of the best body and of the best of all hypotheses."""
    observed = targets(scenes, condition)
    best, any_of = [], []
    for begin in range(0, len(scenes.clip), BATCH):
        rows = slice(begin, begin + BATCH)
        truth = scenes.joints_m[rows]
        found: Candidates = fitter.fit(observed[rows])
        errors = 1000 * pa_mpjpe(fitter.joints_m(found.unknowns), truth[found.person])
        for person in range(len(truth)):
            mine = errors[found.of(person)]
            best.append(mine[0])
            any_of.append(mine.min())
    return torch.stack(best), torch.stack(any_of)


def make_fitter(prior: PosePrior, fit: FitConfig | None = None) -> PersonFitter:
    """The fitter of the main job with the prior that is to be compared."""
    body = BodyModel.load("joints")
    return PersonFitter(body, prior, ShapePrior(), COCO17, fit or FitConfig())
