"""`kinflow reconstruct`: every photo on its own, so that a bad one never stops the rest.

What is there already from an earlier run is left alone. Several processes may share an output
folder: each result folder is claimed before the work on its photo, and whoever finds one claimed
comes back to it at the end.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from kinflow.api import Reconstructor, ReconstructorConfig
from kinflow.cli.inputs import find_photos, passed_over, result_folders
from kinflow.cli.options import Output, Reconstruct
from kinflow.cli.output import complain
from kinflow.cli.own_evidence import OwnEvidence
from kinflow.cli.progress import PhotoProgress
from kinflow.cli.signals import raise_if_stopped
from kinflow.cli.summary import Outcome, Report, exit_code
from kinflow.errors import AssetError, InputError
from kinflow.evidence.image import read_photo
from kinflow.export.results import (
    Origin,
    check_destination,
    inputs_sha256,
    is_made,
    made_after,
    photo_sha256,
)
from kinflow.export.writer import ExportOptions, write_all
from kinflow.files.destinations import check_folder_destination
from kinflow.files.folders import Claim, remove_litter
from kinflow.files.names import printable
from kinflow.fitting.observations import ObservationConfig
from kinflow.fitting.photo import PhotoFitConfig
from kinflow.fitting.plausibility import what_cannot_be_right
from kinflow.priors.storage import SHIPPED
from kinflow.results import Reconstruction

PATIENCE_S = 60.0
"""How long to wait for another process that works on the same photo."""


def run(options: Reconstruct) -> int:
    """Reconstruct all photos; returns the exit code (see `kinflow.cli.summary.exit_code`).

    Raises:
        InputError: no photo can be worked on with these options.
        AssetError: a file of kinflow itself is missing or damaged.
    """
    began_ns = time.time_ns()
    problems: list[str] = []
    photos, out = find_photos(options.photos, problems), options.output.out
    for sentence in (*problems, *passed_over(options.photos)):
        complain(sentence)
    jobs = list(zip(photos, result_folders(photos, out), strict=True))
    if options.output.overwrite or not all(folder.is_dir() for _, folder in jobs):
        check_folder_destination(out)  # results that are there may be on a read-only disk
    own = OwnEvidence.of(options, photos)
    reconstructor = Reconstructor(reconstructor_config(options))
    _ = reconstructor.fitter  # a bad --prior is no fault of any photo
    work = _Work(options, reconstructor, own, began_ns)
    report = Report(photos, out)
    outcomes: list[Outcome] = []
    try:
        with _tidied(out), PhotoProgress(len(photos)) as progress:
            for outcome in _outcomes(jobs, work, progress.begin):
                # a summary of hundreds of photos needs none of their bodies
                outcomes.append(replace(outcome, result=None))
                with progress.done():
                    report.add(outcome)
    finally:
        # also after Ctrl-C: what is done is done
        report.close()
    return exit_code(outcomes) or (2 if problems else 0)


def reconstructor_config(options: Reconstruct) -> ReconstructorConfig:
    """The API's configuration for these command-line options."""
    return ReconstructorConfig(
        device=options.device,
        max_people=options.max_people,
        fov_deg=options.fov,
        focal_px=options.focal_px,
        prior=options.prior,
        parts=options.align_parts,
        fit=PhotoFitConfig(
            observations=ObservationConfig(use_hint=options.hint_3d),
            estimate_focal=options.estimate_focal,
        ),
    )


def export_options(output: Output) -> ExportOptions:
    """The exporter's configuration for these command-line options."""
    return ExportOptions(
        formats=output.format,
        side_view=output.side_view,
        show_parts=output.show_parts,
        joint_names=output.joint_names,
        overwrite=output.overwrite,
    )


@dataclass(frozen=True)
class _Work:
    """What the work on every photo of a run shares."""

    options: Reconstruct
    reconstructor: Reconstructor
    own: OwnEvidence
    began_ns: int

    @property
    def export(self) -> ExportOptions:
        return export_options(self.options.output)


def settings(options: Reconstruct) -> dict[str, Any]:
    """Options that change results and differ from their defaults, as plain JSON.

    Formats are left out because the files themselves show them.
    """
    irrelevant = ("photos", "output", "device", "out", "format", "overwrite")
    changed = {}
    for owner in (options, options.output):
        for option in fields(owner):
            value = getattr(owner, option.name)
            if option.name not in irrelevant and value != option.default:
                changed[option.name] = _plain(value)
    return changed


def _plain(value: Any) -> Any:
    """An option as JSON gives it back."""
    if isinstance(value, Path):
        return printable(value.absolute())
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    return printable(value) if isinstance(value, str) else value


def _outcomes(
    jobs: Iterable[tuple[Path, Path]], work: _Work, begin: Callable[[str], None]
) -> Iterator[Outcome]:
    """Work on all photos; those that another process works on come last."""
    later = []
    for photo, folder in jobs:
        begin(photo.name)
        outcome = _outcome(work, photo, folder)
        if outcome is None:
            later.append((photo, folder))
        else:
            yield outcome
    for photo, folder in later:
        begin(photo.name)
        problem = (
            f"{photo} is left out because another kinflow still works on '{folder}'; run this "
            "again when that is done."
        )
        outcome = _outcome(work, photo, folder, PATIENCE_S)
        yield outcome or Outcome(photo, folder, PATIENCE_S, problem=problem)


def _outcome(work: _Work, path: Path, folder: Path, patience_s: float = 0.0) -> Outcome | None:
    """Work on one photo; what is wrong with it becomes part of the outcome.

    None when another process has been working on it for longer than `patience_s`.
    """
    raise_if_stopped()
    begin = time.perf_counter()
    notes: list[str] = []
    try:
        origin = _origin(work, path)
        if _is_done(work, folder, origin):
            return _already_there(work, path, folder, begin)
        check_destination(folder, work.export.files, work.export.overwrite)
        claim = Claim.take(folder, patience_s)
        if claim is None:
            return None
        with claim:
            # another process may have finished it between the two lines
            if _is_done(work, folder, origin):
                return _already_there(work, path, folder, begin)
            result = _reconstructed(work, path, folder, origin, claim, notes)
    except InputError as error:
        outcome = Outcome(path, folder, 0.0, problem=str(error))
    except AssetError:
        raise
    except Exception as error:  # a defect met by one photo is no reason to leave out the others
        raise_if_stopped()  # unless it is what foreign code made of Ctrl-C
        problem = f"{path} failed with {type(error).__name__}: {error}"
        outcome = Outcome(path, folder, 0.0, problem=problem, unexpected=True)
    else:
        outcome = Outcome(path, folder, 0.0, result)
    return replace(outcome, seconds=time.perf_counter() - begin, notes=tuple(notes))


def _origin(work: _Work, path: Path) -> Origin:
    """What the results of a photo are made from, as it is now."""
    photo = photo_sha256(path)
    prior = Path(work.options.prior)
    # a shipped prior changes with kinflow only; a weight file may be trained on
    weights = () if work.options.prior in SHIPPED else (prior,)
    inputs = inputs_sha256((*work.own.files_of(path), *weights))
    return Origin(printable(path), photo, settings(work.options), inputs)


def _reconstructed(
    work: _Work, path: Path, folder: Path, origin: Origin, claim: Claim, notes: list[str]
) -> Reconstruction:
    """Reconstruct one photo and write its folder; `notes` grows by what the user should know."""
    photo = read_photo(path)
    notes += [f"{path.name}: {note}" for note in photo.notes]
    evidence, said = work.own.of_photo(photo, path, work.reconstructor)
    notes += said
    result = replace(work.reconstructor(photo, evidence=evidence), source=origin.photo)
    for person in result.people:
        if absurd := what_cannot_be_right(person):
            notes.append(f"{path.name}: person {person.person} {absurd}, which cannot be right.")
    seen = [person.parts for person in evidence.people if person.parts is not None]
    write_all(result, photo.rgb, folder, work.export, seen, origin, claim)
    return result


def _is_done(work: _Work, folder: Path, origin: Origin) -> bool:
    """Whether the results are there; those to be overwritten only count if this run's own time
    has seen them made, by another process with the same task."""
    if not work.export.overwrite:
        return is_made(folder, work.export.files, origin)
    with contextlib.suppress(InputError):
        made = made_after(folder, work.began_ns)
        return made and is_made(folder, work.export.files, origin)
    return False


def _already_there(work: _Work, path: Path, folder: Path, begin: float) -> Outcome:
    meanwhile = (f"{path.name}: another kinflow made it meanwhile.",)
    notes = meanwhile if made_after(folder, work.began_ns) else ()
    seconds = time.perf_counter() - begin
    return Outcome(path, folder, seconds, notes=notes, already=True)


@contextlib.contextmanager
def _tidied(out: Path) -> Iterator[None]:
    """The output folder is tidy before and after, even if Ctrl-C interrupted a tidying.

    Folders that had to be made for results are removed if there are none in the end.
    """
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    remove_litter(out)
    try:
        yield
    finally:
        remove_litter(out)
        with contextlib.suppress(OSError):
            for folder in missing:
                folder.rmdir()
