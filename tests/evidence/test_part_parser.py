"""The part parser: its grid, its input, its sets of labels, and that it knows parts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from kinflow.assets import asset_path
from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.parts import PART_INDEX, UNKNOWN
from kinflow.errors import InputError
from kinflow.evidence.part_network import (
    COLOR_CHANNELS,
    GRID,
    NUM_CHANNELS,
    NUM_LABELS,
    PICTURE,
    STICKS,
    PartInput,
    PartNetwork,
    PartNetworkConfig,
    PartNetworkInfo,
    load_part_network,
    part_input,
    save_part_network,
)
from kinflow.evidence.parts import (
    SHIPPED,
    PartParser,
    PartParserConfig,
    crop_of,
    grid_around,
    label_sets,
)
from kinflow.evidence.types import PersonMask
from kinflow.files.tensor_files import read_tensors, write_tensors
from kinflow.geometry.image_grid import ImageGrid

FIGURE_PX = {
    "nose": (150, 45), "left_ear": (160, 45), "right_ear": (140, 45),
    "left_shoulder": (180, 95), "right_shoulder": (120, 95),
    "left_elbow": (240, 95), "right_elbow": (60, 95),
    "left_wrist": (290, 95), "right_wrist": (10, 95),
    "left_index": (312, 92), "right_index": (-12, 92),
    "left_pinky": (312, 100), "right_pinky": (-12, 100),
    "left_hip": (167, 210), "right_hip": (133, 210),
    "left_knee": (170, 300), "right_knee": (130, 300),
    "left_ankle": (170, 385), "right_ankle": (130, 385),
    "left_heel": (170, 395), "right_heel": (130, 395),
    "left_big_toe": (180, 402), "right_big_toe": (120, 402),
}  # fmt: skip
"""Somebody who faces the camera with their arms stretched out, in pixels."""


def figure(shift_px: tuple[float, float] = (0.0, 0.0)) -> tuple[torch.Tensor, PersonMask]:
    """Keypoints and a silhouette of sausages around them."""
    points = np.array([FIGURE_PX.get(name, FIGURE_PX["nose"]) for name in BLAZEPOSE33], float)
    y, x = np.mgrid[0:440, 0:400] + 0.5
    pixels = np.stack([x - 50, y], -1)

    def sausage(a: str, b: str, radius: float) -> np.ndarray:
        start, along = np.array(FIGURE_PX[a], float), np.subtract(FIGURE_PX[b], FIGURE_PX[a])
        t = ((pixels - start) @ along / (along @ along)).clip(0, 1)
        return np.linalg.norm(pixels - start - t[..., None] * along, axis=-1) < radius

    shown = np.linalg.norm(pixels - (150, 42), axis=-1) < 26
    shown |= (np.abs(pixels[..., 0] - 150) < 32) & (pixels[..., 1] > 80) & (pixels[..., 1] < 215)
    for side in ("left", "right"):
        shown |= sausage(f"{side}_shoulder", f"{side}_elbow", 13)
        shown |= sausage(f"{side}_elbow", f"{side}_index", 10)
        shown |= sausage(f"{side}_hip", f"{side}_knee", 19)
        shown |= sausage(f"{side}_knee", f"{side}_ankle", 13)
        shown |= sausage(f"{side}_heel", f"{side}_big_toe", 10)
    keypoints = np.column_stack((points + shift_px, np.ones(33)))
    grid = ImageGrid((shift_px[0] - 50, shift_px[1]), 1.0, (400, 440))
    mask = PersonMask(torch.from_numpy(shown).float(), grid)
    return torch.from_numpy(keypoints).float(), mask


@pytest.fixture(scope="module")
def parser() -> PartParser:
    return PartParser()


def label_at(parts, x: float, y: float) -> int:
    column, row = parts.grid.to_cells(torch.tensor([x, y])).long()
    return int(parts.allowed[row, column])


def test_parts_are_where_they_belong(parser):
    parts = parser(*figure())
    assert parts.allowed.shape == parts.confidence.shape == (GRID, GRID)
    assert parts.allowed.dtype == torch.int32
    places = {
        "head": (150, 42),
        "torso": (150, 150),
        "left_upper_arm": (212, 95),
        "right_upper_arm": (88, 95),
        "left_lower_arm": (265, 95),
        "right_lower_arm": (35, 95),
        "left_upper_leg": (169, 260),
        "right_upper_leg": (131, 260),
        "left_lower_leg": (170, 345),
        "right_lower_leg": (130, 345),
    }
    for name, place in places.items():
        assert label_at(parts, *place) == 1 << PART_INDEX[name], name
    assert label_at(parts, 60, 300) == 1  # far from everything: background
    assert parts.confidence.min() >= 0 and parts.confidence.max() <= 1


def test_left_and_right_follow_the_keypoints(parser):
    keypoints, mask = figure()
    other = [
        name.replace("left", "?").replace("right", "left").replace("?", "right")
        for name in BLAZEPOSE33
    ]
    swapped = keypoints[[BLAZEPOSE33.index(name) for name in other]]
    parts = parser(swapped, mask)
    assert label_at(parts, 170, 345) == 1 << PART_INDEX["right_lower_leg"]


def test_the_place_in_the_image_does_not_matter(parser):
    here, there = parser(*figure()), parser(*figure((1000.0, 500.0)))
    assert there.grid.origin_px[0] - here.grid.origin_px[0] == pytest.approx(1000.0, abs=0.01)
    assert (here.allowed == there.allowed).float().mean() > 0.99


def test_outside_the_image_nothing_is_known(parser):
    keypoints, mask = figure()
    parts = parser(keypoints, mask, image_size=(200, 300))
    x, y = parts.grid.centres_px().unbind(-1)
    outside = (x < 0) | (x >= 200) | (y < 0) | (y >= 300)
    assert (parts.allowed[outside] == UNKNOWN).all() and (parts.confidence[outside] == 0).all()
    assert (parts.allowed[~outside] != UNKNOWN).float().mean() > 0.9


def test_an_empty_mask_says_nothing(parser):
    keypoints, mask = figure()
    empty = PersonMask(torch.zeros(20, 20), replace(mask.grid, size=(20, 20)))
    parts = parser(keypoints, empty)
    assert (parts.allowed == UNKNOWN).all() and (parts.confidence == 0).all()


def test_works_without_keypoints_or_with_few(parser):
    keypoints, mask = figure()
    nothing = parser(torch.zeros(33, 3), mask)
    assert torch.isfinite(nothing.confidence).all()
    keypoints[[BLAZEPOSE33.index("left_index"), BLAZEPOSE33.index("left_pinky")]] = 0
    assert label_at(parser(keypoints, mask), 150, 150) == 1 << PART_INDEX["torso"]


def test_rough_depth_is_taken(parser):
    keypoints, mask = figure()
    world_m = torch.zeros(33, 3)
    world_m[:, 2] = torch.linspace(-0.3, 0.3, 33)
    without = parser.probabilities(keypoints, mask)
    given = parser.probabilities(keypoints, mask, world_m=world_m)
    assert without is not None and given is not None
    assert not torch.equal(without.probability, given.probability)


def test_pixels_are_taken(parser):
    keypoints, mask = figure()
    rng = np.random.default_rng(0)
    image = rng.integers(1, 255, (440, 400, 3)).astype(np.uint8)
    without = parser.probabilities(keypoints, mask)
    given = parser.probabilities(keypoints, mask, image_rgb=image)
    assert without is not None and given is not None
    assert not torch.equal(without.probability, given.probability)


def test_probabilities_are_those_of_labels(parser):
    found = parser.probabilities(*figure())
    assert found is not None
    total = found.probability.sum(0)
    torch.testing.assert_close(total, torch.ones_like(total))


@pytest.mark.parametrize("pixels", [True, False])
def test_a_real_person(parser, detector, astronaut, pixels):
    """Through the whole detector: nose and shoulders are where they should be, legs are not."""
    evidence = detector.detect(astronaut, max_people=1)
    person = evidence.people[0]
    assert person.mask is not None
    rgb = astronaut if pixels else None
    parts = parser(person.keypoints_px, person.mask, evidence.image_size, person.world_m, rgb)
    nose, left, right = (
        BLAZEPOSE33.index(name) for name in ("nose", "left_shoulder", "right_shoulder")
    )
    assert label_at(parts, *person.keypoints_px[nose, :2].tolist()) == 1 << PART_INDEX["head"]
    chest = person.keypoints_px[[left, right], :2].mean(0) + torch.tensor([0.0, 60.0])
    assert label_at(parts, *chest.tolist()) == 1 << PART_INDEX["torso"]
    feet = sum(1 << PART_INDEX[f"{side}_foot"] for side in ("left", "right"))
    assert not ((parts.allowed & feet > 0) & (parts.allowed != UNKNOWN)).any()


def test_the_grid_holds_the_person():
    keypoints, mask = figure()
    grid = grid_around(keypoints, mask)
    assert grid is not None and grid.size == (GRID, GRID)
    x0, y0, x1, y1 = grid.box_px
    assert x0 < -22 and x1 > 322
    assert y0 < 16 and y1 > 412
    cells = grid.to_cells(keypoints[:, :2])
    assert ((cells > 0) & (cells < GRID)).all()


def test_sets_of_labels():
    probability = torch.zeros(NUM_LABELS, 1, 4)
    probability[3, 0, 0] = 1.0
    probability[[2, 3], 0, 1] = 0.5
    probability[:, 0, 2] = 1 / NUM_LABELS
    probability[0, 0, 3], probability[1, 0, 3] = 0.75, 0.25
    allowed, confidence = label_sets(probability, 0.7)
    assert allowed[0].tolist() == [1 << 3, (1 << 2) | (1 << 3), UNKNOWN, 1]
    torch.testing.assert_close(confidence[0], torch.tensor([1.0, 1.0, 0.0, 0.75]))


NO_PICTURE = torch.zeros(1, PICTURE, PICTURE, 3, dtype=torch.uint8)


def test_channels():
    keypoints = torch.rand(2, 33, 3) * torch.tensor([96.0, 96.0, 1.0])
    mask, inside = torch.rand(2, GRID, GRID), torch.ones(2, GRID, GRID)
    picture = torch.randint(0, 255, (2, PICTURE, PICTURE, 3), dtype=torch.uint8)
    given = part_input(keypoints, torch.zeros(2, 33), mask, inside, picture)
    assert given.coarse.shape == (2, NUM_CHANNELS, GRID // 2, GRID // 2)
    assert given.fine.shape == (2, COLOR_CHANNELS, GRID, GRID)
    sticks = len(STICKS)
    assert (given.coarse[:, sticks : 2 * sticks] == 0).all()  # no depth is known
    keypoints[:, BLAZEPOSE33.index("left_elbow"), 2] = 0
    fewer = part_input(keypoints, torch.zeros(2, 33), mask, inside, picture).coarse
    missing = [i for i, ends in enumerate(STICKS) if ("left_elbow",) in ends]
    assert len(missing) == 2 and (fewer[:, missing] == 0).all()
    rest = [i for i in range(sticks) if i not in missing]
    torch.testing.assert_close(fewer[:, rest], given.coarse[:, rest])


def shin() -> tuple[torch.Tensor, int]:
    """Keypoints with a left shin alone, and its stick."""
    keypoints = torch.zeros(1, 33, 3)
    for name, place in (("left_knee", (20.0, 30.0)), ("left_ankle", (20.0, 70.0))):
        keypoints[0, BLAZEPOSE33.index(name)] = torch.tensor([*place, 1.0])
    return keypoints, STICKS.index((("left_knee",), ("left_ankle",)))


def test_a_stick_is_strongest_on_its_bone():
    keypoints, stick = shin()
    empty = torch.zeros(1, GRID, GRID)
    channels = part_input(keypoints, torch.zeros(1, 33), empty, empty, NO_PICTURE).coarse
    row, column = divmod(int(channels[0, stick].argmax()), GRID // 2)
    assert abs(2 * column + 1 - 20) <= 1 and 30 <= 2 * row + 1 <= 70


def leg_in_picture() -> tuple[torch.Tensor, torch.Tensor]:
    """(1, 96, 96) cells of a red leg, and its picture on noisy blue ground."""
    mask = torch.zeros(1, GRID, GRID)
    mask[:, 25:75, 14:26] = 1
    shown = mask.repeat_interleave(2, 1).repeat_interleave(2, 2) > 0
    generator = torch.Generator().manual_seed(0)
    ground = torch.randint(1, 40, (1, PICTURE, PICTURE, 3), generator=generator)
    ground[..., 2] += 180
    return mask, torch.where(shown[..., None], torch.tensor([200, 20, 20]), ground).byte()


def test_colours_along_a_stick_are_found_again():
    (keypoints, stick), (mask, picture) = shin(), leg_in_picture()
    given = part_input(keypoints, torch.zeros(1, 33), mask, torch.ones_like(mask), picture)
    likeness = torch.nn.functional.pixel_shuffle(given.coarse[:, -4 * len(STICKS) :], 2)[0, stick]
    assert likeness[mask[0] > 0].min() > 0.9
    assert likeness[mask[0] == 0].max() < 0.1


def test_darker_pictures_look_the_same():
    mask, picture = leg_in_picture()
    rest = torch.rand(1, 33, 3) * GRID, torch.zeros(1, 33), mask, torch.ones_like(mask)
    dark, bright = part_input(*rest, picture // 2), part_input(*rest, picture)
    assert (dark.fine - bright.fine).abs().mean() < 0.05
    assert (dark.coarse - bright.coarse).abs().mean() < 0.05


def test_a_black_picture_is_none():
    mask, _ = leg_in_picture()
    given = part_input(shin()[0], torch.zeros(1, 33), mask, torch.ones_like(mask), NO_PICTURE)
    assert (given.fine == 0).all() and (given.coarse[:, -4 * len(STICKS) :] == 0).all()


def test_pixels_outside_of_the_image_do_not_matter():
    mask, here = leg_in_picture()
    inside = torch.ones_like(mask)
    inside[:, :, 60:] = 0
    there = here.clone()
    there[:, :, 120:] = 77
    rest = shin()[0], torch.zeros(1, 33), mask, inside
    one, other = part_input(*rest, here), part_input(*rest, there)
    torch.testing.assert_close(one.fine, other.fine)
    torch.testing.assert_close(one.coarse, other.coarse)


def test_the_grid_cuts_its_pixels_out():
    image = np.zeros((120, 100, 3), np.uint8)
    image[40:60, 30:50] = 200
    crop = crop_of(ImageGrid((20.0, 30.0), 0.5, (GRID, GRID)), image)
    assert crop.shape == (PICTURE, PICTURE, 3)
    # 48 image pixels along a side, each 4 x 4 of the crop
    assert (crop[44:116, 44:116] == 200).all() and (crop[:36] == 0).all()
    assert (crop_of(ImageGrid((-48.0, 0.0), 0.5, (GRID, GRID)), image) == 0).all()


def random_input() -> PartInput:
    half = GRID // 2
    return PartInput(
        torch.randn(1, NUM_CHANNELS, half, half),
        torch.randn(1, COLOR_CHANNELS, GRID, GRID),
    )


@pytest.mark.parametrize("widths", [(8, 8, 16, 16), (24, 32, 64, 96)])
@pytest.mark.parametrize("more", [{}, {"refinements": 2}])
def test_networks_round_trip(widths, more, tmp_path):
    torch.manual_seed(0)
    network = PartNetwork(PartNetworkConfig(widths, 8, **more)).eval()
    info = PartNetworkInfo("command", 3, "hash", 7, {"miou": 0.5})
    save_part_network(network, info, tmp_path / "parts.safetensors")
    again, read = load_part_network(tmp_path / "parts.safetensors")
    assert read == info
    given = random_input()
    torch.testing.assert_close(again(given), network(given))
    assert network(given).shape == (1, NUM_LABELS, GRID, GRID)


def test_bad_weights(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_part_network(tmp_path / "none.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="does not hold a part parser"):
        load_part_network(tmp_path / "other.safetensors")
    size = {"widths": [8, 8, 16, 16], "fine_width": 8}
    header = {"format": "kinflow-parts-2", "config": size, "info": {}}
    path = tmp_path / "damaged.safetensors"
    save_file({"x": torch.zeros(1)}, path, {"kinflow": json.dumps(header)})
    with pytest.raises(InputError, match="damaged"):
        load_part_network(path)
    network = PartNetwork(PartNetworkConfig((4, 4, 8, 8), 4))
    save_part_network(network, PartNetworkInfo(), path)
    texts, good = read_tensors(path, what="a test")
    variance = "stem.1.running_var"
    bad = {
        "'widths' cannot be": {"config": {"widths": [4, 4, 8, 10**9], "fine_width": 4}},
        "a larger network": {"config": {"widths": [4, 4, 8, 4000], "fine_width": 4}},
        "larger network than": {"config": {"widths": [4, 4, 8, 8], "refinements": 16}},
        "'refinements' cannot be": {"config": {"widths": [4, 4, 8, 8], "refinements": 99}},
        "has shape": {"config": {"widths": [4, 4, 8, 9], "fine_width": 4}},
        "'steps' cannot be": {"info": {"steps": "many"}},
        "named values is needed": {"config": None},
    }
    for sentence, changes in bad.items():
        text = json.dumps(json.loads(texts["kinflow"]) | changes)
        write_tensors(path, good, {"kinflow": text})
        with pytest.raises(InputError, match=sentence):
            load_part_network(path)
    write_tensors(path, good | {variance: -good[variance]}, texts)
    with pytest.raises(InputError, match="negative variances"):
        load_part_network(path)
    write_tensors(path, good | {variance: 0 * good[variance]}, texts)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(InputError, match="not what its checksum says"):
        load_part_network(path)
    with pytest.raises(InputError, match="does not exist"):
        PartParser(PartParserConfig(tmp_path / "none"))(*figure())


def test_the_shipped_network_is_small_and_says_where_it_comes_from(parser):
    assert asset_path(SHIPPED).stat().st_size < 8e6
    assert parser.info.command.startswith("kinflow train parts")
    assert parser.info.data_sha256 and parser.info.metrics["miou"] > 0.4
