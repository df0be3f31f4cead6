"""Check a built site: links and anchors within it, and that its pages ask no other server.

python tools/check_site.py [FOLDER]            # complaints; exit code 2 if there are any
python tools/check_site.py FOLDER --external   # list links to other servers, nothing is fetched
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "iframe": ("src",),
    "object": ("data",),
    "link": ("href",),
}
"""Attributes whose address a browser fetches by itself."""

_NOT_FETCHED = {"canonical", "prev", "next", "alternate", "author", "license"}
"""Kinds of <link> that only tell."""

_CSS_URL = re.compile(r"""(?:url\(\s*|@import\s+)["']?(?://|https?:)[^"')\s]+""")


class Page(HTMLParser):
    """What a page links to, loads, and can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "link" and set(values.get("rel", "").split()) & _NOT_FETCHED:
            return
        for name in _LOADED.get(tag, ()):
            if values.get(name):
                self.loaded += [part.split()[0] for part in values[name].split(",") if part.strip()]


def pages(site: Path) -> dict[Path, Page]:
    """All pages of a site by their files."""
    return {path: Page(path.read_text(encoding="utf8")) for path in sorted(site.rglob("*.html"))}


def complaints(site: Path) -> list[str]:
    """What is wrong with a site, a line each."""
    read = pages(site)
    return [*_broken(site, read), *_foreign(site, read)]


def external(site: Path) -> list[str]:
    """Links to other servers, each once."""
    found = {link for page in pages(site).values() for link in page.links}
    return sorted(link for link in found if urlsplit(link).scheme in ("http", "https"))


def _broken(site: Path, read: dict[Path, Page]) -> Iterator[str]:
    for path, page in read.items():
        if path.name == "404.html":  # its addresses begin at the root of a server
            continue
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            if target.is_dir():
                target /= "index.html"
            name = path.relative_to(site)
            if not target.is_file():
                yield f"{name}: {link} leads nowhere"
            elif target in read and unquote(parts.fragment) not in read[target].anchors:
                yield f"{name}: {link} has no such place"


def _foreign(site: Path, read: dict[Path, Page]) -> Iterator[str]:
    for path, page in read.items():
        for address in page.loaded:
            if urlsplit(address).netloc:
                yield f"{path.relative_to(site)}: loads {address}"
    for path in sorted(site.rglob("*.css")):
        for found in _CSS_URL.findall(path.read_text(encoding="utf8")):
            yield f"{path.relative_to(site)}: loads {found}"


def main(arguments: list[str]) -> int:
    """Print complaints, or links to other servers; returns the exit code."""
    folders = [word for word in arguments if not word.startswith("--")]
    site = Path(folders[0] if folders else "build/site").resolve()
    if "--external" in arguments:
        print("\n".join(external(site)))
        return 0
    found = complaints(site)
    print("\n".join(found))
    return 2 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
