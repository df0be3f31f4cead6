"""How far a body can be relied on: a code from a closed set, and its sentence."""

from __future__ import annotations

from typing import Literal

ResultCode = Literal[
    "ok",
    "uncertain",
    "truncated",
    "ambiguous",
    "no_parts",
    "poor_fit",
    "few_keypoints",
    "implausible",
    "not_seen",
]

RESULT_SENTENCES: dict[ResultCode, str] = {
    "ok": "The body explains the image well.",
    "uncertain": "Nothing in the picture speaks against it, but bodies that are seen as vaguely, "
    "lean as far or are as far off the floor are often wrong.",
    "truncated": "Part of the person is not in view; what is hidden is the prior's best guess.",
    "ambiguous": "Several different poses explain the image almost equally well; see hypotheses.",
    "no_parts": "The body parts of the image could not be used; the body follows keypoints alone.",
    "poor_fit": "The body does not follow the keypoints closely; do not rely on this person.",
    "few_keypoints": "Too few keypoints were visible to determine a pose; this is mostly a guess.",
    "implausible": "Size, distance or place cannot be right; check that keypoints, photo and focal "
    "length belong together.",
    "not_seen": "The person was missed in this frame; the body is that of the motion around it.",
}
