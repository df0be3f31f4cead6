"""The joint tree at the head of a BVH file.

Exporters differ in small things, all of which are read: braces on the same line or the next, names
with spaces or namespaces, position or scale channels on every joint, upper and lower case.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_JOINTS = 2000
MAX_VALUE = 1e9
"""Numbers in a motion file are smaller than this."""

_MAX_LINE = 10_000
_CHANNELS = {
    f"{axis}{kind}".lower(): f"{axis}{kind}"
    for axis in "XYZ"
    for kind in ("position", "rotation", "scale")
}
_BRACE_OR_KEYWORD = re.compile(
    r"([{}])|\b(?=(?:OFFSET|CHANNELS|JOINT|End\s+Site)\b)", re.IGNORECASE
)


@dataclass
class Hierarchy:
    """Mutable state while the joint tree is being read."""

    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: list[list[float] | None] = field(default_factory=list)
    end_offsets: list[list[float]] = field(default_factory=list)
    channels: list[tuple[str, ...]] = field(default_factory=list)
    stack: list[int | None] = field(default_factory=list)  # None marks an open End Site

    def open_joint(self, name: str, is_root: bool) -> None:
        parent = self.stack[-1] if self.stack else -1
        if parent is None:
            raise ValueError("a joint stands inside an End Site")
        if is_root != (parent == -1):
            raise ValueError(
                f"{name!r} is a {'ROOT inside' if is_root else 'JOINT outside'} a tree"
            )
        if len(self.names) == MAX_JOINTS:
            raise ValueError(f"there are more than {MAX_JOINTS} joints, too many for a body")
        self.stack.append(len(self.names))
        self.names.append(name)
        self.parents.append(parent)
        self.offsets.append(None)
        self.end_offsets.append([0.0, 0.0, 0.0])
        self.channels.append(())

    def open_end_site(self) -> None:
        self._current()
        self.stack.append(None)

    def close(self) -> None:
        if not self.stack:
            raise ValueError("there is one '}' too many")
        self.stack.pop()

    def set_offset(self, values: list[str]) -> None:
        where = "an End Site" if self.stack and self.stack[-1] is None else None
        where = where or f"joint {self.names[self._current()]!r}"
        offset = [number(value) for value in values]
        if len(offset) != 3 or not all(abs(v) < MAX_VALUE for v in offset):
            raise ValueError(f"the OFFSET of {where} is not three numbers")
        if self.stack[-1] is not None:
            self.offsets[self.stack[-1]] = offset
        elif len(self.stack) > 1 and self.stack[-2] is not None:
            self.end_offsets[self.stack[-2]] = offset

    def set_channels(self, values: list[str]) -> None:
        joint = self._current()
        names = tuple(_CHANNELS.get(value.lower(), "") for value in values[1:])
        if not (
            values and values[0] == str(len(names)) and all(names) and len(set(names)) == len(names)
        ):
            raise ValueError(f"the CHANNELS of joint {self.names[joint]!r} are not understood")
        self.channels[joint] = names

    def _current(self) -> int:
        if not self.stack or self.stack[-1] is None:
            raise ValueError("a line stands outside of every joint")
        return self.stack[-1]


def number(text: str | bytes) -> float:
    """The number that a word is, NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


class Lines:
    """The lines of a text one by one, and what of it is left."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.number = 0
        self.position = 0

    def __iter__(self) -> Iterator[str]:
        while self.position < len(self.text):
            end = self.text.find("\n", self.position)
            end = len(self.text) if end < 0 else end
            line = self.text[self.position : end].strip()
            self.position = end + 1
            self.number += 1
            yield line

    def next_filled(self) -> str:
        """The next line that is not empty, or '' at the end."""
        return next((line for line in self if line), "")


def parse_hierarchy(lines: Lines) -> Hierarchy:
    """Read the joint tree, up to and with the line `MOTION`."""
    if lines.next_filled().upper() != "HIERARCHY":
        raise ValueError("it does not begin with HIERARCHY")
    tree = Hierarchy()
    for line in lines:
        if line.upper() == "MOTION":
            if tree.stack or not tree.names:
                raise ValueError("the joint tree is not closed before MOTION")
            missing = [name for name, o in zip(tree.names, tree.offsets, strict=True) if o is None]
            if missing:
                raise ValueError(f"joint {missing[0]!r} has no OFFSET")
            return tree
        if len(line) > _MAX_LINE:
            raise ValueError(f"a line of the joint tree has {len(line)} characters")
        for part in _BRACE_OR_KEYWORD.split(line):
            if part and part.strip():
                _parse_part(tree, part.split())
    raise ValueError("it has no MOTION section")


def _parse_part(tree: Hierarchy, words: list[str]) -> None:
    match words[0].upper():
        case "ROOT" | "JOINT" as kind:
            tree.open_joint(" ".join(words[1:]) or "unnamed", kind == "ROOT")
        case "END":
            tree.open_end_site()
        case "OFFSET":
            tree.set_offset(words[1:])
        case "CHANNELS":
            tree.set_channels(words[1:])
        case "}":
            tree.close()
        case "{":
            pass
        case _:
            raise ValueError(f"{' '.join(words)[:40]!r} is not understood")
