"""Where the two networks of the detector see limbs, and which of their answers are right.

python benchmarks/agreement.py --poses poses.safetensors [--worlds 80] [--split test]

Limb keypoints of rendered people, by how visible BlazePose calls them and by what MoveNet makes of
them: it confirms them (by at least a half), sees them elsewhere, or hardly sees them. Errors are
distances in shares of the person's size, of BlazePose's keypoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from predictor import held_out_kinds
from rich.progress import track

from kinflow.body.keypoints import LIMB_KEYPOINTS
from kinflow.datasets.poses import Split
from kinflow.evaluation.world_sets import pictures
from kinflow.evidence.agreement import STAND_INS, confirmed
from kinflow.evidence.detector import EvidenceDetector
from kinflow.evidence.people import person_size
from kinflow.synth.matching import match

_LIMBS = list(LIMB_KEYPOINTS)
_VISIBLE = ((0.0, 0.15), (0.15, 0.5), (0.5, 0.8), (0.8, 1.01))
_CONFIRMED, _HEAT = 0.5, 0.3
_FAR = 0.1


@dataclass(frozen=True)
class AgreementBenchmark:
    """Which pictures.

    Attributes:
        poses: pose set written by `kinflow data poses`.
        split: whose poses.
        worlds: number of pictures.
    """

    poses: Path
    split: Split = "validation"
    worlds: int = 80


def main(config: AgreementBenchmark) -> None:
    torch.set_num_threads(1)
    rows = np.concatenate(limbs(config))
    visible, lent, heat, error = rows.T
    print(f"{len(rows)} limb keypoints")
    kinds = {
        "confirmed": lent >= _CONFIRMED,
        "seen elsewhere": (lent < _CONFIRMED) & (heat >= _HEAT),
        "hardly seen": (lent < _CONFIRMED) & (heat < _HEAT),
    }
    for low, high in _VISIBLE:
        for name, rows_of in kinds.items():
            some = error[rows_of & (visible >= low) & (visible < high)]
            if len(some):
                far = 100 * np.mean(some > _FAR)
                print(
                    f"visible {low:.2f}-{min(high, 1.0):.2f} {name:15s} {len(some):5d}: "
                    f"median {np.median(some):.3f}, beyond {_FAR} {far:.0f} %"
                )


def limbs(config: AgreementBenchmark) -> list[np.ndarray]:
    """Of each person: visibility, confirmed confidence, heat and error of the twelve."""
    kinds = held_out_kinds(config.poses, config.split)
    detector, rows = EvidenceDetector(), []
    for world, rgb in track(pictures(kinds, config.worlds), "pictures", total=config.worlds):
        people = detector.people(rgb, None)
        for truth, row in zip(
            world.people, match(world.people, detector.measured(rgb, people)), strict=True
        ):
            if row is None or (pose := people[row].pose) is None:
                continue
            detection = people[row].detection
            true_px = world.camera.project(truth.keypoints_cam_m[_LIMBS]).numpy()
            away_px = np.linalg.norm(pose.keypoints_px[_LIMBS] - true_px, axis=1)
            columns = (
                pose.confidence[_LIMBS],
                confirmed(pose, detection)[_LIMBS],
                detection.keypoints_px[STAND_INS, 2][_LIMBS],
                away_px / person_size(detection.box_px),
            )
            rows.append(np.column_stack(columns))
    return rows


if __name__ == "__main__":
    main(tyro.cli(AgreementBenchmark, description=__doc__))
