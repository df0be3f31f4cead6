"""A pose set for tests that need pictures of people."""

from pathlib import Path

import torch

from kinflow.datasets.poses import PoseSet


def write_poses(path: Path, seed: int = 0) -> Path:
    """Forty slightly bent poses of two clips of a training subject, written to a file."""
    generator = torch.Generator().manual_seed(seed)
    total = 40
    PoseSet(
        0.3 * torch.randn(total, 19, 3, generator=generator),
        0.1 * torch.randn(total, 3, generator=generator),
        torch.arange(total).int() // 20,
        torch.arange(total).int(),
        ("01_01", "01_02"),
        ("01", "01"),
    ).save(path)
    return path
