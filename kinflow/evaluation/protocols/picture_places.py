"""Which sequence and frame a photo is, by the pictures that the truth names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kinflow.datasets.person_rows import PersonRows
from kinflow.errors import InputError

Place = tuple[str, int]
"""Sequence and frame."""


@dataclass(frozen=True)
class PicturePlaces:
    """Places of pictures by the name of their file, without its ending."""

    by_name: Mapping[str, Mapping[Place, tuple[str, ...]]]
    """For each name the places of that name, with the folders above the file."""

    @staticmethod
    def of(truth: PersonRows) -> PicturePlaces:
        """All pictures of a truth that has `image`."""
        found: dict[str, dict[Place, tuple[str, ...]]] = {}
        columns = (truth[name].tolist() for name in ("image", "sequence", "frame"))
        for image, sequence, frame in dict.fromkeys(zip(*columns, strict=True)):
            path = Path(image)
            found.setdefault(path.stem, {})[sequence, frame] = path.parts[:-1]
        return PicturePlaces(found)

    def of_photo(self, source: str) -> Place:
        """The place of a photo; where several have its name, that with the most folders in common,
        from the file upwards.

        Raises:
            InputError: no picture is called so, or several cannot be told apart.
        """
        photo = Path(source)
        places = self.by_name.get(photo.stem, {})
        if not places:
            raise InputError(f"No picture of the truth is called '{photo.stem}'.")
        common = {place: _common(photo.parts[:-1], above) for place, above in places.items()}
        most = max(common.values())
        best = [place for place, count in common.items() if count == most]
        if len(best) > 1:
            raise InputError(
                f"Several pictures of the truth are called '{photo.stem}', and their folders do "
                f"not tell which one '{source}' is."
            )
        return best[0]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many parts two paths have in common, from the end."""
    count = 0
    for mine, theirs in zip(reversed(one), reversed(other), strict=False):
        if mine != theirs:
            break
        count += 1
    return count
