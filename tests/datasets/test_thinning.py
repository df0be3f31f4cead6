import torch

from kinflow.datasets.build_poses import thinned
from kinflow.datasets.poses import PoseSet
from kinflow.datasets.thinning import distinct_poses


def walk(count: int) -> torch.Tensor:
    """A slow random walk with pauses, longer than one block."""
    generator = torch.Generator().manual_seed(0)
    steps = 0.01 * torch.randn(count, 57, generator=generator)
    steps[::3] = 0.0
    return steps.cumsum(0)


def rms_distance_rad(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.cdist(a, b) / 19**0.5


def test_kept_poses_are_apart_and_cover_the_rest():
    rotvec, radius = walk(700), 0.05
    keep = distinct_poses(rotvec, radius)
    kept = rotvec[keep]
    assert 10 < len(kept) < 500
    apart = rms_distance_rad(kept, kept) + torch.eye(len(kept))
    assert apart.min() > radius
    assert rms_distance_rad(rotvec, kept).amin(1).max() <= radius * 1.0001
    assert keep[0]


def test_only_training_subjects_are_thinned():
    rotvec = torch.zeros(30, 19, 3)
    clip = torch.arange(3).repeat_interleave(10).int()
    names = ("01", "02", "05")  # training, validation, test
    poses = PoseSet(rotvec, torch.zeros(30, 3), clip, torch.arange(30).int(), names, names)
    left = thinned(poses, 0.01)
    assert [int((left.clip == c).sum()) for c in range(3)] == [1, 10, 10]
    assert left.clip_names == names
