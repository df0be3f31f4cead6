"""Build the zip file of the Blender extension, which is an add-on of Blender 3 too.

    python tools/build_blender_extension.py [--out dist]

The files lie in a folder inside, which both kinds of installation take. The same sources give the
same bytes. The version has to be that of kinflow.
"""

import argparse
import re
import zipfile
from pathlib import Path

from kinflow.version import __version__

SOURCE = Path(__file__).parent.parent / "blender" / "kinflow_import"
_ENDINGS = {".py", ".toml"}
_TIME = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("dist"))
    print(build(parser.parse_args().out))


def build(out: Path) -> Path:
    """Write the zip file into a folder; returns its path."""
    said = manifest_version()
    if said != __version__:
        raise SystemExit(f"blender_manifest.toml says version {said}, kinflow is {__version__}.")
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{SOURCE.name}-{said}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files():
            entry = zipfile.ZipInfo(f"{SOURCE.name}/{file.name}", _TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, file.read_bytes())
    return path


def files() -> list[Path]:
    """What goes into the zip file, in order of names."""
    inside = [p for p in SOURCE.iterdir() if p.suffix in _ENDINGS or p.name == "LICENSE"]
    return sorted(inside, key=lambda file: file.name)


def manifest_version() -> str:
    """The version that the manifest states."""
    text = (SOURCE / "blender_manifest.toml").read_text(encoding="utf8")
    found = re.search(r'^version = "([^"]+)"$', text, re.M)
    return found[1] if found else ""


if __name__ == "__main__":
    main()
