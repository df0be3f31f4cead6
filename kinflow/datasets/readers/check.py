"""`kinflow data check`: what is there of a dataset, what is missing, what cannot be right."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kinflow.datasets.readers.reader import Finding, Reader, Unit
from kinflow.datasets.readers.reprojection import reprojection_px
from kinflow.datasets.sample import LABELS, Sample
from kinflow.errors import InputError

_NAMED = 20
"""Findings of one kind that are written out; the others are counted."""
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
        off_px: median reprojection error of each unit that has labels in space and in the picture.
    """

    samples: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    units: int = 0
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
        if self.off_px:
            median = float(np.median(list(self.off_px.values())))
            rows.append(f"  labels in space lie {median:.1f} px from those in the picture (median)")
        for level in ("version", "missing", "malformed", "note"):
            told = [f.sentence for f in self.findings if f.level == level]
            rows += [f"{level}: {sentence}" for sentence in told[:_NAMED]]
            if len(told) > _NAMED:
                rows.append(f"{level}: {len(told) - _NAMED} more of the kind")
        return rows


def check_unit(reader: Reader, root: Path, unit: Unit, report: Report) -> None:
    """Read a unit and add what it holds, or why it cannot be read, to the report."""
    people: list[Sample] = []
    try:
        people.extend(reader.read(root, unit))
    except InputError as error:
        report.findings.append(Finding("malformed", str(error)))
        return
    report.units += 1
    report.samples[unit.split or "all"] += len(people)
    for sample in people:
        report.labels.update(sample.labels)
    absent = reader.missing_pictures(people)
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        report.findings.append(
            Finding("missing", f"'{unit.key}' has labels for '{absent[0]}'{more}, not there.")
        )
    _check_reprojection(unit, people, report)


def _check_reprojection(unit: Unit, people: list[Sample], report: Report) -> None:
    """Compare labels in space with those in the picture."""
    errors, sides = [], []
    for sample in people:
        off = reprojection_px(sample)
        if off is not None and sample.camera is not None:
            errors.append(float(np.median(off)))
            sides.append(max(sample.camera.size))
    if not errors:
        return
    report.off_px[unit.key] = float(np.median(errors))
    if report.off_px[unit.key] > _WRONG_SHARE * float(np.median(sides)):
        report.findings.append(
            Finding(
                "malformed",
                f"'{unit.key}': labels in space lie {report.off_px[unit.key]:.0f} px from those in "
                "the picture, which no labeller does; compare cameras, axes and left and right.",
            )
        )
