"""The result folder of a clip, as far as the work on it came, and what one should know about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kinflow.export.results import Origin
from kinflow.export.writer import ExportOptions, Format, write_all
from kinflow.files.folders import Claim
from kinflow.fitting.plausibility import what_cannot_be_right
from kinflow.pipeline.clips import ClipRun
from kinflow.results import Reconstruction, Track

_FORMATS: tuple[Format, ...] = ("npz", "json")
_LOOKED_AT = 9
"""Bodies of a track that are looked at for what cannot be right."""


def clip_export(export: ExportOptions) -> ExportOptions:
    """The part of what is asked for that there is for clips."""
    formats = tuple(kind for kind in export.formats if kind in _FORMATS)
    return replace(export, formats=formats or _FORMATS)


def write_clip(
    run: ClipRun,
    folder: Path,
    export: ExportOptions,
    origin: Origin,
    claim: Claim,
    notes: list[str],
) -> Reconstruction:
    """Write what is done of a clip; `notes` grows by what one should know about it.

    The folder of a clip that was not finished says how far it goes, so that another run does not
    take it for the whole.

    Raises:
        InputError: there is nobody in it, or the folder cannot be written.
    """
    name = Path(origin.photo).name
    result = run.result(origin.photo)
    notes += [f"{name}: {note}" for note in (*run.clip.notes, *_remarks(run, result.tracks))]
    if not run.is_finished:
        options = {**(origin.options or {}), "stopped_after_s": round(run.done_s, 3)}
        origin = replace(origin, options=options)
    nothing_drawn = np.zeros((1, 1, 3), np.uint8)
    write_all(result, nothing_drawn, folder, export, origin=origin, claim=claim)
    return result


def _remarks(run: ClipRun, tracks: Sequence[Track]) -> list[str]:
    remarks = []
    if not run.is_finished:
        remarks.append(
            f"stopped after {run.done_s:.2f} s of the clip; the results go as far as that."
        )
    if run.shots > 1:
        remarks.append(
            f"has {run.shots - 1} cut{'s' * (run.shots > 2)}; whoever is seen before and after one "
            "is two people here."
        )
    for track in tracks:
        step = -(-len(track.bodies) // _LOOKED_AT)
        absurd = [what_cannot_be_right(body) for body in track.bodies[::step]]
        if sum(map(bool, absurd)) > len(absurd) / 2:
            first = next(filter(None, absurd))
            remarks.append(f"person {track.identity} {first}, which cannot be right.")
    return remarks
