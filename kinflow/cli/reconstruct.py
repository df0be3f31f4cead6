"""`kinflow reconstruct`: every photo on its own, so that a bad one never stops the rest."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kinflow.api import Reconstructor, ReconstructorConfig
from kinflow.cli.inputs import check_output, find_photos, result_folders
from kinflow.cli.options import Output, Reconstruct
from kinflow.cli.summary import Outcome, exit_code, report
from kinflow.errors import AssetError, InputError
from kinflow.evidence.image import Photo, read_photo
from kinflow.evidence.people_json import read_people
from kinflow.export.atomic import check_destination
from kinflow.export.writer import ExportOptions, write_all
from kinflow.fitting.photo import PhotoFitConfig
from kinflow.reconstruction import Reconstruction


def run(options: Reconstruct) -> int:
    """Reconstruct all photos; returns the exit code (see `kinflow.cli.summary.exit_code`).

    Raises:
        InputError: no photo can be worked on with these options.
        AssetError: a file of kinflow itself is missing or damaged.
    """
    photos = find_photos(options.photos)
    folders = result_folders(photos, options.output.out)
    check_output(options.output.out)
    reconstructor = Reconstructor(reconstructor_config(options))
    outcomes: list[Outcome] = []
    try:
        with _progress() as progress:
            task = progress.add_task("", total=len(photos))
            for photo, folder in zip(photos, folders, strict=True):
                progress.update(task, description=escape(photo.name))
                outcomes.append(_outcome(reconstructor, photo, folder, options))
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
        fit=PhotoFitConfig(use_hint=options.hint_3d, estimate_focal=options.estimate_focal),
    )


def export_options(output: Output) -> ExportOptions:
    """The exporter's configuration for these command-line options."""
    return ExportOptions(
        formats=output.format,
        side_view=output.side_view,
        joint_names=output.joint_names,
        overwrite=output.overwrite,
    )


def _outcome(
    reconstructor: Reconstructor, path: Path, folder: Path, options: Reconstruct
) -> Outcome:
    """Work on one photo; what is wrong with it becomes part of the outcome."""
    begin = time.perf_counter()
    try:
        check_destination(folder, options.output.overwrite)
        photo = read_photo(path)
        result = _reconstruction(reconstructor, photo, path, options.keypoints)
        write_all(result, photo.rgb, folder, export_options(options.output))
    except InputError as error:
        return Outcome(path, folder, time.perf_counter() - begin, problem=str(error))
    except AssetError:
        raise
    except Exception as error:  # a defect met by one photo is no reason to leave out the others
        problem = f"{path} failed with {type(error).__name__}: {error}"
        return Outcome(path, folder, time.perf_counter() - begin, problem=problem, unexpected=True)
    return Outcome(path, folder, time.perf_counter() - begin, result)


def _reconstruction(
    reconstructor: Reconstructor, photo: Photo, path: Path, keypoints: Path | None
) -> Reconstruction:
    evidence = None if keypoints is None else read_people(keypoints, photo.size, path.name)
    result = reconstructor(photo, evidence=evidence)
    if not result.people:
        raise InputError(
            f"No person was found in {path}; use a photo in which people are larger or clearer, "
            "or give keypoints of your own (--keypoints)."
        )
    return replace(result, source=str(path))


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
