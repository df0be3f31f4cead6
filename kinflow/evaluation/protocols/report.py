"""Tables of results: printed, as CSV and as bars; only of results that were measured alike."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kinflow.datasets.sequence_lists import SEQUENCES
from kinflow.evaluation.bar_chart import bar_chart_png
from kinflow.evaluation.protocols.protocol import Protocol
from kinflow.evaluation.protocols.results import Result, Value, check_comparable, result_bytes
from kinflow.files.names import folder_names, one_line

FLOOR = "floor"
BARS, JOINT_BARS = "figures.png", "by_joint.png"


def report_files(results: Sequence[Result], floor: Result | None) -> dict[str, bytes]:
    """Content of each file of a report by its name; tables without a line are left out.

    Raises:
        InputError: results, the floor among them, have different hashes.
    """
    everything = [*results, *([floor] if floor else [])]
    check_comparable(everything)
    files = {
        "figures.csv": _csv(_figure_rows(results, floor)),
        "by_action.csv": _csv(_grouped_rows(everything, "action")),
        "by_joint.csv": _csv(_grouped_rows(everything, "joint")),
        "worst.csv": _csv(_worst_rows(results)),
        "protocol.json": _protocol_bytes(results[0].protocol),
    }
    files = {name: data for name, data in files.items() if data.count(b"\n") > 1}
    for name, result in zip(result_names(results), results, strict=True):
        files[name] = result_bytes(result)
    if floor:
        files["floor.json"] = result_bytes(floor)
    bars = {one_line(r.system): _plain(r.figures) for r in everything}
    shown = [name for name in results[0].figures if all(name in row for row in bars.values())]
    if shown:
        files[BARS] = bar_chart_png({n: {f: row[f] for f in shown} for n, row in bars.items()})
    if joints := _joint_bars(everything):
        files[JOINT_BARS] = bar_chart_png(joints, columns=3)
    return files


def result_names(results: Sequence[Result]) -> list[str]:
    """A file name for each result."""
    return [f"{name}.json" for name in folder_names([f"result_{r.system}" for r in results])]


def print_report(results: Sequence[Result], floor: Result | None) -> None:
    """One table for all systems, with intervals, the floor, and what was not compared.

    Raises:
        InputError: results, the floor among them, have different hashes.
    """
    everything = [*results, *([floor] if floor else [])]
    check_comparable(everything)
    protocol = results[0].protocol
    title = f"{protocol.name} ({protocol.hash}): value [95 % interval over sequences]"
    systems = (Column(header=_text(result.system)) for result in everything)
    table = Table("figure", *systems, title=_text(title))
    for name in protocol.figures:
        if any(name in r.figures for r in everything):
            table.add_row(name, *(_shown(r.figures.get(name)) for r in everything))
    for what in ("matched", "missing", "extra"):
        table.add_row(
            f"people {what}", *(f"{getattr(r.counts, what)} / {r.counts.rows}" for r in everything)
        )
    table.add_row("sequences", *(_sequences(result) for result in everything))
    console = Console()
    console.print(table)
    for result in everything:
        for name, reason in result.absent.items():
            console.print(_text(f"{result.system}: no {name}: {reason}."), highlight=False)
    if floor is None:
        console.print("No conversion floor was given or made.", highlight=False)


def _sequences(result: Result) -> str:
    """How many the truth has, and of how many where the benchmark's are known."""
    protocol = result.protocol
    whole = SEQUENCES.get((protocol.dataset, protocol.split))
    return f"{result.counts.sequences}" + (f" / {len(whole)}" if whole else "")


def _text(text: str) -> Text:
    return Text(one_line(text))


def _shown(value: Value | None) -> str:
    if value is None:
        return "–"
    if math.isnan(value.low):
        return f"{value.value:.2f}"
    return f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"


def _figure_rows(results: Sequence[Result], floor: Result | None) -> Iterable[list[object]]:
    yield ["system", "protocol", "hash", "figure", "value", "low", "high", "count", "floor"]
    for result in results:
        for name, value in result.figures.items():
            below = floor.figures.get(name) if floor else None
            yield [
                *(result.system, result.protocol.name, result.hash, name),
                *(value.value, value.low, value.high, value.count),
                "" if below is None else below.value,
            ]


def _grouped_rows(results: Sequence[Result], kind: str) -> Iterable[list[object]]:
    """Means of each action or joint, a line for each figure and system."""
    yield ["system", "hash", "figure", kind, "value"]
    for result in results:
        tables = result.by_action if kind == "action" else result.by_joint
        for figure, table in tables.items():
            for name, value in table.items():
                yield [result.system, result.hash, figure, name, value]


def _worst_rows(results: Sequence[Result]) -> Iterable[list[object]]:
    yield ["system", "hash", "sequence", "frame", "person", "value"]
    for result in results:
        for row in result.worst:
            place = (row.sequence, row.frame, row.person, row.value)
            yield [result.system, result.hash, *place]


def _csv(rows: Iterable[list[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf8", "replace")


def _cell(cell: object) -> object:
    """Numbers that are not there are empty cells; text that spreadsheets run gets a quote."""
    if isinstance(cell, float):
        return "" if math.isnan(cell) else cell
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell else cell


def _protocol_bytes(protocol: Protocol) -> bytes:
    content = {"hash": protocol.hash, **protocol.as_json()}
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode("utf8")


def _plain(figures: Mapping[str, Value]) -> dict[str, float]:
    return {name: v.value for name, v in figures.items() if not math.isnan(v.value)}


def _joint_bars(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Systems by joint, of the first figure that all of them have for each joint."""
    figure = next(iter(results[0].by_joint), None)
    if figure is None or not all(figure in r.by_joint for r in results):
        return {}
    shared = [
        n for n in results[0].by_joint[figure] if all(n in r.by_joint[figure] for r in results)
    ]
    return {
        one_line(r.system): {f"{n} {figure}": r.by_joint[figure][n] for n in shared}
        for r in results
    }
