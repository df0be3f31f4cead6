"""Options of a run over photos, and those of them that results depend on."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from kinflow.checks import nested, not_negative, some_of
from kinflow.errors import InputError
from kinflow.export.clip_writer import CLIP_FORMATS, ClipExportOptions, ClipFormat
from kinflow.export.writer import ExportOptions
from kinflow.files.names import printable
from kinflow.pipeline.clips import ClipConfig
from kinflow.pipeline.own_evidence import OwnEvidenceConfig
from kinflow.pipeline.reconstructor import ReconstructorConfig


@dataclass(frozen=True)
class PipelineConfig:
    """What is done with every photo and clip."""

    reconstructor: ReconstructorConfig = field(default_factory=ReconstructorConfig)
    export: ExportOptions = field(default_factory=ExportOptions)
    own: OwnEvidenceConfig = field(default_factory=OwnEvidenceConfig)
    patience_s: float = 60.0
    """How long to wait in the end for somebody else who works on the same photo."""
    clips: ClipConfig = field(default_factory=ClipConfig)
    clip_formats: tuple[ClipFormat, ...] = CLIP_FORMATS
    """Files to write of clips; whatever else is asked of files is asked by `export`."""

    def __post_init__(self) -> None:
        nested(self, reconstructor=ReconstructorConfig, export=ExportOptions, own=OwnEvidenceConfig)
        nested(self, clips=ClipConfig)
        some_of(self, "clip_formats", CLIP_FORMATS)
        not_negative(self, "patience_s")
        if self.clips.moving_camera and self.reconstructor.fit.estimate_focal:
            raise InputError(
                "How a moving camera turns is told with its focal length, which has to be known "
                "beforehand; leave out estimating it.",
                {"moving camera": "moving_camera", "estimating it": "estimate_focal"},
            )
        if self.reconstructor.fast and self.own.keypoints is not None:
            raise InputError(
                "The network alone needs what kinflow's own detector sees; leave out keypoints of "
                "your own.",
                {"The network alone": "fast", "keypoints of your own": "keypoints"},
            )
        if self.own.has_labels and self.reconstructor.fast:
            raise InputError(
                "The network alone looks at no labels; leave out part maps and silhouettes then.",
                {
                    "The network alone": "fast",
                    "part maps": "part_maps",
                    "silhouettes": "masks",
                },
            )
        if self.own.has_labels and not self.reconstructor.parts:
            raise InputError(
                "Without parts all labels are ignored; leave out part maps and silhouettes then.",
                {
                    "Without parts": "follow_parts",
                    "part maps": "part_maps",
                    "silhouettes": "masks",
                },
            )

    @property
    def clip_export(self) -> ClipExportOptions:
        """What is written of clips."""
        export = self.export
        return ClipExportOptions(self.clip_formats, export.overwrite, export.joint_names)

    def settings(self) -> dict[str, Any]:
        """Options that change results and differ from their defaults, as plain JSON.

        Result folders keep them, so their names stay the same from release to release. Formats are
        left out because the files themselves show them.
        """
        changed = _changed(self, PipelineConfig(), "")
        return {_name(option): _plain(value) for option, value in changed.items()}


_IRRELEVANT = (
    "patience_s",
    "reconstructor.device",
    "reconstructor.detector.runtime",
    "export.formats",
    "export.overwrite",
    "clip_formats",
    "clips.keep_every",
)
_NAMES = {
    "reconstructor.fov_deg": "fov",
    "reconstructor.fit.estimate_focal": "estimate_focal",
    "reconstructor.fit.observations.use_hint": "hint_3d",
    "reconstructor.parts": "align_parts",
    "own.part_maps": "parts",
    "own.palette": "parts_palette",
    "clips.range.start_s": "start",
    "clips.range.end_s": "end",
    "clips.range.fps": "fps",
    "clips.sequence_fps": "sequence_fps",
}
"""What result folders call an option, where it is not the last part of its path."""


def _changed(options: Any, defaults: Any, prefix: str) -> dict[str, Any]:
    """Fields with other values than the defaults', by their dotted path."""
    changed = {}
    for option in fields(options):
        path = prefix + option.name
        value, default = getattr(options, option.name), getattr(defaults, option.name)
        if path in _IRRELEVANT:
            continue
        if is_dataclass(value) and type(value) is type(default):
            changed |= _changed(value, default, f"{path}.")
        elif value != default:
            changed[path] = value
    return changed


def _name(path: str) -> str:
    return _NAMES.get(path, path.split(".", 1)[1])


def _plain(value: Any) -> Any:
    """An option as JSON gives it back."""
    if isinstance(value, os.PathLike):
        return printable(Path(value).absolute())
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return printable(str(value))
