"""What a report tells of a result folder, or of a photo or clip that fails: numbers and kinds.

Neither names nor pictures, nor faces or voices in any form.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from pathlib import Path
from statistics import median

from kinflow.about.machine import Lines
from kinflow.errors import KinflowError
from kinflow.evidence.exif import camera_tags
from kinflow.evidence.image_files import opened
from kinflow.evidence.video_files import Clip, container_of, is_clip
from kinflow.export.people_files import load
from kinflow.files.marker import Marker
from kinflow.results import Reconstruction, Track

_MOST_FRAMES = 2000
"""Frames of a clip that are decoded at most, to see how far it can be read."""


def of_subject(path: Path) -> Lines:
    """Lines about a result folder, a photo or a clip.

    What cannot be read is told by the sentence that kinflow has for it.
    """
    try:
        if path.is_dir():
            return of_folder(path)
        if is_clip(path):
            return _of_clip(path)
        return _of_photo(path)
    except KinflowError as error:
        return [("read", str(error))]


def of_folder(folder: Path) -> Lines:
    """Lines about a result folder.

    Raises:
        InputError: it holds no people that can be read.
    """
    lines: Lines = []
    marker = Marker.read(folder)
    if marker is None:
        lines.append(("marker", "none, or damaged"))
    else:
        source = Path(str(marker.details.get("photo", "")))
        lines += [
            ("made by kinflow", marker.version),
            ("of", f"a file {source.suffix or 'without ending'}"),
            ("options", _options(marker)),
        ]
        stopped = marker.details.get("stopped_after_s")
        lines += [("stopped after", f"{stopped} s")] if stopped is not None else []
    # names are told of files that kinflow makes and of no others
    made = marker.files if marker else ()
    sizes = [f"{name} {_size(folder / name)}" for name in made]
    return [*lines, ("files", ", ".join(sizes) or "none known"), *_of_people(load(folder))]


def _of_people(result: Reconstruction) -> Lines:
    first = result.frames[0]
    lines = [
        ("frames", f"{len(result.frames)}, {first.time_s:.3f} to {result.frames[-1].time_s:.3f} s"),
        ("picture", "{} x {}".format(*first.camera.image_size)),
        ("focal length", f"{first.camera.focal_px:.1f} px ({first.camera.fov_deg:.1f} degrees)"),
        ("gravity", f"std {first.gravity.std_deg:.1f} degrees" if first.gravity else "not known"),
    ]
    return lines + [(f"person {track.identity}", _of_track(track)) for track in result.tracks]


def _of_track(track: Track) -> str:
    codes = Counter(body.code for body in track.bodies)
    told = ", ".join(f"{code} {count}" for code, count in codes.most_common())
    first = track.bodies[0]
    energies = ", ".join(f"{name} {value:.1f}" for name, value in first.energy.items())
    distance_m = median(float(body.t_cam_root_m[2]) for body in track.bodies)
    return (
        f"{told}; score {median(body.score for body in track.bodies):.2f}, "
        f"{distance_m:.2f} m away, start by {first.start_source or 'not known'}, "
        f"energies at first: {energies or 'none'}"
    )


def _of_photo(path: Path) -> Lines:
    lines = [("file", f"{path.suffix or 'no ending'}, {_size(path)}")]
    try:
        with opened(path) as image:
            tags = camera_tags(image)
            lines += [
                ("kind", f"{image.format}, {image.mode}"),
                ("stored", "{} x {}".format(*image.size)),
                ("frames", str(getattr(image, "n_frames", 1))),
                ("EXIF", f"orientation {tags.orientation}, focal length {tags.focal_35mm}"),
            ]
            image.load()
            lines.append(("decoded", "whole"))
    except KinflowError as error:
        lines.append(("read", str(error)))
    return lines


def _of_clip(path: Path) -> Lines:
    clip = Clip.open(path)
    info = clip.info
    long = "not said" if info.duration_s is None else f"{info.duration_s:.2f} s"
    count = last_s = 0
    for frame in islice(clip.frames(), _MOST_FRAMES):
        count, last_s = count + 1, frame.time_s
    decoded = f"{count} frames, the last at {last_s:.3f} s"
    if count == _MOST_FRAMES:
        decoded += "; no more were looked at"
    return [
        ("file", f"{path.suffix or 'no ending'}, {_size(path)}"),
        ("kind", str(container_of(path))),
        ("picture", "{} x {}".format(*info.size)),
        ("rate", f"{info.fps:.4g} frames a second"),
        ("length", long),
        ("decoded", decoded),
        *(("note", note) for note in clip.notes),
    ]


def _options(marker: Marker) -> str:
    options = marker.details.get("options")
    if not isinstance(options, dict):
        return "not known"
    return ", ".join(f"{name} = {_plain(value)}" for name, value in options.items()) or "none"


def _plain(value: object) -> str:
    """An option's value; the name of a file may be telling, its ending is not."""
    suffix = Path(value).suffix if isinstance(value, str) else ""
    return f"a file {suffix}" if re.fullmatch(r"\.[A-Za-z]\w{1,11}", suffix) else str(value)


def _size(path: Path) -> str:
    try:
        return f"{path.stat().st_size:,} bytes"
    except OSError:
        return "missing"
