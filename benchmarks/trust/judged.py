"""How many bodies in photographs look right, and how many of the wrong ones say `ok`.

`judged.csv` has two verdicts, by different eyes that did not know of each other or of codes, on
every body that was found in photographs of COCO and shows at least an eighth of their height: a
place on head and shoulders, in pixels, and `right`, `unsure`, or what is wrong. The bodies were
those of the version in which this list was added; codes are those of today's fits.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from photographs import Placed, detected, matched
from runs import Sets, table

from kinflow.evidence.image import read_photo
from kinflow.results import ResultCode

JUDGED = Path(__file__).with_name("judged.csv")
_UNTOLD = ("", "unsure")


@dataclass(frozen=True)
class Judged(Placed):
    """A body in a photograph, and what it was found to be by two pairs of eyes."""

    verdicts: tuple[str, str]

    @property
    def wrong(self) -> float | None:
        """How many of those who could tell found it wrong, as a share; None where nobody could."""
        told = [verdict != "right" for verdict in self.verdicts if verdict not in _UNTOLD]
        return sum(told) / len(told) if told else None


def judged(sets: Sets) -> str:
    """Verdicts by eyes and by codes; nothing without photographs."""
    folder = sets.config.photographs
    if folder is None:
        return "(judged: needs --photographs)\n"
    found = list(_with_codes(sets, folder))
    return _by_eyes(found) + "\n" + _by_code(found) + "\n" + _causes(found)


def judged_bodies() -> dict[str, list[Judged]]:
    """The bodies of the list, by photograph."""
    found: dict[str, list[Judged]] = defaultdict(list)
    with JUDGED.open(newline="") as lines:
        for photo, x, y, first, second in list(csv.reader(lines))[1:]:
            found[photo].append(Judged(photo, (float(x), float(y)), (first, second)))
    return found


def _with_codes(sets: Sets, folder: Path) -> Iterator[tuple[Judged, ResultCode]]:
    """Everybody of the list who is found, with the code of their body."""
    models = sets.reconstructor
    for name, bodies in judged_bodies().items():
        photo = read_photo(folder / f"{name}.jpg")
        evidence = detected(sets, name, photo)
        fitter = models.alone or models.fitter
        fit = fitter.fit(evidence, models.camera(photo), models.knows_lens(photo))
        for one, row in matched(bodies, evidence.people):
            yield one, fit.people[row].code


def _by_eyes(found: Sequence[tuple[Judged, ResultCode]]) -> str:
    rows = []
    for i, name in enumerate(("first eyes", "second eyes")):
        told = [(one.verdicts[i], code) for one, code in found if one.verdicts[i] not in _UNTOLD]
        right = sum(verdict == "right" for verdict, _ in told)
        wrong = sum(verdict != "right" and code == "ok" for verdict, code in told)
        shares = [_percent(part, len(told)) for part in (right, wrong)]
        rows.append((name, [str(len(told)), *shares]))
    both = [one.verdicts for one, _ in found if not set(_UNTOLD) & set(one.verdicts)]
    alike = sum((a == "right") == (b == "right") for a, b in both)
    cells = [str(len(both)), _percent(alike, len(both)), ""]
    rows.append(("both, of one opinion", cells))
    return table("judged by", ("bodies", "right", "wrong and `ok`"), rows)


def _by_code(found: Sequence[tuple[Judged, ResultCode]]) -> str:
    wrong: dict[ResultCode, list[float]] = defaultdict(list)
    for one, code in found:
        if one.wrong is not None:
            wrong[code].append(one.wrong)
    rows = [
        (code, [str(len(some)), f"{sum(some):.1f}", _percent(sum(some), len(some))])
        for code, some in sorted(wrong.items(), key=lambda known: -len(known[1]))
    ]
    return table("code", ("bodies", "wrong, mean of both eyes", "share"), rows)


def _causes(found: Sequence[tuple[Judged, ResultCode]]) -> str:
    causes = Counter(v for one, _ in found for v in one.verdicts if v not in (*_UNTOLD, "right"))
    rows = [(cause, [f"{count / 2:.1f}"]) for cause, count in causes.most_common()]
    return table("what is wrong", ("bodies, mean of both eyes",), rows)


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / max(whole, 1):.1f} %"
