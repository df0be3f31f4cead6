"""Other systems' bodies as what can be compared: joints in the camera's frame, rows of people.

Parameters say where joints are only with the body file that they are of, which is the user's own.
Rows are those of `kinflow evaluate reconstruction` (arrays of an npz, a row for each person in a
frame); `docs/evaluation.md` has their format.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from kinflow.body.model import PosedBody
from kinflow.body.skeleton import JOINT_NAMES
from kinflow.body.users_body import UsersBody
from kinflow.datasets.results.parameters import BodyParameters
from kinflow.errors import InputError

_BATCH = 64


def posed_bodies(found: BodyParameters, body: UsersBody, rows: np.ndarray) -> PosedBody:
    """Bodies of some of the rows on the user's model.

    Args:
        found: parameters of that kind of model.
        body: the model; of coefficients that it has not been read with there are none.
        rows: which.

    Raises:
        InputError: the parameters are of another kind of model, or say no pose or shape.
    """
    if found.model != body.family:
        raise InputError(
            f"The parameters are of {found.model}, but '{body.path}' has {body.num_joints} joints; "
            "give the file of that model."
        )
    if found.pose is None or found.betas is None:
        raise InputError(f"The results of {found.tool} have no pose or no betas.")
    size = len(body.body.shape_space.names)
    betas = np.zeros((len(rows), size))
    known = min(size, found.betas.shape[1])
    betas[:, :known] = found.betas[rows, :known]
    shaped = body.body.with_shape(torch.from_numpy(betas).float())
    place = shaped.rest_joints_m[:, 0]
    if found.trans_m is not None:
        place = place + torch.from_numpy(found.trans_m[rows]).float()
    return shaped.with_pose(torch.from_numpy(found.pose[rows]).float(), place)


def joints_cam_m(
    found: BodyParameters, body: UsersBody | None
) -> tuple[Float[np.ndarray, "rows joints 3"], tuple[str, ...]]:
    """Joints in the camera's frame, and their names: those of the file, or the 22 of the model.

    Raises:
        InputError: positions are in a world whose camera is not known, or there is no body file
            that says where joints are.
    """
    if found.space != "camera":
        raise InputError(
            f"The results of {found.tool} are in a world whose camera is not known, so they cannot "
            "be compared in the camera's frame."
        )
    if found.joints_m is not None:
        return found.joints_m, found.joint_names
    if body is None:
        raise InputError(
            f"The results of {found.tool} are parameters of {found.model}; where joints are says "
            "only the file of that body, so give it as well."
        )
    parts = [
        posed_bodies(found, body, rows).joints_m.double().numpy()
        for rows in np.array_split(np.arange(len(found)), max(1, len(found) // _BATCH))
    ]
    return np.concatenate(parts), JOINT_NAMES


def person_rows(
    found: BodyParameters, body: UsersBody | None = None, with_vertices: bool = False
) -> dict[str, np.ndarray]:
    """Arrays of a file of person rows.

    Args:
        found: the bodies.
        body: the model that they are of; not needed where the file has joints.
        with_vertices: meshes as well, 83 kB a row of SMPL.

    Raises:
        InputError: as `joints_cam_m`.
    """
    joints_m, names = joints_cam_m(found, body)
    rows: dict[str, np.ndarray] = {
        "name": np.array(found.tool),
        "sequence": np.full(len(found), found.sequence or "results"),
        "frame": found.frame,
        "person": found.person,
        "joint_names": np.array(names),
        "joint_source": np.array(f"model:{found.model}"),
        "joints_m": joints_m.astype(np.float32),
    }
    if found.pose is not None:
        rows["pose"] = found.pose.astype(np.float32)
    if found.keypoints_px is not None:
        rows["keypoint_names"] = np.array(found.keypoint_names)
        rows["keypoints_px"] = found.keypoints_px.astype(np.float32)
    if found.score is not None:
        rows["score"] = found.score
    if with_vertices:
        if body is None:
            raise InputError("Meshes need the file of the body; give it as well.")
        rows["topology"] = np.array(found.model)
        rows["vertices_m"] = np.concatenate(
            [
                posed_bodies(found, body, some).vertices_m().numpy()
                for some in np.array_split(np.arange(len(found)), max(1, len(found) // _BATCH))
            ]
        )
    return rows
