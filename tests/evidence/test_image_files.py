"""Which kinds of image files are recognised, and what is said about those that cannot be read."""

import sys
from types import SimpleNamespace

import pytest
from PIL import Image, ImageFile

from kinflow.errors import InputError
from kinflow.evidence import image_files
from kinflow.evidence.image import read_photo
from kinflow.evidence.image_files import IMAGE_SUFFIXES, box_kind, missing_reader


def box(brand: bytes, *compatible: bytes) -> bytes:
    """The beginning of a file of ISO's base media format."""
    body = b"ftyp" + brand + b"\0\0\0\0" + b"".join(compatible)
    return (len(body) + 4).to_bytes(4, "big") + body + b"\0" * 40


HEIC = box(b"heic", b"mif1", b"heic")


class FakeHeif(ImageFile.ImageFile):
    """Takes every HEIC file for a grey picture."""

    format, format_description = "HEIF", "fake"

    def _open(self) -> None:
        self._size, self._mode, self.tile = (40, 30), "L", []

    def load(self):
        self.im = Image.new("L", self.size, 77).im
        return self.im.pixel_access(False)


@pytest.fixture
def no_plugin(monkeypatch):
    monkeypatch.setattr(image_files, "HEIF_PLUGINS", ("no_such_plugin_of_heif",))
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)


@pytest.fixture
def plugin(no_plugin, monkeypatch):
    def register_heif_opener() -> None:
        monkeypatch.setitem(
            Image.OPEN,
            "HEIF",
            (FakeHeif, lambda prefix: prefix[4:8] == b"ftyp" and b"hei" in prefix),
        )
        monkeypatch.setattr(Image, "ID", [*Image.ID, "HEIF"])

    fake = SimpleNamespace(register_heif_opener=register_heif_opener)
    monkeypatch.setitem(sys.modules, "fake_heif", fake)
    monkeypatch.setattr(image_files, "HEIF_PLUGINS", ("no_such_plugin_of_heif", "fake_heif"))


@pytest.mark.parametrize("name", ["IMG_3.HEIC", "photo.heif", "photo.jpg", "photo.png"])
def test_heic_without_a_plugin_says_what_to_install(tmp_path, no_plugin, name):
    (tmp_path / name).write_bytes(HEIC)
    with pytest.raises(InputError, match=r"HEIC image.*pip install 'kinflow\[heif\]'") as caught:
        read_photo(tmp_path / name)
    assert name in str(caught.value)


def test_heic_is_read_by_whichever_plugin_there_is(tmp_path, plugin):
    (tmp_path / "photo.jpg").write_bytes(HEIC)
    assert missing_reader(tmp_path / "photo.jpg") is None
    photo = read_photo(tmp_path / "photo.jpg")
    assert photo.size == (40, 30) and (photo.rgb == 77).all()


def test_avif_needs_a_pillow_that_knows_it(tmp_path, monkeypatch):
    (tmp_path / "photo.jpg").write_bytes(box(b"mif1", b"avif"))
    monkeypatch.setattr(image_files, "has_avif", lambda: False)
    with pytest.raises(InputError, match="photo.jpg is an AVIF image.*pip install --upgrade"):
        read_photo(tmp_path / "photo.jpg")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (HEIC, "heif"),
        (box(b"mif1", b"miaf", b"heic"), "heif"),
        (box(b"mif1", b"miaf", b"avif"), "avif"),
        (box(b"avis"), "avif"),
        (box(b"qt  "), "video"),
        (box(b"isom", b"mp41"), "video"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), None),
        (b"", None),
        (b"\xff\xff\xff\xffftyp", "video"),
    ],
)
def test_boxes_tell_what_they_are(tmp_path, head, kind):
    (tmp_path / "x").write_bytes(head)
    assert box_kind(tmp_path / "x") == kind


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("clip.mov", box(b"qt  "), "is a video, not a photo"),
        ("clip.jpg", box(b"isom"), "is a video, not a photo"),
        ("photo.dng", b"II*\0" + bytes(60), "is a raw photo; export it"),
        ("photo.CR2", b"II*\0" + bytes(60), "is a raw photo; export it"),
        ("photo.jpg", b"\xff\xd8\xff\xe0", "is damaged or incomplete"),
        ("photo.png", b"\x89PNG\r\n\x1a\n" + bytes(20), "is damaged or incomplete"),
        ("photo.webp", b"RIFF\x10\0\0\0WEBPVP8 ", "is damaged or incomplete"),
        ("photo.tif", b"II*\0" + bytes(60), "is damaged or incomplete"),
        ("photo.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not an image that can be"),
        ("photo.pdf", b"%PDF-1.7", "is not an image that can be read"),
    ],
)
def test_what_is_no_photo(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} {sentence}") as caught:
        read_photo(tmp_path / name)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000"])
def test_files_cut_short_anywhere_are_explained(tmp_path, format):
    """They may also be read, if what is missing does not matter."""
    path = tmp_path / "photo"
    Image.effect_noise((60, 40), 90).convert("RGB").save(path, format)
    whole = path.read_bytes()
    for cut in range(1, len(whole), max(1, len(whole) // 25)):
        path.write_bytes(whole[:cut])
        try:
            assert read_photo(path).size == (60, 40)
        except InputError as error:
            assert str(path) in str(error) and str(error).endswith(".")


def test_names_of_images_are_in_lower_case():
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES)
    assert {".jfif", ".jpe", ".mpo", ".jp2", ".avif", ".heic"} <= IMAGE_SUFFIXES


@pytest.mark.parametrize("name", ["a" * 400, "null\0byte.jpg", "no/such/folder.jpg"])
def test_names_that_cannot_be(name):
    with pytest.raises(InputError):
        read_photo(name)
