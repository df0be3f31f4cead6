"""BlazePose heavy: 33 keypoints, rough 3D landmarks and a mask of the person in a region.

The steps are those of MediaPipe's pose landmark graph: crop the region, run the network, move each
landmark to the centre of mass of its heatmap (7 x 7 cells, where the peak is at least 0.5), read
the region that the landmarks themselves suggest, and turn the 3D landmarks back by the region's
roll.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8

from kinflow.body.keypoints import COCO17
from kinflow.evidence.cell_sampling import joint_features
from kinflow.evidence.region import Region, transform_points
from kinflow.evidence.types import CloseLook
from kinflow.evidence.weights import Network, RuntimeConfig

CROP_PX = 256
LANDMARKS = 33
HIP_CENTER, FULL_BODY = 33, 34  # auxiliary landmarks that span the next region
REGION_MARGIN = 1.25
BEYOND_KEYPOINTS = 1.07
# From the hips to the ankles of a standing body, in lengths of its torso.
BODY_TORSOS = 1.6
# Length of a torso in widths of the shoulders, and at least what share of a box that shows it.
TORSO_WIDTHS, TORSO_OF_BOX = 1.4, 0.35
HEATMAP_WINDOW = 7
HEATMAP_CONFIDENCE = 0.5
MIN_SIZE_PX = 8.0


@dataclass(frozen=True)
class Pose:
    """BlazePose's answer for one region, in pixels of the whole image."""

    keypoints_px: Float[np.ndarray, "33 2"]
    visibility: Float[np.ndarray, " 33"]
    """Probability that the point is in the crop and not hidden."""
    presence: Float[np.ndarray, " 33"]
    """Probability that the point lies inside the crop."""
    world_m: Float[np.ndarray, "33 3"]
    """Relative to the middle of the hips; x right, y down, z forward."""
    score: float
    """Probability that the region shows a person."""
    features: Float[np.ndarray, " 1152"]
    """The trunk's last activation, which the heads of landmarks and 3D read."""
    joint_features: Float[np.ndarray, "33 288"]
    """The activations at 32 x 32 and 16 x 16 cells, at the keypoints."""
    map_features: Float[np.ndarray, " 4608"]
    """The trunk's activations at 4 x 4 cells."""
    mask: Float[np.ndarray, "256 256"]
    """Probability of the person at each pixel of the crop."""
    region: Region
    next_region: Region
    """The region that these landmarks suggest."""

    def close_look(self) -> CloseLook:
        """The answer in the axes of the crop."""
        points = transform_points(self.region.to_crop(CROP_PX), self.keypoints_px) / CROP_PX - 0.5
        landmarks = np.column_stack((points, self.confidence))
        return CloseLook(
            region=self.region,
            landmarks=torch.from_numpy(landmarks).float(),
            world_m=torch.from_numpy(turn_about_z(self.world_m, -self.region.roll)).float(),
            features=torch.from_numpy(self.features).float(),
            # half the memory of a clip's looks, and finer than any two detectors agree
            joint_features=torch.from_numpy(self.joint_features).half(),
            map_features=torch.from_numpy(self.map_features).half(),
        )

    @property
    def confidence(self) -> Float[np.ndarray, " 33"]:
        """Confidence of each keypoint in [0, 1]."""
        return self.visibility * self.presence


class BlazePose:
    """The network with MediaPipe's decoding."""

    def __init__(self, runtime: RuntimeConfig) -> None:
        self._network = Network("blazepose_heavy.onnx", runtime)

    def __call__(self, image_rgb: UInt8[np.ndarray, "height width 3"], region: Region) -> Pose:
        """Landmarks of the person in a region."""
        return self._pose(region.crop(image_rgb, CROP_PX), region)

    def in_mirror(
        self, image_rgb: UInt8[np.ndarray, "height width 3"], region: Region
    ) -> CloseLook:
        """What the network sees in the mirror image of a region's crop, in that image's axes.

        It errs there in other ways than in the crop itself.
        """
        mirrored = np.ascontiguousarray(region.crop(image_rgb, CROP_PX)[:, ::-1])
        return self._pose(mirrored, region).close_look()

    def _pose(self, crop: UInt8[np.ndarray, "side side 3"], region: Region) -> Pose:
        outputs = self._network.run(crop[None])
        landmarks = outputs["landmarks"].reshape(-1, 5)
        points = refine_by_heatmap(landmarks[:, :2], sigmoid(outputs["heatmap_logit"]))
        points_px = transform_points(region.to_image(CROP_PX), points)
        world = outputs["world"].reshape(-1, 3)[:LANDMARKS]
        return Pose(
            keypoints_px=points_px[:LANDMARKS],
            visibility=sigmoid(landmarks[:LANDMARKS, 3]),
            presence=sigmoid(landmarks[:LANDMARKS, 4]),
            world_m=turn_about_z(world, region.roll),
            score=float(outputs["presence"][0]),
            features=outputs["features"].ravel(),
            joint_features=_at_points(outputs, points[:LANDMARKS]),
            map_features=outputs["map4"].ravel(),
            mask=sigmoid(outputs["mask_logit"][..., 0]),
            region=region,
            next_region=_region_from_points(points_px[HIP_CENTER], points_px[FULL_BODY]),
        )


def region_from_coco(keypoints_px: Float[np.ndarray, "17 3"], min_score: float = 0.15) -> Region:
    """First region of a person from COCO keypoints (x, y, score), upright along the torso.

    Its circle about the hips reaches the furthest keypoint that was seen, and at least as far as a
    standing body of this torso length, and a little further: COCO's keypoints end at the ankles.
    """
    index = {name: i for i, name in enumerate(COCO17)}
    points = keypoints_px[:, :2]
    hips = points[[index["left_hip"], index["right_hip"]]].mean(axis=0)
    shoulders = points[[index["left_shoulder"], index["right_shoulder"]]].mean(axis=0)
    seen = points[keypoints_px[:, 2] > min_score]
    reach = np.linalg.norm(seen - hips, axis=1).max() if len(seen) else 0.0
    radius = BEYOND_KEYPOINTS * max(reach, BODY_TORSOS * np.linalg.norm(shoulders - hips))
    up = shoulders - hips
    return _region(hips, float(radius), up)


def region_from_box(box_px: Float[np.ndarray, " 4"]) -> Region:
    """An upright region that a box of a whole body fills."""
    middle = (box_px[:2] + box_px[2:]) / 2
    return _region(middle, float((box_px[2:] - box_px[:2]).max()) / 2, np.array((0.0, -1.0)))


def region_from_shoulders(
    keypoints_px: Float[np.ndarray, "17 3"], box_px: Float[np.ndarray, " 4"]
) -> Region:
    """An upright region about where the hips should be, for a body that is cut off below the chest.

    Hips that are out of sight are guesses, so the torso's length is taken from the width of the
    shoulders or, of people seen from the side, from the box.
    """
    shoulders = keypoints_px[[COCO17.index(f"{side}_shoulder") for side in ("left", "right")], :2]
    width = np.linalg.norm(shoulders[0] - shoulders[1])
    torso = max(TORSO_WIDTHS * width, TORSO_OF_BOX * (box_px[3] - box_px[1]))
    hips = shoulders.mean(axis=0) + (0.0, torso)
    return _region(hips, BEYOND_KEYPOINTS * BODY_TORSOS * float(torso), np.array((0.0, -1.0)))


def refine_by_heatmap(
    points: Float[np.ndarray, "n 2"], heatmap: Float[np.ndarray, "rows columns n"]
) -> Float[np.ndarray, "n 2"]:
    """Move crop points (pixels) to the centre of mass of the heat around them.

    This is MediaPipe's `RefineLandmarksFromHeatmap`, which takes a cell's index, not its centre, as
    its position.
    """
    rows, columns, count = heatmap.shape
    cells = points * (columns / CROP_PX, rows / CROP_PX)
    refined = points.copy()
    reach = HEATMAP_WINDOW // 2
    for i in range(count):
        column, row = (int(c) for c in cells[i])
        if not (0 <= column < columns and 0 <= row < rows):
            continue
        left, top = max(0, column - reach), max(0, row - reach)
        window = heatmap[top : row + reach + 1, left : column + reach + 1, i]
        if window.max() < HEATMAP_CONFIDENCE:
            continue
        total = window.sum()
        x = (window.sum(axis=0) @ np.arange(left, left + window.shape[1])) / total
        y = (window.sum(axis=1) @ np.arange(top, top + window.shape[0])) / total
        refined[i] = x * CROP_PX / columns, y * CROP_PX / rows
    return refined


def _at_points(
    outputs: dict[str, np.ndarray], points: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "n 288"]:
    """The activations at points of the crop, given in its pixels."""
    map32, map16 = (torch.from_numpy(outputs[name])[None] for name in ("map32", "map16"))
    return joint_features(map32, map16, torch.from_numpy(points)[None] / CROP_PX)[0].numpy()


def turn_about_z(points: Float[np.ndarray, "n 3"], roll: float) -> Float[np.ndarray, "n 3"]:
    """Turn 3D points of an upright crop back into the image's axes."""
    cosine, sine = math.cos(roll), math.sin(roll)
    rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], points.dtype)
    return points @ rotation.T


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Logistic function that does not overflow."""
    return 0.5 * (1 + np.tanh(0.5 * values))


def _region_from_points(center: np.ndarray, on_circle: np.ndarray) -> Region:
    up = on_circle - center
    return _region(center, float(np.linalg.norm(up)), up)


def _region(center: np.ndarray, radius: float, up: np.ndarray) -> Region:
    return Region(
        center_px=(float(center[0]), float(center[1])),
        size_px=max(MIN_SIZE_PX, 2 * REGION_MARGIN * radius),
        roll=math.atan2(float(up[0]), -float(up[1])),
    )
