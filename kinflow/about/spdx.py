"""Licences as SPDX writes them, and whether software of any kind may be built on them.

An expression is `MIT`, `Apache-2.0 OR BSD-2-Clause`, `Apache-2.0 WITH LLVM-exception` and so on
(SPDX specification 2.3, annex D). It is judged by what it asks for at least: of alternatives the
freest one may be chosen, of what holds together all holds.
"""

from __future__ import annotations

import re
from typing import Literal

Verdict = Literal["permissive", "copyleft", "unknown"]

PERMISSIVE = frozenset(
    ("0BSD", "Apache-2.0", "BSD-1-Clause", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0")
    + ("CNRI-Python", "FTL", "HPND", "IJG", "ISC", "libpng-2.0", "libtiff", "MIT", "MIT-0")
    + ("MIT-CMU", "NCSA", "OpenSSL", "PSF-2.0", "Python-2.0", "Unlicense", "X11", "Zlib")
)
"""Licences that ask for no more than their text and notices being kept."""

_COPYLEFT = re.compile(r"(A|L)?GPL-|MPL-|EPL-|EUPL-|CDDL-|CC-BY-(SA|NC)|OSL-|SSPL-|CPAL-|MS-RL")
_EXCEPTIONS = frozenset(("LLVM-exception", "GCC-exception-3.1", "Classpath-exception-2.0"))
"""Exceptions that free what is linked with the code from its licence."""
_TOKEN = re.compile(r"\(|\)|[A-Za-z0-9.+-]+")
_RANK: dict[Verdict, int] = {"permissive": 0, "copyleft": 1, "unknown": 2}


def judge(expression: str) -> Verdict:
    """What an expression asks for; `unknown` also of what is no expression.

    Example:
        >>> judge("MIT AND (GPL-2.0-only OR BSD-3-Clause)")
        'permissive'
        >>> judge("LGPL-2.1-or-later"), judge("see the homepage")
        ('copyleft', 'unknown')
    """
    tokens = _TOKEN.findall(expression)
    if not tokens or "".join(tokens) != re.sub(r"\s+", "", expression):
        return "unknown"
    try:
        verdict = _alternatives(tokens)
    except IndexError:
        return "unknown"
    return "unknown" if tokens else verdict


def _alternatives(tokens: list[str]) -> Verdict:
    verdicts: list[Verdict] = [_together(tokens)]
    while tokens[:1] == ["OR"]:
        del tokens[0]
        verdicts.append(_together(tokens))
    return min(verdicts, key=_RANK.__getitem__)


def _together(tokens: list[str]) -> Verdict:
    verdicts: list[Verdict] = [_one(tokens)]
    while tokens[:1] == ["AND"]:
        del tokens[0]
        verdicts.append(_one(tokens))
    return max(verdicts, key=_RANK.__getitem__)


def _one(tokens: list[str]) -> Verdict:
    """A licence with or without exception, or what is in brackets.

    Raises:
        IndexError: the expression ends here.
    """
    first = tokens.pop(0)
    if first == "(":
        verdict = _alternatives(tokens)
        return verdict if tokens.pop(0) == ")" else "unknown"
    exception = ""
    if tokens[:1] == ["WITH"]:
        del tokens[0]
        exception = tokens.pop(0)
    if first in PERMISSIVE or exception in _EXCEPTIONS:
        return "permissive"
    return "copyleft" if _COPYLEFT.match(first) else "unknown"
