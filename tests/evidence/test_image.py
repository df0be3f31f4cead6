import io
import math

import numpy as np
import pytest
from PIL import Image

from kinflow.errors import InputError
from kinflow.evidence.image import MAX_PIXELS, as_photo, read_photo

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
