"""Numbers that cannot be right are never called `ok`, and what can be right is left alone."""

from dataclasses import replace

import pytest
import torch

from kinflow.fitting.plausibility import what_cannot_be_right
from kinflow.geometry import Camera


def moved(evidence, scale: float, shift_px: float = 0.0):
    """The same people with keypoints in other units, or at another place."""

    def move(person):
        keypoints = person.keypoints_px * torch.tensor([scale, scale, 1.0])
        keypoints = keypoints + torch.tensor([shift_px, 0.0, 0.0])
        box = person.box_px * scale + torch.tensor([shift_px, 0.0, shift_px, 0.0])
        return replace(person, keypoints_px=keypoints, box_px=box)

    return replace(evidence, people=tuple(map(move, evidence.people)))


@pytest.mark.parametrize(
    ("scale", "shift_px", "sentence"),
    [
        (1 / 1200, 0.0, "m away"),  # normalised coordinates taken for pixels
        (1.0, 4000.0, "limb keypoints outside of the image"),  # another image's
        (1 / 50, 0.0, "pixels large"),
    ],
)
def test_keypoints_of_other_units_or_images(fitter, make_scene, camera, scale, shift_px, sentence):
    scene = make_scene((0.0, 90.0))
    for person in fitter.fit(moved(scene.evidence, scale, shift_px), camera).people:
        assert person.code == "implausible"
        assert sentence in what_cannot_be_right(person)


def test_an_absurd_focal_length(fitter, make_scene, camera):
    (person,) = fitter.fit(make_scene((0.0,)).evidence, replace(camera, focal_px=3e5)).people
    assert person.code == "implausible" and "m away" in what_cannot_be_right(person)


def test_small_or_cut_off_people_are_left_alone(fitter, make_scene, camera):
    small = Camera.from_fov((64, 48), 55.0)
    (person,) = fitter.fit(make_scene((0.0,), noise_px=0.1, camera=small).evidence, small).people
    assert what_cannot_be_right(person) == ""
    (person,) = fitter.fit(moved(make_scene((0.0,)).evidence, 1.0, 550.0), camera).people
    assert what_cannot_be_right(person) == "" and person.code != "implausible"
