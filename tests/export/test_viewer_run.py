"""The viewer's own modules, run without a browser: what they project where."""

from dataclasses import replace

import numpy as np
import pytest
from viewer_runs import CANVAS, bodies_m, needs_node, on_canvas, run_viewer

from kinflow.export.viewer import viewer_html
from kinflow.results import Reconstruction

pytestmark = needs_node


@pytest.fixture(scope="module", params=["reconstruction", "tilted"])
def shown(request, photo, tmp_path_factory) -> tuple[Reconstruction, dict]:
    """A reconstruction and what its page draws."""
    result = request.getfixturevalue(request.param)
    page = tmp_path_factory.mktemp("viewer") / "viewer.html"
    page.write_bytes(viewer_html(photo, result))
    return result, run_viewer(page, "Camera", "Side", "Back", "Top", "Camera")


def test_through_the_camera_the_bodies_lie_on_the_photo(shown):
    result, drawn = shown
    for person, points_m in zip(result.people, bodies_m(drawn), strict=True):
        expected = 2 * result.camera.project(person.vertices()).numpy()
        np.testing.assert_allclose(
            on_canvas(points_m, drawn["views"]["Camera"]), expected, atol=0.1
        )


def test_joints_lie_on_the_photo_too(shown):
    result, drawn = shown
    for person, body in zip(result.people, drawn["bodies"], strict=True):
        joints_m = np.array(body["joints"]).reshape(-1, 3)
        seen_px = on_canvas(joints_m, drawn["views"]["Camera"])
        np.testing.assert_allclose(seen_px, 2 * person.joints_px.numpy(), atol=0.1)


def test_bodies_stand_on_a_level_ground(shown):
    """Of both cameras: how high and how far apart points are is the same in the level frame."""
    result, drawn = shown
    gravity = result.only_frame.gravity
    up = np.array(gravity.up_cam if gravity else (0, -1, 0))
    points_m = np.concatenate(bodies_m(drawn))
    height_m = np.concatenate([p.vertices().numpy() for p in result.people]) @ up
    np.testing.assert_allclose(-points_m[:, 1], height_m, atol=1e-3)
    assert drawn["grid"][1] == drawn["floor"] == pytest.approx(points_m[:, 1].max(), abs=1e-5)


@pytest.mark.parametrize("name", ["Side", "Back"])
def test_views_from_around_hold_the_horizon_level(shown, name):
    _, drawn = shown
    view = drawn["views"][name]
    down = np.array(view["turned"])[:, 1]  # from the level frame to the view
    assert abs(down[0]) < 1e-6 and down[1] > 0.98
    everybody_px = on_canvas(np.concatenate(bodies_m(drawn)), view)
    assert (everybody_px > 0).all() and (everybody_px < CANVAS).all()


def test_uncertainty_is_that_of_the_joints_that_move_a_vertex(shown):
    result, drawn = shown
    for person, body in zip(result.people, drawn["bodies"], strict=True):
        expected_m = (person.model.skin_weights @ person.joint_std_m).numpy()
        np.testing.assert_allclose(body["doubts"], expected_m, atol=0.00101)


def test_alternatives_lie_where_they_would_be_seen(shown):
    result, drawn = shown
    first, second = drawn["bodies"]
    assert first["others"] == [] and [other["weight"] for other in second["others"]] == [1]
    other_m = np.array(second["others"][0]["vertices"]).reshape(-1, 3)
    (told,) = result.people[1].hypotheses
    as_person = replace(
        result.people[1], pose=told.pose, t_cam_root_m=told.t_cam_root_m, shape=told.shape
    )
    expected = 2 * result.camera.project(as_person.vertices()).numpy()
    np.testing.assert_allclose(on_canvas(other_m, drawn["views"]["Camera"]), expected, atol=0.1)
