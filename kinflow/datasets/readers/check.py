"""`kinflow data check`: what is there of a dataset, what is missing, what cannot be right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from kinflow.datasets.readers.reader import Finding, Reader, Unit
from kinflow.datasets.readers.reprojection import reprojection_px
from kinflow.datasets.sample import LABELS, Sample
from kinflow.errors import InputError

_NAMED = 20
"""Findings of one kind that are written out; the others are counted."""
_AT_ONCE = 2000
_WRONG_SHARE = 0.03
"""Of the image's longer side: a median reprojection error beyond it is a wrong camera, axis or
side and no labelling noise."""


@dataclass
class Report:
    """What was found.

    Attributes:
        samples: how many there are, by split.
        labels: how many have each label.
        units: label files that could be read.
        findings: what is missing, malformed, of another version, or worth knowing.
        invalid: how many samples are not valid.
        off_px: median reprojection error of each unit that has labels in space and in the picture.
    """

    samples: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    units: int = 0
    invalid: int = 0
    findings: list[Finding] = field(default_factory=list)
    off_px: dict[str, float] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Nothing is missing or malformed."""
        return all(finding.level in ("note", "version") for finding in self.findings)

    def lines(self) -> list[str]:
        """The report as text."""
        rows = [f"{sum(self.samples.values())} samples in {self.units} label files"]
        rows += [f"  split {split}: {count}" for split, count in sorted(self.samples.items())]
        rows += [f"  with {name}: {self.labels[name]}" for name in LABELS if self.labels[name]]
        if self.invalid:
            rows.append(f"  not valid: {self.invalid}")
        if self.off_px:
            median = float(np.median(list(self.off_px.values())))
            rows.append(f"  labels in space lie {median:.1f} px from those in the picture (median)")
        for level in ("version", "missing", "malformed", "note"):
            told = [f.sentence for f in self.findings if f.level == level]
            rows += [f"{level}: {sentence}" for sentence in told[:_NAMED]]
            if len(told) > _NAMED:
                rows.append(f"{level}: {len(told) - _NAMED} more of the kind")
        return rows


def check_unit(
    reader: Reader,
    root: Path,
    unit: Unit,
    report: Report,
    on_samples: Callable[[int], None] = lambda count: None,
) -> None:
    """Read a unit and add what it holds, or why it cannot be read, to the report.

    Samples are held a few thousand at a time, for a unit may have a hundred thousand.

    Args:
        reader: of the dataset.
        root: its folder.
        unit: to read.
        report: is added to.
        on_samples: is told how many more were read.
    """
    count, invalid, labels, absent, off = 0, 0, Counter(), [], _Reprojection()
    stream = reader.read(root, unit)
    try:
        while people := list(islice(stream, _AT_ONCE)):
            count += len(people)
            for sample in people:
                labels.update(sample.labels)
                invalid += not sample.valid
                off.add(sample)
            absent += reader.missing_pictures(people)
            on_samples(len(people))
    except InputError as error:
        report.findings.append(Finding("malformed", str(error)))
        return
    report.units += 1
    report.samples[unit.split or "all"] += count
    report.labels.update(labels)
    report.invalid += invalid
    if not count:
        report.findings.append(Finding("note", f"'{unit.key}' holds nobody."))
    if absent:
        others = len(set(absent)) - 1
        more = f" and {others} more" if others else ""
        report.findings.append(
            Finding("missing", f"'{unit.key}' has labels for '{absent[0]}'{more}, not there.")
        )
    off.report(unit, report)


@dataclass
class _Reprojection:
    """Labels in space against those in the picture, of a unit."""

    errors: list[float] = field(default_factory=list)
    sides: list[int] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """Compare those of a sample, where it has both."""
        off = reprojection_px(sample)
        if off is not None and sample.camera is not None:
            self.errors.append(float(np.median(off)))
            self.sides.append(max(sample.camera.size))

    def report(self, unit: Unit, report: Report) -> None:
        """Add the unit's error, and a finding where it cannot be labelling noise."""
        if not self.errors:
            return
        report.off_px[unit.key] = float(np.median(self.errors))
        if report.off_px[unit.key] > _WRONG_SHARE * float(np.median(self.sides)):
            report.findings.append(
                Finding(
                    "malformed",
                    f"'{unit.key}': labels in space lie {report.off_px[unit.key]:.0f} px from "
                    "those in the picture, which no labeller does; compare cameras, axes and left "
                    "and right.",
                )
            )
