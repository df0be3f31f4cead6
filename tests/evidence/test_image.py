import io
import math
import struct
import tracemalloc

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, TiffImagePlugin

from kinflow.errors import InputError
from kinflow.evidence import image_files, pixels
from kinflow.evidence.image import MAX_PIXELS, as_photo, read_photo
from kinflow.evidence.image_files import has_avif

SIZE = (48, 32)  # width, height
ORIENTATION, EXIF_IFD, FOCAL_35MM = 0x0112, 0x8769, 0xA405


@pytest.fixture
def rgb() -> np.ndarray:
    """Smooth in both directions, so that JPEG keeps it."""
    x, y = np.meshgrid(np.linspace(0, 255, SIZE[0]), np.linspace(0, 255, SIZE[1]))
    return np.stack((x, y, 255 - x), axis=-1).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tiff", "gif"])
def test_formats(tmp_path, rgb, suffix):
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(rgb).save(path)
    photo = read_photo(path)
    assert photo.rgb.dtype == np.uint8
    assert photo.size == SIZE
    assert np.abs(photo.rgb.astype(int) - rgb).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, rgb, orientation):
    """Pillow's own transposition is the reference."""
    path = tmp_path / "photo.png"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(rgb).save(path, exif=exif)
    transpositions = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    method = transpositions[orientation]
    expected = Image.fromarray(rgb) if method is None else Image.fromarray(rgb).transpose(method)
    np.testing.assert_array_equal(read_photo(path).rgb, np.asarray(expected))


def test_focal_length_from_exif(tmp_path, rgb):
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[FOCAL_35MM] = 50
    path = tmp_path / "photo.jpg"
    Image.fromarray(rgb).save(path, exif=exif)
    expected = 50 / math.hypot(36, 24) * math.hypot(*SIZE)
    assert read_photo(path).focal_px == pytest.approx(expected)


@pytest.mark.parametrize("value", [0, None])
def test_unknown_focal_length(tmp_path, rgb, value):
    exif = Image.Exif()
    if value is not None:
        exif.get_ifd(EXIF_IFD)[FOCAL_35MM] = value
    path = tmp_path / "photo.jpg"
    Image.fromarray(rgb).save(path, exif=exif)
    assert read_photo(path).focal_px is None


def test_grey_alpha_sixteen_bit_and_cmyk(tmp_path, rgb):
    grey = rgb[..., 0]
    cases = {
        "grey.png": (Image.fromarray(grey), np.repeat(grey[..., None], 3, axis=2)),
        "grey16.png": (
            Image.fromarray(grey.astype(np.uint16) * 257),
            np.repeat(grey[..., None], 3, axis=2),
        ),
        "cmyk.tiff": (Image.fromarray(rgb).convert("CMYK"), rgb),
        "palette.png": (Image.fromarray(rgb).quantize(256), rgb),
    }
    for name, (image, expected) in cases.items():
        image.save(tmp_path / name)
        difference = read_photo(tmp_path / name).rgb.astype(int) - expected
        assert np.abs(difference).mean() < 8, name


def test_alpha_is_composed_over_white(tmp_path, rgb):
    alpha = np.full(rgb.shape[:2], 255, np.uint8)
    alpha[:, :10] = 0
    rgba = np.dstack((rgb, alpha))
    Image.fromarray(rgba).save(tmp_path / "photo.png")
    for photo in (read_photo(tmp_path / "photo.png"), as_photo(rgba)):
        assert (photo.rgb[:, :10] == 255).all()
        np.testing.assert_array_equal(photo.rgb[:, 10:], rgb[:, 10:])


def test_arrays(rgb):
    assert as_photo(rgb).rgb is not None
    assert as_photo(rgb[..., 0]).rgb.shape == rgb.shape
    np.testing.assert_array_equal(as_photo(rgb.astype(np.uint16) * 256).rgb, rgb)
    with pytest.raises(InputError, match="uint8"):
        as_photo(rgb / 255.0)
    with pytest.raises(InputError, match="height, width"):
        as_photo(np.zeros((32, 32, 2), np.uint8))
    with pytest.raises(InputError, match="2 x 2 pixels"):
        as_photo(np.zeros((2, 2, 3), np.uint8))


def jpeg_bytes(rgb: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG")
    return buffer.getvalue()


def test_bad_files(tmp_path, rgb):
    whole = jpeg_bytes(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    files = {
        "empty.jpg": (b"", "empty"),
        "text.jpg": (b"this is not an image", "not an image"),
        "truncated.jpg": (whole[: len(whole) // 2], "damaged"),
    }
    for name, (content, message) in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message) as caught:
            read_photo(tmp_path / name)
        assert name in str(caught.value)
    with pytest.raises(InputError, match="does not exist"):
        read_photo(tmp_path / "missing.jpg")
    with pytest.raises(InputError, match="directory"):
        read_photo(tmp_path)
    Image.new("RGB", (1, 1)).save(tmp_path / "tiny.png")
    with pytest.raises(InputError, match="1 x 1 pixels"):
        read_photo(tmp_path / "tiny.png")


def test_huge_image_is_refused_before_decoding(tmp_path):
    side = math.isqrt(MAX_PIXELS) + 100
    Image.new("1", (side, side)).save(tmp_path / "huge.png")
    with pytest.raises(InputError, match="million"):
        read_photo(tmp_path / "huge.png")


def test_fifty_megapixels(tmp_path):
    Image.new("L", (8700, 5800), 77).save(tmp_path / "large.png")
    photo = read_photo(tmp_path / "large.png")
    assert photo.size == (8700, 5800)
    assert (photo.rgb[::500, ::500] == 77).all()


@pytest.mark.parametrize(
    ("suffix", "format", "options"),
    [
        ("jfif", "JPEG", {}),
        ("jpe", "JPEG", {}),
        ("JPG", "JPEG", {}),
        ("mpo", "MPO", {"save_all": True}),
        ("jp2", "JPEG2000", {}),
        ("j2k", "JPEG2000", {"no_jp2": True}),
        ("avif", "AVIF", {}),
        # the content counts, not the name
        ("jpg", "PNG", {}),
        ("png", "WEBP", {}),
        ("heic", "JPEG", {}),
    ],
)
def test_more_formats(tmp_path, rgb, suffix, format, options):
    if format == "AVIF" and not has_avif():
        pytest.skip("this Pillow has no AVIF")
    path = tmp_path / f"photo.{suffix}"
    image = Image.fromarray(rgb)
    if format == "MPO":
        options = {**options, "append_images": [Image.new("RGB", SIZE)]}
    image.save(path, format, **options)
    photo = read_photo(path)
    assert np.abs(photo.rgb.astype(int) - rgb).mean() < 6
    assert photo.notes == ()


def lab(image: Image.Image) -> Image.Image:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.applyTransform(image, ImageCms.buildTransform(*profiles, "RGB", "LAB"))


MODES = {
    "1": lambda image: image.convert("1"),
    "L": lambda image: image.convert("L"),
    "P": lambda image: image.quantize(256),
    "RGBA": lambda image: image.convert("RGBA"),
    "LA": lambda image: image.convert("LA"),
    "La": lambda image: image.convert("LA").convert("La"),
    "RGBa": lambda image: image.convert("RGBA").convert("RGBa"),
    "CMYK": lambda image: image.convert("CMYK"),
    "YCbCr": lambda image: image.convert("YCbCr"),
    "HSV": lambda image: image.convert("HSV"),
    "LAB": lab,
    "I": lambda image: image.convert("L").convert("I"),
    "F": lambda image: image.convert("L").convert("F"),
    "I;16": lambda image: Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("strip_pixels", [5 * SIZE[0], 1 << 22])
def test_every_mode_in_strips_and_at_once(rgb, mode, strip_pixels, monkeypatch):
    monkeypatch.setattr(pixels, "STRIP_PIXELS", strip_pixels)
    image = MODES[mode](Image.fromarray(rgb))
    assert image.mode == mode
    grey = mode[0] in "1LIF" and mode != "LAB"
    expected = np.asarray(Image.fromarray(rgb).convert("L").convert("RGB")) if grey else rgb
    if mode == "1":
        expected = np.asarray(image.convert("RGB"))
    photo = as_photo(image)
    assert np.abs(photo.rgb.astype(int) - expected).mean() < 8


@pytest.mark.parametrize(
    "step",
    [1, 16, 257],  # 8-bit values, a camera of 12 bits, all 16
)
@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bit_files_of_any_depth(tmp_path, rgb, step, suffix):
    grey = rgb[..., 0]
    Image.fromarray(grey.astype(np.uint16) * step).save(tmp_path / f"grey.{suffix}")
    np.testing.assert_array_equal(read_photo(tmp_path / f"grey.{suffix}").rgb[..., 1], grey)


def test_colour_of_sixteen_bits_that_holds_eight(tmp_path, rgb):
    """Pillow keeps the high bytes, in which there is nothing."""
    cv2.imwrite(str(tmp_path / "deep.png"), rgb[..., ::-1].astype(np.uint16))
    np.testing.assert_array_equal(read_photo(tmp_path / "deep.png").rgb, rgb)
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros_like(rgb, np.uint16))
    assert not read_photo(tmp_path / "black.png").rgb.any()


def test_fractions(tmp_path, rgb):
    grey = rgb[..., 0].astype(np.float32)
    for name, scale in (("unit.tiff", 1 / 255), ("bytes.tiff", 1.0), ("words.tiff", 257.0)):
        Image.fromarray(grey * np.float32(scale)).save(tmp_path / name)
        assert np.abs(read_photo(tmp_path / name).rgb[..., 0].astype(int) - grey).max() <= 1
    for bad, sentence in ((np.nan, "not finite"), (-5.0, "no colours"), (1e9, "no colours")):
        spoilt = grey.copy()
        spoilt[3, 3] = bad
        Image.fromarray(spoilt).save(tmp_path / "bad.tiff")
        with pytest.raises(InputError, match=f"bad.tiff.*{sentence}"):
            read_photo(tmp_path / "bad.tiff")


def test_sixteen_bits_are_not_copied_to_wide_integers(tmp_path):
    side = 4000
    Image.new("I;16", (side, side), 40000).save(tmp_path / "large.png")
    tracemalloc.start()
    photo = read_photo(tmp_path / "large.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (photo.rgb[::200, ::200] == 156).all()
    assert peak < 5 * side**2  # 3 for the result


def test_formats_with_greedy_decoders_have_a_lower_limit(tmp_path, monkeypatch):
    Image.new("RGB", (64, 64)).save(tmp_path / "photo.webp")
    Image.new("RGB", (64, 64)).save(tmp_path / "photo.png")
    monkeypatch.setitem(image_files.MAX_PIXELS_OF_FORMAT, "WEBP", 64 * 63)
    assert read_photo(tmp_path / "photo.png").size == (64, 64)
    with pytest.raises(InputError, match="photo.webp has 64 x 64 pixels.* a WEBP file"):
        read_photo(tmp_path / "photo.webp")


def test_animations_give_their_first_picture_and_say_so(tmp_path, rgb):
    first, second = Image.fromarray(rgb), Image.new("RGB", SIZE)
    for suffix in ("gif", "webp", "png", "tiff"):
        path = tmp_path / f"moving.{suffix}"
        first.save(path, save_all=True, append_images=[second])
        photo = read_photo(path)
        assert np.abs(photo.rgb.astype(int) - rgb).mean() < 8
        (note,) = photo.notes
        assert path.name in note and "the first one is used" in note


def exif_entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")[:4]


@pytest.mark.parametrize(
    ("kind", "count", "value", "orientation"),
    [
        (3, 1, struct.pack("<H", 6), 6),
        (4, 1, struct.pack("<I", 6), 6),
        (1, 1, b"\6", 6),
        (7, 1, b"\6", 6),
        (7, 2, b"\0\6", 6),
        (2, 2, b"6\0", 6),
        (2, 4, b"abc\0", 1),
        (11, 1, struct.pack("<f", 6.0), 6),
        (11, 1, struct.pack("<f", math.nan), 1),
        (3, 1, struct.pack("<H", 9), 1),
        (3, 1, struct.pack("<H", 65535), 1),
        (9, 1, struct.pack("<i", -6), 1),
        (3, 2, struct.pack("<HH", 6, 1), 6),
        (5, 1, b"\xff\xff\xff\x7f", 1),  # a rational that lies beyond the block
        (99, 1, b"\6", 1),
        (3, 2**31, b"\6", 1),
    ],
)
def test_odd_orientations_never_lose_a_photo(tmp_path, rgb, kind, count, value, orientation):
    entry = exif_entry(ORIENTATION, kind, count, value)
    block = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + b"\0\0\0\0"
    path = tmp_path / "photo.jpg"
    Image.fromarray(rgb).save(path, exif=block)
    assert read_photo(path).size == (SIZE[::-1] if orientation == 6 else SIZE)


@pytest.mark.parametrize(
    ("value", "focal_35mm"),
    [
        ("24", 24),
        ("24 mm", 24),
        ("abc", None),
        (b"24", 24),
        (b"\0\1", None),
        ((24,), 24),
        ((48, 2), 24),
        ((24, 35), None),
        ((24, 0), None),
        ((1, 2, 3), None),
        (TiffImagePlugin.IFDRational(24, 0), None),
        (TiffImagePlugin.IFDRational(24, 1), 24),
        (math.nan, None),
        (math.inf, None),
        (-24, None),
        (10**400, None),
        (None, None),
        ({}, None),
    ],
)
def test_odd_focal_lengths_never_lose_a_photo(value, focal_35mm):
    image = Image.new("RGB", SIZE)
    image.getexif().get_ifd(EXIF_IFD)[FOCAL_35MM] = value
    photo = as_photo(image)
    expected = focal_35mm and focal_35mm / math.hypot(36, 24) * math.hypot(*SIZE)
    assert photo.focal_px == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("cut", [9, 14, 20, 40, 60])
def test_damaged_exif_blocks_never_lose_a_photo(tmp_path, rgb, cut):
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010F] = 6, "a maker with a long name" * 5
    exif.get_ifd(EXIF_IFD)[FOCAL_35MM] = 24
    Image.fromarray(rgb).save(tmp_path / "photo.jpg", exif=exif.tobytes()[:cut])
    assert sorted(read_photo(tmp_path / "photo.jpg").size) == sorted(SIZE)


def test_other_arrays(rgb):
    deep = rgb.astype(np.uint16)
    for image in (
        deep,  # 8-bit values in 16 bits
        deep * 256,
        rgb.astype(np.int64),
        rgb.tolist(),
        torch.from_numpy(rgb),
        Image.fromarray(rgb),
        np.asfortranarray(rgb),
        rgb[::-1, ::-1][::-1, ::-1],
    ):
        np.testing.assert_array_equal(as_photo(image).rgb, rgb)
    flipped = rgb[:, ::-1]
    flipped.flags.writeable = False
    np.testing.assert_array_equal(as_photo(flipped).rgb, rgb[:, ::-1])
    rgba = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])[::-1]
    np.testing.assert_array_equal(as_photo(rgba).rgb, rgb[::-1])
    assert as_photo(rgb[..., 0].astype(np.uint16) * 16).rgb.max() > 200


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda rgb: rgb / 255, "0 to 1, so convert it with"),
        (lambda rgb: rgb.astype(float), "0 to 255, so convert it with"),
        (lambda rgb: rgb / 127.5 - 1, "-1 to 1"),
        (lambda rgb: np.where(rgb > 99, np.nan, rgb), "NaN"),
        (lambda rgb: rgb > 99, "not bool; give the photo itself"),
        (lambda rgb: rgb.astype(np.int64) - 5, "not -5 to 250"),
        (lambda rgb: rgb.astype(np.int64) * 1000, "not 0 to 255000"),
        (lambda rgb: rgb.transpose(2, 0, 1), "move the channels to the end"),
        (lambda rgb: rgb[None], r"not \(1, 32, 48, 3\)"),
        (lambda rgb: [[1, 2], [3]], "type list cannot be read"),
        (lambda rgb: torch.from_numpy(rgb / 255.0).requires_grad_(), "type Tensor cannot be read"),
        (lambda rgb: None, "not"),
        (lambda rgb: 5, r"not \(\)"),
        (lambda rgb: np.full((32, 32), "a"), "uint8 or uint16"),
        (lambda rgb: Image.new("RGB", (4, 4)), "4 x 4 pixels"),
    ],
)
def test_images_that_cannot_be(rgb, spoil, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        as_photo(spoil(rgb))
    assert str(caught.value).endswith(".")
