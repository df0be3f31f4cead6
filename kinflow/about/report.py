"""The report that a maintainer needs: what is installed and where, and what went wrong with it.

It is made to be read before it is sent and pasted into an issue: plain text, no picture, and by
`kinflow.about.privacy` no path, user or machine in it.
"""

from __future__ import annotations

from pathlib import Path

from kinflow.about.machine import Lines, installation, machine, settings
from kinflow.about.privacy import Scrubber
from kinflow.about.subject import of_subject
from kinflow.files.names import one_line


def report(subject: Path | None = None) -> str:
    """The text.

    Args:
        subject: a result folder, or a photo or clip that fails; None tells of the machine alone.
    """
    sections: dict[str, Lines] = {
        "Installation": installation(),
        "Machine": machine(),
        "Settings": settings(),
    }
    scrub = Scrubber.of_this_machine()
    rows = [row for title, lines in sections.items() for row in _rows(title, lines, scrub)]
    if subject is not None:
        names = [str(subject), str(subject.absolute()), subject.name, subject.stem]
        title = "Result folder" if subject.is_dir() else "Input"
        rows += _rows(title, of_subject(subject), Scrubber.of_this_machine(names))
    return "\n".join(rows)


def _rows(title: str, lines: Lines, scrub: Scrubber) -> list[str]:
    told = [f"{name}: {scrub(one_line(value))}" for name, value in lines]
    return [f"[{title}]", *(told or ["none"]), ""]
