"""Result folders in which everything is unusual that the extension has to get right."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from moving_people import PITCH, SIZE, gravity_of, walker, walking_clip
from PIL import Image

from kinflow.export.clip_writer import ClipExportOptions, write_clip
from kinflow.export.video_file import VideoFile
from kinflow.export.writer import ExportOptions, write_all
from kinflow.geometry.pinhole import Camera
from kinflow.results import Reconstruction

FIRST_INDEX, STEP = 12, 5
"""The clip is looked at from its thirteenth frame on; its frames are brighter by this each."""
HELD = 6
"""EXIF's orientation of the photo: it is stored on its side."""


def zooming(clip: Reconstruction) -> Reconstruction:
    """A part of a longer clip, whose lens zooms and has its axis beside the middle."""
    frames, seen = [], []
    shift_s = FIRST_INDEX * (clip.frames[1].time_s - clip.frames[0].time_s)
    for i, frame in enumerate(clip.frames):
        camera = Camera(300.0 + 4 * i, (150.0, 128.5), SIZE)
        time_s = frame.time_s + shift_s
        frames.append(replace(frame, index=i + FIRST_INDEX, time_s=time_s, camera=camera))
        seen.append([replace(body, camera=camera) for body in clip.people_of(frame.index)])
    return Reconstruction.of_frames(frames, seen, "zoom.webm")


def write_clip_result(folder: Path) -> Reconstruction:
    """A clip with its result beside it, `zoom` in the folder."""
    result = zooming(walking_clip(20, gap=(12, 15)))
    with VideoFile(folder / "zoom.webm", SIZE, 29.97) as video:
        for i in range(FIRST_INDEX + 20):
            video.add(np.full((SIZE[1], SIZE[0], 3), 20 + STEP * i, np.uint8))
    write_clip(result, folder / "zoom", ClipExportOptions(("npz", "json", "glb")))
    return result


def write_photo_result(folder: Path) -> Reconstruction:
    """A photo that is stored on its side, with its result beside it, `held` in the folder."""
    gravity = gravity_of(PITCH)
    (person,) = walker(0, [0.0], gravity, 0.4, [-0.3, 0.9, -3.2])
    camera = Camera(500.0, (130.0, 170.0), (240, 320))
    person = replace(person, camera=camera)
    result = Reconstruction.of_frame(camera, (person,), "held.jpg", gravity)
    upright = corners()
    stored = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = HELD
    stored.save(folder / "held.jpg", exif=exif, quality=95)
    write_all(result, upright, folder / "held", ExportOptions(("npz", "json", "glb", "viewer")))
    return result


def corners() -> np.ndarray:
    """An upright picture of 240 x 320 that is red at the top left and blue at the bottom left."""
    picture = np.full((320, 240, 3), 128, np.uint8)
    cv2.rectangle(picture, (0, 0), (60, 60), (255, 0, 0), -1)
    cv2.rectangle(picture, (0, 260), (60, 319), (0, 0, 255), -1)
    return picture
