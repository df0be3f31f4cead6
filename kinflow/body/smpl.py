"""SMPL, SMPL-H and SMPL-X files, which users obtain under their licences, as a `BodyModel`.

The mathematics is the same as the bundled body's, with `betas` as shape and with pose blend shapes.
Joints beyond our 22 (hands, fingers, jaw, eyes) are folded into their nearest ancestor, which is
exact while they are at rest: then they move as one with it and their blend shapes vanish. The root
joint is placed at `t_root_m`; SMPL's own `transl` is `t_root_m - rest_joints_m[0]`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from kinflow.body.model import BodyModel
from kinflow.body.parts import parts_of_weights
from kinflow.body.shape import LinearShapeSpace
from kinflow.body.skeleton import NUM_JOINTS, PARENTS
from kinflow.body.template_keypoints import TemplateKeypoints, find_keypoints
from kinflow.errors import InputError
from kinflow.files.npz_files import is_archive, read_npz
from kinflow.files.plain_pickle import as_array, load_plain
from kinflow.files.reading import check_file, guarded

Family = Literal["smpl", "smplh", "smplx"]
JOINTS_OF_FAMILY: dict[Family, int] = {"smpl": 24, "smplh": 52, "smplx": 55}
_FAMILY_OF_JOINTS: dict[int, Family] = {count: family for family, count in JOINTS_OF_FAMILY.items()}
FAMILY_NAMES: dict[Family, str] = {"smpl": "SMPL", "smplh": "SMPL-H", "smplx": "SMPL-X"}
DEFAULT_BETAS = 10
_SMPLX_JOINTS = JOINTS_OF_FAMILY["smplx"]
_SMPLX_SHAPES = {400: 300, 20: 10}
"""Of SMPL-X's shape directions the last 100 (in old files the last 10) are facial expressions."""


@dataclass(frozen=True)
class SmplBody:
    """A body of the SMPL family, and which of them it is."""

    body: BodyModel
    num_joints: int
    """Of the file: our 22 and those of hands and face."""
    family: Family | None
    """By the number of joints; None for a body with another number."""


def load_smpl(path: Path | str, num_betas: int = DEFAULT_BETAS) -> BodyModel:
    """Load a body of the SMPL family; see `read_smpl`."""
    return read_smpl(path, num_betas).body


def read_smpl(path: Path | str, num_betas: int = DEFAULT_BETAS) -> SmplBody:
    """Read a body of the SMPL family.

    The file's own regressor places joints. Keypoints of the limbs are the joints; those of the
    face, hands and feet, which these files do not name, are vertices found by their place in the
    template (see `kinflow.body.template_keypoints`), so they are approximate;
    `kinflow.body.users_body` places them as ours are.

    Args:
        path: `.npz` or `.pkl` of SMPL, SMPL-H or SMPL-X.
        num_betas: how many shape directions to keep, the most important first.

    Raises:
        InputError: the file cannot be read, is not such a body or has fewer shape directions.
    """
    path = Path(path)
    with guarded(path, "a body of the SMPL family"):
        fields = _read_fields(path)
        try:
            body = _build(fields, num_betas)
        except InputError as error:
            raise InputError(f"'{path}' cannot be used as a body model: {error}") from error
    joints = fields.weights.shape[1]
    return SmplBody(body, joints, _FAMILY_OF_JOINTS.get(joints))


@dataclass(frozen=True)
class _Fields:
    """A file's arrays, of the shapes they must have."""

    v_template: Float64[np.ndarray, "vertices 3"]
    shapedirs: Float[np.ndarray, "vertices 3 directions"]
    posedirs: Float[np.ndarray, "vertices 3 features"]
    J_regressor: Float64[np.ndarray, "joints vertices"]
    weights: Float64[np.ndarray, "vertices joints"]
    kintree_table: Int64[np.ndarray, "2 joints"]
    f: Int64[np.ndarray, "faces 3"]


_FIELD_NAMES = tuple(_Fields.__dataclass_fields__)
_WHOLE = ("kintree_table", "f")
_LARGE = ("shapedirs", "posedirs")
"""Read as they are; only a part of them is used."""

_MAX_UNPACKED_BYTES = 512 << 20
_MAX_VERTICES, _MAX_JOINTS, _MAX_FACES, _MAX_DIRECTIONS = 100_000, 200, 400_000, 1000
_LARGEST: dict[str, tuple[int, ...]] = {
    "v_template": (_MAX_VERTICES, 3),
    "shapedirs": (_MAX_VERTICES, 3, _MAX_DIRECTIONS),
    "posedirs": (_MAX_VERTICES, 3, 9 * _MAX_JOINTS),
    "J_regressor": (_MAX_JOINTS, _MAX_VERTICES),
    "weights": (_MAX_VERTICES, _MAX_JOINTS),
    "kintree_table": (2, _MAX_JOINTS),
    "f": (_MAX_FACES, 3),
}
_MAX_SIZE = 1e6
"""Of a number: metres of a template, directions and weights are all far below."""
_MAX_WHOLE = 2.0**53
"""Of a whole number that is stored as a float."""


def _read_fields(path: Path) -> _Fields:
    """The arrays of a file, checked."""
    check_file(path)
    raw = _read_npz(path) if is_archive(path) else _read_pkl(path)
    missing = [name for name in _FIELD_NAMES if name not in raw]
    if missing:
        raise InputError(
            f"'{path}' is not a body of the SMPL family, for it has no {', '.join(missing)}; give "
            "the .npz or .pkl file of SMPL, SMPL-H or SMPL-X."
        )
    # one by one, so that no two fields are there in both forms
    fields = {name: _read_field(name, raw.pop(name), path) for name in _FIELD_NAMES}
    _check(fields, path)
    return _Fields(**fields)


def _read_npz(path: Path) -> dict[str, Any]:
    return dict(read_npz(path, _FIELD_NAMES, what="a body model", at_most=_MAX_UNPACKED_BYTES))


def _read_pkl(path: Path) -> dict[str, Any]:
    content = load_plain(path)
    if not isinstance(content, dict):
        raise InputError(f"'{path}' is not a body model: it holds a {type(content).__name__}.")
    return {name: content[name] for name in _FIELD_NAMES if name in content}


def _read_field(name: str, value: object, path: Path) -> np.ndarray:
    """An array of numbers in the type that is worked with, each of a possible size."""
    try:
        array = as_array(value)
    except InputError as error:
        raise InputError(f"'{path}': {name} is unusable: {error}.") from error
    largest = _LARGEST[name]
    if array.ndim == len(largest) and any(n > m for n, m in zip(array.shape, largest, strict=True)):
        raise InputError(
            f"'{path}': {name} is {array.shape}, more than any body of the SMPL family."
        )
    if array.size and (array.dtype.kind == "f" or name not in _WHOLE):
        low, high = float(array.min()), float(array.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InputError(f"'{path}': {name} holds numbers that are not finite.")
        if max(-low, high) > (_MAX_WHOLE if name in _WHOLE else _MAX_SIZE):
            raise InputError(f"'{path}': {name} holds numbers as large as {max(-low, high):.3g}.")
        if name in _WHOLE and (array != np.floor(array)).any():
            raise InputError(f"'{path}': {name} holds fractions, not whole numbers.")
    if name in _WHOLE:
        return array.astype(np.int64)
    if name not in _LARGE:
        return array.astype(np.float64)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)


def _check(fields: dict[str, np.ndarray], path: Path) -> None:
    template, weights = fields["v_template"], fields["weights"]
    vertices = len(template) if template.ndim else 0
    joints = weights.shape[-1] if weights.ndim else 0
    expected: dict[str, tuple[int | None, ...]] = {
        "v_template": (vertices, 3),
        "weights": (vertices, joints),
        "shapedirs": (vertices, 3, None),
        "posedirs": (vertices, 3, 9 * (joints - 1)),
        "J_regressor": (joints, vertices),
        "kintree_table": (2, joints),
        "f": (None, 3),
    }
    for name, shape in expected.items():
        found = fields[name].shape
        if len(found) != len(shape) or any(
            want not in (None, have) for want, have in zip(shape, found, strict=True)
        ):
            wanted = " x ".join("any" if n is None else str(n) for n in shape)
            raise InputError(f"'{path}': {name} is {found} but should be {wanted}.")
    if joints < NUM_JOINTS or tuple(fields["kintree_table"][0, 1:NUM_JOINTS]) != PARENTS[1:]:
        raise InputError(f"'{path}' does not have the joint tree of SMPL's body.")
    if len(fields["f"]) and not 0 <= fields["f"].min() <= fields["f"].max() < vertices:
        raise InputError(f"'{path}': f names vertices that the template does not have.")


def _build(fields: _Fields, num_betas: int) -> BodyModel:
    directions = fields.shapedirs[..., : _shape_directions(fields)]
    if not 1 <= num_betas <= directions.shape[-1]:
        raise InputError(f"it has {directions.shape[-1]} shape directions, not {num_betas}.")
    weights = _fold_weights(fields)
    parts = parts_of_weights(torch.from_numpy(weights)).numpy()
    joints = fields.J_regressor[:NUM_JOINTS] @ fields.v_template
    keypoints = find_keypoints(fields.v_template, joints, weights, parts)
    rest = _rest_points(fields, keypoints)
    chosen = directions[..., :num_betas].transpose(2, 0, 1).astype(np.float64)
    mean, basis = rest(fields.v_template), rest(chosen)
    return BodyModel(
        shape_space=LinearShapeSpace(num_betas),
        rest_mean_m=_float(mean),
        rest_basis_m=_float(basis),
        Q_rest=torch.eye(3, dtype=torch.float32).expand(NUM_JOINTS, 3, 3).contiguous(),
        skin_weights=_float(weights),
        faces=torch.from_numpy(fields.f),
        vertex_parts=torch.from_numpy(parts),
        keypoint_mass=_float(keypoints.mass),
        keypoint_joint=torch.from_numpy(keypoints.joint),
        pose_basis_m=_float(fields.posedirs[..., : 9 * (NUM_JOINTS - 1)].transpose(2, 0, 1)),
    )


def _shape_directions(fields: _Fields) -> int:
    count = int(fields.shapedirs.shape[-1])
    is_smplx = fields.weights.shape[1] == _SMPLX_JOINTS
    return _SMPLX_SHAPES.get(count, count) if is_smplx else count


def _fold_weights(fields: _Fields) -> Float64[np.ndarray, "vertices 22"]:
    """Skinning weights with joints beyond the 22nd given to their nearest ancestor below it."""
    parents = fields.kintree_table[0]
    owner = list(range(NUM_JOINTS))
    for joint in range(NUM_JOINTS, len(parents)):
        if not 0 <= parents[joint] < joint:
            raise InputError("its joint tree is not in order, parents before children.")
        owner.append(owner[parents[joint]])
    folded = np.zeros((len(fields.weights), NUM_JOINTS))
    np.add.at(folded.T, owner, fields.weights.T)
    return folded


def _rest_points(
    fields: _Fields, keypoints: TemplateKeypoints
) -> Callable[[np.ndarray], np.ndarray]:
    """The linear map from vertices (..., v, 3) to joints, virtual keypoint points and vertices."""

    def rest(vertices: np.ndarray) -> np.ndarray:
        joints = fields.J_regressor[:NUM_JOINTS] @ vertices
        sources = np.concatenate([joints, vertices], -2)
        return np.concatenate([joints, sources[..., keypoints.source, :], vertices], -2)

    return rest


def _float(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
