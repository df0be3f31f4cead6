"""A child that works on jobs: `python -m kinflow.service.worker MB`.

Models are loaded when it starts and stay, so that a photo costs what it costs.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from kinflow.errors import AssetError, InputError
from kinflow.evidence.clip_range import ClipRange
from kinflow.pipeline.clips import ClipConfig, ClipStep
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.events import Outcome, Progress
from kinflow.pipeline.photos import Pipeline
from kinflow.pipeline.reconstructor import Reconstructor, ReconstructorConfig
from kinflow.results import RESULT_SENTENCES, Reconstruction, ResultCode
from kinflow.service.child import Answer, run, without_paths

_MODELS = 2
"""Sets of options whose models are kept."""


@lru_cache(_MODELS)
def _reconstructor(config: ReconstructorConfig) -> Reconstructor:
    return Reconstructor(config)


def work(request: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
    """Work on one file; the answers on the way say how far it is.

    `path` in the request is absolute, `out` is relative to its folder. The last answer has
    `summary` or, where it failed, `problem`.
    """
    path = Path(request["path"])
    try:
        os.chdir(path.parent)  # results name their source as it is named here
        path, out = Path(path.name), Path(request["out"])
        config = pipeline_config(request["options"])
        pipeline = Pipeline(config, _reconstructor(config.reconstructor))
        for event in pipeline.run([path], out):
            if isinstance(event, Progress):
                answer(_progress(event.step))
            elif isinstance(event, Outcome):
                return _ended(event, path)
    except (InputError, AssetError) as error:
        return {"problem": without_paths(str(error), path)}
    except MemoryError:
        return {"problem": "It needed more memory than it may have."}
    return {"problem": "Nothing came of it."}


def pipeline_config(options: Mapping[str, Any]) -> PipelineConfig:
    """The pipeline's options for those of a job (`kinflow.service.requests.JobOptions`)."""
    return PipelineConfig(
        reconstructor=ReconstructorConfig(
            max_people=options.get("max_people"),
            fov_deg=options.get("fov"),
            parts=options.get("parts", True),
            fast=options.get("fast", False),
        ),
        clips=ClipConfig(
            range=ClipRange(options.get("start") or 0.0, options.get("end"), options.get("fps")),
            moving_camera=options.get("moving_camera", False),
        ),
    )


def _progress(step: ClipStep) -> dict[str, Any]:
    """How far a clip is; drawing takes about a tenth of the time."""
    share = None
    if step.of_frames:
        share = min(1.0, 0.9 * step.frames / step.of_frames + 0.1 * step.drawn / step.of_frames)
    people = "1 person" if step.people == 1 else f"{step.people} people"
    left = "" if step.left_s is None or step.drawn else f", about {step.left_s:.0f} s left"
    done = f"drawing frame {step.drawn}" if step.drawn else f"frame {step.frames}"
    of = f" of {step.of_frames}" if step.of_frames else ""
    return {"progress": share, "message": f"{done}{of}, {people}{left}"}


def _ended(outcome: Outcome, path: Path) -> dict[str, Any]:
    if outcome.problem:
        if outcome.unexpected:
            return {
                "problem": "Something went wrong in kinflow itself; the server's log says what."
            }
        return {"problem": without_paths(outcome.problem, path)}
    notes = [without_paths(note, path) for note in outcome.notes]
    people = [] if outcome.result is None else _people(outcome.result)
    return {"summary": {"people": people, "notes": notes, "seconds": round(outcome.seconds, 2)}}


def _people(result: Reconstruction) -> list[dict[str, Any]]:
    """A line on each person: what most of the bodies' codes say."""
    people = []
    for track in result.tracks:
        bodies = track.bodies
        codes: Counter[ResultCode] = Counter(body.code for body in bodies)
        code, _ = codes.most_common(1)[0]
        height_m = float(bodies[0].measures().height_m)
        people.append(
            {
                "id": bodies[0].person,
                "frames": len(bodies),
                "code": code,
                "says": RESULT_SENTENCES[code],
                "height_m": round(height_m, 2),
            }
        )
    return people


if __name__ == "__main__":
    _ = _reconstructor(ReconstructorConfig()).fitter
    run(work, int(sys.argv[1]))
