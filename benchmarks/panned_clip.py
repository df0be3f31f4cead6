"""A camera that pans over a clip of one that stands: do people walk the same way?

python benchmarks/panned_clip.py CLIP --out DIR [--start 1.83 --end 5.16]

Of a real clip of a camera on a tripod the picture of a narrower camera at the same place is made
that follows the person who gets farthest, with the sway of a hand; how it turns is known then. All
three are reconstructed: the clip itself, and the panned one without and with `--moving-camera`.
Printed are how far the camera's turns are off, and how far the person's path from above is off that
of the clip itself, after both are laid on each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro
from jaxtyping import Float

from kinflow.evidence.video_files import Clip, ClipRange
from kinflow.export.stage import Stage
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rotations import matrix_to_rotvec, nearest_rotation
from kinflow.pipeline.clips import ClipConfig, ClipRun
from kinflow.pipeline.reconstructor import Reconstructor, ReconstructorConfig
from kinflow.results import Reconstruction, Track

_SIZE = (640, 480)
_SWAY_DEG = (0.6, 0.5, 2.0)


@dataclass(frozen=True)
class PannedClip:
    """What to pan over.

    Attributes:
        clip: of a camera on a tripod.
        out: folder for the panned clip.
        start: seconds.
        end: seconds.
        clip_fov: field of view of the clip, degrees.
        fov: of the panned one.
    """

    clip: tyro.conf.Positional[Path]
    out: Path
    start: float = 0.0
    end: float | None = None
    clip_fov: float = 55.0
    fov: float = 22.0


def main(config: PannedClip) -> None:
    torch.set_num_threads(1)
    wanted = ClipRange(config.start, config.end)
    own = _reconstructed(config.clip, config.clip_fov, ClipConfig(range=wanted))
    walker = max(own.tracks, key=_way_m)
    config.out.mkdir(parents=True, exist_ok=True)
    panned = config.out / "panned.mp4"
    R_cam_first = _pan(config, wanted, walker, panned)
    there = _path(own, walker)
    print(f"the clip itself: {len(there)} frames, {_length_m(there):.2f} m")
    for name, moving in (("without", False), ("--moving-camera", True)):
        result = _reconstructed(panned, config.fov, ClipConfig(moving_camera=moving))
        here = _path(result, max(result.tracks, key=lambda track: len(track.bodies)))
        error_m = _apart_m(here, there)
        share = 100 * error_m / _length_m(there)
        ends = _end_to_end_m(here), _end_to_end_m(there)
        print(f"{name}: {ends[0]:.2f} m from end to end, not {ends[1]:.2f}; {share:.1f} % off")
        if moving:
            turns = [frame.turn for frame in result.frames]
            found = torch.stack([turn.R_first_cam for turn in turns if turn is not None])
            off = torch.rad2deg(matrix_to_rotvec(found @ torch.from_numpy(R_cam_first)).norm(dim=1))
            most, last = float(off.max()), float(off[-1])
            print(f"camera: {most:.3f} degrees off at most, {last:.3f} in the end")


def _reconstructed(path: Path, fov_deg: float, clips: ClipConfig) -> Reconstruction:
    models = Reconstructor(ReconstructorConfig(fov_deg=fov_deg, parts=False))
    run = ClipRun(path, models, clips)
    for _ in run.steps():
        pass
    return run.result(str(path))


def _way_m(track: Track) -> float:
    return float((track.bodies[-1].t_cam_root_m - track.bodies[0].t_cam_root_m).norm())


def _pan(
    config: PannedClip, wanted: ClipRange, walker: Track, path: Path
) -> Float[np.ndarray, "frames 3 3"]:
    """Write the panned clip; how its camera is turned, from its first frame to each."""
    clip = Clip.open(config.clip)
    own = _matrix(Camera.from_fov(clip.info.size, config.clip_fov))
    narrow = _matrix(Camera.from_fov(_SIZE, config.fov))
    at = {body.frame: body.t_cam_root_m.double().numpy() for body in walker.bodies}
    room = np.radians(config.clip_fov - config.fov) / 2
    turns: list[np.ndarray] = []
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), clip.info.fps, _SIZE)
    for i, frame in enumerate(clip.frames(wanted)):
        x, y, z = at[min(at, key=lambda index: abs(index - frame.index))]
        waves = np.radians(_SWAY_DEG) * np.sin(np.array((0.09, 0.07, 0.05)) * i)
        pan = np.clip(np.arctan2(x, z), -room, room) + waves[0]
        tilt = -np.arctan2(y, z) + waves[1]
        about = [(0, pan, 0), (tilt, 0, 0), (0, 0, waves[2])]
        R = np.linalg.multi_dot([cv2.Rodrigues(np.array(axis, float))[0] for axis in about]).T
        turns.append(R)
        H = narrow @ R @ np.linalg.inv(own)
        writer.write(cv2.warpPerspective(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR), H, _SIZE))
    writer.release()
    return np.stack(turns) @ turns[0].T


def _matrix(camera: Camera) -> Float[np.ndarray, "3 3"]:
    K = np.diag([camera.focal_px, camera.focal_px, 1.0])
    K[:2, 2] = np.array(camera.principal_px) - 0.5
    return K


def _path(result: Reconstruction, track: Track) -> dict[int, np.ndarray]:
    """Where the pelvis is from above, by the number of the frame among those looked at."""
    stage = Stage.of(result)
    _, root_m = stage.track_pose(track)
    rows = [stage.row_of_frame[body.frame] for body in track.bodies]
    return {row: place[[0, 2]] for row, place in zip(rows, root_m, strict=True)}


def _length_m(path: dict[int, np.ndarray]) -> float:
    return float(np.linalg.norm(np.diff([path[row] for row in sorted(path)], axis=0), axis=1).sum())


def _end_to_end_m(path: dict[int, np.ndarray]) -> float:
    return float(np.linalg.norm(path[max(path)] - path[min(path)]))


def _apart_m(here: dict[int, np.ndarray], there: dict[int, np.ndarray]) -> float:
    """Mean distance of two paths, laid on each other by a turn and a shift."""
    rows = sorted(here.keys() & there.keys())
    a, b = (np.stack([path[row] for row in rows]) for path in (here, there))
    # about the vertical alone: paths are flat, and the third axis is up
    a, b = (np.pad(path - path.mean(0), ((0, 0), (0, 1))) for path in (a, b))
    R = nearest_rotation(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    return float(np.linalg.norm(a @ R.T - b, axis=1).mean())


if __name__ == "__main__":
    main(tyro.cli(PannedClip))
