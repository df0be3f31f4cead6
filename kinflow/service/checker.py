"""A child that looks at uploads before they are jobs: `python -m kinflow.service.checker MB`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2

from kinflow.errors import InputError
from kinflow.evidence.clip_range import ClipRange
from kinflow.evidence.image import read_photo
from kinflow.evidence.image_files import opened
from kinflow.evidence.video_files import Clip, is_clip
from kinflow.service.child import Answer, run, without_paths


def check(request: Mapping[str, Any], _: Answer) -> dict[str, Any]:
    """Which kind of file it is, or a sentence on why it is refused.

    The file is decoded, a photo wholly and of a clip the first frame, for headers promise much.
    """
    path = Path(request["path"])
    try:
        if is_clip(path):
            return _clip(path, request)
        return _photo(path, request)
    except InputError as error:
        return {"problem": without_paths(str(error), path)}
    except MemoryError:
        return {"problem": "The file needs more memory than it may have."}


def _photo(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    most = int(request["max_megapixels"])
    with opened(path) as image:
        width, height = image.size
    if width * height > most * 1_000_000:
        raise InputError(
            f"The photo has {width} by {height} pixels, more than the {most} megapixels that this "
            "server takes; make it smaller."
        )
    read_photo(path)
    return {"kind": "photo", "size": [width, height]}


def _clip(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    clip, most = Clip.open(path), float(request["max_clip_s"])
    start, end = request.get("start") or 0.0, request.get("end")
    if end is None and clip.info.duration_s is not None:
        end = clip.info.duration_s
    if end is not None and end - start > most:
        raise InputError(
            f"{end - start:.0f} s of a clip are more than the {most:.0f} s that this server works "
            "on; choose a start and an end."
        )
    next(iter(clip.frames(ClipRange(start_s=0.0))))
    return {"kind": "clip", "size": list(clip.info.size)}


if __name__ == "__main__":
    cv2.setNumThreads(1)
    run(check, int(sys.argv[1]))
