"""overlay.png, the side view and viewer.html."""

import base64
import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hand_made_people import make_person

from kinflow.assets import ASSET_ROOT
from kinflow.body.model import BodyModel
from kinflow.body.parts import BACKGROUND, PART_COLORS, PART_INDEX, UNKNOWN, part_set
from kinflow.evidence.types import PartLabels
from kinflow.export.bodies import Bodies
from kinflow.export.colors import PALETTE, person_color, to_linear
from kinflow.export.overlay import bodies_layer, draw_overlay
from kinflow.export.painter import PaintStyle, paint
from kinflow.export.parts_seen import draw_parts_seen
from kinflow.export.side_view import beside, draw_side_view
from kinflow.export.viewer import viewer_html
from kinflow.export.viewer_page import SCRIPTS, quantised
from kinflow.export.writer import png_bytes
from kinflow.geometry.image_grid import ImageGrid
from kinflow.results import Floor, Gravity, Reconstruction

PLAIN = PaintStyle(opacity=1.0, outline_px=0.5)


@pytest.fixture(scope="module")
def bodies(reconstruction) -> Bodies:
    return Bodies.of(reconstruction.people)


def nearest_color(image: np.ndarray) -> np.ndarray:
    """Hue class of each pixel: 0 and 1 for the first two people, by the ratio of channels."""
    image = image.astype(float)
    unit = image / np.linalg.norm(image, axis=-1, keepdims=True).clip(1)
    palette = np.array(PALETTE[:2], float)
    palette /= np.linalg.norm(palette, axis=-1, keepdims=True)
    return (unit @ palette.T).argmax(-1)


def eroded(mask) -> np.ndarray:
    return cv2.erode(np.asarray(mask, np.uint8), np.ones((9, 9), np.uint8)) > 0


def test_overlay_colors_the_silhouettes_and_nothing_else(reconstruction, photo, bodies):
    overlay = draw_overlay(photo, reconstruction, bodies)
    masks = [p.silhouette().numpy() for p in reconstruction.people]
    outside = eroded(~(masks[0] | masks[1]))
    np.testing.assert_array_equal(overlay[outside], photo[outside])
    for row, mask in enumerate(masks):
        inner = eroded(mask & ~masks[1 - row])
        assert inner.sum() > 300
        assert (nearest_color(overlay)[inner] == row).mean() > 0.99
        assert overlay[inner].std() > 8  # shaded, not flat


def test_overlay_in_the_colors_of_the_parts(photo):
    person = make_person(0, [0.0, 0.1, 2.4])
    scene = Reconstruction.of_frame(person.camera, (person,))
    overlay = draw_overlay(photo, scene, by_part=True)
    assert (draw_overlay(photo, scene) != overlay).any()
    vertices_px = person.camera.project(person.vertices())
    parts = BodyModel.load().vertex_parts
    for name in ("head", "torso", "left_lower_leg", "right_lower_leg"):
        part = PART_INDEX[name]
        x, y = vertices_px[parts == part].mean(0).long().tolist()
        color = overlay[y, x].astype(float)
        unit = np.array(PART_COLORS[1:], float)
        unit /= np.linalg.norm(unit, axis=-1, keepdims=True)
        assert (unit @ color).argmax() + 1 == part, name


def labels_of(allowed, origin_px=(100.0, 40.0), cell_px=4.0) -> PartLabels:
    allowed = torch.as_tensor(allowed).int()
    rows, columns = allowed.shape
    return PartLabels(
        allowed, torch.ones(allowed.shape), ImageGrid(origin_px, cell_px, (columns, rows))
    )


def test_parts_seen_lie_on_their_pixels(photo):
    allowed = torch.full((10, 20), BACKGROUND)
    allowed[2:5, 3:7] = 1 << PART_INDEX["head"]
    allowed[5:9, 3:7] = part_set("upper_leg")
    drawn = draw_parts_seen(photo, [labels_of(allowed)])
    changed = (drawn != photo).any(-1)
    expected = np.zeros_like(changed)
    expected[48:76, 112:128] = True
    np.testing.assert_array_equal(changed, expected)
    of_photo = photo[50, 115] * 0.35
    np.testing.assert_allclose((drawn[50, 115] - of_photo) / 0.65, PART_COLORS[1], atol=1)
    both = np.mean([PART_COLORS[PART_INDEX[f"{s}_upper_leg"]] for s in ("left", "right")], 0)
    np.testing.assert_allclose((drawn[65, 115] - photo[65, 115] * 0.35) / 0.65, both, atol=1)


def test_what_one_label_map_knows_hides_what_another_does_not(photo):
    unknown, head = torch.full((10, 10), UNKNOWN), torch.full((10, 10), 1 << PART_INDEX["head"])
    head[:, 5:] = BACKGROUND
    alone = draw_parts_seen(photo, [labels_of(head)])
    for order in ([head, unknown], [unknown, head]):
        drawn = draw_parts_seen(photo, [labels_of(allowed) for allowed in order])
        np.testing.assert_array_equal(drawn[40:80, 100:120], alone[40:80, 100:120])
        hatched = (drawn != photo).any(-1)[40:80, 120:140]
        assert 0.4 < hatched.mean() < 0.6
    assert not (draw_parts_seen(photo, [labels_of(unknown, (-5.0, -5.0), 1.0)]) != photo)[5:].any()


def test_parts_seen_of_a_large_photo(photo):
    allowed = torch.full((10, 20), 1 << PART_INDEX["torso"])
    large = np.repeat(np.repeat(photo, 2, 0), 2, 1)
    drawn = draw_parts_seen(large, [labels_of(allowed, (200.0, 80.0), 8.0)], max_side_px=320)
    small = draw_parts_seen(photo, [labels_of(allowed)])
    assert np.abs(drawn.astype(int) - small).max() <= 1


def test_the_nearer_person_is_in_front(photo):
    near, far = make_person(0, [0.0, 0.1, 3.0]), make_person(1, [0.1, 0.1, 4.5])
    both = near.silhouette().numpy() & far.silhouette().numpy()
    for people in ((near, far), (far, near)):
        layer = bodies_layer(Bodies.of(people))
        image = paint(photo, layer, near.camera, PLAIN)
        assert (nearest_color(image)[eroded(both)] == 0).all()


def test_overlay_without_people_is_the_photo(nobody, photo):
    overlay = draw_overlay(photo, nobody)
    np.testing.assert_array_equal(overlay, photo)
    assert overlay is not photo


def test_people_out_of_sight_change_nothing(photo, reconstruction):
    aside = make_person(0, [9.0, 0.0, 3.0])
    behind = make_person(1, [0.0, 0.0, -3.0])
    hidden = Reconstruction.of_frame(reconstruction.camera, (aside, behind))
    np.testing.assert_array_equal(draw_overlay(photo, hidden), photo)


def test_a_person_at_the_lens_is_drawn_without_trouble(photo, reconstruction):
    close = Reconstruction.of_frame(reconstruction.camera, [make_person(0, [0.0, 0.4, 0.15])])
    assert (draw_overlay(photo, close) != photo).any()


def test_large_photos_are_reduced(reconstruction, bodies):
    camera = reconstruction.camera.scaled(4.0)
    people = tuple(replace(p, camera=camera) for p in reconstruction.people)
    photo = np.full((960, 1280, 3), 90, np.uint8)
    large = Reconstruction.of_frame(camera, people)
    overlay = draw_overlay(photo, large, bodies, max_side_px=320)
    assert overlay.shape == (240, 320, 3)
    small = draw_overlay(np.full((240, 320, 3), 90, np.uint8), reconstruction, bodies)
    assert np.abs(overlay.astype(int) - small).mean() < 0.5


def test_a_photo_of_another_size_is_refused(reconstruction, photo):
    with pytest.raises(
        ValueError, match="the image is 100x240 but the reconstruction is of 320x240"
    ):
        draw_overlay(photo[:, :100], reconstruction)


def test_side_view_puts_the_far_person_to_the_right(bodies):
    panel = draw_side_view(bodies_layer(bodies), 2, 240)
    assert panel.shape[0] == 240
    saturation = np.ptp(panel.astype(int), axis=-1)
    place = [
        np.nonzero((saturation > 60) & (nearest_color(panel) == row))[1].mean() for row in (0, 1)
    ]
    assert place[1] - place[0] > 20
    # everybody is in the picture in full
    assert not (saturation[[0, -1]] > 60).any()
    assert not (saturation[:, [0, -1]] > 60).any()


def test_side_view_stands_upright_by_gravity(reconstruction, tilted):
    """A camera that looks down gives the picture that a level one at its place gives."""
    level = draw_side_view(bodies_layer(Bodies.of(reconstruction.people)), 2, 240)
    layer = bodies_layer(Bodies.of(tilted.people))
    upright = draw_side_view(layer, 2, 240, tilted.only_frame.gravity)
    assert upright.shape == level.shape
    assert (np.abs(upright.astype(int) - level).max(-1) > 20).mean() < 0.002
    unaware = draw_side_view(layer, 2, 240)
    assert unaware.shape != level.shape or np.abs(unaware.astype(int) - level).mean() > 2


def test_side_view_has_its_grid_on_a_floor_that_is_known(reconstruction):
    """One who was fitted too low does not take the ground along."""
    layer = bodies_layer(Bodies.of(reconstruction.people))
    level, lowest = Gravity((0.0, -1.0, 0.0), 2.0), -float(layer.vertices_cam_m[:, 1].max())
    below = draw_side_view(layer, 2, 240)
    np.testing.assert_array_equal(draw_side_view(layer, 2, 240, level, Floor(lowest, 0.1)), below)
    higher = draw_side_view(layer, 2, 240, level, Floor(lowest + 0.5, 0.1))
    assert higher.shape == below.shape and (higher != below).any()


def test_side_view_stays_legible_when_somebody_is_far_away():
    near, far = make_person(0, [0.0, 0.1, 3.0]), make_person(1, [5.0, 0.1, 60.0])
    panel = draw_side_view(bodies_layer(Bodies.of((near, far))), 2, 240)
    rows = np.nonzero((np.ptp(panel.astype(int), axis=-1) > 60).any(1))[0]
    assert np.ptp(rows) > 0.7 * 240


def test_beside_keeps_both_pictures(photo):
    joined = beside(photo, photo[:, :50])
    np.testing.assert_array_equal(joined[:, :320], photo)
    np.testing.assert_array_equal(joined[:, -50:], photo[:, :50])


def test_png_keeps_the_channels():
    image = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    decoded = cv2.imdecode(np.frombuffer(png_bytes(image), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decoded[..., ::-1], image)


def test_colors_stay_apart():
    colors = [person_color(i) for i in range(20)]
    assert len(set(colors)) == 20
    assert to_linear((255, 0, 255)) == pytest.approx((1, 0, 1))
    assert to_linear((188, 188, 188))[0] == pytest.approx(0.5, abs=0.01)


def test_normals_point_outwards(bodies):
    for vertices, normals in zip(bodies.vertices_cam_m, bodies.normals_cam, strict=True):
        np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-5)
        a, b, c = (vertices[bodies.faces[:, k]] for k in range(3))
        swollen = vertices + 0.001 * normals

        def volume(v):
            a, b, c = (v[bodies.faces[:, k]].astype(np.float64) for k in range(3))
            return (a * np.cross(b, c)).sum() / 6

        area = np.linalg.norm(np.cross(b - a, c - a), axis=-1).sum() / 2
        # moving every point out by d adds area x d to the volume
        assert volume(swollen) - volume(vertices) == pytest.approx(area * 0.001, rel=0.06)


def embedded(page: bytes) -> dict:
    text = page.decode()
    found = re.search(r'<script type="application/json" id="scene">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_viewer_holds_everything_it_shows(reconstruction, photo, bodies):
    page = viewer_html(photo, reconstruction, bodies)
    assert len(page) < 2_000_000
    # nothing is fetched: neither addresses nor imports nor unfilled places
    assert not re.search(rb"https?://|@import|src=|href=\"[^d]|\{\{|import\(|fetch\(", page)
    scene = embedded(page)
    faces = np.frombuffer(base64.b64decode(scene["faces"]), "<u2").reshape(-1, 3)
    np.testing.assert_array_equal(faces, bodies.faces)
    for entry, vertices_m in zip(scene["people"], bodies.vertices_cam_m, strict=True):
        steps = np.frombuffer(base64.b64decode(entry["positions"]), "<u2").reshape(-1, 3)
        decoded = np.array(entry["origin"]) + steps * np.array(entry["step"])
        assert np.abs(decoded - vertices_m).max() < 1e-4
    data = base64.b64decode(scene["photo"].removeprefix("data:image/jpeg;base64,"))
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(image[..., ::-1].astype(int) - photo).mean() < 2
    assert scene["camera"]["image_size"] == [320, 240]


def test_viewer_knows_what_is_up(reconstruction, tilted, photo):
    assert embedded(viewer_html(photo, reconstruction))["up"] == [0, -1, 0]
    page = viewer_html(photo, tilted)
    assert tuple(embedded(page)["up"]) == tilted.only_frame.gravity.up_cam


def test_viewer_cannot_be_broken_by_a_file_name(reconstruction, photo, bodies):
    source = "</title></script><script>alert(1)</script>{{scene}}.jpg"
    page = viewer_html(photo, replace(reconstruction, source=source), bodies)
    assert b"alert(1)</script>" not in page
    assert page.count(b"<script") == 2
    assert len(embedded(page)["people"]) == 2


def test_viewer_without_people(nobody, photo):
    assert embedded(viewer_html(photo, nobody))["people"] == []


def test_quantised_flat_points():
    points = np.float32([[1, 2, 3], [1, 4, 3]])
    told = quantised(points, "steps")
    steps = np.frombuffer(base64.b64decode(told["steps"]), "<u2").reshape(-1, 3)
    decoded = np.array(told["origin"]) + steps * np.array(told["step"])
    np.testing.assert_allclose(decoded, points, atol=1e-6)


def test_the_viewer_is_small_modules_of_its_own():
    folder = ASSET_ROOT / "viewer"
    assert {path.name for path in folder.glob("*.js")} == set(SCRIPTS)
    assert max(len(path.read_text().splitlines()) for path in folder.iterdir()) <= 400
    assert sum(path.stat().st_size for path in folder.iterdir()) < 120_000


def test_the_viewer_names_what_lies_beside_it(reconstruction, photo, bodies):
    page = viewer_html(photo, reconstruction, bodies, ("people.npz", "scene.glb", "viewer.html"))
    assert [name for name, _ in embedded(page)["files"]] == ["people.npz", "scene.glb"]


@pytest.mark.parametrize("parts", [False, True])
def test_alternatives_say_how_much_worse_they_are(reconstruction, photo, parts):
    """Against the body shown where its energy is of the same terms."""
    first, second = reconstruction.people
    energy = {"keypoints": 45.0, **({"parts": 9.0} if parts else {})}
    result = replace(second, energy=energy)
    result = Reconstruction.of_frame(second.camera, (first, result), "two.jpg")
    (other,) = embedded(viewer_html(photo, result))["people"][1]["alternatives"]
    assert other["weight"] == 1
    assert ("+2.5 against the body shown" in other["note"]) is not parts


def test_bodies_equal_people_one_by_one(reconstruction, bodies):
    for row, person in enumerate(reconstruction.people):
        assert torch.allclose(torch.from_numpy(bodies.vertices_cam_m[row]), person.vertices())
