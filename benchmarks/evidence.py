"""Time of finding people and their keypoints, per stage, and the people found in each photo.

    python benchmarks/evidence.py [PHOTO ...] [--threads 2] [--repeats 5] [--overlays DIR]

Without photos it takes the astronaut and the camera man of scikit-image. Times are the fastest of
the repeats, warm, in milliseconds: `search` is MoveNet at all scales, `poses` BlazePose with its
refinement, `outlines` both masks, `total` one call of `EvidenceDetector.detect` without and with
silhouettes. `--overlays` writes the keypoints and silhouettes drawn over the photos.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from kinflow.body.bones import STICK_FIGURE_ROWS
from kinflow.evidence.detector import DetectorConfig, EvidenceDetector
from kinflow.evidence.image import as_photo
from kinflow.evidence.pyramid import search
from kinflow.evidence.types import ImageEvidence
from kinflow.evidence.weights import RuntimeConfig

COLORS = ((255, 80, 60), (60, 160, 255), (80, 220, 80), (255, 200, 0), (220, 80, 255))
DRAWN_CONFIDENCE = 0.3


def fastest_ms(call: Callable[[], object], repeats: int) -> float:
    """Milliseconds of the fastest of several calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def draw(image_rgb: np.ndarray, evidence: ImageEvidence) -> np.ndarray:
    """Silhouettes, boxes and skeletons over the photo."""
    canvas = image_rgb.astype(np.float32)
    for i, person in enumerate(evidence.people):
        if person.mask is not None:
            weight = 0.5 * person.mask.rasterize(evidence.image_size).numpy()[..., None]
            canvas += weight * (np.array(COLORS[i % len(COLORS)], np.float32) - canvas)
    drawn = np.ascontiguousarray(canvas.astype(np.uint8))
    for i, person in enumerate(evidence.people):
        color = COLORS[i % len(COLORS)]
        x0, y0, x1, y1 = (int(v) for v in person.box_px)
        cv2.rectangle(drawn, (x0, y0), (x1, y1), color, 1)
        keypoints = person.keypoints_px.numpy()
        for a, b in STICK_FIGURE_ROWS:
            if min(keypoints[a, 2], keypoints[b, 2]) > DRAWN_CONFIDENCE:
                ends = [(int(keypoints[k, 0]), int(keypoints[k, 1])) for k in (a, b)]
                cv2.line(drawn, ends[0], ends[1], color, 2, cv2.LINE_AA)
    return drawn


def main() -> None:
    """Print one line per photo."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--overlays", type=Path)
    arguments = parser.parse_args()
    runtime = RuntimeConfig(threads=arguments.threads)
    plain = EvidenceDetector(DetectorConfig(runtime))
    outlined = EvidenceDetector(DetectorConfig(runtime, silhouette=True))

    photos = {path.stem: as_photo(path).rgb for path in arguments.photos} or {
        "astronaut": skimage.data.astronaut(),
        "camera": as_photo(skimage.data.camera()).rgb,
    }
    print(f"{'photo':24} {'size':>11} people  search   poses  outlines   total  with outlines")
    for name, image in photos.items():
        evidence = outlined.detect(image)
        plain.detect(image)
        config = plain.config

        def candidates(image: np.ndarray = image, config: DetectorConfig = config) -> object:
            return search(image, plain.movenet, config.pyramid, config.min_score)

        searching = fastest_ms(candidates, arguments.repeats)
        total = fastest_ms(lambda image=image: plain.detect(image), arguments.repeats)
        everything = fastest_ms(lambda image=image: outlined.detect(image), arguments.repeats)
        print(
            f"{name:24} {image.shape[1]:5}x{image.shape[0]:<5} {len(evidence.people):6} "
            f"{searching:7.0f} {total - searching:7.0f} {everything - total:9.0f} "
            f"{total:7.0f} {everything:14.0f}"
        )
        if arguments.overlays is not None:
            arguments.overlays.mkdir(parents=True, exist_ok=True)
            path = arguments.overlays / f"{name}.png"
            cv2.imwrite(str(path), cv2.cvtColor(draw(image, evidence), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
