"""Turns about coordinate axes."""

import torch

from kinflow.geometry.rotations import about_axis


def test_turns_about_an_axis_keep_it_and_add_up():
    angle = torch.tensor([0.3, -1.2, 2.0])
    for i, axis in enumerate("xyz"):
        R = about_axis(axis, angle)
        torch.testing.assert_close(R[:, :, i], torch.eye(3)[i].expand(3, 3))
        torch.testing.assert_close(R[0] @ R[1], about_axis(axis, angle[0] + angle[1]))
    quarter = about_axis("z", torch.tensor(torch.pi / 2))
    torch.testing.assert_close(quarter[:, 0], torch.tensor([0.0, 1.0, 0.0]))
