"""Other systems' bodies as evidence: where they say a photo's people have their limbs in 3D.

A fit takes rough 3D keypoints from a detector; those of another system can stand in for them. Whose
body is whose is told by where it would be seen.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from kinflow.body.keypoints import BLAZEPOSE33, KEYPOINT_INDEX
from kinflow.body.sides import SIDES
from kinflow.body.users_body import UsersBody
from kinflow.datasets.results.parameters import BodyParameters
from kinflow.datasets.results.rows import posed_bodies
from kinflow.errors import InputError
from kinflow.evidence.types import ImageEvidence, PersonEvidence
from kinflow.geometry.pinhole import Camera

_HIPS = [KEYPOINT_INDEX[f"{side}_hip"] for side in SIDES]
_FARTHEST = 0.25
"""Mean distance in the image between a person and their body, by their height."""


def with_rough_3d(
    evidence: ImageEvidence,
    found: BodyParameters,
    body: UsersBody | None = None,
    frame: int = 0,
    camera: Camera | None = None,
) -> ImageEvidence:
    """The evidence with another system's bodies as rough 3D keypoints.

    People without a body there keep what they have. What the detector's network saw is left out of
    the others, so that it does not speak against them.

    Args:
        evidence: of a photo, with keypoints.
        found: the bodies, in the camera's frame.
        body: the model that they are of; None where the file has keypoints of its own, as those
            of SAM 3D Body (MHR) do.
        frame: whose bodies these are.
        camera: what the bodies are seen with, where `found` does not say that.

    Raises:
        InputError: there is no body of that frame, nothing says how they are seen, they are not
            in the camera's frame, or their model is not given.
    """
    rows = np.flatnonzero(found.frame == frame)
    if not len(rows):
        raise InputError(f"The results of {found.tool} have no body in frame {frame}.")
    if found.space != "camera" or (found.trans_m is None and found.joints_m is None):
        raise InputError(f"The results of {found.tool} do not say where bodies are to the camera.")
    if found.joints_m is not None:
        points_m = _own_points(found, rows)
    elif body is not None:
        with torch.no_grad():
            points_m = posed_bodies(found, body, rows).keypoints_m()[:, : len(BLAZEPOSE33)]
    else:
        raise InputError(
            f"The results of {found.tool} are parameters; give the file of their body."
        )
    cameras = [_camera(found, row, evidence.image_size, camera) for row in rows.tolist()]
    seen_px = torch.stack([c.project(p) for c, p in zip(cameras, points_m, strict=True)])
    free, people = set(range(len(rows))), []
    for person in evidence.people:
        apart = {row: _apart(person, seen_px[row]) for row in free}
        nearest = min(apart, key=apart.__getitem__, default=None)
        if nearest is None or not apart[nearest] < _FARTHEST:
            people.append(person)
            continue
        free.discard(nearest)
        own_m = points_m[nearest] - points_m[nearest, _HIPS].mean(0)
        people.append(replace(person, world_m=own_m, look=None))
    return replace(evidence, people=tuple(people))


_FINGERS = {"pinky": "pinky_finger", "index": "forefinger", "thumb": "thumb"}
_OF_MHR: dict[str, str] = {
    **{f"{s}_{ours}": f"{s}_{f}_third_joint" for s in SIDES for ours, f in _FINGERS.items()},
    **{f"{s}_eye_{corner}": f"{s}_eye" for s in SIDES for corner in ("inner", "outer")},
    **{f"mouth_{side}": "nose" for side in SIDES},
}
"""Points of MHR for those of ours that it has not under their names: knuckles, and of the face what
is nearest."""


def _own_points(found: BodyParameters, rows: np.ndarray) -> torch.Tensor:
    """Our 33 points out of the keypoints of a file, (rows, 33, 3).

    Raises:
        InputError: it lacks some.
    """
    place = {name: i for i, name in enumerate(found.joint_names)}
    wanted = [name if name in place else _OF_MHR.get(name, name) for name in BLAZEPOSE33]
    absent = [name for name in wanted if name not in place]
    if absent or found.joints_m is None:
        raise InputError(f"The results of {found.tool} have no {', '.join(absent[:3])}.")
    return torch.from_numpy(found.joints_m[rows][:, [place[name] for name in wanted]]).float()


def _apart(person: PersonEvidence, seen_px: torch.Tensor) -> float:
    """Mean distance of keypoints by their confidence, in heights of the person."""
    weight = person.keypoints_px[:, 2]
    distance = torch.linalg.vector_norm(person.keypoints_px[:, :2] - seen_px, dim=1)
    mean_px = (weight * distance).sum() / weight.sum().clamp_min(1e-6)
    return float(mean_px) / max(person.height_px, 1.0)


def _camera(
    found: BodyParameters, row: int, size: tuple[int, int], camera: Camera | None
) -> Camera:
    if found.focal_px is None:
        if camera is None:
            raise InputError(
                f"The results of {found.tool} do not say which lens they are seen with; give the "
                "camera."
            )
        return camera
    centre = (size[0] / 2, size[1] / 2)
    if found.principal_px is not None:
        x, y = found.principal_px[row].tolist()
        centre = (x, y)
    return Camera(float(found.focal_px[row]), centre, size)
