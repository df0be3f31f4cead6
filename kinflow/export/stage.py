"""The one world in which all people of all frames stand: y up by gravity, the floor at y = 0.

Exports over time place everybody here, so that people keep their places to each other and files fit
together. Its origin is on the floor below the camera, its x level and to the camera's right.

The floor is found from the bodies: of the heights of each frame's lowest point, the height that
three frames in four reach or exceed. Somebody who jumps does not sink it, and frames that a fit has
put too low do not lift everybody off the ground; of a photo it is what is known of it, or else the
lowest point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64

from kinflow.export.bodies import Bodies
from kinflow.export.heights import lowest_m
from kinflow.export.upright import R_world_cam
from kinflow.results import Frame, Gravity, Reconstruction, Track

FLOOR_QUANTILE = 0.25
"""Share of frames whose lowest point may be under the floor."""


@dataclass(frozen=True)
class Stage:
    """Where the camera of each frame is in the world."""

    row_of_frame: dict[int, int]
    """Row of the arrays for the index of each frame."""
    R_world_cam: Float64[np.ndarray, "frames 3 3"]
    camera_height_m: float
    """Of the camera over the floor."""

    @staticmethod
    def of(reconstruction: Reconstruction) -> Stage:
        """The world of a photo or clip.

        A frame of which nothing is known of gravity has that of the nearest frame before it that
        has some, or of the first; where no frame has any, cameras are level. Where it is known how
        cameras are turned, x is level and to the right of the first frame's camera of the shot.
        """
        rows = {frame.index: row for row, frame in enumerate(reconstruction.frames)}
        R = _rotations(reconstruction.frames)
        heights_m = np.full(len(rows), np.inf)
        for track in reconstruction.tracks:
            seen = [rows[body.frame] for body in track.bodies]
            pose = torch.stack([body.pose for body in track.bodies])
            root_m = torch.stack([body.t_cam_root_m for body in track.bodies])
            model = track.bodies[0].model
            lowest = lowest_m(track.shape, pose, root_m, R[seen, 1], model)
            heights_m[seen] = np.minimum(heights_m[seen], lowest)
        known = heights_m[np.isfinite(heights_m)]
        floor_m = float(np.quantile(known, FLOOR_QUANTILE)) if len(known) else 0.0
        return Stage(rows, R, -floor_m)

    @staticmethod
    def of_photo(frame: Frame, bodies: Bodies | None) -> Stage:
        """The world of one frame whose bodies are posed already."""
        R = R_world_cam(frame.gravity)
        floor_m = float((bodies.vertices_cam_m @ R[1]).min()) if bodies else 0.0
        if frame.floor is not None:
            floor_m = frame.floor.height_m
        return Stage({frame.index: 0}, R[None], -floor_m)

    @property
    def turns(self) -> bool:
        """Whether the camera is held differently in different frames."""
        return bool((self.R_world_cam != self.R_world_cam[0]).any())

    def track_pose(
        self, track: Track
    ) -> tuple[Float64[np.ndarray, "bodies 22 3 3"], Float64[np.ndarray, "bodies 3"]]:
        """Local joint rotations, those of the root from the root to the world, and positions of the
        pelvis in the world, metres, of all bodies of a track."""
        R = self.R_world_cam[[self.row_of_frame[body.frame] for body in track.bodies]]
        pose = torch.stack([body.pose for body in track.bodies]).double().numpy()
        root_m = torch.stack([body.t_cam_root_m for body in track.bodies]).double().numpy()
        pose[:, 0] = R @ pose[:, 0]
        return pose, (R @ root_m[..., None])[..., 0] + [0.0, self.camera_height_m, 0.0]


def _rotations(frames: tuple[Frame, ...]) -> np.ndarray:
    """R_world_cam of each frame."""
    upright = [_in_first(frame) for frame in frames]
    known = [gravity for gravity in upright if gravity is not None]
    last, rotations = (known[0] if known else None), []
    for own in upright:
        gravity = own or last
        # the same gravity again needs no second decomposition, and gives the same matrix
        same = bool(rotations) and gravity == last
        rotations.append(rotations[-1] if same else R_world_cam(gravity))
        last = gravity
    turns = [None if frame.turn is None else frame.turn.R_first_cam.numpy() for frame in frames]
    return np.stack([R if T is None else R @ T for R, T in zip(rotations, turns, strict=True)])


def _in_first(frame: Frame) -> Gravity | None:
    """What is up, as the camera has it in the first frame of the shot."""
    if frame.gravity is None or frame.turn is None:
        return frame.gravity
    return frame.gravity.turned(frame.turn.R_first_cam)
