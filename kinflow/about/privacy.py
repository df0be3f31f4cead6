"""Takes out of a text what tells who and where somebody is: paths, names of people and machines.

What is known of this machine is replaced wherever it stands; of all else, what looks like a path.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

_HARMLESS = frozenset({"", "root", "user", "localhost", "localdomain", "none", "."})
_SHORTEST = 2
_PATH = re.compile(
    r"""(?:(?<![\w.:/])~?/(?!/)|(?<!\w)[A-Za-z]:[\\/]|\\\\|file:///)[^\s'"<>|,;)\]}]+"""
)
"""An absolute path of POSIX, of Windows with a drive, a share, or an address of a file."""
_QUOTED = re.compile(r"""(?<=')[^'\n]*[/\\][^'\n]*(?=')|(?<=")[^"\n]*[/\\][^"\n]*(?=")""")
"""A path in quotes, as sentences have it, which may have spaces in it."""
_NAME = r"[^\s'\"<>|,;:()\[\]{}/\\]+"
_FOLDERS = re.compile(rf"(?<![\w:/\\]){_NAME}(?:[/\\]{_NAME})+")
"""Names with a separator between them, as in a relative path."""


@dataclass(frozen=True)
class Scrubber:
    """Makes texts private."""

    names: tuple[tuple[str, str], ...]
    """What is replaced, longest first, and what is written in its place."""

    @staticmethod
    def of_this_machine(secrets: Iterable[str] = ()) -> Scrubber:
        """One that knows this user and this machine.

        Args:
            secrets: more that must not be told, such as the path of a photo.
        """
        known = {secret: "<input>" for secret in secrets}
        known |= {str(place): "<folder>" for place in _places()}
        known |= {name: "<user>" for name in _users()}
        known |= {name: "<host>" for name in _hosts()}
        kept = [pair for pair in known.items() if _tells(pair[0])]
        return Scrubber(tuple(sorted(kept, key=lambda pair: -len(pair[0]))))

    def __call__(self, text: str) -> str:
        """The text without what is known, and without paths, relative ones too."""
        for name, instead in self.names:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", instead, text, flags=re.IGNORECASE)
        for pattern in (_QUOTED, _PATH, _FOLDERS):
            text = pattern.sub(_ending_kept, text)
        return text


def _ending_kept(found: re.Match[str]) -> str:
    ending = PurePath(found[0]).suffix
    return f"<path>{ending if re.fullmatch(r'[.][A-Za-z0-9]{1,11}', ending) else ''}"


def _tells(name: str) -> bool:
    return len(name) >= _SHORTEST and name.lower() not in _HARMLESS and name != os.sep


def _places() -> list[Path]:
    places = []
    for place in (Path.home, Path.cwd):
        with contextlib.suppress(OSError, RuntimeError):  # no home, or the folder is gone
            places.append(place())
    return places


def _users() -> list[str]:
    names = [os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")]
    names += [place.name for place in _places()[:1]]
    # a user without an entry has no name
    with contextlib.suppress(OSError, KeyError, ImportError):
        names.append(getpass.getuser())
    return names


def _hosts() -> list[str]:
    names = [socket.gethostname(), platform.node()]
    names += [os.environ.get(name, "") for name in ("HOSTNAME", "COMPUTERNAME", "USERDOMAIN")]
    return names + [name.split(".")[0] for name in names]
