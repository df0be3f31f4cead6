"""The format of `people.npz` and `people.json`: named arrays, one row per person.

`FIELDS` is the one description of it. `people_to_fields` fills the arrays from a `Reconstruction`,
`people_checks` compares arrays with the description, `people_from_fields` builds the values again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinflow.body.keypoints import BLAZEPOSE33, FOOT_KEYPOINTS
from kinflow.body.parts import PART_NAMES
from kinflow.body.skeleton import JOINT_NAMES

FORMAT = "kinflow people 1"

Fields = dict[str, np.ndarray]


@dataclass(frozen=True)
class Field:
    """One array: its axes by name or length, and its kind (float, int or text)."""

    axes: tuple[str | int, ...]
    kind: str = "f"
    optional: bool = False
    """Whether older files lack the array."""
    may_be_unknown: bool = False
    """Whether its numbers may be NaN."""

    @property
    def dtype(self) -> type:
        """Numpy type that is written: double precision for single numbers and cameras, which so
        come back as they were, single precision for the long arrays."""
        wide = len(self.axes) < 2 or self.axes[0] == "frames"
        return {"f": np.float64 if wide else np.float32, "i": np.int64, "U": np.str_}[self.kind]

    @property
    def rows(self) -> str:
        """What the rows are, one of `ROWS`; `file` where it has none."""
        return str(self.axes[0]) if self.axes and self.axes[0] in ROWS else "file"


ROWS = ("frames", "tracks", "people", "hypotheses")

FIELDS: dict[str, Field] = {
    "format": Field((), "U"),
    "source": Field((), "U"),
    "focal_px": Field(()),
    "principal_px": Field((2,)),
    "image_size": Field((2,), "i"),
    "joint_names": Field((22,), "U"),
    "keypoint_names": Field((33,), "U"),
    "shape_names": Field(("shape",), "U"),
    "body_file": Field((), "U", optional=True),
    "body_sha256": Field((), "U", optional=True),
    "energy_names": Field(("terms",), "U"),
    "part_names": Field((14,), "U", optional=True),
    "foot_names": Field((4,), "U", optional=True),
    "camera_motion": Field((), "U", optional=True),
    "frame_index": Field(("frames",), "i", optional=True),
    "frame_time_s": Field(("frames",), optional=True),
    "frame_focal_px": Field(("frames",), optional=True),
    "frame_principal_px": Field(("frames", 2), optional=True),
    "frame_image_size": Field(("frames", 2), "i", optional=True),
    "frame_up_cam": Field(("frames", 3), optional=True, may_be_unknown=True),
    "frame_up_std_deg": Field(("frames",), optional=True, may_be_unknown=True),
    "frame_floor_height_m": Field(("frames",), optional=True, may_be_unknown=True),
    "frame_floor_std_m": Field(("frames",), optional=True, may_be_unknown=True),
    "track_person": Field(("tracks",), "i", optional=True),
    "track_foot_sliding_cm_s": Field(("tracks",), optional=True, may_be_unknown=True),
    "track_foot_down_share": Field(("tracks",), optional=True, may_be_unknown=True),
    "track_jitter_10m_s3": Field(("tracks",), optional=True, may_be_unknown=True),
    "track_below_floor_cm": Field(("tracks",), optional=True),
    "track_below_floor_worst_cm": Field(("tracks",), optional=True),
    "track_lower_level_cm": Field(("tracks",), optional=True),
    "track_seen_share": Field(("tracks",), optional=True),
    "track_gaps": Field(("tracks",), "i", optional=True),
    "track_longest_gap_s": Field(("tracks",), optional=True),
    "track_keypoint_error_px": Field(("tracks",), optional=True, may_be_unknown=True),
    "frame_R_first_cam": Field(("frames", 3, 3), optional=True, may_be_unknown=True),
    "person": Field(("people",), "i"),
    "frame": Field(("people",), "i"),
    "time_s": Field(("people",)),
    "score": Field(("people",)),
    "code": Field(("people",), "U"),
    "start_source": Field(("people",), "U", optional=True),
    "joints_cam_m": Field(("people", 22, 3)),
    "joints_px": Field(("people", 22, 2)),
    "joint_std_m": Field(("people", 22)),
    "R_cam_root": Field(("people", 3, 3)),
    "t_cam_root_m": Field(("people", 3)),
    "t_cam_root_std_m": Field(("people", 3)),
    "pose": Field(("people", 22, 3, 3)),
    "z": Field(("people", "latent")),
    "shape": Field(("people", "shape")),
    "shape_std": Field(("people", "shape"), optional=True, may_be_unknown=True),
    "height_m": Field(("people",)),
    "height_std_m": Field(("people",), optional=True, may_be_unknown=True),
    "weight_kg": Field(("people",)),
    "chest_girth_m": Field(("people",)),
    "waist_girth_m": Field(("people",)),
    "hip_girth_m": Field(("people",)),
    "keypoints_px": Field(("people", 33, 3)),
    "energy": Field(("people", "terms")),
    "foot_contact": Field(("people", 4), optional=True, may_be_unknown=True),
    "part_iou": Field(("people", 14), optional=True, may_be_unknown=True),
    "silhouette_iou": Field(("people",), optional=True, may_be_unknown=True),
    "hypothesis_of": Field(("hypotheses",), "i"),
    "hypothesis_R_cam_root": Field(("hypotheses", 3, 3)),
    "hypothesis_t_cam_root_m": Field(("hypotheses", 3)),
    "hypothesis_pose": Field(("hypotheses", 22, 3, 3)),
    "hypothesis_z": Field(("hypotheses", "latent")),
    "hypothesis_shape": Field(("hypotheses", "shape")),
    "hypothesis_energy": Field(("hypotheses",)),
}
"""Every array of the format. Axes named alike have the same length."""

BODY_FIELDS = ("body_file", "body_sha256")
"""Which body of the user's people are of, together or, for ours, not at all."""
GRAVITY_FIELDS = ("frame_up_cam", "frame_up_std_deg")
"""What is said of gravity, together or not at all, and only where frames are described."""
FLOOR_FIELDS = ("frame_floor_height_m", "frame_floor_std_m")
"""What is said of the floor, together or not at all, and only where gravity is described."""
TURN_FIELDS = ("frame_R_first_cam",)
"""What is said of how cameras are turned, or not, and only where frames are described."""
FRAME_FIELDS: tuple[str, ...] = tuple(
    name
    for name, field in FIELDS.items()
    if field.rows == "frames" and name not in (*GRAVITY_FIELDS, *FLOOR_FIELDS, *TURN_FIELDS)
)
"""What is said of frames, which a file says in full or not at all."""
QUALITY = tuple(name.removeprefix("track_") for name in FIELDS if name.startswith("track_"))
"""What is said of tracks, as `kinflow.export.quality.TrackQuality` calls it."""
MEASURES = ("height_m", "weight_kg", "chest_girth_m", "waist_girth_m", "hip_girth_m")
PERSON_TENSORS = (
    "joints_cam_m",
    "joints_px",
    "joint_std_m",
    "R_cam_root",
    "t_cam_root_m",
    "t_cam_root_std_m",
    "pose",
    "z",
    "shape",
    "keypoints_px",
)
HYPOTHESIS_TENSORS = ("R_cam_root", "t_cam_root_m", "pose", "z", "shape")

CONSTANTS = {
    "format": FORMAT,
    "joint_names": JOINT_NAMES,
    "keypoint_names": BLAZEPOSE33,
    "part_names": PART_NAMES[1:],
    "foot_names": FOOT_KEYPOINTS,
}
"""Arrays that say the same in every file."""
