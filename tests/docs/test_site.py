"""The site: pages are collected with the links that they need, and bad pages are told from good."""

import re
import runpy
import sys

import pytest
from doc_blocks import PAGES, ROOT, blocks_of

import kinflow

sys.path.append(str(ROOT / "tools"))

from build_site import as_page, collect
from check_site import complaints, external

CONFIG = (ROOT / "zensical.toml").read_text(encoding="utf8")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    collect(ROOT, folder)
    return folder


def site_of(folder, **texts):
    for name, body in texts.items():
        (folder / f"{name}.html").write_text(f"<html><body>{body}</body></html>")
    return complaints(folder)


def test_links_are_those_of_the_site():
    text = "[a](../benchmarks/README.md#main) [b](safety.md) [c](../examples) ![d](images/x.png)"
    assert as_page(text, "docs/fitting.md") == (
        "[a](benchmarks.md#main) [b](safety.md) c ![d](images/x.png)"
    )
    named = as_page("see [export.md](export.md#one-world)", "docs/video.md")
    assert named == "see [Results over time](export.md#one-world)"
    assert as_page("[a](../docs/prior.md)", "benchmarks/README.md") == "[a](prior.md)"
    assert as_page("[a](../fitting.md#x)", "docs/api/body.md") == "[a](../fitting.md#x)"
    code = "```\n[a](../LICENSE)\n```\n\n    [a](../LICENSE)"
    assert as_page(code, "docs/fitting.md") == code
    assert as_page("[a](https://x.org/y.md)", "docs/fitting.md") == "[a](https://x.org/y.md)"


def test_every_page_is_in_the_navigation_once(pages):
    listed = re.findall(r'"([\w/-]+\.md)"', CONFIG)
    assert sorted(listed) == sorted(
        path.relative_to(pages).as_posix() for path in pages.rglob("*.md")
    )


def test_broken_links_are_told(tmp_path):
    assert not site_of(tmp_path, a='<a href="b.html#x">', b='<i id="x"></i><a href="#x">')
    assert site_of(tmp_path, a='<a href="b.html#y">') == ["a.html: b.html#y has no such place"]
    assert site_of(tmp_path, a='<img src="none.png">') == ["a.html: none.png leads nowhere"]


@pytest.mark.parametrize(
    "body",
    [
        '<script src="https://cdn.org/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.org/x.css">',
        '<img srcset="https://x.org/a.png 2x">',
        '<iframe src="http://x.org"></iframe>',
    ],
)
def test_requests_to_others_are_told(body, tmp_path):
    (told,) = site_of(tmp_path, a=body)
    assert "loads" in told


def test_styles_that_ask_others_are_told(tmp_path):
    (tmp_path / "a.css").write_text('@import "https://x.org/y.css"; a { color: red }')
    (told,) = complaints(tmp_path)
    assert told.startswith("a.css: loads")
    (tmp_path / "a.css").write_text("a { background: url(data:image/svg+xml;base64,AA) }")
    assert not complaints(tmp_path)


def test_links_to_others_are_listed(tmp_path):
    site_of(tmp_path, a='<a href="https://x.org/a"><a href="b.html"><a href="https://x.org/a">')
    assert external(tmp_path) == ["https://x.org/a"]


def test_cards_are_those_of_the_files():
    cards = runpy.run_path(str(ROOT / "tools" / "model_cards.py"))
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf8")
    assert cards["with_cards"](page) == page, "run python tools/model_cards.py"
    assert set(re.findall(r"<!-- card: (\S+) -->", page)) == set(cards["weights"]())


API = "\n".join((ROOT / page).read_text(encoding="utf8") for page in PAGES if "/api/" in page)
SHOWN = set(re.findall(r"^::: (\S+)$", API, re.MULTILINE))


def is_shown(module: str, name: str) -> bool:
    """By its own path, by its name in a module that re-exports it, or in words."""
    full = f"{module}.{name}"
    return (
        full in SHOWN
        or module in SHOWN
        or any(shown.startswith(f"{module}.") and shown.endswith(f".{name}") for shown in SHOWN)
        or f"`{full}`" in API
        or f"`{name}`" in API
    )


INTERNAL = {"kinflow.cli.demo", "kinflow.synth.files"}
"""Imported on pages; not for programs, or by another name."""


@pytest.mark.parametrize("page", [page for page in PAGES if "/api/" not in page])
def test_names_that_pages_import_are_public(page):
    code = "\n".join(block.text for block in blocks_of(page) if block.language == "python")
    for module, names in re.findall(r"^from (kinflow[\w.]*) import (.+)$", code, re.MULTILINE):
        for name in re.findall(r"\w+", names):
            assert module in INTERNAL or is_shown(module, name), f"{module}.{name}"


def test_what_kinflow_exports_is_public():
    assert all(f"{name}" in API for name in kinflow.__all__)
