"""The page in a browser, from a photo in the file input to results that are looked at and saved."""

import http.client
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from browsers import Chromium, Page, differ, faint_texts, needs_chromium, pixels, unnamed_controls
from PIL import Image
from serving import Served

pytest.importorskip("fastapi")
pytestmark = needs_chromium
PHONE = (390, 760)
STAGE = (30, 130, 380, 560)
"""Where the viewer has bodies, on a phone too."""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("served") / "data", "--max-upload-mb", "1")
    yield served
    assert served.stop() in (0, 130)


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "she <b>smiles<b>.jpg"
    Image.fromarray(skimage.data.astronaut()).save(path, quality=85)
    return path


@pytest.fixture(scope="module")
def page(served):
    with Chromium() as browser:
        page = browser.page((1000, 760), prefers_reduced_motion="reduce")
        page.open(served.address)
        page.wait("!document.getElementById('work').hidden")
        yield page


@pytest.fixture(scope="module")
def done(page, photo) -> str:
    """What the list says of a photo once it is done."""
    page.choose_files("#files", photo)
    page.wait("document.querySelector('li.done, li.failed, li.broken')", 120)
    said = page.run("document.querySelector('#jobs').innerText")
    assert page.run("document.querySelector('li.done') !== null"), said
    return said


def choose_tab(page: Page, name: str) -> None:
    tabs = "[...document.querySelectorAll('#tabs button')]"
    page.run(f"{tabs}.find((tab) => tab.textContent === {name!r}).click()")


def drawn(page: Page, wanted: Callable[[np.ndarray], bool], at_most_s: float = 20.0) -> np.ndarray:
    """What is on the stage, once it is as it should be: the viewer is a page of its own, and draws
    when it likes."""
    deadline = time.monotonic() + at_most_s
    while not wanted(shown := pixels(page, STAGE)):
        assert time.monotonic() < deadline, "the viewer does not show what it should"
        time.sleep(0.1)
    return shown


def look(page: Page) -> None:
    """Open the results, and wait until the viewer is there."""
    page.run("document.querySelector('li.done .picture').click()")
    page.wait("document.querySelector('#stage iframe')")
    page.wait("document.activeElement.tagName === 'IFRAME'")


def test_a_photo_becomes_a_view_in_3d(page, done):
    look(page)
    before = drawn(page, lambda shown: shown.std() > 20)
    page.press("3")
    side = drawn(page, lambda shown: shown.std() > 10 and differ(before, shown) > 0.2)
    time.sleep(0.6)  # it turns there
    while differ(side, shown := pixels(page, STAGE)) > 0:
        side = shown
    # what needs more than scripts is off in the viewer's sandbox, and it does without
    page.press("?")
    drawn(page, lambda shown: differ(side, shown) > 0.5)
    page.press("Enter")
    drawn(page, lambda shown: differ(side, shown) < 0.01)
    page.run("document.getElementById('close').click()")
    page.wait("document.getElementById('stage').childElementCount === 0")
    assert page.complaints() == []


def test_names_of_files_are_text(page, done):
    assert page.run("document.querySelector('li.done h2').textContent") == "she <b>smiles<b>.jpg"
    assert page.run("document.querySelectorAll('#jobs b').length") == 0


def test_every_file_can_be_saved(page, served, done):
    page.run("[...document.querySelectorAll('li.done .actions button')][1].click()")
    links = page.run("[...document.querySelectorAll('.downloads a')].map((a) => a.href)")
    page.run("document.getElementById('close').click()")
    names = {link.rsplit("/", 1)[1] for link in links}
    assert names == {"results.zip", "scene.glb", "overlay.png", "viewer.html", "people.npz",
                     "people.json"}  # fmt: skip
    for link in links:
        line = http.client.HTTPConnection(served.address.removeprefix("http://"), timeout=30)
        line.request("GET", link.removeprefix(served.address))
        answer = line.getresponse()
        assert answer.status == 200 and len(answer.read()) > 1000, link
        line.close()


def test_everything_has_a_name(page, done):
    assert unnamed_controls(page) == []
    look(page)
    for tab in ("Overlay", "Save", "3D"):
        choose_tab(page, tab)
        page.settled()
        assert unnamed_controls(page) == []
    page.run("document.getElementById('close').click()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read(page, done, scheme):
    wanted = [{"name": "prefers-color-scheme", "value": scheme},
              {"name": "prefers-reduced-motion", "value": "reduce"}]  # fmt: skip
    page.ask("Emulation.setEmulatedMedia", features=wanted)
    page.run("document.querySelector('details').open = true")
    assert faint_texts(page) == []
    page.run("[...document.querySelectorAll('li.done .actions button')][1].click()")
    assert faint_texts(page) == []
    page.run("document.getElementById('close').click()")
    page.run("document.querySelector('details').open = false")


def test_on_a_phone(page, done):
    page.resize(PHONE)
    assert page.run("document.documentElement.scrollWidth") <= PHONE[0]
    look(page)
    for tab in ("Overlay", "Save", "3D"):
        choose_tab(page, tab)
        page.settled()
        assert page.run("document.documentElement.scrollWidth") <= PHONE[0]
        box = page.run("document.getElementById('shown').getBoundingClientRect().toJSON()")
        assert box["left"] >= 0 and box["right"] <= PHONE[0]
    drawn(page, lambda shown: shown.std() > 15)
    page.run("document.getElementById('close').click()")
    page.resize((1000, 760))
    accept = page.run("document.getElementById('files').accept")
    assert accept == "image/*,video/*"
    assert not page.run("document.getElementById('files').hasAttribute('capture')")


def test_what_is_refused_says_why_and_can_be_tried_again(page, done, tmp_path):
    words, large = tmp_path / "words.jpg", tmp_path / "large.jpg"
    words.write_text("no photo")
    large.write_bytes(bytes(2_000_000))
    page.choose_files("#files", words, large)
    page.wait("document.querySelectorAll('li.failed').length === 2")
    said = page.run("[...document.querySelectorAll('li.failed .state')].map((p) => p.textContent)")
    assert any("not an image" in text for text in said)
    assert "Files of up to 1 MB are taken." in said or any("could not be sent" in s for s in said)
    buttons = "[...document.querySelectorAll('li.failed button')]"
    assert page.run(f"{buttons}.filter((b) => b.textContent === 'Try again').length") == 2
    page.run(f"{buttons}.filter((b) => b.textContent === 'Dismiss').forEach((b) => b.click())")
    assert page.run("document.querySelectorAll('li.failed').length") == 0


def test_what_could_not_be_sent_is_sent_again(page, done, photo):
    def go(offline: bool) -> None:
        page.ask("Network.emulateNetworkConditions", offline=offline, latency=0,
                 downloadThroughput=-1, uploadThroughput=-1)  # fmt: skip

    go(offline=True)
    page.choose_files("#files", photo)
    page.wait("document.querySelector('li.failed')")
    said = page.run("document.querySelector('li.failed .state').textContent")
    assert said == "It could not be sent; is the server there, and the file readable?"
    go(offline=False)
    page.run("document.querySelector('li.failed .actions button').click()")
    page.wait("document.querySelector('li.waiting, li.running')")
    for state in ("running", "cancelled"):
        page.wait(f"document.querySelector('#jobs li').className === '{state}'")
        page.run("document.querySelector('#jobs li .actions button:last-child').click()")
    page.wait("document.querySelectorAll('#jobs li').length === 1")


def test_those_who_wait_know_how_many_come_first(page, done, photo):
    page.choose_files("#files", photo, photo)
    said = "[...document.querySelectorAll('.state')].map((p) => p.textContent)"
    page.wait(f"{said}.includes('Waiting; 1 of yours before it')")
    ended = "[...document.querySelectorAll('#jobs li:not(.done)')]"
    for state in ("cancelled", "gone"):
        page.run(f"{ended}.forEach((li) => li.querySelector('.actions button:last-child').click())")
        page.wait(f"{ended}.every((li) => li.className === '{state}')")


def test_a_job_is_cancelled_and_tried_again(page, done, photo):
    page.choose_files("#files", photo)
    state = "document.querySelector('#jobs li').className"
    buttons = "[...document.querySelectorAll('#jobs li:first-child button')]"
    press = buttons + ".find((b) => b.textContent === {}).click()"
    for action in ("Cancel", "Try again", "Cancel"):
        page.wait(f"{state} === 'cancelled'" if action == "Try again"
                  else f"['waiting', 'running'].includes({state})")  # fmt: skip
        page.run(press.format(repr(action)))
    page.wait(f"{state} === 'cancelled'")
    page.run(press.format("'Delete'"))
    page.wait("document.querySelectorAll('#jobs li').length === 1")
    assert all("Failed to load resource" in text for text in page.complaints())
