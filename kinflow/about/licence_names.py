"""From what packages say of their licence, in their many ways, to SPDX expressions."""

from __future__ import annotations

import re
from email.message import Message

_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "zlib/libpng License": "Zlib",
    "The Unlicense (Unlicense)": "Unlicense",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "GNU General Public License (GPL)": "GPL-1.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-2.0-or-later",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "Other/Proprietary License": "LicenseRef-Proprietary",
}
"""The index's classifiers, behind the last `::`. That of BSD does not say which one; those in use
ask for the same."""

_WORDS = {
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "3-clause bsd": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "modified bsd": "BSD-3-Clause",
    "mit": "MIT",
    "mit license": "MIT",
    "the mit license": "MIT",
    "isc": "ISC",
    "psf": "PSF-2.0",
    "psfl": "PSF-2.0",
    "mpl 2.0": "MPL-2.0",
    "nvidia proprietary software": "LicenseRef-NVIDIA-Proprietary",
}
"""What is written into the field for free text, in lower case."""

_TEXTS = (
    (r"Permission is hereby granted, free of charge, to any person obtaining a copy", "MIT"),
    (r"Apache License\s+Version 2\.0", "Apache-2.0"),
    (
        r"Redistribution and use in source and binary forms.*(Neither the name|may not be used to "
        r"endorse)",
        "BSD-3-Clause",
    ),
    (r"Redistribution and use in source and binary forms", "BSD-2-Clause"),
)
"""How the licences begin that are pasted into that field whole."""
_LOOKED_AT = 4000
_LONGEST_NAME = 100
_EXPRESSION = r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*"


def spdx_of(metadata: Message) -> str:
    """The licence that a package's metadata state, as an SPDX expression; empty if none is known.

    The expression counts where there is one. Else names and classifiers are taken to hold together,
    as they do in wheels of a package under one licence with libraries under another; the licence's
    whole text tells where there is neither.
    """
    stated = (metadata.get("License-Expression") or "").strip()
    if stated:
        return stated
    free = (metadata.get("License") or "").strip()
    free = "" if free.upper() == "UNKNOWN" else free  # what tools of old wrote for nothing
    said = [_of_classifier(c) for c in metadata.get_all("Classifier", []) if _is_licence(c)]
    if named := _of_free_text(free):
        said.insert(0, named)
    if not said and free:
        said = [_of_whole_text(free)]
    return " AND ".join(dict.fromkeys(said)) if all(said) else ""


def _of_free_text(text: str) -> str:
    """A licence by its name; empty for all longer texts."""
    if known := _WORDS.get(text.lower()):
        return known
    is_expression = len(text) < _LONGEST_NAME and re.fullmatch(_EXPRESSION, text)
    return text if is_expression else ""


def _of_whole_text(text: str) -> str:
    head = text[:_LOOKED_AT]
    found = (licence for pattern, licence in _TEXTS if re.search(pattern, head, re.DOTALL))
    return next(found, "")


def _is_licence(classifier: str) -> bool:
    return classifier.startswith("License ::") and classifier != "License :: OSI Approved"


def _of_classifier(classifier: str) -> str:
    return _CLASSIFIERS.get(classifier.rsplit(" :: ", 1)[-1], "")
