"""`kinflow reconstruct`: every photo on its own, so that a bad one never stops the rest."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from kinflow.api import Reconstructor, ReconstructorConfig, check_device
from kinflow.cli.inputs import find_photos, result_folders
from kinflow.cli.options import Output, Reconstruct
from kinflow.errors import InputError, KinflowError
from kinflow.evidence.image import read_photo
from kinflow.export.atomic import check_destination
from kinflow.export.writer import ExportOptions, write_all
from kinflow.fitting.photo import PhotoFitConfig
from kinflow.reconstruction import RESULT_SENTENCES, Reconstruction


@dataclass(frozen=True)
class Outcome:
    """What became of one photo: a reconstruction and its folder, or a sentence why not."""

    photo: Path
    folder: Path
    seconds: float
    result: Reconstruction | None = None
    problem: str = ""


def run(options: Reconstruct) -> int:
    """Reconstruct all photos; exit code 2 when any of them could not be used."""
    check_device(options.device)
    photos = find_photos(options.photos)
    folders = result_folders(photos, options.output.out)
    reconstructor = Reconstructor(reconstructor_config(options))
    outcomes = []
    with _progress() as progress:
        task = progress.add_task("reconstructing", total=len(photos))
        for photo, folder in zip(photos, folders, strict=True):
            progress.update(task, description=photo.name)
            outcomes.append(_one(reconstructor, photo, folder, options))
            progress.advance(task)
    report(outcomes, Console())
    return 2 if any(outcome.problem for outcome in outcomes) else 0


def reconstructor_config(options: Reconstruct) -> ReconstructorConfig:
    """The API's configuration for these command-line options."""
    if options.max_people is not None and options.max_people < 1:
        raise InputError("--max-people has to be at least 1.")
    return ReconstructorConfig(
        device=options.device,
        max_people=options.max_people,
        fov_deg=options.fov,
        focal_px=options.focal_px,
        prior=options.prior,
        fit=replace(PhotoFitConfig(), use_hint=options.hint_3d),
    )


def export_options(output: Output) -> ExportOptions:
    """The exporter's configuration for these command-line options."""
    return ExportOptions(
        formats=output.format,
        side_view=output.side_view,
        joint_names=output.joint_names,
        overwrite=output.overwrite,
    )


def _one(reconstructor: Reconstructor, path: Path, folder: Path, options: Reconstruct) -> Outcome:
    begin = time.perf_counter()
    try:
        check_destination(folder, options.output.overwrite)
        photo = read_photo(path)
        evidence = None
        if options.keypoints is not None:
            from kinflow.evidence.people_json import read_people

            evidence = read_people(options.keypoints, photo.size, path.name)
        result = replace(reconstructor(photo, evidence=evidence), source=str(path))
        if not result.people:
            raise InputError(
                f"No person was found in {path}; use a photo in which people are larger or clearer, "
                "or give keypoints of your own (--keypoints)."
            )
        write_all(result, photo.rgb, folder, export_options(options.output))
    except KinflowError as error:
        return Outcome(path, folder, time.perf_counter() - begin, problem=str(error))
    return Outcome(path, folder, time.perf_counter() - begin, result)


def report(outcomes: list[Outcome], console: Console) -> None:
    """A row a person, then a sentence for each photo that could not be used."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("photo", "person", "result", "distance", "height", "fit error", "seconds"):
        table.add_column(column, justify="left" if column in ("photo", "result") else "right")
    for outcome in outcomes:
        for person in outcome.result.people if outcome.result else ():
            table.add_row(
                outcome.photo.name if person.person == 0 else "",
                str(person.person),
                person.code,
                f"{float(person.t_cam_root_m[2]):.1f} m",
                f"{person.measures().height_m:.2f} m",
                f"{person.limb_error_px():.1f} px",
                f"{outcome.seconds:.2f}" if person.person == 0 else "",
            )
    good = [outcome for outcome in outcomes if outcome.result]
    if good:
        console.print(table)
        codes = {person.code for o in good for person in (o.result.people if o.result else ())}
        for code in sorted(codes - {"ok"}):
            console.print(f"[dim]{code}: {RESULT_SENTENCES[code]}[/dim]")
        console.print(f"Results: {good[0].folder.parent if len(good) > 1 else good[0].folder}")
    for outcome in outcomes:
        if outcome.problem:
            console.print(f"[red]{outcome.problem}[/red]", soft_wrap=True)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        transient=True,
    )
