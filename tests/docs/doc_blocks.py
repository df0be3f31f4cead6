"""The code blocks of pages: fenced ones, and those that are indented by four spaces."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "benchmarks/README.md") + tuple(
    sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
)
PROGRAMS = (
    "accelerate", "blender", "git", "kinflow", "make", "mkdir", "npm", "pip", "pytest", "python",
    "ray", "source", "torchrun",
)  # fmt: skip
"""What an indented block that is to be typed begins with."""

_LANGUAGES = {"bash": "shell", "sh": "shell", "python": "python"}
_PYTHON = re.compile(r"(from \S+ import |import |with |\w+ = )")


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    page: str
    line: int
    language: str
    """`shell`, `python`, or something that nobody runs."""
    text: str

    @property
    def commands(self) -> list[str]:
        """Lines to type, continued ones joined, comments left out."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        lines = (re.sub(r"(^|\s)#.*$", "", line) for line in joined.splitlines())
        return [" ".join(line.split()) for line in lines if line.strip()]


def blocks_of(page: str) -> list[Block]:
    """All blocks of a page, in its order."""
    return blocks_in((ROOT / page).read_text(encoding="utf8"), page)


def blocks_in(text: str, page: str = "") -> list[Block]:
    """The same of a page's text."""
    blocks, lines, at = [], text.splitlines(), 0
    while at < len(lines):
        fence = re.match(r"```(\w*)", lines[at])
        begins = at == 0 or not lines[at - 1].strip()
        if fence:
            end = at + 1
            while lines[end] != "```":
                end += 1
            body = "\n".join(lines[at + 1 : end])
            blocks.append(Block(page, at + 1, _LANGUAGES.get(fence[1], fence[1]), body))
            at = end + 1
        elif begins and lines[at].startswith("    ") and lines[at].strip():
            end = _end_of_indented(lines, at)
            body = "\n".join(line[4:] for line in lines[at:end]).rstrip()
            blocks.append(Block(page, at + 1, _language_of(body), body))
            at = end
        else:
            at += 1
    return blocks


def _end_of_indented(lines: list[str], at: int) -> int:
    """Blank lines between indented ones belong to the block."""
    while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
        at += 1
    return at


def _language_of(body: str) -> str:
    if body.split()[0] in PROGRAMS:
        return "shell"
    if not _PYTHON.match(body):
        return "text"
    try:
        ast.parse(body)
    except SyntaxError:  # a formula
        return "text"
    return "python"
