"""`viewer.html` of a clip: poses of every frame, from which the page makes the bodies as it plays.

A frame costs 211 bytes a person: 22 quaternions of 16 bits a number, finer than 0.2 mm at the
fingertips, the position of the pelvis, how uncertain each joint is, and a code. Meshes at rest and
the skin's weights are sent once. Poses are in the frame of the first frame's camera, so that the
page draws photos and clips alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8

from kinflow.body.model import BodyModel, ShapedBody
from kinflow.export.colors import person_color
from kinflow.export.quaternions import along_time
from kinflow.export.stage import Stage
from kinflow.export.viewer_page import (
    base64_of,
    camera_of,
    doubt_bytes,
    page,
    photo_url,
    quantised,
    up_of,
)
from kinflow.results import RESULT_SENTENCES, Reconstruction, ResultCode, Track

PICTURE_SIDE_PX = 480
"""Pictures of a clip are reduced to at most this long a side."""
_MIN_WEIGHT = 1e-4
_MOST_JOINTS = 8
"""That move one vertex."""
_MARKS: dict[ResultCode, Literal["seen", "filled", "doubtful"]] = {
    "ok": "seen",
    "no_parts": "seen",
    "truncated": "seen",
    "not_seen": "filled",
}
"""How frames are marked below the time; those of other codes are doubtful."""
_CODES = tuple(RESULT_SENTENCES)


def clip_viewer_html(
    reconstruction: Reconstruction,
    pictures: Mapping[int, UInt8[np.ndarray, "height width 3"]] | None = None,
    stage: Stage | None = None,
    files: Sequence[str] = (),
) -> bytes:
    """Content of `viewer.html` for the people of a clip.

    Args:
        reconstruction: people, camera and gravity of the frames.
        pictures: some frames by their index, to be seen behind the bodies; left out where the
            camera turns, since the page has one camera.
        stage: the world of the clip, where it is known already.
        files: names of what lies beside the page.
    """
    stage = stage or Stage.of(reconstruction)
    frames = reconstruction.frames
    tracks = reconstruction.tracks
    model = tracks[0].bodies[0].model if tracks else BodyModel.load()
    shown = {} if stage.turns else pictures or {}
    scene = {
        "camera": camera_of(frames[0].camera),
        "up": up_of(frames[0]),
        "photo": "",
        "faces": base64_of(model.faces.numpy().astype("<u2")),
        "skin": _skin(model),
        "codes": [
            {"code": code, "mark": _MARKS.get(code, "doubtful"), "says": RESULT_SENTENCES[code]}
            for code in _CODES
        ],
        "clip": {
            "first": frames[0].index,
            "start": frames[0].time_s,
            "floor": stage.camera_height_m,
            "seconds": base64_of(
                np.array([f.time_s - frames[0].time_s for f in frames]).astype("<f4")
            ),
            "turns": base64_of(_turns(stage)) if stage.turns else "",
            "pictures": [
                {"row": stage.row_of_frame[index], "url": photo_url(shown[index], PICTURE_SIDE_PX)}
                for index in sorted(shown)
            ],
        },
        "people": [_person(track, stage, model) for track in tracks],
    }
    return page(scene, reconstruction.source, files)


def _skin(model: BodyModel) -> dict[str, Any]:
    """Weights as lists: how many joints move each vertex, then these joints and their shares."""
    weights = model.skin_weights.numpy()
    least = np.sort(weights, 1)[:, [-_MOST_JOINTS]]
    moves = (weights > _MIN_WEIGHT) & (weights >= least)
    joints = np.nonzero(moves)[1]
    shares = np.where(moves, weights, 0)
    shares = (shares / shares.sum(1, keepdims=True))[moves]
    return {
        "rest_turns": base64_of(model.Q_rest.numpy().astype("<f4")),
        "counts": base64_of(moves.sum(1).astype(np.uint8)),
        "joints": base64_of(joints.astype(np.uint8)),
        "weights": base64_of(np.rint(shares * 65535).astype("<u2")),
    }


def _person(track: Track, stage: Stage, model: BodyModel) -> dict[str, Any]:
    shaped = model.with_shape(track.shape)
    pose, roots_m = _in_first_camera(track, stage)
    turns = np.rint(along_time(pose) * 32767).astype("<i2")
    rows = [stage.row_of_frame[body.frame] for body in track.bodies]
    return {
        "name": f"Person {track.identity}",
        "note": _note(track, stage),
        "facts": [f"Height {track.bodies[0].measures().height_m:.2f} m."],
        "color": person_color(track.identity),
        **_rest(shaped),
        "rows": base64_of(np.array(rows).astype("<u4")),
        "turns": base64_of(turns),
        "roots": base64_of(roots_m.astype("<f4")),
        "doubts": base64_of(doubt_bytes(torch.stack([body.joint_std_m for body in track.bodies]))),
        "codes": base64_of(np.array([_CODES.index(body.code) for body in track.bodies], np.uint8)),
    }


def _rest(shaped: ShapedBody) -> dict[str, Any]:
    with torch.inference_mode():
        return {
            **quantised(shaped.rest_vertices_m.numpy(), "rest"),
            "rest_joints": base64_of(shaped.rest_joints_m.numpy().astype("<f4")),
            "offsets": base64_of(shaped.joint_offsets_m().numpy().astype("<f4")),
        }


def _turns(stage: Stage) -> np.ndarray:
    """Rotations from the first frame's camera to that of each frame, as rows."""
    R_world_cam = np.asarray(stage.R_world_cam)
    return (np.swapaxes(R_world_cam, -1, -2) @ R_world_cam[0]).astype("<f4")


def _in_first_camera(track: Track, stage: Stage) -> tuple[np.ndarray, np.ndarray]:
    pose, roots_m = stage.track_pose(track)
    R_cam_world = stage.R_world_cam[0].T
    pose[:, 0] = R_cam_world @ pose[:, 0]
    return pose, (roots_m - [0.0, stage.camera_height_m, 0.0]) @ R_cam_world.T


def _note(track: Track, stage: Stage) -> str:
    first, last = track.bodies[0].frame, track.bodies[-1].frame
    rows: Sequence[int] = [stage.row_of_frame[first], stage.row_of_frame[last]]
    seen = sum(body.code != "not_seen" for body in track.bodies)
    filled = rows[1] - rows[0] + 1 - seen
    gaps = f", {filled} of them filled in" if filled else ""
    return f"Frames {first} to {last}{gaps}."
