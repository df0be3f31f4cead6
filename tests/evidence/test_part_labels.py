"""What a person's labels say where parts of the person are hidden."""

import pytest
import torch

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.parts import BACKGROUND, PART_INDEX, UNKNOWN
from kinflow.evidence.part_labels import LIMB_RADIUS, without_hidden_limbs
from kinflow.evidence.types import PartLabels
from kinflow.geometry.image_grid import ImageGrid

TORSO = 1 << 2
KNEE, ANKLE = BLAZEPOSE33.index("left_knee"), BLAZEPOSE33.index("left_ankle")
CELL_PX = 2.0
IMAGE = (400, 400)
LOWER_LEG = 1 << PART_INDEX["left_lower_leg"]
GRID = ImageGrid((50.0, 20.0), CELL_PX, (100, 120))


def person(ankle_confidence: float) -> torch.Tensor:
    """Everything at (150, 60) but a left lower leg from (150, 120) down to (150, 220)."""
    keypoints_px = torch.tensor([150.0, 60.0, 1.0]).repeat(33, 1)
    keypoints_px[KNEE, :2] = torch.tensor([150.0, 120.0])
    keypoints_px[ANKLE] = torch.tensor([150.0, 220.0, ankle_confidence])
    return keypoints_px


def labels() -> PartLabels:
    allowed = torch.full((120, 100), BACKGROUND, dtype=torch.int32)
    allowed[:75] = TORSO
    return PartLabels(allowed, torch.ones(allowed.shape), GRID)


def test_background_is_unknown_along_a_hidden_lower_leg():
    found = without_hidden_limbs(labels(), person(ankle_confidence=0.1), IMAGE)
    unknown = found.allowed == UNKNOWN
    middle, radius = 50, LIMB_RADIUS * 160 / CELL_PX  # cells; the person is 160 px tall
    assert bool(unknown[75:100, middle].all())
    rows, columns = unknown.nonzero().T
    assert int(columns.min()) >= middle - radius - 1 and int(columns.max()) <= middle + radius + 1
    assert int(rows.min()) >= 75 and int(rows.max()) <= 100 + radius + 1
    assert bool((found.confidence[unknown] == 0).all())
    assert torch.equal(found.allowed[~unknown], labels().allowed[~unknown])


def test_nothing_changes_for_people_in_full_view():
    found = without_hidden_limbs(labels(), person(ankle_confidence=0.9), IMAGE)
    assert torch.equal(found.allowed, labels().allowed)
    assert torch.equal(found.confidence, labels().confidence)


def test_a_limb_hidden_by_the_own_body_leaves_background_as_it_is():
    keypoints_px = person(ankle_confidence=0.1)
    keypoints_px[ANKLE, 1] = 140.0
    found = without_hidden_limbs(labels(), keypoints_px, IMAGE)
    assert torch.equal(found.allowed, labels().allowed)


@pytest.mark.parametrize("ankle_y", [220.0, 390.0])
def test_what_is_taken_for_a_hidden_limb_is_unknown(ankle_y):
    """On the grid or below it, as long as it is in the image."""
    keypoints_px = person(ankle_confidence=0.1)
    keypoints_px[ANKLE, 1] = ankle_y
    squeezed = labels()
    squeezed.allowed[70:75, 48:53] = LOWER_LEG
    found = without_hidden_limbs(squeezed, keypoints_px, IMAGE)
    assert bool((found.allowed[70:75, 48:53] == UNKNOWN).all())
    assert bool((found.allowed[:70] == TORSO).all())


def test_limbs_beyond_the_image_leave_those_within_it():
    keypoints_px = person(ankle_confidence=0.0)
    keypoints_px[ANKLE, 1] = 500.0
    cut = labels()
    cut.allowed[75:, 48:53] = LOWER_LEG
    assert torch.equal(without_hidden_limbs(cut, keypoints_px, IMAGE).allowed, cut.allowed)


def test_only_cells_without_doubt_show_the_person():
    sets = torch.tensor([[BACKGROUND, TORSO, TORSO | 1 << 5, UNKNOWN, TORSO | BACKGROUND]]).int()
    some = PartLabels(sets, torch.ones(sets.shape), ImageGrid.of_image((5, 1)))
    assert some.shows().tolist() == [[False, True, True, False, False]]
    assert some.may_be(5).tolist() == [[False, False, True, True, False]]
