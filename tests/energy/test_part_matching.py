"""Laws of part matching, on labels that are drawn from the body itself."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from kinflow.body.part_mesh import PartMesh
from kinflow.body.parts import ANY_PART, BACKGROUND, PART_INDEX, UNKNOWN
from kinflow.energy.part_matching import (
    DrawnParts,
    MatchingConfig,
    PartMatches,
    PartTarget,
)
from kinflow.evidence.types import PartLabels
from kinflow.geometry.image_grid import ImageGrid
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import rotvec_to_matrix

CAMERA = Camera(500.0, (160.0, 120.0), (320, 240))
ROWS, COLUMNS = 200, 200
GRID = ImageGrid((60.0, 20.0), 1.0, (COLUMNS, ROWS))
FACING = torch.diag(torch.tensor([1.0, -1.0, -1.0]))


@dataclass(frozen=True)
class Stage:
    """A body that can be drawn as labels and matched with labels."""

    body: object
    mesh: PartMesh

    def vertices(self, x_m: float = 0.0, elbow_deg: float = 0.0, depth_m: float = 5.0):
        """Upright, facing the camera; the left forearm bends towards the camera."""
        pose = torch.eye(3).repeat(22, 1, 1)
        pose[0] = FACING
        pose[18] = rotvec_to_matrix(torch.tensor([0.0, -np.deg2rad(elbow_deg), 0.0]).float())
        shaped = self.body.with_shape(self.body.shape_space.neutral())
        return shaped.with_pose(pose, torch.tensor([x_m, 0.0, depth_m])).vertices_m().numpy()

    def target(self, allowed: np.ndarray) -> PartTarget:
        labels = PartLabels(
            torch.from_numpy(allowed.astype(np.int32)),
            torch.ones(allowed.shape),
            GRID,
        )
        return PartTarget(labels, CAMERA, self.mesh, MatchingConfig(max_distance=0.5))

    def drawn(self, vertices: np.ndarray) -> DrawnParts:
        return self.target(np.full((ROWS, COLUMNS), UNKNOWN)).draw(vertices)

    def steps_px(self, allowed: np.ndarray, vertices: np.ndarray):
        """Vertices, steps in the image and weights of all matches that ask for a step."""
        matches = self.matches(allowed, vertices)
        steps = self.asked_px(matches, vertices)
        moves = (matches.inverse_std_px[0] > 0) & (steps.norm(dim=-1) > 1e-3)
        return matches.vertex[0, moves], steps[moves], matches.inverse_std_px[0, moves]

    def matches(self, allowed: np.ndarray, vertices: np.ndarray) -> PartMatches:
        target = self.target(allowed)
        return target.matches(target.draw(vertices))

    @staticmethod
    def asked_px(matches: PartMatches, vertices: np.ndarray) -> torch.Tensor:
        """The step that each match asks for."""
        return matches.target_px[0] - CAMERA.project(torch.from_numpy(vertices))[matches.vertex[0]]


@pytest.fixture(scope="module")
def stage(body) -> Stage:
    return Stage(body, PartMesh.of(body))


def as_parts(drawn: DrawnParts) -> np.ndarray:
    return 1 << drawn.part


def as_silhouette(drawn: DrawnParts) -> np.ndarray:
    return np.where(drawn.part > 0, ANY_PART, BACKGROUND)


@pytest.mark.parametrize("as_labels", [as_parts, as_silhouette])
def test_a_body_matches_its_own_drawing(stage, as_labels):
    vertices = stage.vertices(elbow_deg=60)
    drawn = stage.drawn(vertices)
    _, steps, _ = stage.steps_px(as_labels(drawn), vertices)
    assert not len(steps)
    target = stage.target(as_labels(drawn))
    assert target.silhouette_iou(drawn) == 1.0
    seen = np.isfinite(target.part_iou(drawn))
    assert seen.sum() >= 12 and (target.part_iou(drawn)[seen] == 1.0).all()


def test_labels_to_the_right_draw_to_the_right(stage):
    labels = as_parts(stage.drawn(stage.vertices(x_m=0.08)))
    _, steps, weight = stage.steps_px(labels, stage.vertices())
    mean = (steps * weight[:, None] ** 2).sum(0) / (weight**2).sum()
    assert len(steps) > 100
    assert 2 < mean[0] < 9 and abs(mean[1]) < 1  # the body would have to move by 8 px


def test_there_is_a_way_without_any_overlap(stage):
    labels = as_silhouette(stage.drawn(stage.vertices(x_m=0.35, elbow_deg=90)))
    half = stage.vertices(x_m=-0.35, elbow_deg=90)
    labels[stage.drawn(half).part > 0] = BACKGROUND
    _, steps, _ = stage.steps_px(labels, half)
    assert len(steps) > 50 and (steps[:, 0].mean() > 10)


def test_each_part_is_matched_with_itself(stage):
    labels = as_parts(stage.drawn(stage.vertices(x_m=0.05)))
    only = PART_INDEX["left_upper_leg"]
    labels[(labels != 1 << only) & (labels != BACKGROUND)] = UNKNOWN
    vertex, steps, _ = stage.steps_px(labels, stage.vertices())
    assert len(steps)
    # other parts are pushed off the background at most; the leg that was seen pulls the leg alone
    aim_px = CAMERA.project(torch.from_numpy(stage.vertices()))[vertex] + steps
    column, row = GRID.to_cells(aim_px).long().T
    # away from the seams, where a neighbour's vertex may aim within a cell of the leg
    rows = np.flatnonzero((labels == 1 << only).any(1))
    middle = (row > np.quantile(rows, 0.2)) & (row < np.quantile(rows, 0.8))
    pulls = middle.numpy() & (labels[row.numpy(), column.numpy()] == 1 << only)
    assert pulls.sum() > 5
    assert set(stage.body.vertex_parts[vertex][pulls].tolist()) == {only}


def test_nothing_is_known_nothing_moves(stage):
    _, steps, _ = stage.steps_px(np.full((ROWS, COLUMNS), UNKNOWN), stage.vertices())
    assert not len(steps)
    target = stage.target(np.full((ROWS, COLUMNS), UNKNOWN))
    drawn = target.draw(stage.vertices())
    assert np.isnan(target.silhouette_iou(drawn)) and np.isnan(target.part_iou(drawn)).all()


def test_what_is_hidden_by_another_part_is_not_an_outline(stage):
    """The forearm in front of the chest cuts the torso in the drawing, not in truth."""
    drawn = stage.drawn(stage.vertices(elbow_deg=150))
    torso = drawn.part == PART_INDEX["torso"]
    forearm = drawn.part == PART_INDEX["left_lower_arm"]
    beside_forearm = np.roll(forearm, 1, 0) | np.roll(forearm, -1, 0)
    clearly_behind = drawn.depth_m > 5.0 - 0.05
    assert not (drawn.rim & torso & beside_forearm & clearly_behind).any()
    assert (drawn.rim & forearm).any()


def test_far_matches_and_weights(stage):
    labels = as_parts(stage.drawn(stage.vertices(x_m=0.08)))
    near = replace(MatchingConfig(), max_distance=1e-3)
    target = PartTarget(
        PartLabels(torch.from_numpy(labels.astype(np.int32)), torch.ones(200, 200), GRID),
        CAMERA,
        stage.mesh,
        near,
    )
    matches = target.matches(target.draw(stage.vertices()))
    asked = stage.asked_px(matches, stage.vertices()).norm(dim=-1)
    assert (asked > 1).any()
    assert not (matches.inverse_std_px[0][asked > 1] > 0).any()


@pytest.mark.parametrize("as_labels", [as_parts, as_silhouette])
def test_outlines_that_agree_are_held(stage, as_labels):
    vertices = stage.vertices(elbow_deg=60)
    matches = stage.matches(as_labels(stage.drawn(vertices)), vertices)
    held = (matches.inverse_std_px[0] > 0) & (matches.normal[0].norm(dim=-1) > 0)
    assert held.sum() > 100
    assert stage.asked_px(matches, vertices)[held].abs().max() < 1e-3


def test_steps_go_across_the_outline(stage):
    """Sideways from upright legs, where the outline runs from top to bottom."""
    labels = as_parts(stage.drawn(stage.vertices(x_m=0.05)))
    vertices = stage.vertices()
    matches = stage.matches(labels, vertices)
    normal = matches.normal[0]
    length = normal.norm(dim=-1)
    assert (
        torch.all((length == 0) | ((length - 1).abs() < 1e-5))
        and (length > 0).float().mean() > 0.95
    )
    legs = [PART_INDEX[f"{side}_lower_leg"] for side in ("left", "right")]
    of_legs = torch.isin(stage.body.vertex_parts[matches.vertex[0]], torch.tensor(legs))
    middle = of_legs & (stage.asked_px(matches, vertices).norm(dim=-1) > 1) & (length > 0)
    assert middle.sum() > 20
    assert normal[middle, 0].abs().median() > 0.95


def test_sets_weigh_as_they_are_told_and_parts_always_alike(stage):
    seen, vertices = stage.drawn(stage.vertices(x_m=0.05)), stage.vertices()

    def weights(labels: np.ndarray, set_weight: float) -> torch.Tensor:
        target = stage.target(labels)
        found = target.matches(target.draw(vertices), set_weight).inverse_std_px[0]
        return found[found > 0]

    skin, clothes = weights(as_parts(seen), 0.1), weights(as_silhouette(seen), 0.1)
    assert skin.min() == skin.max() and clothes.min() == clothes.max()
    assert float(clothes[0] / skin[0]) ** 2 == pytest.approx(0.1)


def test_what_is_unknown_attracts_little(stage):
    """A body is pushed off the background, but not with full force behind an occluder."""
    vertices, seen = stage.vertices(), stage.drawn(stage.vertices(x_m=0.05))
    labels = as_parts(seen)
    labels[(seen.part > 0) & (seen.part != PART_INDEX["head"])] = UNKNOWN
    weights = stage.matches(labels, vertices).inverse_std_px[0]
    weights = weights[weights > 0]
    ratio = float(weights.min() / weights.max()) ** 2
    assert ratio == pytest.approx(MatchingConfig().unknown_weight)
