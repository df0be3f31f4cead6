"""`kinflow licences` and `kinflow report`: what kinflow stands on, and what a maintainer needs."""

from __future__ import annotations

from pathlib import Path

from kinflow.about.audit import Finding, audit
from kinflow.about.packages import extras_of_project, installed_packages
from kinflow.about.report import report
from kinflow.about.sbom import bill_of_materials
from kinflow.about.weights import shipped_files
from kinflow.cli.options import Licences, Report
from kinflow.cli.output import complain, say
from kinflow.errors import InputError
from kinflow.files.atomic import write_bytes
from kinflow.files.destinations import check_file_destination
from kinflow.files.names import printable

REFUSED = 2


def run_licences(options: Licences) -> int:
    """Print findings, write the bill of materials; 2 if something is refused.

    Raises:
        InputError: kinflow is not installed as a package, or the file cannot be written.
    """
    if options.sbom is not None:
        check_file_destination(options.sbom)
    extras = options.extras or extras_of_project()
    unknown = sorted(set(extras) - set(extras_of_project()))
    if unknown:
        known = ", ".join(extras_of_project())
        raise InputError(f"There is no extra '{unknown[0]}'; choose from {known}.")
    packages, missing = installed_packages(extras)
    files = shipped_files()
    findings = audit(packages, files)
    for finding in findings:
        _print(finding, options.quiet)
    if missing:
        say(f"Not installed and not looked at: {', '.join(missing)}.")
    refused = sum(not finding.fine for finding in findings)
    libraries = sum(len(package.libraries) for package in packages)
    say(
        f"{len(packages)} packages with {libraries} libraries, {len(files)} files that ship: "
        + (f"{refused} refused." if refused else "all may be used in products of any kind.")
    )
    if options.sbom is not None:
        write_bytes(options.sbom, bill_of_materials(packages, files).encode())
        say(f"Wrote {options.sbom}.")
    return REFUSED if refused else 0


def _print(finding: Finding, quiet: bool) -> None:
    text = f"{finding.what}: {finding.licence}"
    if not finding.fine:
        complain(f"refused: {text}. {finding.why}", "red")
    elif finding.why:
        say(f"{text} (allowed: {finding.why})")
    elif not quiet:
        say(text)


def run_report(options: Report) -> int:
    """Print the report, or write it.

    Raises:
        InputError: what it should tell of does not exist, or the file cannot be written.
    """
    if options.out is not None:
        check_file_destination(options.out)
    subject = None if options.about is None else Path(options.about)
    if subject is not None and not subject.exists():
        raise InputError(f"There is no '{printable(subject)}' to tell of; check the path.")
    text = report(subject)
    if options.out is None:
        say(text)
    else:
        write_bytes(options.out, text.encode())
        say(f"Wrote {options.out}: read it before you send it.")
    return 0
