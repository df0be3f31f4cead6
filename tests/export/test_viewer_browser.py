"""viewer.html in a browser: what is seen, heard and reached by keys, mouse and fingers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from browsers import Chromium, Page, differ, faint_texts, needs_chromium, pixels, unnamed_controls
from moving_people import walking_clip

from kinflow.export.viewer import viewer_html
from kinflow.export.viewer_clip import clip_viewer_html
from kinflow.results import Reconstruction

pytestmark = needs_chromium
SIZE = (760, 520)
ROOM = (0, 0, 470, 400)
"""Where the bodies are, without the panel and the bar."""


@pytest.fixture(scope="module")
def browser():
    with Chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def photo_file(reconstruction, photo, tmp_path_factory) -> Path:
    first, second = reconstruction.people
    std_m = torch.linspace(0, 0.2, 22)
    beside_m = second.t_cam_root_m + torch.tensor([0.3, 0, 0])
    moved = replace(second.hypotheses[0], t_cam_root_m=beside_m)
    people = [
        replace(first, joint_std_m=std_m),
        replace(second, joint_std_m=std_m, hypotheses=(moved,)),
    ]
    result = Reconstruction.of_frame(reconstruction.camera, people, "two people.jpg")
    path = tmp_path_factory.mktemp("photo") / "viewer.html"
    path.write_bytes(viewer_html(photo, result, files=("people.npz", "scene.glb")))
    return path


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "viewer.html"
    picture = np.full((240, 320, 3), 90, np.uint8)
    path.write_bytes(clip_viewer_html(walking_clip(45), {0: picture}))
    return path


@pytest.fixture(scope="module")
def photo_page(browser, photo_file) -> Page:
    return opened(browser, photo_file)


@pytest.fixture(scope="module")
def clip_page(browser, clip_file) -> Page:
    return opened(browser, clip_file)


def opened(browser: Chromium, path: Path, size: tuple[int, int] = SIZE) -> Page:
    page = browser.page(size, prefers_reduced_motion="reduce")
    page.open(path.as_uri())
    page.settled()
    assert page.complaints() == []
    return page


def status(page: Page) -> str:
    return page.run("document.getElementById('status').textContent")


def frame(page: Page) -> int:
    return int(page.run("document.getElementById('time').value"))


def test_bodies_lie_on_the_photo_and_turn(photo_page):
    photo_page.press("r")
    camera = pixels(photo_page, ROOM)
    photo_page.press("3")
    side = pixels(photo_page, ROOM)
    photo_page.press("ArrowLeft")
    turned = pixels(photo_page, ROOM)
    photo_page.press("1")
    again = pixels(photo_page, ROOM)
    assert camera.std() > 15 and side.std() > 10
    assert differ(camera, side) > 0.2 and differ(side, turned) > 0.02
    assert differ(camera, again) < 0.001
    assert status(photo_page) == "Camera view"


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("a", "Alternatives (1) on"), ("u", "Uncertainty"), ("j", "Where joints are (50 %) on"),
        ("m", "Skeleton"), ("g", "Floor and shadows off"), ("b", "Picture 75 %"),
    ],
)  # fmt: skip
def test_what_is_shown_changes_by_a_key(photo_page, keys, says):
    photo_page.press("r", *(["5"] if keys == "g" else []))
    before = pixels(photo_page, ROOM)
    photo_page.press(*keys)
    assert differ(before, pixels(photo_page, ROOM)) > 0.002
    assert status(photo_page) == says
    assert photo_page.complaints() == []


def test_a_click_selects_and_a_list_tells_who(photo_page):
    photo_page.press("r")
    people = [find_body(photo_page, i) for i in range(2)]
    for i, place in enumerate(people):
        photo_page.drag(place)
        pressed = "[...document.querySelectorAll('.who')].map((b) => b.ariaPressed)"
        assert photo_page.run(pressed) == [str(i == 0).lower(), str(i == 1).lower()]
    assert "Person 1 selected." in status(photo_page)
    about = photo_page.run("document.getElementById('about').innerText")
    assert "Several different poses" in about and "energy 47.5 nats" in about
    photo_page.drag((5.0, 5.0))
    assert status(photo_page) == "Nobody selected"


def find_body(page: Page, person: int) -> tuple[float, float]:
    """A place in the middle of where a picture changes as a person is hidden."""
    box = f"document.querySelectorAll('.eye input')[{person}].click()"
    before = pixels(page, ROOM)
    page.run(box)
    changed = np.abs(pixels(page, ROOM) - before).max(-1) > 25
    page.run(box)
    rows, columns = np.nonzero(changed)
    row = int(np.median(rows))
    return float(np.median(columns[rows == row])), float(row)


def test_everything_has_a_name_and_keys_are_listed(photo_page, clip_page):
    for page in (photo_page, clip_page):
        page.press("r", "?")
        listed = page.run("document.getElementById('keys').innerText")
        assert "mesh, skeleton, both" in listed
        assert ("play or pause" in listed) is (page is clip_page)
        assert unnamed_controls(page) == []
        page.press("Escape")
        assert unnamed_controls(page) == []
        assert len(page.tree()) > 60


def test_the_focus_is_seen_and_goes_through_all_controls(clip_page):
    clip_page.run("document.activeElement.blur()")
    seen = []
    for _ in range(26):
        clip_page.press("Tab")
        seen.append(
            clip_page.run("document.activeElement.id || document.activeElement.textContent")
        )
        style = clip_page.run("getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none" or seen[-1] == "", seen
    for name in ("view", "play", "time", "speed", "follow", "Top", "help-toggle", "opacity"):
        assert name in seen


def test_keys_go_through_time_by_whole_frames(clip_page):
    clip_page.press("r", "Home")
    assert frame(clip_page) == 0
    clip_page.press(".", ".", ".", ",")
    assert frame(clip_page) == 2
    assert status(clip_page) == "0.07 s · frame 2. Person 0 seen, Person 3 not in view"
    first = pixels(clip_page, ROOM)
    clip_page.press("End")
    assert frame(clip_page) == 44
    assert differ(first, pixels(clip_page, ROOM)) > 0.02
    clip_page.run(
        "const t = document.getElementById('time');"
        "t.value = 23; t.dispatchEvent(new Event('input'))"
    )
    assert "Person 3 filled in" in status(clip_page)


def test_it_plays_and_stops_at_the_end(clip_page):
    clip_page.press("r", "End", ",", ",", ",")
    clip_page.run("document.activeElement.blur()")
    clip_page.press("l", " ")
    clip_page.wait("document.getElementById('status').textContent.startsWith('End of the clip')")
    assert frame(clip_page) == 44
    assert clip_page.run("document.getElementById('play').textContent") == "Play"
    clip_page.press("l", " ")
    clip_page.wait("Number(document.getElementById('time').value) < 30")
    clip_page.press(" ")
    assert status(clip_page).startswith("Paused")
    now = frame(clip_page)
    clip_page.settled()
    assert frame(clip_page) == now


def test_who_is_followed_stays_in_view(clip_page):
    clip_page.press("r", "Home", "n", "f")
    assert status(clip_page) == "Follows Person 0"
    clip_page.press("End")
    row, column = middle_of_blue(pixels(clip_page, ROOM))
    assert 130 < column < 340 and 80 < row < 330


def middle_of_blue(picture: np.ndarray) -> tuple[float, float]:
    blue = picture[..., 2] - picture[..., 0] > 60
    assert blue.any()
    return tuple(float(np.median(axis)) for axis in np.nonzero(blue))


def test_marks_below_the_time_say_how_people_are_known(clip_page):
    clip_page.press("r")
    label = clip_page.run("document.getElementById('marks').getAttribute('aria-label')")
    assert "Person 3: 30 frames seen, 0 doubtful, 7 filled in" in label
    told = clip_page.run(
        "[...document.getElementById('marks').getContext('2d').getImageData("
        "0, 0, document.getElementById('marks').width, 18).data].some((v) => v > 0)"
    )
    assert told


def test_on_a_phone_nothing_is_cut_off_and_fingers_turn(browser, clip_file):
    page = opened(browser, clip_file, (390, 720))
    assert page.run("document.documentElement.scrollWidth") <= 390
    page.press("2", "d")
    assert page.run("document.documentElement.scrollWidth") <= 390
    bar = page.run("document.getElementById('bar').getBoundingClientRect().toJSON()")
    assert bar["left"] >= 0 and bar["right"] <= 390
    page.press("d", "u")
    assert status(page) == "Uncertainty"  # with the panel closed, too
    room = (0, 0, 390, 520)
    before = pixels(page, room)
    page.touch([(120, 200)], [(150, 200)], [(230, 210)])
    turned = pixels(page, room)
    assert differ(before, turned) > 0.02
    page.touch([(150, 200), (230, 200)], [(120, 200), (260, 200)], [(80, 200), (300, 200)])
    assert differ(turned, pixels(page, room)) > 0.02
    assert page.complaints() == []


def test_it_is_dark_where_that_is_wanted(browser, photo_file):
    bright = {}
    for scheme in ("light", "dark"):
        page = browser.page(SIZE, prefers_color_scheme=scheme)
        page.open(photo_file.as_uri())
        bright[scheme] = pixels(page).mean()
        page.press("n", "n", "u")
        assert faint_texts(page) == []
        page.press("?")
        assert faint_texts(page) == []
        assert len(faint_texts(page, 22.0)) > 20  # more than black on white has
    assert bright["dark"] < bright["light"] - 40


def test_files_beside_the_page_can_be_saved(photo_page):
    links = photo_page.run(
        "[...document.querySelectorAll('#file-list a')].map((a) => a.getAttribute('href'))"
    )
    assert links == ["people.npz", "scene.glb"]
