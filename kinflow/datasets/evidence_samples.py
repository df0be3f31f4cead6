"""What our own detectors saw in a photo as samples: labels with confidences and no truth in space.

The way back, from a sample of any dataset to what the detector sees of it, is
`kinflow.datasets.sample_looks`.
"""

from __future__ import annotations

import numpy as np

from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.part_maps import UNKNOWN_ID
from kinflow.datasets.sample import Sample
from kinflow.datasets.sample_parts import Keypoints2D, Mask, PartMapLabel, Picture
from kinflow.evidence.types import ImageEvidence, PartLabels, PersonEvidence

_SHOWS = 0.5


def evidence_samples(evidence: ImageEvidence, picture: Picture, key: str) -> list[Sample]:
    """One sample a person, in the order of the evidence.

    Confidences are the detector's. A soft mask becomes one of the pixels that more likely than not
    show the person; cells that may show several parts become 255 (unknown).

    Args:
        evidence: of one photo.
        picture: the photo.
        key: its name, to which the number of the person is added.
    """
    return [
        _sample(person, evidence.image_size, picture, f"{key}/{i}")
        for i, person in enumerate(evidence.people)
    ]


def _sample(person: PersonEvidence, size: tuple[int, int], picture: Picture, key: str) -> Sample:
    points = person.keypoints_px.detach().cpu().numpy().astype(np.float32)
    x0, y0, x1, y1 = person.box_px.tolist()
    mask = None
    if person.mask is not None:
        mask = Mask(size, (person.mask.rasterize(size) > _SHOWS).cpu().numpy())
    return Sample(
        "evidence",
        key,
        picture=picture,
        box_px=(x0, y0, x1 - x0, y1 - y0) if x1 > x0 and y1 > y0 else None,
        keypoints=Keypoints2D(BLAZEPOSE33, points[:, :2], points[:, 2].clip(0, 1)),
        parts=None if person.parts is None else _parts(person.parts),
        mask=mask,
    )


def _parts(parts: PartLabels) -> PartMapLabel:
    allowed = parts.allowed.cpu().numpy()
    single = (allowed > 0) & (allowed & (allowed - 1) == 0)
    labels = np.where(single, np.log2(np.maximum(allowed, 1)), UNKNOWN_ID).astype(np.uint8)
    x0, y0, x1, y1 = parts.grid.box_px
    return PartMapLabel("kinflow", labels, (x0, y0, x1 - x0, y1 - y0))
