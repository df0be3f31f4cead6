"""Who is before the camera: poses in a world with y up, and shapes, many at once.

The same kinds of people as in `kinflow.synth.world_source`: recorded poses, some of them with
another recording's arms or legs, people who sit and who lie, samples of the pose prior, and limbs
that are bent a little further, so that nobody is quite like a recording. Most hold knees and elbows
as straight as people in photographs. Of those who sit some are at a table, on which most have their
hands, as those who ride have theirs on what they hold on to.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

import kinflow.priors
from kinflow.body import BodyModel
from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.sides import SIDES
from kinflow.body.skeleton import FREE_JOINTS, JOINT_NAMES, NUM_JOINTS
from kinflow.datasets.poses import PoseSet
from kinflow.errors import InputError
from kinflow.geometry.rotations import about_axis, matrix_to_rotvec, rotvec_to_matrix
from kinflow.priors.pose_space import mirror_rotvec
from kinflow.synth.people import ADULT_MEAN, ADULT_STD
from kinflow.synth.straight_limbs import straightened_limbs
from kinflow.synth.studio.config import StudioConfig
from kinflow.synth.studio.dice import Dice
from kinflow.synth.studio.seats import seated

_ADULT_AGES = (0.75, 0.93)
_PRIOR_POSES = 20_000
_CALM = 0.6
_FACING_STD_RAD = 0.8
_FREE_NAMES = [JOINT_NAMES[joint] for joint in FREE_JOINTS]
_ARMS, _LEGS = (
    [i for i, name in enumerate(_FREE_NAMES) if name.endswith(ends)]
    for ends in (("collar", "shoulder", "elbow", "wrist"), ("_hip", "knee", "ankle", "foot"))
)
_ON_TABLE_SHARE = 0.7
"""Of people at tables, those whose arms are as if hands were on it; of who rides as well."""
_TABLE_TOPS = (0.05, 0.9)
"""How far above the hips wrists of people at tables are, in lengths of the torso."""
_LEAST_REACH = 0.3
"""How far before them, at least."""
_POSES_AT_ONCE = 8192


class People:
    """Draws poses and shapes on a device.

    Args:
        config: whose poses, and shares of everything.
        device: where.
    """

    def __init__(self, config: StudioConfig, device: torch.device) -> None:
        self.config = config
        poses = PoseSet.load(config.poses).split(config.split)
        if not len(poses):
            raise InputError(f"{config.poses} holds no poses of the {config.split} split.")
        self._rotvec, self._root = poses.rotvec.to(device), poses.root_rotvec.to(device)
        _, count = torch.unique_consecutive(poses.clip, return_counts=True)
        self._count = count.to(device)
        self._first = (count.cumsum(0) - count).to(device)
        generator = torch.Generator().manual_seed(config.seed)
        prior = kinflow.priors.load().sample(_PRIOR_POSES, generator).detach()
        self._prior = matrix_to_rotvec(prior).to(device)
        self._table_arms = _with_arms_at_table(poses.rotvec).nonzero()[:, 0].to(device)

    def poses(
        self, count: int, dice: Dice
    ) -> tuple[Float[Tensor, "count 22 3 3"], Bool[Tensor, " count"]]:
        """Local rotations, and who sits at a table.

        Entry 0 turns the root in a world with y up, by any heading.
        """
        config = self.config
        rotvec, root = self._recorded(count, dice)
        for limbs in (_ARMS, _LEGS):
            other = self._recorded(count, dice)[0]
            exchanged = dice.chance(count, 1, 1, share=config.exchange_share)
            rotvec[:, limbs] = torch.where(exchanged, other[:, limbs], rotvec[:, limbs])
        sampled = dice.chance(count, share=config.prior_share)
        chosen = self._prior[dice.whole(count, below=len(self._prior))]
        rotvec = torch.where(sampled[:, None, None], chosen, rotvec)
        root = torch.where(sampled[:, None], torch.zeros_like(root), root)
        bent = dice.chance(count, 1, 1, share=config.bent_share)
        rotvec = rotvec + bent * dice.normal(count, len(FREE_JOINTS), 3, std=config.bent_std_rad)
        R_free = rotvec_to_matrix(rotvec)
        straight = dice.chance(count, 1, 1, 1, share=config.straight_share)
        pose = torch.eye(3, device=dice.device).repeat(count, NUM_JOINTS, 1, 1)
        pose[:, list(FREE_JOINTS)] = torch.where(straight, straightened_limbs(R_free), R_free)
        pose[:, 0] = rotvec_to_matrix(root)
        posture = dice.kinds(
            count,
            (
                1 - config.sitting_share - config.lying_share,
                config.sitting_share,
                config.lying_share,
            ),
        )
        sitting = seated(pose, dice)
        pose = torch.where((posture == 1)[:, None, None, None], sitting.pose, pose)
        pose = torch.where((posture == 2)[:, None, None, None], _lying(pose, rotvec, dice), pose)
        at_table = (posture == 1) & sitting.on_chair & dice.chance(count, share=config.table_share)
        self._reach_out(pose, at_table | ((posture == 1) & sitting.rides), dice)
        pose[:, 0] = about_axis("y", self._heading(pose, dice)) @ pose[:, 0]
        return pose, at_table

    def _reach_out(self, pose: Tensor, who: Tensor, dice: Dice) -> None:
        """Most who sit at tables or ride get arms of recordings whose wrists were before them."""
        count = len(pose)
        lays = who & dice.chance(count, share=_ON_TABLE_SHARE)
        if not len(self._table_arms):
            return
        arms = self._table_arms[dice.whole(count, below=len(self._table_arms))]
        mirrored = dice.chance(count, 1, 1, share=0.5)
        rotvec = self._rotvec[arms]
        rotvec = torch.where(mirrored, mirror_rotvec(rotvec), rotvec)[:, _ARMS]
        rotvec = rotvec + dice.normal(count, len(_ARMS), 3, std=self.config.bent_std_rad)
        rows = [FREE_JOINTS[i] for i in _ARMS]
        pose[:, rows] = torch.where(
            lays[:, None, None, None], rotvec_to_matrix(rotvec), pose[:, rows]
        )

    def _heading(self, pose: Tensor, dice: Dice) -> Float[Tensor, " count"]:
        """Angles about the vertical: any, or such that people more or less face the camera."""
        count, forward = len(pose), pose[:, 0, :, 2]
        anywhere = dice.uniform(count, low=-math.pi, high=math.pi)
        towards = dice.normal(count, std=_FACING_STD_RAD)
        facing = dice.chance(count, share=self.config.facing_share)
        wanted = torch.where(facing, towards, anywhere)
        return wanted - torch.atan2(forward[:, 0], forward[:, 2])

    def shapes(self, count: int, dice: Dice) -> Float[Tensor, "count 6"]:
        """Phenotypes: adults, children, and bodies from all over the shape space."""
        config = self.config
        mean, std = torch.tensor((ADULT_MEAN, ADULT_STD), device=dice.device)
        shape = mean + config.shape_spread * std * dice.normal(count, 6)
        wide = dice.uniform(count, 6, low=0.03, high=0.97)
        shape = torch.where(dice.chance(count, 1, share=config.wide_share), wide, shape)
        age = shape[:, 1].clamp(*_ADULT_AGES)
        young = dice.uniform(count, low=config.child_ages[0], high=config.child_ages[1])
        age = torch.where(dice.chance(count, share=config.child_share), young, age)
        shape[:, 1] = age
        return shape.clamp(0.01, 0.99)

    def _recorded(self, count: int, dice: Dice) -> tuple[Tensor, Tensor]:
        """Poses of clips that are equally likely, as they are or mirrored, and their roots."""
        clip = dice.whole(count, below=len(self._first))
        row = self._first[clip] + (dice.uniform(count) * self._count[clip]).long()
        rotvec, root = self._rotvec[row], self._root[row]
        mirrored = dice.chance(count, share=0.5)
        rotvec = torch.where(mirrored[:, None, None], mirror_rotvec(rotvec), rotvec)
        return rotvec, torch.where(mirrored[:, None], root * root.new_tensor((1.0, -1, -1)), root)


def _with_arms_at_table(rotvec: Float[Tensor, "poses 19 3"]) -> Bool[Tensor, " poses"]:
    """Whose wrists are before the trunk, and neither below the hips nor above the shoulders."""
    body = BodyModel.load("joints").with_shape(torch.tensor(ADULT_MEAN))
    found = []
    for chunk in rotvec.split(_POSES_AT_ONCE):
        pose = torch.eye(3).repeat(len(chunk), NUM_JOINTS, 1, 1)
        pose[:, list(FREE_JOINTS)] = rotvec_to_matrix(chunk)
        keypoints = body.with_pose(pose, torch.zeros(len(chunk), 3)).keypoints_m()
        shoulders, hips, wrists = (
            keypoints[:, [KEYPOINT_INDEX[f"{side}_{name}"] for side in SIDES]]
            for name in ("shoulder", "hip", "wrist")
        )
        middle = hips.mean(1, keepdim=True)
        torso = (shoulders.mean(1, keepdim=True) - middle).norm(dim=-1)
        away = (wrists - middle) / torso[..., None]
        low, high = _TABLE_TOPS
        at = (away[..., 1] > low) & (away[..., 1] < high) & (away[..., 2] > _LEAST_REACH)
        found.append(at.all(1))
    return torch.cat(found)


def _lying(pose: Tensor, rotvec: Tensor, dice: Dice) -> Tensor:
    """On the back, the front or a side, limbs calmer than those of who stands."""
    count, pose, degree = len(pose), pose.clone(), math.pi / 180
    pose[:, list(FREE_JOINTS)] = rotvec_to_matrix(_CALM * rotvec)
    sides = torch.tensor((0.0, math.pi, math.pi / 2, -math.pi / 2), device=dice.device)
    spin = sides[dice.kinds(count, (0.5, 0.2, 0.15, 0.15))] + dice.normal(count, std=10 * degree)
    rise = -math.pi / 2 + dice.normal(count, std=10 * degree)
    pose[:, 0] = about_axis("x", rise) @ about_axis("y", spin)
    return pose
