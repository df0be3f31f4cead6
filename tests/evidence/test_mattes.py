"""Silhouettes in all the ways that tools write them: what shows is what counts."""

import cv2
import numpy as np
import pytest
from PIL import Image

from kinflow.errors import InputError
from kinflow.evidence.mattes import read_matte
from kinflow.evidence.part_map_files import voc_color

SIZE = (60, 40)
INSIDE = np.zeros((SIZE[1], SIZE[0]), bool)
INSIDE[8:32, 20:44] = True
WHITE = INSIDE.astype(np.uint8) * 255
SOFT = cv2.GaussianBlur(WHITE, (0, 0), 2)
VIRIDIS = np.array([[68, 1, 84], [253, 231, 37]], np.uint8)


def indexed(ids: np.ndarray, *colors: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(ids.astype(np.uint8))
    image.putpalette([channel for color in colors for channel in color])
    return image


def rgba(rgb: np.ndarray, alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([rgb, alpha]).astype(np.uint8))


BLACK_RGB = np.zeros((*INSIDE.shape, 3), np.uint8)
NOISE_RGB = np.random.default_rng(0).integers(0, 256, BLACK_RGB.shape, np.uint8)
OPAQUE = np.full(INSIDE.shape, 255, np.uint8)
THREE = np.where(INSIDE, 1 + (np.arange(SIZE[0]) > 30), 0)

SPELLINGS = {
    "grey": Image.fromarray(WHITE),
    "one bit": Image.fromarray(INSIDE),
    "16 bits": Image.fromarray(WHITE.astype(np.uint16) * 257),
    "16 bits of 12": Image.fromarray(INSIDE.astype(np.uint16) * 4095),
    "32 bits": Image.fromarray(INSIDE.astype(np.int32)),
    "zero and one": Image.fromarray(INSIDE.astype(np.uint8)),
    "a class of its own": Image.fromarray(INSIDE.astype(np.uint8) * 15),
    "numbers of people": Image.fromarray(THREE.astype(np.uint8)),
    "RGB": Image.fromarray(WHITE).convert("RGB"),
    "CMYK": Image.fromarray(WHITE).convert("CMYK"),
    "palette, white first": indexed(~INSIDE, (255, 255, 255), (0, 0, 0)),
    "palette, black first": indexed(INSIDE, (0, 0, 0), (255, 255, 255)),
    "palette of VOC": indexed(THREE, *(voc_color(i) for i in range(3))),
    "palette of viridis": indexed(INSIDE, *(tuple(c) for c in VIRIDIS.tolist())),
    "viridis": Image.fromarray(VIRIDIS[INSIDE.astype(int)]),
    "black on transparent": rgba(BLACK_RGB, WHITE),
    "white on transparent": rgba(BLACK_RGB + 255, WHITE),
    "a cut-out": rgba(NOISE_RGB, WHITE),
    "LA": Image.fromarray(np.dstack([OPAQUE * 0, WHITE])),
    "opaque alpha": rgba(np.dstack([WHITE] * 3), OPAQUE),
    "opaque LA": Image.fromarray(np.dstack([WHITE, OPAQUE])),
    "a cut-out on black": Image.fromarray(NOISE_RGB.clip(1) * INSIDE[..., None]),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_the_same_silhouette(tmp_path, spelling):
    path = tmp_path / ("mask.tiff" if SPELLINGS[spelling].mode in ("CMYK", "I") else "mask.png")
    SPELLINGS[spelling].save(path)
    np.testing.assert_array_equal(read_matte(path, SIZE), WHITE)


@pytest.mark.parametrize("black_is_transparent", [True, False])
def test_transparent_palette_colours(tmp_path, black_is_transparent):
    """Whichever of the colours is visible is the figure."""
    image = indexed(black_is_transparent == INSIDE, (0, 0, 0), (255, 255, 255))
    image.save(tmp_path / "mask.png", transparency=0 if black_is_transparent else 1)
    np.testing.assert_array_equal(read_matte(tmp_path / "mask.png", SIZE), WHITE)


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_jpeg_masks_ring(tmp_path, quality):
    Image.fromarray(WHITE).save(tmp_path / "mask.jpg", quality=quality)
    matte = read_matte(tmp_path / "mask.jpg", SIZE)
    np.testing.assert_array_equal(matte >= 128, INSIDE)


SOFT_SPELLINGS = {
    "grey.png": Image.fromarray(SOFT),
    "deep.png": Image.fromarray(SOFT.astype(np.uint16) * 257),
    "alpha.png": rgba(BLACK_RGB, SOFT),
    "white.webp": rgba(BLACK_RGB + 255, SOFT),
    "palette.png": indexed(SOFT, *((i, i, i) for i in range(256))),
    "rgb.bmp": Image.fromarray(np.dstack([SOFT] * 3)),
}


@pytest.mark.parametrize("name", SOFT_SPELLINGS)
def test_soft_edges_stay_soft(tmp_path, name):
    options = {"lossless": True, "exact": True} if name.endswith("webp") else {}
    SOFT_SPELLINGS[name].save(tmp_path / name, **options)
    np.testing.assert_array_equal(read_matte(tmp_path / name, SIZE), SOFT)


@pytest.mark.parametrize("size", [(30, 20), (120, 80), (61, 41), (240, 160)])
def test_masks_of_the_same_proportions_are_scaled(tmp_path, size):
    Image.fromarray(WHITE).resize(size).save(tmp_path / "mask.png")
    matte = read_matte(tmp_path / "mask.png", SIZE)
    assert matte.shape == WHITE.shape
    assert np.mean((matte >= 128) != INSIDE) < 0.05


def test_masks_of_other_proportions_are_refused(tmp_path):
    for size, sentence in (
        ((40, 40), "of the same proportions"),
        ((40, 60), "turn it as the photo"),
        ((3, 2), "save it in the photo's size"),
    ):
        Image.new("L", size).save(tmp_path / "mask.png")
        with pytest.raises(InputError, match=f"{size[0]} x {size[1]} .* 60 x 40; .*{sentence}"):
            read_matte(tmp_path / "mask.png", SIZE)


def test_a_mask_is_turned_as_its_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(WHITE).transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "mask.png", exif=exif)
    np.testing.assert_array_equal(read_matte(tmp_path / "mask.png", SIZE), WHITE)


ALMOST = OPAQUE.copy()
ALMOST[0, 0] = 0
NOTHING = {
    "black": (Image.new("L", SIZE), "shows nobody: all of its pixels are black"),
    "transparent": (Image.new("RGBA", SIZE), "shows nobody: all of its pixels are black or tr"),
    "an empty cut-out": (rgba(NOISE_RGB, OPAQUE * 0), "shows nobody"),
    "dim": (Image.fromarray(SOFT // 3), r"shows nobody: none .* \(the brightest has 8\d of 255"),
    "white": (Image.new("L", SIZE, 255), "shows a person everywhere"),
    "white but for a rim": (
        Image.fromarray(np.pad(np.full((SIZE[1] - 1, SIZE[0]), 255, np.uint8), ((1, 0), (0, 0)))),
        "shows a person everywhere",
    ),
    "white in 16 bits": (Image.new("I;16", SIZE, 65535), "shows a person everywhere"),
    "white in one bit": (Image.new("1", SIZE, 1), "shows a person everywhere"),
    "but for a pixel": (Image.fromarray(ALMOST), "shows a person everywhere"),
    "opaque and white": (Image.new("RGBA", SIZE, (255,) * 4), "shows a person everywhere"),
    "the photo itself": (Image.fromarray(NOISE_RGB // 2 + 100), "shows a person everywhere"),
    "NaN": (Image.fromarray(np.full(INSIDE.shape, np.nan, np.float32)), "not finite"),
}


@pytest.mark.parametrize("kind", NOTHING)
def test_masks_that_cannot_be_right(tmp_path, kind):
    image, sentence = NOTHING[kind]
    path = tmp_path / ("mask.tiff" if image.mode == "F" else "mask.png")
    image.save(path)
    with pytest.raises(InputError, match=sentence) as caught:
        read_matte(path, SIZE)
    assert str(path) in str(caught.value) and str(caught.value).endswith(".")
