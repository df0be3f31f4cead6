"""Sets of joints that the field reports errors on.

Sets share names, but not points: a hip of SMPL lies elsewhere than a hip of Human3.6M. Where
joints come from is said apart (`Protocol.truth_joints`), and only joints of one origin are compared
unasked.
"""

from __future__ import annotations

from kinflow.body.bones import ACROSS, LOWER_ARM, LOWER_LEG, UPPER_ARM, UPPER_LEG, both_sides
from kinflow.body.keypoints import COCO17
from kinflow.body.skeleton import JOINT_NAMES
from kinflow.datasets.readers.joint_names import H36M17, LSP14, MPI17, SMPL24

SMPL22: tuple[str, ...] = JOINT_NAMES
"""Our skeleton: the joints of SMPL's body without its hands."""

JOINT_SETS: dict[str, tuple[str, ...]] = {
    "h36m17": H36M17,
    "lsp14": LSP14,
    "smpl22": SMPL22,
    "smpl24": SMPL24,
    "mpi17": MPI17,
    "coco17": COCO17,
}

LINES: tuple[tuple[str, str], ...] = (
    *both_sides(UPPER_LEG, LOWER_LEG, ("ankle", "foot"), UPPER_ARM, LOWER_ARM, ("wrist", "hand")),
    *ACROSS,
    ("pelvis", "spine"),
    ("spine", "neck"),
    ("pelvis", "spine1"),
    ("spine1", "spine2"),
    ("spine2", "spine3"),
    ("spine3", "neck"),
    ("neck", "head"),
    ("neck", "head_top"),
)
"""Pairs of names to draw lines between, where a set has both."""
