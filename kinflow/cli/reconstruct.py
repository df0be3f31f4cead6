"""`kinflow reconstruct`: every photo on its own, so that a bad one never stops the rest."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kinflow.api import Reconstructor, ReconstructorConfig
from kinflow.body.part_maps import part_map
from kinflow.cli.inputs import check_output, find_photos, passed_over, result_folders
from kinflow.cli.options import Output, Reconstruct
from kinflow.cli.summary import Outcome, exit_code, report
from kinflow.errors import AssetError, InputError
from kinflow.evidence.image import Photo, read_photo
from kinflow.evidence.keypoint_files import KeypointSource
from kinflow.evidence.label_maps import LabelFolder
from kinflow.evidence.label_people import attach_parts
from kinflow.evidence.types import ImageEvidence
from kinflow.export.writer import ExportOptions, write_all
from kinflow.files.atomic import check_destination
from kinflow.fitting.photo import PhotoFitConfig


@dataclass(frozen=True)
class OwnKeypoints:
    """Keypoints of the user's own, and whether they are for one photo."""

    source: KeypointSource
    only_photo: bool


def run(options: Reconstruct) -> int:
    """Reconstruct all photos; returns the exit code (see `kinflow.cli.summary.exit_code`).

    Raises:
        InputError: no photo can be worked on with these options.
        AssetError: a file of kinflow itself is missing or damaged.
    """
    photos = find_photos(options.photos)
    for sentence in passed_over(options.photos):
        print(sentence, file=sys.stderr)
    folders = result_folders(photos, options.output.out)
    check_output(options.output.out)
    labels = label_folder(options)
    if labels is not None:
        labels.expect_any(photos)
    keypoints = keypoint_source(options, len(photos))
    reconstructor = Reconstructor(reconstructor_config(options))
    _ = reconstructor.fitter  # a bad --prior is no fault of any photo
    outcomes: list[Outcome] = []
    try:
        with _progress() as progress:
            task = progress.add_task("", total=len(photos))
            for photo, folder in zip(photos, folders, strict=True):
                progress.update(task, description=escape(photo.name))
                outcomes.append(_outcome(reconstructor, photo, folder, options, labels, keypoints))
                progress.advance(task)
    finally:
        # also after Ctrl-C: what is done is done
        report(outcomes, options.output.out)
    return exit_code(outcomes)


def reconstructor_config(options: Reconstruct) -> ReconstructorConfig:
    """The API's configuration for these command-line options."""
    return ReconstructorConfig(
        device=options.device,
        max_people=options.max_people,
        fov_deg=options.fov,
        focal_px=options.focal_px,
        prior=options.prior,
        parts=options.align_parts,
        fit=PhotoFitConfig(use_hint=options.hint_3d, estimate_focal=options.estimate_focal),
    )


def label_folder(options: Reconstruct) -> LabelFolder | None:
    """The user's own part maps or silhouettes, if there are any.

    Raises:
        InputError: there is no such folder or palette, or the options contradict each other.
    """
    palette = part_map(options.parts_palette)
    if options.parts is None and options.masks is None:
        return None
    if options.parts is not None and options.masks is not None:
        raise InputError("Give either part maps (--parts) or silhouettes (--masks), not both.")
    if not options.align_parts:
        raise InputError("--no-parts ignores all labels; leave out --parts and --masks then.")
    if options.parts is not None:
        return LabelFolder(options.parts, palette)
    assert options.masks is not None
    return LabelFolder(options.masks)


def keypoint_source(options: Reconstruct, photos: int) -> OwnKeypoints | None:
    """The user's own keypoints, if there are any.

    Raises:
        InputError: there is no such file or folder, or it is not understood.
    """
    if options.keypoints is None:
        if options.keypoints_format != "auto":
            raise InputError("--keypoints-format says how to read --keypoints; give that too.")
        return None
    source = KeypointSource(options.keypoints, options.keypoints_format)
    return OwnKeypoints(source, only_photo=photos == 1)


def export_options(output: Output) -> ExportOptions:
    """The exporter's configuration for these command-line options."""
    return ExportOptions(
        formats=output.format,
        side_view=output.side_view,
        show_parts=output.show_parts,
        joint_names=output.joint_names,
        overwrite=output.overwrite,
    )


def _outcome(
    reconstructor: Reconstructor,
    path: Path,
    folder: Path,
    options: Reconstruct,
    labels: LabelFolder | None,
    keypoints: OwnKeypoints | None,
) -> Outcome:
    """Work on one photo; what is wrong with it becomes part of the outcome."""
    begin = time.perf_counter()
    notes: tuple[str, ...] = ()
    try:
        check_destination(folder, options.output.overwrite)
        photo = read_photo(path)
        evidence, notes = _evidence(reconstructor, photo, path, options, labels, keypoints)
        result = replace(reconstructor(photo, evidence=evidence), source=str(path))
        seen = [person.parts for person in evidence.people if person.parts is not None]
        write_all(result, photo.rgb, folder, export_options(options.output), seen)
    except InputError as error:
        return Outcome(path, folder, time.perf_counter() - begin, problem=str(error))
    except AssetError:
        raise
    except Exception as error:  # a defect met by one photo is no reason to leave out the others
        problem = f"{path} failed with {type(error).__name__}: {error}"
        return Outcome(path, folder, time.perf_counter() - begin, problem=problem, unexpected=True)
    return Outcome(path, folder, time.perf_counter() - begin, result, notes=notes)


def _evidence(
    reconstructor: Reconstructor,
    photo: Photo,
    path: Path,
    options: Reconstruct,
    labels: LabelFolder | None,
    keypoints: OwnKeypoints | None,
) -> tuple[ImageEvidence, tuple[str, ...]]:
    """What is seen in a photo, or what the user says is, and notes on the latter."""
    own = None if labels is None else labels.read(path, photo.size)
    notes: tuple[str, ...] = ()
    if keypoints is not None:
        found = keypoints.source.read(photo.size, str(path), keypoints.only_photo)
        evidence, notes = found.evidence, found.notes
    else:
        evidence = reconstructor.detector.detect(photo.rgb, max_people=options.max_people)
    if not evidence.people:
        raise InputError(
            f"No person was found in {path}; use a photo in which people are larger or clearer, "
            "or give keypoints of your own (--keypoints)."
        )
    evidence = replace(evidence, people=evidence.people[: options.max_people])
    return (evidence if own is None else attach_parts(evidence, own)), notes


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
