"""`kinflow data check`: what is there of a dataset, what is missing, what cannot be right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from kinflow.datasets.readers.anatomy import Anatomy, is_dataset_at_fault, lying
from kinflow.datasets.readers.picture_check import PictureCheck
from kinflow.datasets.readers.reader import Finding, Reader, Unit
from kinflow.datasets.readers.records import LeftOut
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
        units: label files that could be read to their end.
        invalid: how many samples are not valid.
        left_out: records that cannot be right.
        pictures: how many were opened, for their sizes and ends.
        findings: what is missing, malformed, of another version, or worth knowing.
        off_px: median reprojection error of each unit that has labels in space and in the picture.
        off_share: the same of bodies and keypoints, by the size of people.
        upright: of each unit whose people and way up are known, the median cosine between them.
    """

    samples: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    units: int = 0
    invalid: int = 0
    left_out: int = 0
    pictures: int = 0
    findings: list[Finding] = field(default_factory=list)
    off_px: dict[str, float] = field(default_factory=dict)
    off_share: dict[str, float] = field(default_factory=dict)
    upright: dict[str, float] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Nothing is missing or malformed."""
        return all(finding.level in ("note", "version") for finding in self.all_findings())

    def all_findings(self) -> list[Finding]:
        """Those of units, and what all units together say."""
        cosines = list(self.upright.values())
        sentence = lying(cosines)
        if sentence is None:
            return self.findings
        level = "malformed" if is_dataset_at_fault(cosines) else "note"
        return [*self.findings, Finding(level, sentence)]

    def lines(self) -> list[str]:
        """The report as text."""
        rows = [f"{sum(self.samples.values())} samples in {self.units} label files"]
        rows += [f"  split {split}: {count}" for split, count in sorted(self.samples.items())]
        rows += [f"  with {name}: {self.labels[name]}" for name in LABELS if self.labels[name]]
        if self.invalid:
            rows.append(f"  not valid: {self.invalid}")
        if self.left_out:
            rows.append(f"  left out, for they cannot be right: {self.left_out}")
        if self.pictures:
            rows.append(f"  pictures whose sizes and ends were looked at: {self.pictures}")
        if self.off_px:
            median = float(np.median(list(self.off_px.values())))
            rows.append(f"  labels in space lie {median:.1f} px from those in the picture (median)")
        if self.off_share:
            share = 100 * float(np.median(list(self.off_share.values())))
            rows.append(
                f"  bodies, of average shape, lie {share:.1f} % of a person's size from the points "
                "in the picture (median)"
            )
        findings = self.all_findings()
        for level in ("version", "missing", "malformed", "note"):
            told = [f.sentence for f in findings if f.level == level]
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
    pictures: int | None = None,
) -> None:
    """Read a unit and add what it holds, or why it cannot be read, to the report.

    Samples are held a few thousand at a time, for a unit may have a hundred thousand.

    Args:
        reader: of the dataset.
        root: its folder.
        unit: to read.
        report: is added to.
        on_samples: is told how many more were read.
        pictures: how many are opened; all if None.
    """
    checked = _Checked(unit, PictureCheck(pictures), LeftOut(unit.key))
    stream = checked.read(reader, root)
    while people := list(islice(stream, _AT_ONCE)):
        checked.add(people, reader.missing_pictures(people))
        on_samples(len(people))
    checked.report(report)


@dataclass
class _Checked:
    """What a unit holds, while it is read."""

    unit: Unit
    pictures: PictureCheck
    left_out: LeftOut
    broken: InputError | None = None
    count: int = 0
    invalid: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    absent: list[Path] = field(default_factory=list)
    reprojection: _Reprojection = field(default_factory=lambda: _Reprojection())
    anatomy: Anatomy = field(default_factory=Anatomy)

    def read(self, reader: Reader, root: Path) -> Iterator[Sample]:
        """Its samples, as far as it can be read."""
        try:
            yield from reader.read(root, self.unit, self.left_out)
        except InputError as error:
            self.broken = error

    def add(self, people: list[Sample], absent: list[Path]) -> None:
        """Count samples; `absent` are the files that they name and that are not there."""
        self.count += len(people)
        self.absent += absent
        for sample in people:
            self.labels.update(sample.labels)
            self.invalid += not sample.valid
            self.reprojection.add(sample)
            self.anatomy.add(sample)
            self.pictures.add(sample)

    def report(self, report: Report) -> None:
        """Add everything to a report."""
        if self.broken is not None:
            report.findings.append(Finding("malformed", str(self.broken)))
        elif not self.count:
            report.findings.append(Finding("note", f"'{self.unit.key}' holds nobody."))
        report.units += self.broken is None
        report.samples[self.unit.split or "all"] += self.count
        report.labels.update(self.labels)
        report.invalid += self.invalid
        report.left_out += self.left_out.count
        report.findings += [Finding("malformed", said) for said in self.left_out.sentences()]
        if self.absent:
            report.findings.append(Finding("missing", self._said_of_absent()))
        looked, findings = self.pictures.findings(self.unit.key)
        report.pictures += looked
        report.findings += findings
        self.reprojection.report(self.unit, report)
        report.findings += [Finding("malformed", s) for s in self.anatomy.sentences(self.unit.key)]
        if self.anatomy.off:
            report.off_share[self.unit.key] = float(np.median(self.anatomy.off))
        if self.anatomy.upright:
            report.upright[self.unit.key] = float(np.median(self.anatomy.upright))

    def _said_of_absent(self) -> str:
        absent = set(self.absent)
        others = f" and {len(absent) - 1:,} more" if len(absent) > 1 else ""
        return f"'{self.unit.key}' has labels for '{min(absent)}'{others}, not there."


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
