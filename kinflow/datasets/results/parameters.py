"""Bodies that another system found: the one value that all of its files are read into."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int64

from kinflow.body.skeleton import NUM_JOINTS
from kinflow.errors import InputError

BodyModelName = Literal["smpl", "smplh", "smplx", "mhr"]
Space = Literal["camera", "world"]

MAX_ROWS = 1_000_000
_MAX_BETA = 100.0
_MAX_DISTANCE_M = 1e5
_MAX_PX = 1e7
_NOT_TURNED = 1e-2


@dataclass(frozen=True)
class BodyParameters:
    """Bodies, one a row. What a system does not say is None.

    Raises:
        InputError: arrays do not fit together, or hold numbers that cannot be meant.
    """

    tool: str
    """Who wrote them, such as `WHAM`."""
    model: BodyModelName
    """Which body the parameters are of."""
    space: Space
    """What `pose[:, 0]` turns the root into and positions are in: the camera's frame (x right, y
    down, z forward), or a world of which the camera is not known."""
    frame: Int64[np.ndarray, " rows"]
    """Index of the frame in the source."""
    person: Int64[np.ndarray, " rows"]
    """Who it is, the same number in all frames."""
    sequence: str = ""
    """Name of the clip or photo."""
    pose: Float64[np.ndarray, "rows 22 3 3"] | None = None
    """Local rotations of the 22 joints, which the family and kinflow have alike."""
    betas: Float64[np.ndarray, "rows betas"] | None = None
    trans_m: Float64[np.ndarray, "rows 3"] | None = None
    """SMPL's own: the pelvis is there plus its place in the rest of that shape."""
    joints_m: Float64[np.ndarray, "rows joints 3"] | None = None
    """Joints or keypoints in space, of bodies whose model is not at hand."""
    joint_names: tuple[str, ...] = ()
    keypoints_px: Float64[np.ndarray, "rows keypoints 3"] | None = None
    """x, y and confidence."""
    keypoint_names: tuple[str, ...] = ()
    focal_px: Float64[np.ndarray, " rows"] | None = None
    principal_px: Float64[np.ndarray, "rows 2"] | None = None
    score: Float64[np.ndarray, " rows"] | None = None
    left_out: int = 0
    """Bodies of the file that are not here, for their numbers cannot be right."""

    def __post_init__(self) -> None:
        count = len(self.frame)
        if count == 0:
            raise InputError("it holds no bodies")
        if count > MAX_ROWS:
            raise InputError(f"it holds {count} bodies, more than the {MAX_ROWS} that can be used")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                if len(value) != count:
                    raise InputError(f"{field.name} has {len(value)} rows for {count} bodies")
                if not np.isfinite(value).all():
                    raise InputError(f"{field.name} holds numbers that are not finite")
        self._check_ranges()
        pairs = set(zip(self.frame.tolist(), self.person.tolist(), strict=True))
        if len(pairs) < count:
            raise InputError("a person has two bodies in one frame")

    def _check_ranges(self) -> None:
        limits = {
            "betas": (-_MAX_BETA, _MAX_BETA, "coefficients of a shape"),
            "trans_m": (-_MAX_DISTANCE_M, _MAX_DISTANCE_M, "positions in metres"),
            "joints_m": (-_MAX_DISTANCE_M, _MAX_DISTANCE_M, "positions in metres"),
            "keypoints_px": (-_MAX_PX, _MAX_PX, "positions in pixels"),
            "focal_px": (1e-3, _MAX_PX, "focal lengths in pixels"),
            "principal_px": (-_MAX_PX, _MAX_PX, "positions in pixels"),
            "frame": (0, 2**31 - 1, "numbers of frames"),
            "person": (0, 2**31 - 1, "numbers of people"),
        }
        for name, (low, high, what) in limits.items():
            value = getattr(self, name)
            if value is not None and value.size and not (low <= value.min() <= value.max() <= high):
                raise InputError(f"{name} holds numbers that are no {what}")
        if self.pose is None:
            return
        if self.pose.shape[1:] != (NUM_JOINTS, 3, 3):
            raise InputError(f"the pose has shape {self.pose.shape}")
        off = np.abs(self.pose @ self.pose.swapaxes(-1, -2) - np.eye(3)).max()
        if off > _NOT_TURNED or (np.linalg.det(self.pose) < 0).any():
            raise InputError("the pose holds matrices that are not rotations")

    def __len__(self) -> int:
        return len(self.frame)


def of_good_rows(*given: Any, left_out: int = 0, **named: Any) -> BodyParameters:
    """`BodyParameters` without the rows that hold NaN.

    Args:
        given, named: as `BodyParameters`.
        left_out: rows that were left out before.
    """
    arguments = {f.name: value for f, value in zip(fields(BodyParameters), given, strict=False)}
    arguments |= named
    count = len(arguments["frame"])
    arrays = {n: v for n, v in arguments.items() if isinstance(v, np.ndarray) and len(v) == count}
    good = np.ones(count, bool)
    for values in arrays.values():
        good &= np.isfinite(values).reshape(count, -1).all(1)
    kept = {name: values[good] for name, values in arrays.items()}
    return BodyParameters(**{**arguments, **kept}, left_out=left_out + count - int(good.sum()))
