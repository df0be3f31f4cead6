"""Many photos, and clips, with progress, as a server would: one line of JSON for each event.

A bad photo is an event like any other, and results that are there already are not made again.

python examples/04_events.py [OUT] [PHOTO ...]
"""

import json
import sys
import threading
from pathlib import Path

import kinflow
from kinflow.cli.demo import demo_photos
from kinflow.export.writer import ExportOptions
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.events import Begun, Event, Outcome, Progress, PutOff
from kinflow.pipeline.photos import Pipeline


def main(out: Path, photos: list[Path]) -> None:
    pipeline = Pipeline(PipelineConfig(export=ExportOptions(formats=("npz", "json"))))
    cancelled = threading.Event()  # set it from any thread: the run ends after the photo in work
    for event in pipeline.run(photos, out, cancelled.is_set):
        print(json.dumps(as_json(event)))


def as_json(event: Event) -> dict[str, object]:
    """What a browser needs to know of an event."""
    photo = event.photo.name
    match event:
        case Begun():
            return {"photo": photo, "state": "in work"}
        case Progress(step=step):  # of clips, one for each frame
            return {
                "photo": photo,
                "state": "in work",
                "frames": step.frames,
                "left_s": step.left_s,
            }
        case PutOff():
            return {"photo": photo, "state": "somebody else works on it"}
        case Outcome(already=True):
            return {"photo": photo, "state": "there already", "folder": str(event.folder)}
        case Outcome(result=kinflow.Reconstruction(tracks=tracks)):
            codes = [track.bodies[0].code for track in tracks]  # of a clip, where people appear
            return {"photo": photo, "state": "done", "folder": str(event.folder), "people": codes}
        case Outcome():
            return {"photo": photo, "state": "failed", "problem": event.problem}


if __name__ == "__main__":
    out, *photos = map(Path, sys.argv[1:] or ["example-results"])
    main(out, photos or demo_photos())
