"""Which subjects of mocap are for training, which for validation, which for the test.

Splits go by subject, never by frame or clip: neighbouring frames, and one person's habits, would
otherwise leak from training into testing. A subject of CMU's database is called by its number, in
BVH, ASF/AMC and AMASS alike; a subject of another part of AMASS by the part and the folder
(`KIT/01`), so that two people never share a name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from kinflow.checks import refuse, words

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class MocapSplits:
    """Whom to hold out; every subject that is not named is for training.

    Attributes:
        validation: subjects that training is stopped by; `*` stands for any letters, so that
            `HumanEva/*` is a whole part of AMASS.
        test: subjects that results are reported on.
    """

    validation: tuple[str, ...] = ("02", "16", "94")
    test: tuple[str, ...] = ("05", "127", "135")

    def __post_init__(self) -> None:
        words(self, "validation", "a tuple of subjects by name", or_none=True)
        words(self, "test", "a tuple of subjects by name", or_none=True)
        if both := sorted(set(self.validation) & set(self.test)):
            refuse(f"{', '.join(both)} cannot be for validation and for the test.")

    def of(self, subject: str) -> Split:
        """The split that a subject belongs to."""
        if any(fnmatchcase(subject, pattern) for pattern in self.validation):
            return "validation"
        return "test" if any(fnmatchcase(subject, name) for name in self.test) else "train"

    def only(self, subjects: Iterable[str], split: Split) -> list[str]:
        """Those of some subjects that belong to a split."""
        return [subject for subject in subjects if self.of(subject) == split]


CMU_SPLITS = MocapSplits()
"""What kinflow's own priors are trained by."""
AMASS_SPLITS = MocapSplits(
    validation=("HumanEva/*", "MPI_HDM05/*", "HDM05/*", "SFU/*", "MPI_mosh/*", "MoSh/*"),
    test=("Transitions_mocap/*", "Transitions/*", "SSM_synced/*", "SSM/*"),
)
"""AMASS's own, by parts (Pavlakos et al. 2019, VPoser), under their old names and today's."""


def subject_of(path: Path) -> str:
    """Who moves in a motion file, told from the folders that it is in.

    Files of AMASS (`.npz`) are in `<part>/<subject>/`, all others in `<subject>/`.
    """
    folder = path.absolute().parent
    part = folder.parent.name
    if path.suffix.lower() != ".npz" or part.upper() == "CMU" or not part:
        return folder.name
    return f"{part}/{folder.name}"
