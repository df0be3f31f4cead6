"""Build the documentation site: collect its pages, render them, check what came out.

    python tools/build_site.py            # into build/site, as `make site` does

Pages are those of docs/, and what the repository keeps elsewhere: benchmarks/README.md,
CHANGELOG.md and NOTICE. Links between files become links between pages; of links to files that are
no pages the words stay. Zensical (https://zensical.org, MIT) renders them and refuses broken links.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build" / "pages"
SITE = ROOT / "build" / "site"
ELSEWHERE = {
    "benchmarks/README.md": "benchmarks.md",
    "CHANGELOG.md": "changelog.md",
    "NOTICE": "notice.md",
    "README.md": "index.md",
}
"""Files that are pages of the site, or stand for one, by where the page is."""

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)#\s]*)(#[^)\s]*)?\)")


def collect(root: Path = ROOT, pages: Path = PAGES) -> None:
    """Fill the folder of pages anew."""
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(root / "docs", pages)
    for path in sorted(pages.rglob("*.md")):
        source = PurePosixPath("docs", path.relative_to(pages).as_posix())
        path.write_text(as_page(path.read_text(encoding="utf8"), str(source)), encoding="utf8")
    for source in ("benchmarks/README.md", "CHANGELOG.md"):
        text = as_page((root / source).read_text(encoding="utf8"), source)
        (pages / ELSEWHERE[source]).write_text(text, encoding="utf8")
    notice = (root / "NOTICE").read_text(encoding="utf8")
    (pages / "notice.md").write_text(f"# Licences\n\n```text\n{notice}```\n", encoding="utf8")


def as_page(text: str, source: str) -> str:
    """The text of a file of the repository with links as they are on the site."""
    lines = text.split("\n")
    inside = False
    for number, line in enumerate(lines):
        inside ^= line.startswith("```")
        if not inside and not line.startswith("    "):
            lines[number] = _LINK.sub(lambda link: _relinked(link, source), line)
    return "\n".join(lines)


def _relinked(link: re.Match[str], source: str) -> str:
    image, words, target, anchor = link.groups()
    if not target or ":" in target or image:
        return link[0]
    file = normpath(f"{PurePosixPath(source).parent}/{target}")
    page = ELSEWHERE.get(file, file.removeprefix("docs/") if file.startswith("docs/") else "")
    if not page or not page.endswith(".md"):
        return words
    here = ELSEWHERE.get(source, source.removeprefix("docs/"))
    if words.strip("`").endswith(".md"):
        words = _title(file)
    return f"[{words}]({relpath(page, str(PurePosixPath(here).parent))}{anchor or ''})"


def _title(file: str) -> str:
    """The first heading of a page, where a link says the name of its file."""
    first = re.search(r"^# (.+)$", (ROOT / file).read_text(encoding="utf8"), re.MULTILINE)
    return first[1] if first else PurePosixPath(file).stem


def main() -> int:
    """Build and check; returns the exit code."""
    if find_spec("zensical") is None:
        print("build_site: run pip install 'kinflow[docs]' (Python 3.11 or later).")
        return 2
    from check_site import complaints, external

    collect()
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code:
        return code
    found = complaints(SITE)
    print("\n".join(found) or f"{SITE.relative_to(ROOT)}: all links and anchors hold")
    print(f"{len(external(SITE))} links to other servers: python tools/check_site.py --external")
    return 2 if found else 0


if __name__ == "__main__":
    sys.exit(main())
