"""`kinflow evaluate reconstruction` and `kinflow evaluate table`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from kinflow.checks import one_of, path, refuse, whole, words
from kinflow.datasets.person_rows import PersonRows
from kinflow.datasets.sequence_lists import lacking
from kinflow.errors import InputError
from kinflow.evaluation.protocols.judging import Compared, evaluate
from kinflow.evaluation.protocols.named import protocol_named
from kinflow.evaluation.protocols.own_body import through_our_body
from kinflow.evaluation.protocols.pictures import worst_sheet
from kinflow.evaluation.protocols.protocol import Protocol, read_protocol
from kinflow.evaluation.protocols.regressor import Regressor
from kinflow.evaluation.protocols.report import FLOOR, print_report, report_files
from kinflow.evaluation.protocols.results import Result, read_result
from kinflow.evaluation.protocols.row_files import read_rows
from kinflow.files.destinations import check_folder_destination
from kinflow.files.folders import check_destination, new_folder
from kinflow.files.marker import Marker
from kinflow.files.names import folder_names

OWN_FLOOR, NO_FLOOR = "own", "none"


@dataclass(frozen=True)
class EvaluateReconstructionConfig:
    """Compare systems with the truth by one protocol; docs/evaluation.md has protocols and files.

    Attributes:
        protocol: h36m-p1, 3dpw, emdb-1, mpi-inf-3dhp, coco-keypoints and others, or a file
            protocol.json with the fields of one.
        truth: file of the truth, or a folder of files.
        predictions: a file, or a folder of files, for each system.
        out: folder for tables, plots and worst cases.
        floor: predictions that are the truth converted into the body of the systems; "own" puts the
            truth through our body, which is done where the truth has poses unless told otherwise;
            "none" leaves it out.
        regressor: file of a joint regressor; joints of files with meshes come from it.
        images: folder that the truth's pictures are relative to, for worst cases.
        predicted_joints: where predicted joints come from, if not from what the protocol takes;
            this makes another protocol of it.
        matching: who is compared with whom, likewise: id, box, oks or oracle.
        best_of: the best of so many samples, likewise.
        missing: what people without a prediction are, likewise: excluded, refused or counted.
        missing_mm: the error that they count as.
        overwrite: replace the folder of an earlier run.
    """

    protocol: str
    truth: Path
    predictions: tuple[Path, ...]
    out: Path
    floor: str | None = None
    regressor: Path | None = None
    images: Path | None = None
    predicted_joints: str | None = None
    matching: Literal["id", "box", "oks", "oracle"] | None = None
    best_of: int | None = None
    missing: Literal["excluded", "refused", "counted"] | None = None
    missing_mm: float | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        path(self, "truth", "out")
        path(self, "regressor", "images", or_none=True)
        words(self, "predictions", "one or more files of predictions")
        whole(self, "best_of", at_least=1, or_none=True)
        if self.matching is not None:
            one_of(self, "matching", ("id", "box", "oks", "oracle"))
        if self.missing is not None:
            one_of(self, "missing", ("excluded", "refused", "counted"))
        try:
            self.protocol_used()
        except InputError as error:
            refuse(str(error))

    def protocol_used(self) -> Protocol:
        """The named protocol with what was asked for instead; with another hash then."""
        changed = {
            name: getattr(self, name)
            for name in ("predicted_joints", "matching", "best_of", "missing", "missing_mm")
            if getattr(self, name) is not None
        }
        is_file = self.protocol.lower().endswith(".json")
        named = read_protocol(self.protocol) if is_file else protocol_named(self.protocol)
        return replace(named, **changed)


@dataclass(frozen=True)
class TableConfig:
    """One table of results of earlier evaluations, if they were measured alike.

    Attributes:
        results: files result_*.json that `kinflow evaluate reconstruction` wrote.
        out: folder for tables and plots, if anywhere.
        floor: floor.json of one of them.
        overwrite: replace the folder of an earlier run.
    """

    results: tuple[Path, ...]
    out: Path | None = None
    floor: Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        words(self, "results", "one or more result files")
        path(self, "out", "floor", or_none=True)


def main(config: EvaluateReconstructionConfig) -> None:
    """Judge all systems, print their table and write the report."""
    check_folder_destination(config.out)
    check_destination(config.out, (), config.overwrite)
    protocol = config.protocol_used()
    regressor = Regressor.read(config.regressor) if config.regressor else None
    truth = _rows(config.truth, regressor)
    systems = _distinct([_rows(Path(p), regressor) for p in config.predictions])
    compared = [evaluate(truth, system, protocol) for system in systems]
    floor = _floor(config, truth, regressor, protocol)
    results = [one.result for one in compared]
    files = report_files(results, floor)
    files |= _sheets(truth, systems, compared, config.images)
    _write(config.out, files, config.overwrite)
    print_report(results, floor)
    absent = lacking(protocol.dataset, protocol.split, set(truth["sequence"].tolist()))
    if absent is not None:
        print(f"This is no result of the benchmark: {absent}")
    print(f"Wrote {config.out}: {', '.join(sorted(files))}.")


def table_main(config: TableConfig) -> None:
    """Print results of earlier evaluations in one table, and write it."""
    if config.out is not None:
        check_folder_destination(config.out)
        check_destination(config.out, (), config.overwrite)
    results = [read_result(Path(p)) for p in config.results]
    floor = read_result(config.floor) if config.floor else None
    names = _names([result.system for result in results])
    results = [replace(result, system=name) for result, name in zip(results, names, strict=True)]
    files = report_files(results, floor)
    if config.out is not None:
        _write(config.out, files, config.overwrite)
    print_report(results, floor)


def _rows(file: Path, regressor: Regressor | None) -> PersonRows:
    rows = read_rows(file)
    if regressor is None or "vertices_m" not in rows:
        return rows
    return regressor.joints_of(rows)


def _distinct(systems: list[PersonRows]) -> list[PersonRows]:
    """Systems with names of their own."""
    names = _names([system.name for system in systems])
    return [PersonRows(n, s.arrays) for n, s in zip(names, systems, strict=True)]


def _names(names: list[str]) -> list[str]:
    """The names, with numbers where they come twice."""
    seen: dict[str, int] = {}
    distinct: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return distinct


def _floor(
    config: EvaluateReconstructionConfig,
    truth: PersonRows,
    regressor: Regressor | None,
    protocol: Protocol,
) -> Result | None:
    if config.floor == NO_FLOOR or (config.floor is None and "pose" not in truth):
        return None
    if config.floor is None:
        try:
            rows = through_our_body(truth, protocol)
            return evaluate(truth, PersonRows(FLOOR, rows.arrays), protocol).result
        except InputError as error:  # nobody asked for it
            print(f"There is no conversion floor: {error}")
            return None
    if config.floor == OWN_FLOOR:
        rows = through_our_body(truth, protocol)
    else:
        rows = _rows(Path(config.floor), regressor)
    return evaluate(truth, PersonRows(FLOOR, rows.arrays), protocol).result


def _sheets(
    truth: PersonRows,
    systems: list[PersonRows],
    compared: list[Compared],
    images: Path | None,
) -> dict[str, bytes]:
    names = folder_names([f"worst_{system.name}" for system in systems])
    sheets = {
        f"{name}.png": worst_sheet(truth, system, one, images)
        for name, system, one in zip(names, systems, compared, strict=True)
    }
    return {name: sheet for name, sheet in sheets.items() if sheet is not None}


def _write(out: Path, files: dict[str, bytes], overwrite: bool) -> None:
    with new_folder(out, Marker(tuple(files)), overwrite) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
