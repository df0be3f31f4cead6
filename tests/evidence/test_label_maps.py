"""Reading part maps and silhouettes: every kind of file, and a sentence for every bad one."""

import numpy as np
import pytest
from PIL import Image

from kinflow.body.part_maps import part_map
from kinflow.body.parts import PART_COLORS, UNKNOWN_COLOR
from kinflow.errors import InputError
from kinflow.evidence.label_maps import LabelFolder, read_mask, read_part_map
from kinflow.evidence.types import ANY_PART, BACKGROUND, UNKNOWN

SIZE = (12, 8)


@pytest.fixture
def ids() -> np.ndarray:
    """Every part of kinflow's, then unknown pixels, then background."""
    values = np.zeros(SIZE[0] * SIZE[1], np.uint8)
    values[:16] = [*range(15), 255]
    return values.reshape(SIZE[1], SIZE[0])


def saved(path, array: np.ndarray, mode: str | None = None):
    image = Image.fromarray(array)
    if mode == "P":
        image.putpalette(np.random.default_rng(0).integers(0, 255, 768, np.uint8).tobytes())
    elif mode is not None:
        image = image.convert(mode)
    image.save(path)
    return path


def test_ids_become_their_sets(tmp_path, ids):
    sets = read_part_map(saved(tmp_path / "a.png", ids), SIZE, part_map("kinflow"))
    assert sets.ravel()[:16].tolist() == [*(1 << k for k in range(15)), UNKNOWN]
    assert (sets.ravel()[16:] == BACKGROUND).all()


@pytest.mark.parametrize("palette", ["kinflow", "lip"])
def test_all_spellings_of_ids_are_the_same(tmp_path, ids, palette):
    expected = read_part_map(saved(tmp_path / "a.png", ids), SIZE, part_map(palette))
    spellings = {"P": ids, "16": ids.astype(np.uint16)}
    if palette != "kinflow":  # there, three channels are colours
        spellings |= {"RGB": np.repeat(ids[..., None], 3, 2), "LA": np.dstack([ids, ids * 0 + 255])}
    for mode, array in spellings.items():
        path = saved(tmp_path / f"{mode}.png", array, "P" if mode == "P" else None)
        np.testing.assert_array_equal(read_part_map(path, SIZE, part_map(palette)), expected)


@pytest.mark.parametrize("channels", [3, 4])
def test_colors_say_the_same_as_ids(tmp_path, ids, channels):
    table = np.zeros((256, 4), np.uint8)
    table[:15, :3], table[255, :3], table[:, 3] = PART_COLORS, UNKNOWN_COLOR, 255
    path = saved(tmp_path / "colors.png", table[ids][..., :channels])
    by_id = read_part_map(saved(tmp_path / "ids.png", ids), SIZE, part_map("kinflow"))
    np.testing.assert_array_equal(read_part_map(path, SIZE, part_map("kinflow")), by_id)


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "P", "RGBA", "LA"])
def test_masks_of_every_mode(tmp_path, mode):
    inside = np.zeros((SIZE[1], SIZE[0]), bool)
    inside[2:5, 3:9] = True
    grey = (inside * 255).astype(np.uint8) if mode in "1RGBA" else inside.astype(np.uint8)
    if mode in ("RGBA", "LA"):  # a cut-out: whatever is transparent does not count
        channels = [np.full_like(grey, 90)] * (len(mode) - 1)
        path = saved(tmp_path / "cut.png", np.dstack([*channels, inside * np.uint8(255)]))
    else:
        path = saved(tmp_path / "mask.png", grey, mode)
    sets = read_mask(path, SIZE)
    assert set(sets[inside]) == {ANY_PART}
    assert set(sets[~inside]) == {BACKGROUND}


def wrong_size(path, ids):
    saved(path, ids[:, 1:])


def strange_id(path, ids):
    saved(path, np.where(ids == 14, 77, ids).astype(np.uint8))


def strange_large_id(path, ids):
    saved(path, np.where(ids == 14, 1000, ids.astype(np.uint16)))


def strange_color(path, ids):
    saved(path, np.dstack([ids * 0 + 10, ids * 0 + 20, ids * 0 + 30]))


def background_only(path, ids):
    saved(path, ids * 0)


def damaged(path, ids):
    saved(path, np.random.default_rng(0).integers(0, 15, ids.shape, np.uint8))
    path.write_bytes(path.read_bytes()[:80])


def jpeg(path, ids):
    Image.fromarray(ids).save(path, "JPEG")


@pytest.mark.parametrize(
    ("spoil", "palette", "sentence"),
    [
        (wrong_size, "kinflow", "has 11 x 8 pixels but the upright photo has 12 x 8"),
        (strange_id, "kinflow", "holds the id 77, which the palette 'kinflow' does not have"),
        (strange_large_id, "kinflow", "holds the id 1000, which the palette 'kinflow'"),
        (strange_id, "pascal-person-part", "holds the ids 7, 8, 9, 10, 11 and 3 more, which the"),
        (strange_color, "kinflow", r"holds the colour \(10, 20, 30\)"),
        (strange_color, "lip", "is a colour picture, but maps of the palette 'lip' hold one id"),
        (background_only, "kinflow", "shows nobody: all of it is background"),
        (damaged, "kinflow", "is damaged or incomplete"),
        (jpeg, "kinflow", "is not a PNG file but JPEG, which .* save maps as PNG"),
    ],
)
def test_bad_part_maps(tmp_path, ids, spoil, palette, sentence):
    spoil(tmp_path / "photo.png", ids)
    with pytest.raises(InputError, match=sentence) as caught:
        LabelFolder(tmp_path, part_map(palette)).read("photo", SIZE)
    assert str(tmp_path / "photo.png") in str(caught.value)
    assert str(caught.value).endswith(".")


def test_bad_masks(tmp_path, ids):
    for spoil, sentence in (
        (wrong_size, "has 11 x 8 pixels"),
        (background_only, "shows nobody: all of its pixels are black"),
        (damaged, "is damaged"),
    ):
        spoil(tmp_path / "photo.png", ids)
        with pytest.raises(InputError, match=sentence):
            LabelFolder(tmp_path).read("photo", SIZE)


def test_unknown_pixels_alone_are_no_error(tmp_path, ids):
    path = saved(tmp_path / "photo.png", ids * 0 + 255)
    assert (read_part_map(path, SIZE, part_map("densepose")) == UNKNOWN).all()


def test_the_file_of_everybody_counts_alone(tmp_path, ids):
    saved(tmp_path / "photo_0.png", ids)
    saved(tmp_path / "photo_12.png", ids)
    saved(tmp_path / "photo_b.png", ids)
    saved(tmp_path / "another_0.png", ids)
    each = LabelFolder(tmp_path).read("photo", SIZE)
    assert each.one_person_each
    assert len(each.maps) == 2
    saved(tmp_path / "photo.png", ids)
    everybody = LabelFolder(tmp_path).read("photo", SIZE)
    assert not everybody.one_person_each
    assert len(everybody.maps) == 1
    # photo_12.jpg has a map of its own, which is of everybody in that photo
    assert not LabelFolder(tmp_path).read("photo_12", SIZE).one_person_each


def test_no_folder_and_no_file(tmp_path, ids):
    with pytest.raises(InputError, match="is not a folder"):
        LabelFolder(tmp_path / "nowhere")
    with pytest.raises(InputError, match="neither 'photo.png' nor 'photo_0.png'"):
        LabelFolder(tmp_path).read("photo", SIZE)
