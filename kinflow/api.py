"""What a program calls: a photo in, people out.

import kinflow

people = kinflow.reconstruct("photo.jpg")

reconstructor = kinflow.Reconstructor()          # loads the models once
for path in paths:
    result = reconstructor(path)
    vertices_m = result.people[0].vertices()
"""

from __future__ import annotations

from kinflow.pipeline.reconstructor import Image, Reconstructor, ReconstructorConfig
from kinflow.results import Person

__all__ = ["Image", "Reconstructor", "ReconstructorConfig", "reconstruct"]


def reconstruct(image: Image, config: ReconstructorConfig | None = None) -> list[Person]:
    """The people of one photo as posed, shaped bodies (see `Reconstructor` for many photos).

    Raises:
        InputError: the image cannot be read or is unusable.
    """
    return list(Reconstructor(config)(image).people)
