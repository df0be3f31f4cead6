"""Bodies before and after alignment on real photos: overlap with the segmenters, and a sheet.

For people at least 150 px tall, not hidden by others and with certain keypoints: overlap (IoU) of
the body with the person's silhouette, of its parts with those of the part parser, and, with
`--bodypix FILE` (an ONNX conversion of BodyPix 2), of the parser's and the body's parts with
BodyPix's. Segmenters err too; the numbers measure agreement.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import tyro

import kinflow
from kinflow.body import BodyModel
from kinflow.body.part_maps import part_map
from kinflow.body.part_mesh import PartMesh
from kinflow.body.parts import BACKGROUND, PART_NAMES, UNKNOWN
from kinflow.energy.part_matching import DrawnParts, MatchingConfig, PartTarget
from kinflow.evidence.image import read_photo
from kinflow.evidence.onnx_runtime import onnxruntime
from kinflow.evidence.types import PartLabels, PersonEvidence
from kinflow.export.overlay import draw_overlay
from kinflow.export.parts_seen import draw_parts_seen
from kinflow.export.writer import png_bytes
from kinflow.pipeline.sources import find_photos
from kinflow.results import Person

MIN_HEIGHT_PX = 150
ROW_PX = 300
BODYPIX_SIDE_PX = 512


@dataclass(frozen=True)
class PhotosConfig:
    """Options of the comparison on photos."""

    photos: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Photos, folders or glob patterns."""
    sheet: Path | None = None
    """Write photo, labels, body before and body after side by side into this PNG."""
    bodypix: Path | None = None
    """BodyPix 2 (24 parts) as ONNX, to compare with."""


class BodyPix:
    """The reference segmenter: 24 parts of everybody in an image."""

    def __init__(self, path: Path) -> None:
        self._session = onnxruntime.InferenceSession(str(path))
        self._sets = np.array(part_map("bodypix").sets)

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """Bit set of every pixel."""
        height, width = rgb.shape[:2]
        scale = BODYPIX_SIDE_PX / max(height, width)
        size = [int(np.ceil(side * scale / 16)) * 16 + 1 for side in (width, height)]
        pixels = cv2.resize(rgb, size).astype(np.float32)[None] / 127.5 - 1
        names = [output.name for output in self._session.get_outputs()]
        found = self._session.run(None, {self._session.get_inputs()[0].name: pixels})
        outputs = {name: np.asarray(value) for name, value in zip(names, found, strict=True)}
        person = cv2.resize(outputs["segments"][0, ..., 0], (width, height)) > 0
        parts = cv2.resize(outputs["part_heatmaps"][0], (width, height)).argmax(-1)
        return np.where(person, self._sets[parts], BACKGROUND).astype(np.int32)


def iou_by_part(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Overlap of each part in two maps of bit sets, where both know one; NaN where neither has it.

    A cell that one of them leaves open between several parts agrees with each of these.
    """
    known = (ours != UNKNOWN) & (theirs != UNKNOWN)
    overlaps = []
    for part in range(1, len(PART_NAMES)):
        bit = 1 << part
        a, b = (ours & bit > 0) & known, (theirs & bit > 0) & known
        either = np.count_nonzero((a & (theirs != ours)) | (b & (theirs != ours)) | (a & b))
        overlaps.append(np.count_nonzero(a & b) / either if either else np.nan)
    return np.array(overlaps)


def drawn(person: Person, target: PartTarget) -> DrawnParts:
    """The fitted body on the grid of the labels."""
    return target.draw(person.vertices().numpy())


def main(config: PhotosConfig) -> None:
    before = kinflow.Reconstructor(kinflow.ReconstructorConfig(parts=False))
    after = kinflow.Reconstructor()
    bodypix = None if config.bodypix is None else BodyPix(config.bodypix)
    mesh = PartMesh.of(BodyModel.load())
    rows, agreement, tiles = [], [], []
    for path in find_photos(config.photos):
        photo = read_photo(path)
        evidence = after.detector.detect(photo.rgb)
        results = [r(photo, evidence=evidence) for r in (before, after)]
        everybody = None if bodypix is None else bodypix(photo.rgb)
        for seen, *people in zip(evidence.people, *(r.people for r in results), strict=True):
            if seen.parts is None or seen.height_px < MIN_HEIGHT_PX:
                continue
            target = PartTarget(seen.parts, results[0].camera, mesh, MatchingConfig())
            bodies = [drawn(person, target) for person in people]
            overlaps = [target.silhouette_iou(body) for body in bodies]
            parts = [float(np.nanmean(target.part_iou(body))) for body in bodies]
            rows.append([*overlaps, *parts])
            print(
                f"{path.name:28s} {seen.height_px:5.0f} px  silhouette {overlaps[0]:.2f} -> "
                f"{overlaps[1]:.2f}  parts {parts[0]:.2f} -> {parts[1]:.2f}  {people[1].code}"
            )
            if everybody is not None:
                theirs = sampled(everybody, seen.parts)
                maps = (seen.parts.allowed.numpy(), *(1 << body.part for body in bodies))
                agreement.append([iou_by_part(ours, theirs) for ours in maps])
        if config.sheet is not None:
            tiles.append(tile(photo.rgb, evidence.people, results))
    print_summary(np.array(rows), agreement)
    if config.sheet is not None:
        config.sheet.write_bytes(png_bytes(np.vstack(tiles)))


def sampled(sets: np.ndarray, labels: PartLabels) -> np.ndarray:
    """A map of the image, at the cells of a person's grid."""
    column, row = np.floor(labels.grid.centres_px().numpy()).astype(int).transpose(2, 0, 1)
    height, width = sets.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    found = sets[row.clip(0, height - 1), column.clip(0, width - 1)]
    return np.where(inside & (labels.allowed.numpy() != UNKNOWN), found, UNKNOWN)


def print_summary(rows: np.ndarray, agreement: list[list[np.ndarray]]) -> None:
    """Means over people."""
    names = ("silhouette before", "after", "parts before", "after")
    means = ", ".join(f"{n} {v:.3f}" for n, v in zip(names, rows.mean(0), strict=True))
    print(f"{len(rows)} people, mean IoU: {means}")
    if agreement:
        table = np.nanmean(np.array(agreement), axis=0)
        print("| IoU with BodyPix | parser | body before | body after |\n|---|---|---|---|")
        for part, values in zip(PART_NAMES[1:], table.T, strict=True):
            print(f"| {part} | " + " | ".join(f"{v:.2f}" for v in values) + " |")
        print("| mean | " + " | ".join(f"{v:.2f}" for v in np.nanmean(table, axis=1)) + " |")


def tile(rgb: np.ndarray, people: tuple[PersonEvidence, ...], results: list) -> np.ndarray:
    """Photo, labels, before and after, all of one height and on one width."""
    seen = [person.parts for person in people if person.parts is not None]
    pictures = [rgb, draw_parts_seen(rgb, seen), *(draw_overlay(rgb, r) for r in results)]
    scale = ROW_PX / rgb.shape[0]
    width = min(round(rgb.shape[1] * scale), 2 * ROW_PX)
    row = np.hstack(
        [cv2.resize(p, (width, ROW_PX), interpolation=cv2.INTER_AREA) for p in pictures]
    )
    return np.pad(row, ((0, 4), (0, 8 * ROW_PX - row.shape[1]), (0, 0)), constant_values=255)
