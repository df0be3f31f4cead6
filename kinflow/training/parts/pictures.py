"""People as the detectors saw them, in the axes of the crop that BlazePose looked at.

Pictures of a studio come with what BlazePose made of them and with the silhouette as the product
would have it, so the parser learns from the errors that it will meet. They are kept small, as bytes
where that will do, for a pool holds many thousands of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from kinflow.body.shape import PHENOTYPES

IGNORED = 255
"""Label of pixels that do not count."""
_AGE = PHENOTYPES.index("age")


@dataclass(frozen=True)
class Pictures:
    """People in crops of 256 x 256 pixels; any of them may be of no use."""

    rgb: UInt8[Tensor, "people 256 256 3"]
    mask: UInt8[Tensor, "people 256 256"]
    """The silhouette's probability, 0 to 255."""
    labels: UInt8[Tensor, "people 256 256"]
    """Parts of the naked body, 0 for the background, `IGNORED` where nothing is known."""
    inside: Bool[Tensor, "people 256 256"]
    """Pixels that lie in the image."""
    keypoints_crop: Float[Tensor, "people 33 3"]
    """(x, y, confidence) of the detector, positions from -0.5 to 0.5 across the crop."""
    depth_m: Float[Tensor, "people 33"]
    """The detector's, relative to the middle of the hips."""
    roll: Float[Tensor, " people"]
    """By which the crop is turned in the image, in radians (`Region.roll`)."""
    age: Float[Tensor, " people"]
    """The phenotype."""
    useful: Bool[Tensor, " people"]
    """Whether the detector saw this person, as far as they can be seen."""

    def __len__(self) -> int:
        return len(self.rgb)

    def __getitem__(self, rows: Int[Tensor, " rows"]) -> Pictures:
        return self._each(lambda name: getattr(self, name)[rows])

    def room(self, count: int) -> Pictures:
        """Empty memory for so many people on the same device."""
        return self._each(lambda name: _zeros_like_rows(getattr(self, name), count))

    def put(self, first: int, others: Pictures) -> None:
        """Write others over the rows from `first` on."""
        for name in (field.name for field in fields(self)):
            getattr(self, name)[first : first + len(others)] = getattr(others, name)

    def _each(self, of: Callable[[str], Tensor]) -> Pictures:
        return Pictures(**{field.name: of(field.name) for field in fields(self)})


def _zeros_like_rows(values: Tensor, count: int) -> Tensor:
    return values.new_zeros(count, *values.shape[1:])


def age_of(phenotypes: Float[Tensor, "people 6"]) -> Float[Tensor, " people"]:
    """The phenotype `age` alone: 0 baby, 1/3 child, 2/3 young, 1 old."""
    return phenotypes[:, _AGE]
