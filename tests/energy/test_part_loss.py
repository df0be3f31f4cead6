"""The part alignment loss: its gradient, its minimum, and that it does not care about batches."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from kinflow.body.part_mesh import PartMesh
from kinflow.body.parts import ANY_PART, BACKGROUND, UNKNOWN
from kinflow.energy.part_loss import PartLossTarget, part_alignment_loss
from kinflow.energy.part_matching import MatchingConfig, PartTarget
from kinflow.evidence.types import PartLabels
from kinflow.geometry.image_grid import ImageGrid
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rasterizer import rasterize, visible_points

CAMERA = Camera(500.0, (100.0, 100.0), (200, 200))
SCALE_PX = torch.tensor([180.0])


@dataclass(frozen=True)
class Figure:
    """Every eighth vertex of a standing body, its parts, and labels drawn from the body."""

    points_px: torch.Tensor
    parts: torch.Tensor
    visible: torch.Tensor
    labels: PartLabels

    def loss(self, shift_px=(0.0, 0.0), labels: PartLabels | None = None) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        target = PartLossTarget.of([labels or self.labels], 600, generator)
        points = self.points_px[None] + torch.tensor(shift_px)
        return part_alignment_loss(points, self.parts, self.visible[None], target, SCALE_PX)[0]


@pytest.fixture(scope="module")
def figure(body) -> Figure:
    pose = torch.eye(3).repeat(22, 1, 1)
    pose[0] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    shaped = body.with_shape(body.shape_space.neutral())
    vertices = shaped.with_pose(pose, torch.tensor([0.0, 0.0, 5.0])).vertices_m()
    px, depth = CAMERA.project(vertices), vertices[:, 2].numpy()
    raster = rasterize(px.numpy(), depth, body.faces.numpy(), CAMERA.image_size)
    visible = torch.from_numpy(visible_points(raster, px.numpy(), depth, tolerance=0.01))
    nothing = torch.full((200, 200), UNKNOWN, dtype=torch.int32)
    grid = ImageGrid.of_image((200, 200))
    empty = PartLabels(nothing, torch.ones(200, 200), grid)
    drawn = PartTarget(empty, CAMERA, PartMesh.of(body), MatchingConfig()).draw(vertices.numpy())
    labels = PartLabels(
        torch.from_numpy((1 << drawn.part).astype(np.int32)), torch.ones(200, 200), grid
    )
    some = slice(None, None, 8)
    return Figure(px[some], body.vertex_parts[some], visible[some], labels)


def test_visible_vertices_are_about_half(figure):
    assert 0.3 < figure.visible.float().mean() < 0.7


def test_the_minimum_is_where_the_body_is(figure):
    at_truth = figure.loss()
    for shift in ((6.0, 0.0), (-6.0, 0.0), (0.0, 6.0), (0.0, -6.0)):
        assert figure.loss(shift) > 3 * at_truth
    assert figure.loss((12.0, 0.0)) > figure.loss((6.0, 0.0))


def test_gradient_matches_finite_differences(figure):
    shift = torch.tensor([5.0, -3.0], requires_grad=True)
    target = PartLossTarget.of([figure.labels], 600, torch.Generator().manual_seed(0))

    def value(shift):
        points = figure.points_px[None] + shift
        return part_alignment_loss(points, figure.parts, figure.visible[None], target, SCALE_PX)[0]

    (gradient,) = torch.autograd.grad(value(shift), shift)
    h = 0.25
    numeric = [
        (value(shift + h * axis) - value(shift - h * axis)).detach() / (2 * h)
        for axis in torch.eye(2)
    ]
    torch.testing.assert_close(gradient, torch.stack(numeric), rtol=0.1, atol=2e-6)


def test_gradient_exists_without_overlap(figure):
    points = (figure.points_px + torch.tensor([150.0, 0.0])).requires_grad_()
    target = PartLossTarget.of([figure.labels], 600, torch.Generator().manual_seed(0))
    loss = part_alignment_loss(points[None], figure.parts, figure.visible[None], target, SCALE_PX)
    (gradient,) = torch.autograd.grad(loss.sum(), points)
    assert gradient[:, 0].sum() > 0  # descending moves the body back to the left


def test_a_silhouette_is_less_demanding_than_parts(figure):
    """Arms stretched sideways mirrored onto each other: parts notice, a silhouette hardly does."""
    allowed = figure.labels.allowed
    outline = PartLabels(
        torch.where(allowed == BACKGROUND, BACKGROUND, ANY_PART).int(),
        figure.labels.confidence,
        figure.labels.grid,
    )
    mirrored = Figure(
        figure.points_px * torch.tensor([-1.0, 1.0]) + torch.tensor([200.0, 0.0]),
        figure.parts,
        figure.visible,
        figure.labels,
    )
    assert mirrored.loss(labels=outline) < 0.1 * mirrored.loss()


def test_each_row_of_a_batch_is_on_its_own(figure):
    target = PartLossTarget.of([figure.labels] * 3, 2000, torch.Generator().manual_seed(0))
    shifts = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 5.0]])
    points = figure.points_px[None] + shifts[:, None]
    visible = figure.visible.expand(3, -1)
    scale = SCALE_PX.expand(3)
    together = part_alignment_loss(points, figure.parts, visible, target, scale)
    for row in range(3):
        alone = PartLossTarget(**{k: v[row : row + 1] for k, v in vars(target).items()})
        one = slice(row, row + 1)
        loss = part_alignment_loss(points[one], figure.parts, visible[one], alone, scale[one])
        torch.testing.assert_close(loss[0], together[row])


def test_unknown_labels_cost_nothing(figure):
    unknown = torch.full_like(figure.labels.allowed, UNKNOWN)
    labels = PartLabels(unknown, figure.labels.confidence, figure.labels.grid)
    assert figure.loss((30.0, 0.0), labels) == 0
