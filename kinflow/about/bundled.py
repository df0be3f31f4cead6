"""Libraries of others inside wheels, which the metadata of the wheel do not speak of.

Tools that repair wheels put them into a folder of their own (`<package>.libs`, `.dylibs`). Each has
to be known here; one that is not is a reason to look. What is linked into a module does not show.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from kinflow.about.spdx import Verdict, judge

_FOLDER = re.compile(r"(\.libs|\.dylibs)$")
_LIBRARY = re.compile(r"\.(so|dll|dylib)\b")
_FFMPEG_OF_WINDOWS = re.compile(r"opencv_videoio_ffmpeg")

_LGPL = "a shared library that is called through its interface and can be replaced in the wheel"
_GCC = "GPL-3.0-or-later WITH GCC-exception-3.1"

_KNOWN: tuple[tuple[str, str], ...] = (
    (r"aec|sz", "BSD-2-Clause"),
    (r"aom|avif|yuv|dav1d|SvtAv1Enc|rav1e", "BSD-2-Clause"),
    (r"avcodec|avformat|avutil|avfilter|avdevice|swresample|swscale", "LGPL-2.1-or-later"),
    (r"opencv_videoio_ffmpeg\w*", "LGPL-2.1-or-later"),
    (r"brotli\w*", "MIT"),
    (r"bz2", "BSD-3-Clause"),
    (r"crypto|ssl", "OpenSSL OR Apache-2.0"),  # before version 3 the one, then the other
    (r"de265|heif", "LGPL-3.0-or-later"),
    (r"drm|xcb|Xau|X11|Xdmcp|va|vdpau", "MIT"),
    (r"expat|lcms2|harfbuzz|raqm", "MIT"),
    (r"freetype", "FTL OR GPL-2.0-only"),
    (r"fribidi", "LGPL-2.1-or-later"),
    (r"gfortran|gomp|gcc_s|stdc\+\+|atomic|ssp|winpthread", _GCC),
    (r"omp|c\+\+", "Apache-2.0 WITH LLVM-exception"),
    (r"hdf5\w*", "BSD-3-Clause"),
    (r"jpeg|turbojpeg", "IJG AND BSD-3-Clause"),
    (r"lzma", "0BSD"),
    (r"msvcp140", "LicenseRef-Microsoft-Visual-Cpp-Runtime"),
    (r"openblas\w*|scipy_openblas\w*", "BSD-3-Clause"),
    (r"openjp2|webp\w*|sharpyuv|vpx|zstd", "BSD-3-Clause"),
    (r"png\d*", "libpng-2.0"),
    (r"quadmath", "LGPL-2.1-or-later"),
    (r"tiff", "libtiff"),
    (r"x264|x265|fdk-aac|xvidcore", "GPL-2.0-or-later"),
    (r"z|zlib\d*", "Zlib"),
)
"""Licences by the name of the library, without `lib` and what comes behind it."""

_ALLOWED = {
    "LGPL-2.1-or-later": _LGPL,
    "LGPL-3.0-or-later": _LGPL,
    "LicenseRef-Microsoft-Visual-Cpp-Runtime": "part of a compiler, free to be passed on",
}
"""Why libraries that are not permissive do no harm."""


@dataclass(frozen=True)
class Library:
    """One library inside a wheel."""

    name: str
    licence: str
    """SPDX; empty where it is not known."""

    @property
    def verdict(self) -> Verdict:
        """What its licence asks for of those who use the wheel."""
        return "permissive" if self.licence in _ALLOWED else judge(self.licence)

    @property
    def why(self) -> str:
        """Why it is allowed though its licence is not permissive; empty otherwise."""
        return _ALLOWED.get(self.licence, "")


def libraries_in(files: Iterable[PurePath]) -> tuple[Library, ...]:
    """The libraries of others among the files of a wheel, each name once."""
    found: dict[str, Library] = {}
    for file in files:
        repaired = _FOLDER.search(file.parent.name) and _LIBRARY.search(file.name)
        if repaired or _FFMPEG_OF_WINDOWS.match(file.name):
            name = _plain(file.name)
            found.setdefault(name, Library(name, _licence_of(name)))
    return tuple(sorted(found.values(), key=lambda library: library.name))


def _plain(file_name: str) -> str:
    """`libpng16-1d1ba958.so.16.58.0` is `png16`."""
    stem = re.split(r"\.(?:so|dll|dylib|\d)", file_name, maxsplit=1)[0]
    stem = re.sub(r"-[0-9a-f]{8,}(-[0-9a-f]{8,})?$", "", stem)
    return re.sub(r"^lib", "", re.sub(r"[_-]*(-r0)?$", "", stem))


def _licence_of(name: str) -> str:
    return next((licence for known, licence in _KNOWN if re.fullmatch(known, name)), "")
