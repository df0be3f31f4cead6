"""MediaPipe's multi-class selfie segmenter: which pixels of a crop show any person.

Its six classes are background, hair, body skin, face skin, clothes and others (what people carry);
a pixel is a person's where the background is not the answer. Its outlines are sharp, but it does
not tell people apart and misses unusual poses, hence it only refines BlazePose's mask.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from kinflow.evidence.region import Region
from kinflow.evidence.weights import Network, RuntimeConfig

CROP_PX = 256
BACKGROUND_CLASS = 0
BOX_MARGIN = 1.2


class SelfieSegmenter:
    """The network."""

    def __init__(self, runtime: RuntimeConfig) -> None:
        self._network = Network("selfie_multiclass.onnx", runtime)

    def __call__(
        self, image_rgb: UInt8[np.ndarray, "height width 3"], region: Region
    ) -> Float[np.ndarray, "256 256"]:
        """Probability of a person at each pixel of the region's crop."""
        crop = region.crop(image_rgb, CROP_PX)
        (logits,) = self._network.run(crop[None]).values()
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return 1 - exponentials[..., BACKGROUND_CLASS] / exponentials.sum(axis=-1)


def region_from_box(box_px: Float[np.ndarray, " 4"]) -> Region:
    """Upright square around a box, with a margin."""
    x0, y0, x1, y1 = (float(value) for value in box_px)
    return Region(((x0 + x1) / 2, (y0 + y1) / 2), BOX_MARGIN * max(x1 - x0, y1 - y0, 1.0))
