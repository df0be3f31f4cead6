"""`kinflow reconstruct`: options into a pipeline, its events onto the terminal."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from kinflow.cli.options import Output, Reconstruct
from kinflow.cli.output import complain
from kinflow.cli.progress import PhotoProgress
from kinflow.cli.signals import raise_if_stopped
from kinflow.cli.summary import Report, exit_code
from kinflow.errors import InputError
from kinflow.evidence.clip_range import ClipRange
from kinflow.evidence.image_sequences import DEFAULT_FPS
from kinflow.export.writer import FORMATS, ExportOptions, Format
from kinflow.fitting.observations import ObservationConfig
from kinflow.fitting.photo import PhotoFitConfig
from kinflow.pipeline.clips import ClipConfig
from kinflow.pipeline.cluster import ClusterConfig, ClusterPipeline
from kinflow.pipeline.config import PipelineConfig
from kinflow.pipeline.events import Begun, Event, Outcome, Progress
from kinflow.pipeline.own_evidence import OwnEvidenceConfig
from kinflow.pipeline.photos import Pipeline
from kinflow.pipeline.reconstructor import ReconstructorConfig
from kinflow.pipeline.sources import find_photos, is_clip_or_sequence, passed_over


def run(options: Reconstruct) -> int:
    """Reconstruct all photos; returns the exit code (see `kinflow.cli.summary.exit_code`).

    Raises:
        InputError: no photo can be worked on with these options.
        AssetError: a file of kinflow itself is missing or damaged.
    """
    problems: list[str] = []
    sequences = options.sequence_fps is not None
    photos, out = find_photos(options.photos, problems, sequences), options.output.out
    for sentence in (*problems, *(() if sequences else passed_over(options.photos))):
        complain(sentence)
    if set(options.output.format) == {"bvh"} and not all(map(is_clip_or_sequence, photos)):
        raise InputError(
            "BVH is written of clips alone; ask for another format as well.",
            {"another format": "format"},
        )
    events = _pipeline(options).run(photos, out, _stopped)
    report = Report(photos, out)
    outcomes: list[Outcome] = []
    try:
        with closing(events), PhotoProgress(len(photos)) as progress:
            for event in events:
                try:
                    _tell(event, progress, report, outcomes)
                except KeyboardInterrupt as interrupt:
                    # what is done of clips is their outcome; of all else there is none
                    _tell(events.throw(interrupt), progress, report, outcomes)
                    for last in events:
                        _tell(last, progress, report, outcomes)
                    raise
    finally:
        # also after Ctrl-C: what is done is done
        report.close()
    return exit_code(outcomes) or (2 if problems else 0)


def _pipeline(options: Reconstruct) -> Pipeline | ClusterPipeline:
    config = pipeline_config(options)
    if options.on == "ray":
        return ClusterPipeline(config, ClusterConfig(options.workers))
    return Pipeline(config)


def _tell(event: Event, progress: PhotoProgress, report: Report, outcomes: list[Outcome]) -> None:
    """Show an event on the terminal, and keep what becomes of photos."""
    if isinstance(event, Begun):
        progress.begin(event.photo.name)
    elif isinstance(event, Progress):
        progress.step(event.photo.name, event.step)
    elif isinstance(event, Outcome):
        # a summary of hundreds of photos needs none of their bodies
        outcomes.append(replace(event, result=None))
        with progress.done():
            report.add(event)


def pipeline_config(options: Reconstruct) -> PipelineConfig:
    """The library's configuration for these command-line options."""
    return PipelineConfig(
        reconstructor=reconstructor_config(options),
        export=export_options(options.output),
        own=OwnEvidenceConfig(
            keypoints=options.keypoints,
            keypoints_format=options.keypoints_format,
            part_maps=options.parts,
            palette=options.parts_palette,
            masks=options.masks,
        ),
        clips=ClipConfig(
            range=ClipRange(options.start, options.end, options.fps),
            sequence_fps=options.sequence_fps or DEFAULT_FPS,
            moving_camera=options.moving_camera,
        ),
        clip_formats=options.output.format,
    )


def reconstructor_config(options: Reconstruct) -> ReconstructorConfig:
    """The part of it that is the reconstructor's."""
    return ReconstructorConfig(
        device=options.device,
        max_people=options.max_people,
        fov_deg=options.fov,
        focal_px=options.focal_px,
        prior=options.prior,
        predictor=None if options.predictor == "none" else options.predictor,
        parts=options.align_parts or options.fast,  # the network alone never looks for them
        body=options.body,
        betas=options.betas,
        fast=options.fast,
        sequence_predictor=(
            None if options.sequence_predictor == "none" else options.sequence_predictor
        ),
        fit=PhotoFitConfig(
            observations=ObservationConfig(use_hint=options.hint_3d),
            estimate_focal=options.estimate_focal,
        ),
    )


def export_options(output: Output) -> ExportOptions:
    """The part of it that is the exporter's."""
    # motion is of clips; whoever asks for nothing else has none of photos
    formats: tuple[Format, ...] = tuple(kind for kind in output.format if kind != "bvh")
    return ExportOptions(
        formats=formats or FORMATS,
        side_view=output.side_view,
        show_parts=output.show_parts,
        joint_names=output.joint_names,
        overwrite=output.overwrite,
    )


def _stopped() -> bool:
    raise_if_stopped()
    return False
