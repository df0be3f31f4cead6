"""Random people: poses from motion capture and from the shipped prior, shapes of all kinds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

import kinflow.priors
from kinflow.body.skeleton import FREE_JOINTS, JOINT_NAMES, NUM_JOINTS
from kinflow.checks import flag, not_negative, one_of, path, share
from kinflow.datasets.poses import PoseSet, Split
from kinflow.errors import InputError
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.priors import PosePrior
from kinflow.priors.pose_space import mirror_rotvec
from kinflow.priors.shape import ShapePrior
from kinflow.synth.straight_limbs import straightened_limbs

ADULT_MEAN = (0.5, 0.83, 0.5, 0.5, 0.39, 0.5)
ADULT_STD = (0.3, 0.03, 0.2, 0.25, 0.07, 0.2)
"""Phenotypes of adults in worlds and in the studio: written out, not taken from the shape prior,
so that worlds stay what they are when the prior changes."""

_CHILD_AGES = (0.2, 0.6)
_WIDE_RANGE = (0.03, 0.97)
_FREE_NAMES = [JOINT_NAMES[joint] for joint in FREE_JOINTS]
_ARMS, _LEGS = (
    [i for i, name in enumerate(_FREE_NAMES) if name.endswith(ends)]
    for ends in (("collar", "shoulder", "elbow", "wrist"), ("_hip", "knee", "ankle", "foot"))
)


@dataclass(frozen=True)
class PeopleConfig:
    """Who is in the scenes.

    Attributes:
        poses: pose set of `kinflow data poses`; without one all poses are the prior's.
        split: which of its subject-disjoint splits.
        prior_share: share of poses that come from the shipped prior all the same.
        shape_spread: adults are drawn with this multiple of the shape prior's spread.
        child_share: share of children between about four and fourteen years.
        wide_share: share of bodies drawn evenly from the whole shape space of teenagers and adults.
        exchange_share: share of recorded poses that get the arms, and of those that get the legs,
            of another one.
        straight_limbs: recorded people bend knees and elbows as far as people in photographs.
    """

    poses: Path | None = None
    split: Split = "train"
    prior_share: float = 0.25
    shape_spread: float = 1.25
    child_share: float = 0.08
    wide_share: float = 0.15
    exchange_share: float = 0.0
    straight_limbs: bool = False

    def __post_init__(self) -> None:
        path(self, "poses", or_none=True)
        one_of(self, "split", get_args(Split))
        share(self, "prior_share", "child_share", "wide_share", "exchange_share")
        not_negative(self, "shape_spread")
        flag(self, "straight_limbs")


@dataclass(frozen=True)
class PeopleSource:
    """Draws people; the pose set and the prior are loaded at first use."""

    config: PeopleConfig = PeopleConfig()
    shape_prior: ShapePrior = ShapePrior()

    @cached_property
    def _poses(self) -> PoseSet | None:
        if self.config.poses is None:
            return None
        poses = PoseSet.load(self.config.poses).split(self.config.split)
        if not len(poses):
            raise InputError(
                f"{self.config.poses} holds no poses of the {self.config.split} split; "
                "choose another one",
                {"choose another one": "scenes.people.split"},
            )
        return poses

    @cached_property
    def _clip_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """First row of each clip's poses and their number, clips being contiguous."""
        assert self._poses is not None
        _, first, count = np.unique(self._poses.clip.numpy(), return_index=True, return_counts=True)
        return first, count

    @cached_property
    def _prior(self) -> PosePrior:
        return kinflow.priors.load()

    def pose(self, rng: np.random.Generator) -> Float[Tensor, "22 3 3"]:
        """A pose whose root stands in a world with y up; the heading is the recording's."""
        pose = torch.eye(3).repeat(NUM_JOINTS, 1, 1)
        if self._poses is None or rng.random() < self.config.prior_share:
            generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
            pose[list(FREE_JOINTS)] = self._prior.sample(1, generator)[0].detach()
            return pose
        rotvec, root = self._recorded(self._poses, rng)
        if self.config.exchange_share > 0:
            for limbs in (_ARMS, _LEGS):
                if rng.random() < self.config.exchange_share:
                    rotvec = rotvec.clone()
                    rotvec[limbs] = self._recorded(self._poses, rng)[0][limbs]
        R_free = rotvec_to_matrix(rotvec)
        if self.config.straight_limbs:
            R_free = straightened_limbs(R_free)
        pose[list(FREE_JOINTS)] = R_free
        pose[0] = rotvec_to_matrix(root)
        return pose

    def _recorded(
        self, poses: PoseSet, rng: np.random.Generator
    ) -> tuple[Float[Tensor, "19 3"], Float[Tensor, " 3"]]:
        """Rotation vectors of the free joints and of the root, as they are or mirrored.

        Clips, not frames, are equally likely: the longest recordings are the dullest.
        """
        first, count = self._clip_rows
        clip = rng.integers(len(first))
        row = int(first[clip] + rng.integers(count[clip]))
        rotvec, root = poses.rotvec[row], poses.root_rotvec[row]
        if rng.random() < 0.5:
            return mirror_rotvec(rotvec), root * root.new_tensor((1.0, -1.0, -1.0))
        return rotvec, root

    def shape(self, rng: np.random.Generator) -> Float[Tensor, " 6"]:
        """Phenotypes of a person."""
        config, kind = self.config, rng.random()
        s = torch.from_numpy(rng.standard_normal(6)).float() * config.shape_spread
        shape = self.shape_prior.decode(s)
        if kind < config.child_share:
            shape[1] = float(rng.uniform(*_CHILD_AGES))
        elif kind < config.child_share + config.wide_share:
            shape = torch.from_numpy(rng.uniform(*_WIDE_RANGE, 6)).float()
            shape[1] = 0.6 + 0.35 * shape[1]
        return shape
