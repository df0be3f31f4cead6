"""What a program calls: arrays, paths, own evidence, own camera."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import kinflow
from kinflow.errors import InputError
from kinflow.evidence.image import read_photo
from kinflow.geometry.pinhole import Camera

ORIENTATION, EXIF_IFD, FOCAL_35MM = 0x0112, 0x8769, 0xA405


def joints(result: kinflow.Reconstruction) -> torch.Tensor:
    (person,) = result.people
    return person.joints_cam_m


def test_a_path_gives_the_same_people_as_its_pixels(
    reconstructor, astronaut_rgb, astronaut_result, tmp_path
):
    path = tmp_path / "photo.png"
    Image.fromarray(astronaut_rgb).save(path)
    result = reconstructor(path)
    torch.testing.assert_close(joints(result), joints(astronaut_result), atol=0, rtol=0)
    assert result.source == str(path)
    assert astronaut_result.source == ""


def test_a_photo_that_exif_turns_equals_the_upright_one(
    reconstructor, astronaut_rgb, astronaut_result, tmp_path
):
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # the viewer has to turn it clockwise
    turned = Image.fromarray(astronaut_rgb).transpose(Image.Transpose.ROTATE_90)
    turned.save(path, exif=exif)
    torch.testing.assert_close(joints(reconstructor(path)), joints(astronaut_result))


@pytest.mark.parametrize(("kind", "tolerance_m"), [("L", 0.12), ("CMYK", 0.08)])
def test_grey_and_cmyk_photos_show_the_same_person(
    reconstructor, astronaut_rgb, astronaut_result, tmp_path, kind, tolerance_m
):
    path = tmp_path / "photo.tiff"
    Image.fromarray(astronaut_rgb).convert(kind).save(path)
    moved_m = joints(reconstructor(path)) - joints(astronaut_result)
    relative_m = moved_m - moved_m[:1]
    assert float(relative_m.norm(dim=-1).mean()) < tolerance_m


def test_alpha_and_16_bits_change_nothing(reconstructor, astronaut_rgb, astronaut_result):
    opaque = np.full((*astronaut_rgb.shape[:2], 1), 255, np.uint8)
    for array in (
        np.concatenate([astronaut_rgb, opaque], axis=2),
        astronaut_rgb.astype(np.uint16) * 257,
    ):
        torch.testing.assert_close(joints(reconstructor(array)), joints(astronaut_result))


def test_reconstruct_gives_a_list_of_people(astronaut_rgb, astronaut_result):
    (person,) = kinflow.reconstruct(astronaut_rgb)
    torch.testing.assert_close(person.joints_cam_m, joints(astronaut_result))


def test_nobody_in_view(reconstructor):
    assert reconstructor(np.full((240, 320, 3), 128, np.uint8)).people == ()


def test_the_camera_of_the_options_or_the_file(tmp_path, astronaut_rgb):
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[FOCAL_35MM] = 50
    Image.fromarray(astronaut_rgb).save(path, exif=exif)
    photo = read_photo(path)

    def focal_px(**options: float) -> float:
        config = kinflow.ReconstructorConfig(**options)
        return kinflow.Reconstructor(config).camera(photo).focal_px

    diagonal_px = 512 * 2**0.5
    assert focal_px() == pytest.approx(50 / 43.267 * diagonal_px, rel=1e-4)
    assert focal_px(fov_deg=90.0) == pytest.approx(256)
    assert focal_px(fov_deg=90.0, focal_px=600.0) == 600
    without = kinflow.Reconstructor().camera(replace(photo, focal_px=None))
    assert without.focal_px == pytest.approx(256 / np.tan(np.radians(55) / 2))


def test_a_camera_and_evidence_of_ones_own(reconstructor, astronaut_rgb, astronaut_result):
    camera = Camera(900.0, (250.0, 260.0), (512, 512))
    evidence = reconstructor.detector.detect(astronaut_rgb)
    result = reconstructor(astronaut_rgb, evidence=evidence, camera=camera)
    assert result.camera == camera == result.people[0].camera
    ratio = joints(result)[0, 2] / joints(astronaut_result)[0, 2]
    assert float(ratio) == pytest.approx(900 / astronaut_result.camera.focal_px, rel=0.25)


def test_at_most_so_many_people(reconstructor, astronaut_rgb):
    pair = np.concatenate([astronaut_rgb, astronaut_rgb[:, ::-1]], axis=1)
    evidence = reconstructor.detector.detect(pair)
    assert len(evidence.people) == 2
    one = kinflow.Reconstructor(kinflow.ReconstructorConfig(max_people=1))
    assert len(one(pair, evidence=evidence).people) == 1
    assert len(reconstructor.detector.detect(pair, max_people=1).people) == 1


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3), np.uint8), "4 x 4 pixels"),
        (np.zeros((64, 64, 3), np.float32), "uint8 or uint16"),
        (np.zeros((64, 64, 5), np.uint8), "height, width"),
        (Path("no-such-photo.jpg"), "does not exist"),
    ],
)
def test_bad_images(reconstructor, image, message):
    with pytest.raises(InputError, match=message):
        reconstructor(image)


def test_bad_options():
    for options in ({"device": "abacus"}, {"max_people": 0}):
        with pytest.raises(InputError):
            kinflow.Reconstructor(kinflow.ReconstructorConfig(**options))


def test_the_package_offers_what_it_names():
    for name in kinflow.__all__:
        assert getattr(kinflow, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'recontsruct'"):
        _ = kinflow.recontsruct  # pyright: ignore[reportAttributeAccessIssue]
