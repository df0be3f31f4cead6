"""SMPL's own function in full, hands included, for labels of datasets.

`kinflow.body.smpl` makes a body of ours out of a file and folds hands into wrists; a mesh that
others are measured against has to be the file's, pose of the hands and all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64, Int64

from kinflow.body.smpl import _read_fields
from kinflow.errors import InputError


@dataclass(frozen=True)
class SmplMesh:
    """A file of SMPL.

    Attributes:
        template_m: mesh of the mean body.
        shape_basis_m: how each shape number moves it.
        pose_basis_m: how each entry of the joints' rotations moves it.
        regressor: rest joints from vertices.
        weights: of each joint on each vertex.
        parents: of each joint, -1 for the pelvis.
    """

    template_m: Float64[np.ndarray, "vertices 3"]
    shape_basis_m: Float64[np.ndarray, "vertices 3 shape"]
    pose_basis_m: Float64[np.ndarray, "vertices 3 features"]
    regressor: Float64[np.ndarray, "joints vertices"]
    weights: Float64[np.ndarray, "vertices joints"]
    parents: tuple[int, ...]

    @staticmethod
    def load(path: Path | str, num_betas: int = 10) -> SmplMesh:
        """Read a file of SMPL.

        Raises:
            InputError: the file cannot be read, is no body of the SMPL family, or has fewer shape
                numbers.
        """
        path = Path(path)
        fields = _read_fields(path)
        if fields.shapedirs.shape[-1] < num_betas:
            raise InputError(f"'{path}' has {fields.shapedirs.shape[-1]} shape directions.")
        tree: Int64[np.ndarray, "2 joints"] = fields.kintree_table
        parents = (-1, *(int(parent) for parent in tree[0, 1:]))
        if any(not 0 <= parent < joint for joint, parent in enumerate(parents[1:], 1)):
            raise InputError(f"'{path}': its joint tree is not in order, parents before children.")
        return SmplMesh(
            fields.v_template,
            fields.shapedirs[..., :num_betas].astype(np.float64),
            fields.posedirs.astype(np.float64),
            fields.J_regressor,
            fields.weights,
            parents,
        )

    def posed(
        self,
        betas: Float[np.ndarray, " shape"],
        R: Float[np.ndarray, "joints 3 3"],
        t_m: Float[np.ndarray, "3"],
    ) -> tuple[Float64[np.ndarray, "vertices 3"], Float64[np.ndarray, "joints 3"]]:
        """Vertices and joints of a pose.

        Args:
            betas: shape numbers.
            R: rotations of the joints in their parents, the pelvis' in the outer frame.
            t_m: translation, which SMPL adds to its pelvis.

        Raises:
            InputError: there are other joints or shape numbers than the file has.
        """
        if len(R) != len(self.parents) or len(betas) != self.shape_basis_m.shape[-1]:
            raise InputError(
                f"a pose of {len(R)} joints and {len(betas)} shape numbers is not for a body of "
                f"{len(self.parents)} joints"
            )
        R = R.astype(np.float64)
        shaped = self.template_m + self.shape_basis_m @ betas.astype(np.float64)
        rest = self.regressor @ shaped
        bent = shaped + self.pose_basis_m @ (R[1:] - np.eye(3)).ravel()
        G, joints = R.copy(), rest.copy()
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                G[joint] = G[parent] @ R[joint]
                joints[joint] = joints[parent] + G[parent] @ (rest[joint] - rest[parent])
        moved = joints - np.einsum("jab,jb->ja", G, rest)
        blended = np.einsum("vj,jab->vab", self.weights, G)
        vertices = np.einsum("vab,vb->va", blended, bent) + self.weights @ moved
        return vertices + t_m, joints + t_m
