"""Finding the photo behind a result, and turning it upright."""

import io
from dataclasses import replace

import numpy as np
import pytest
from kinflow_import.pictures import find_source, orientation, photo_of_viewer, upright
from kinflow_import.result import read
from made_results import corners, write_photo_result
from PIL import Image, ImageOps


def jpeg(held: int | None, picture: np.ndarray) -> bytes:
    exif, stream = Image.Exif(), io.BytesIO()
    if held is not None:
        exif[0x010F] = "a camera"
        exif[0x0112] = held
    Image.fromarray(picture).save(stream, "JPEG", exif=exif, quality=95)
    return stream.getvalue()


@pytest.mark.parametrize("held", range(1, 9))
def test_photos_are_turned_as_pillow_turns_them(held):
    data = jpeg(held, corners())
    assert orientation(data) == held
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
        stored = np.asarray(image)
    np.testing.assert_array_equal(upright(stored, held), expected)


@pytest.mark.parametrize("data", [b"", b"\x89PNG", jpeg(None, corners()), jpeg(6, corners())[:30]])
def test_photos_that_say_nothing_are_upright(data):
    assert orientation(data) == 1


def test_damaged_exif_never_raises():
    data = bytearray(jpeg(6, corners())[:200])
    rng = np.random.default_rng(0)
    for _ in range(2000):
        broken = data.copy()
        for at in rng.integers(2, len(data), 4):
            broken[at] = rng.integers(256)
        assert 1 <= orientation(bytes(broken)) <= 8


def test_a_photo_is_found_by_its_name_beside_the_result(tmp_path):
    write_photo_result(tmp_path)
    path, same = find_source(read(tmp_path / "held"))
    assert path == tmp_path / "held.jpg" and same
    path.unlink()
    assert find_source(read(tmp_path / "held")) == (None, False)


def test_a_photo_that_changed_is_told(tmp_path):
    write_photo_result(tmp_path)
    marker = tmp_path / "held" / ".kinflow"
    text = marker.read_text()
    assert '"photo_sha256"' not in text
    marker.write_text(text.rstrip().rstrip("}") + f', "photo_sha256": "{"0" * 64}"}}')
    assert find_source(read(tmp_path / "held")) == (tmp_path / "held.jpg", False)


def test_numbered_images_are_found_by_pattern_and_folder(tmp_path):
    write_photo_result(tmp_path)
    (tmp_path / "frames").mkdir()
    for i in (7, 8, 12):
        (tmp_path / "frames" / f"{i:05d}.png").write_bytes(b"")
    result = read(tmp_path / "held")
    for source in ("frames/%05d.png", "frames"):
        found = find_source(replace(result, source=source))
        assert found == (tmp_path / "frames" / "00007.png", True)


def test_the_viewer_holds_the_upright_photo(tmp_path):
    write_photo_result(tmp_path)
    data = photo_of_viewer(tmp_path / "held")
    assert data is not None
    picture = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    assert picture.shape == (320, 240, 3)
    assert np.abs(picture[30, 30] - [255, 0, 0]).max() < 20
    assert photo_of_viewer(tmp_path) is None
