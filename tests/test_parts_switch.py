"""One switch decides whether body parts are looked for and used: `ReconstructorConfig.parts`."""

from dataclasses import fields

import pytest

import kinflow
from kinflow.evidence.detector import DetectorConfig
from kinflow.fitting.photo import PhotoFitConfig


@pytest.fixture(scope="module")
def without_parts() -> kinflow.Reconstructor:
    """With an outline that somebody wants for themselves."""
    detector = DetectorConfig(silhouette=True)
    return kinflow.Reconstructor(kinflow.ReconstructorConfig(parts=False, detector=detector))


def test_on_parts_are_found_and_used(reconstructor, astronaut_rgb, astronaut_result):
    (seen,) = reconstructor.detector.detect(astronaut_rgb).people
    (person,) = astronaut_result.people
    assert seen.parts is not None
    assert person.part_iou is not None and "parts" in person.energy


def test_off_parts_are_not_even_looked_for(without_parts, astronaut_rgb):
    (seen,) = without_parts.detector.detect(astronaut_rgb).people
    (person,) = without_parts(astronaut_rgb).people
    assert seen.parts is None and seen.mask is not None
    assert person.part_iou is None and "parts" not in person.energy
    assert "parser" not in vars(without_parts.detector)


def test_off_parts_that_are_handed_in_are_left_alone(reconstructor, without_parts, astronaut_rgb):
    evidence = reconstructor.detector.detect(astronaut_rgb)
    (person,) = without_parts(astronaut_rgb, evidence=evidence).people
    assert person.part_iou is None and person.code != "no_parts"


def test_no_other_option_contradicts_it():
    names = [field.name for kind in (DetectorConfig, PhotoFitConfig) for field in fields(kind)]
    assert [name for name in names if "parts" in name] == ["min_parts_px", "parts"]
    assert not isinstance(PhotoFitConfig().parts, bool), "how they are aligned, not whether"
