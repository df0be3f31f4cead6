"""Reading part maps and silhouettes: every kind of file, and a sentence for every bad one."""

import numpy as np
import pytest
from PIL import Image

from kinflow.body.part_maps import part_map
from kinflow.body.parts import ANY_PART, BACKGROUND, PART_COLORS, UNKNOWN, UNKNOWN_COLOR, part_set
from kinflow.errors import InputError
from kinflow.evidence.label_maps import LabelFolder, read_mask, read_part_map
from kinflow.evidence.part_map_files import voc_color

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
        (strange_color, "lip", r"holds the colour \(10, 20, 30\), which the palette 'lip'"),
        (strange_color, "atr", "is a colour picture, but maps of the palette 'atr' hold one id"),
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


VOC = np.array([voc_color(label) for label in range(256)], np.uint8)


def test_the_colour_map_of_voc():
    assert VOC[:6].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [128, 0, 128],
    ]
    assert VOC[255].tolist() == [224, 224, 192]


def clothes() -> np.ndarray:
    """A few ids of people's clothes."""
    values = np.zeros(SIZE[::-1], np.uint8)
    values[1:3, 2:8], values[3:6, 2:8], values[6:, 3:5] = 13, 5, 16
    return values


def with_palette(ids: np.ndarray, colors: np.ndarray) -> Image.Image:
    image = Image.fromarray(ids)
    image.putpalette(colors.astype(np.uint8).tobytes())
    return image


def shuffled(ids: np.ndarray) -> Image.Image:
    """As a program saves it that sorts the palette by its own lights."""
    used = np.unique(ids)[::-1]
    index = np.searchsorted(-used.astype(int), -ids.astype(int))
    return with_palette(index.astype(np.uint8), VOC[used])


def transparent(ids: np.ndarray) -> np.ndarray:
    return ((ids > 0) * 255).astype(np.uint8)


SPELLINGS = {
    "schp.png": lambda ids: with_palette(ids, VOC),
    "black_palette.png": lambda ids: with_palette(ids, VOC * 0),
    "grey_palette.png": lambda ids: with_palette(ids, np.repeat(np.arange(256)[:, None], 3, 1)),
    "shuffled.png": shuffled,
    "voc.png": lambda ids: Image.fromarray(VOC[ids]),
    "voc_rgba.png": lambda ids: Image.fromarray(np.dstack([VOC[ids], ids * 0 + 255])),
    "la.png": lambda ids: Image.fromarray(np.dstack([ids, transparent(ids)])),
    "rgb.png": lambda ids: Image.fromarray(np.repeat(ids[..., None], 3, 2)),
    "rgba.png": lambda ids: Image.fromarray(np.dstack([ids, ids, ids, transparent(ids)])),
    "deep.png": lambda ids: Image.fromarray(ids.astype(np.uint16)),
    "wide.tiff": lambda ids: Image.fromarray(ids.astype(np.int32)),
    "floats.tiff": lambda ids: Image.fromarray(ids.astype(np.float32)),
    "grey.BMP": Image.fromarray,
    "lossless.webp": lambda ids: Image.fromarray(np.repeat(ids[..., None], 3, 2)),
    "twice.png": lambda ids: Image.fromarray(ids.repeat(2, 0).repeat(2, 1)),
}


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("palette", ["lip", "cihp"])
def test_what_parsers_of_people_write(tmp_path, name, palette):
    expected = np.array(part_map(palette).sets)[clothes()]
    options = {"lossless": True} if name.endswith("webp") else {}
    SPELLINGS[name](clothes()).save(tmp_path / name, **options)
    np.testing.assert_array_equal(read_part_map(tmp_path / name, SIZE, part_map(palette)), expected)


def test_ids_in_three_channels_and_shuffled_colours_of_our_own(tmp_path, ids):
    expected = read_part_map(saved(tmp_path / "a.png", ids), SIZE, part_map("kinflow"))
    saved(tmp_path / "grey.png", np.repeat(ids[..., None], 3, 2))
    table = np.array([*PART_COLORS, UNKNOWN_COLOR], np.uint8)
    index = np.where(ids == 255, 15, ids).astype(np.uint8)
    with_palette(15 - index, table[::-1]).save(tmp_path / "shuffled.png")
    for name in ("grey.png", "shuffled.png"):
        sets = read_part_map(tmp_path / name, SIZE, part_map("kinflow"))
        np.testing.assert_array_equal(sets, expected)


@pytest.mark.parametrize("order", [(2, 1, 0), (0, 1, 2)])
def test_iuv_of_densepose(tmp_path, order):
    """OpenCV writes the three channels backwards."""
    charts = clothes()
    u, v = np.random.default_rng(0).integers(0, 256, (2, *charts.shape), np.uint8) * (charts > 0)
    saved(tmp_path / "iuv.png", np.dstack([charts, u, v]).astype(np.uint8)[..., order])
    sets = read_part_map(tmp_path / "iuv.png", SIZE, part_map("densepose"))
    np.testing.assert_array_equal(sets, np.array(part_map("densepose").sets)[charts])
    with pytest.raises(InputError, match="is a colour picture"):
        read_part_map(tmp_path / "iuv.png", SIZE, part_map("atr"))


# as the parsers' own code has them
GRAPHONOMY = (
    *((0, 0, 0), (128, 0, 0), (255, 0, 0), (0, 85, 0), (170, 0, 51), (255, 85, 0), (0, 0, 85)),
    *((0, 119, 221), (85, 85, 0), (0, 85, 85), (85, 51, 0), (52, 86, 128), (0, 128, 0)),
    *((0, 0, 255), (51, 170, 221), (0, 255, 255), (85, 255, 170), (170, 255, 85), (255, 255, 0)),
    (255, 170, 0),
)
RAINBOW = (
    *((110, 64, 170), (143, 61, 178), (178, 60, 178), (210, 62, 167), (238, 67, 149)),
    *((255, 78, 125), (255, 94, 99), (255, 115, 75), (255, 140, 56), (239, 167, 47)),
    *((217, 194, 49), (194, 219, 64), (175, 240, 91), (135, 245, 87), (96, 247, 96)),
    *((64, 243, 115), (40, 234, 141), (28, 219, 169), (26, 199, 194), (33, 176, 213)),
    *((47, 150, 224), (65, 125, 224), (84, 101, 214), (99, 81, 195)),
)


@pytest.mark.parametrize(
    ("palette", "colors"), [("lip", GRAPHONOMY), ("cihp", GRAPHONOMY), ("bodypix", RAINBOW)]
)
def test_colours_that_tools_draw_their_classes_in(tmp_path, palette, colors):
    table = np.full((256, 4), 255, np.uint8)
    table[: len(colors), :3] = colors
    ids = np.full((SIZE[1], SIZE[0]), 255 if palette == "bodypix" else 0, np.uint8)
    ids.ravel()[: len(colors)] = np.arange(len(colors))
    for channels in (3, 4):
        path = saved(tmp_path / "colors.png", table[ids][..., :channels])
        sets = read_part_map(path, SIZE, part_map(palette))
        np.testing.assert_array_equal(sets, np.array(part_map(palette).sets)[ids])


def test_minus_one_is_255(tmp_path):
    values = clothes().astype(np.int32)
    values[values == 0] = -1
    saved(tmp_path / "bodypix.tiff", values)
    sets = read_part_map(tmp_path / "bodypix.tiff", SIZE, part_map("bodypix"))
    assert (sets[clothes() == 0] == BACKGROUND).all()


def test_atr_has_its_own_order():
    atr = part_map("atr")
    assert len(atr.classes) == 18
    assert atr.sets[11] == part_set("head") and atr.sets[14] == part_set(
        "left_upper_arm", "left_lower_arm", "left_hand"
    )
    assert atr.sets[16] == atr.sets[255] == UNKNOWN and atr.sets[18] == 0


def photo_by_mistake(path, ids):
    noise = np.random.default_rng(0).integers(0, 256, (*ids.shape, 3), np.uint8)
    saved(path, noise)


def black_and_white(path, ids):
    saved(path, np.where(ids > 0, 255, 0).astype(np.uint8))


def fractions(path, ids):
    Image.fromarray(ids.astype(np.float32) / 255).save(path, "TIFF")


def huge_id(path, ids):
    Image.fromarray(np.where(ids == 14, 2**31 - 1, ids.astype(np.int32))).save(path, "TIFF")


def negative_id(path, ids):
    Image.fromarray(np.where(ids == 14, -7, ids.astype(np.int32))).save(path, "TIFF")


def number_19(path, ids):
    saved(path, np.where(ids == 14, 19, ids).astype(np.uint8))


@pytest.mark.parametrize(
    ("spoil", "palette", "sentence"),
    [
        (photo_by_mistake, "kinflow", "holds the colour"),
        (photo_by_mistake, "densepose", "is a colour picture"),
        (black_and_white, "lip", "is black and white, as silhouettes are.* as a silhouette"),
        (fractions, "lip", "holds fractions where ids are expected"),
        (huge_id, "lip", "holds the id 2147483647"),
        (negative_id, "lip", "holds the id -7"),
        (number_19, "atr", "holds the id 19, .* ids are 0 to 17 and 255.*in lip and in cihp"),
    ],
)
def test_more_bad_part_maps(tmp_path, ids, spoil, palette, sentence):
    path = tmp_path / "photo.png"
    spoil(path, ids)
    with pytest.raises(InputError, match=sentence) as caught:
        read_part_map(path, SIZE, part_map(palette))
    assert str(path) in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "name",
    [
        "photo.png",
        "photo.PNG",
        "Photo.png",
        "photo.jpg.png",
        "photo_mask.png",
        "photo-mask.PNG",
        "photo.tif",
        "photo.webp",
        "photo.bmp",
        "photo_mask.jpg",
        "photo.jpeg",
        "photo_alpha.png",
    ],
)
def test_names_of_masks(tmp_path, name):
    inside = np.zeros(SIZE[::-1], np.uint8)
    inside[2:6, 3:9] = 255
    Image.fromarray(inside).save(tmp_path / name)
    labels = LabelFolder(tmp_path).read(tmp_path / "photo.jpg", SIZE)
    assert not labels.one_person_each
    ((matte,), (sets,)) = labels.mattes, labels.maps
    assert ((matte >= 128) == (sets == ANY_PART)).all() and (sets == ANY_PART).any()


def test_names_of_maps_of_one_person_each(tmp_path, ids):
    for name in ("photo_0.png", "photo_1_parts.png", "photo_parts_2.tif", "photo.jpg_3.png"):
        saved(tmp_path / name, ids)
    saved(tmp_path / "photo_x.png", ids)
    labels = LabelFolder(tmp_path, part_map("kinflow")).read(tmp_path / "photo.jpg", SIZE)
    assert labels.one_person_each and len(labels.maps) == 4


def test_the_photo_itself_is_no_mask(tmp_path):
    """Photos and masks may share a folder."""
    Image.new("RGB", SIZE, (200, 100, 50)).save(tmp_path / "photo.png")
    inside = np.zeros(SIZE[::-1], np.uint8)
    inside[2:6, 3:9] = 255
    Image.fromarray(inside).save(tmp_path / "photo_mask.png")
    (sets,) = LabelFolder(tmp_path).read(tmp_path / "photo.png", SIZE).maps
    assert ((sets == ANY_PART) == (inside > 0)).all()


def test_two_files_for_one_photo_are_ambiguous(tmp_path, ids):
    for name in ("photo_mask.png", "photo-matte.png"):
        saved(tmp_path / name, ids)
    with pytest.raises(InputError, match="'photo-matte.png' and 'photo_mask.png' for the same"):
        LabelFolder(tmp_path).read("photo", SIZE)


def test_a_folder_without_any_map_says_what_it_holds(tmp_path, ids):
    folder = LabelFolder(tmp_path)
    with pytest.raises(InputError, match="no map for any .* 'a.png' .it holds no images"):
        folder.expect_any([tmp_path / "a.jpg", tmp_path / "b.jpg"])
    for name in "cdefg":
        saved(tmp_path / f"{name}.png", ids)
    with pytest.raises(InputError, match=r"\(it holds c.png, d.png, e.png and 2 more\)"):
        folder.expect_any([tmp_path / "a.jpg"])
    with pytest.raises(InputError, match="neither 'a.png' .*it holds c.png"):
        folder.read("a", SIZE)
    folder.expect_any([tmp_path / "a.jpg", tmp_path / "d.jpg"])
