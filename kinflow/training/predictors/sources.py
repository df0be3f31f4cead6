"""Sources of a training mixture: which data, how much of it in a batch, and which of its labels."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from tyro.constructors import PrimitiveConstructorSpec

from kinflow.checks import number, path, refuse, some_of, whole
from kinflow.datasets.readers.registry import READERS

LookLabel = Literal["body", "pose", "joints", "keypoints", "parts", "seen"]
"""`body`: pose, shape and place; `pose`: how joints and the root are turned; `joints` in space;
`keypoints` and `parts` (or a mask) in the picture; `seen`: what the detector itself saw, where
nobody labelled keypoints."""
ALL_LABELS: tuple[LookLabel, ...] = get_args(LookLabel)
LOOKS = "looks"
"""Name of the sources that are folders of looks already."""


@dataclass(frozen=True)
class Source:
    """Data to learn from.

    On the command line it is one text: `'coco ~/coco split=train2017 weight=2 use=keypoints'`.

    Attributes:
        name: of a dataset that kinflow reads, such as `3dpw` or `shards`, or `looks` for a folder
            that `kinflow data looks`, `photos` or `see` has written.
        root: its folder.
        split: of the dataset; all if not given.
        weight: share of a batch, relative to those of the other sources.
        use: labels that are used.
        at_most: samples of each label file that the detector looks at; all if not given.
        fov_deg: field of view where a dataset has no cameras.
    """

    name: str
    root: Path
    split: str | None = None
    weight: float = 1.0
    use: tuple[LookLabel, ...] = ALL_LABELS
    at_most: int | None = None
    fov_deg: float = 55.0

    def __post_init__(self) -> None:
        known = (LOOKS, *READERS)
        if self.name not in known:
            refuse(f"'{self.name}' is no source; there are: {', '.join(known)}.")
        path(self, "root")
        if self.name == LOOKS and not (self.split is None and self.at_most is None):
            refuse(f"'{self.root}' is a folder of looks, which has neither split nor at_most.")
        number(self, "weight", above=0)
        number(self, "fov_deg", above=0, below=180)
        some_of(self, "use", ALL_LABELS)
        if self.at_most is not None:
            whole(self, "at_most", at_least=1)

    def __str__(self) -> str:
        split = "" if self.split is None else f" split={self.split}"
        return f"{self.name} {shlex.quote(str(self.root))}{split}"


def source_of(text: str) -> Source:
    """A source as it is typed: name, folder, then `field=value` in any order.

    Raises:
        InputError: it is none.
    """
    try:
        name, root, *rest = shlex.split(text)
        given = dict(word.split("=", 1) for word in rest)
        values = {field: _READ[field](value) for field, value in given.items()}
    except (KeyError, ValueError):
        refuse(
            f"'{text}' is no source: it has to be a name, a folder and then any of "
            f"{', '.join(f'{field}=' for field in _READ)}, in quotes, such as "
            "'coco ~/coco split=train2017 weight=2 use=keypoints,parts'."
        )
    unknown = [word for word in values.get("use", ()) if word not in ALL_LABELS]
    if unknown:
        refuse(f"use= in '{text}' takes any of {', '.join(ALL_LABELS)}, not '{unknown[0]}'.")
    return Source(name, Path(root).expanduser(), **values)


def _typed(source: Source) -> list[str]:
    """A source as it could have been typed."""
    more = [f"weight={source.weight:g}", f"use={','.join(source.use)}"]
    return [" ".join([str(source), *more])]


_READ: dict[str, Callable[[str], Any]] = {
    "split": str,
    "weight": float,
    "use": lambda text: tuple(text.split(",")),
    "at_most": int,
    "fov_deg": float,
}
TypedSource = Annotated[
    Source,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="'NAME ROOT [split=] [weight=] [use=]'",
        instance_from_str=lambda texts: source_of(texts[0]),
        is_instance=lambda value: isinstance(value, Source),
        str_from_instance=_typed,
    ),
]
"""For options of the command line."""
