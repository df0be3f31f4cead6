"""The page: small, without scripts inside, and of names that its script finds."""

import re

import pytest

from kinflow.assets import ASSET_ROOT

PAGE = ASSET_ROOT / "page"
HTML = (PAGE / "index.html").read_text()
SCRIPT = "".join(path.read_text() for path in sorted(PAGE.glob("*.js")))


def test_it_is_small_and_asks_nothing_of_others():
    assert sum(path.stat().st_size for path in PAGE.iterdir()) < 100_000
    for path in PAGE.iterdir():
        assert not re.search(r"https?://|//[a-z]+\.", path.read_text())


def test_nothing_runs_but_its_script():
    assert set(re.findall(r"<script[^>]*>([^<]*)</script>", HTML)) == {""}
    assert not re.search(r"\son\w+=|javascript:|style=", HTML)
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(", SCRIPT)


@pytest.mark.parametrize("name", sorted(set(re.findall(r'byId\("(\w+)"\)', SCRIPT))))
def test_the_script_finds_what_it_names(name):
    assert f'id="{name}"' in HTML


@pytest.mark.parametrize("control", re.findall(r"<(?:input|button)[^>]*>", HTML))
def test_every_control_has_a_name(control):
    """By a label around it or for it, by its text, or by the script."""
    found = re.search(r'id="(\w+)"', control)
    if control.startswith("<button"):
        text = HTML.split(control, 1)[1].split("</button>")[0]
        assert re.sub("<[^>]*>", "", text).strip() or 'class="picture"' in control
    else:
        assert found is not None
        inside = re.search(rf"<label[^>]*>[^<]*{re.escape(control)}", HTML)
        before = re.search(rf"<label[^>]*>\s*{re.escape(control)}", HTML)
        assert inside or before or f'for="{found[1]}"' in HTML
