"""One body in one frame, and the alternatives that explain the same frame."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinflow.body.keypoints import BLAZEPOSE33, LIMB_KEYPOINTS
from kinflow.body.measure import BodyMeasures, measure
from kinflow.body.model import BodyModel, PosedBody
from kinflow.body.users_body import UsersBody
from kinflow.checks import is_number
from kinflow.errors import InputError
from kinflow.geometry.pinhole import Camera
from kinflow.geometry.rasterizer import coverage
from kinflow.results.codes import ResultCode
from kinflow.results.regions import radius_m


@dataclass(frozen=True)
class Hypothesis:
    """Another body that explains the same keypoints, with its energy (lower is better).

    Energies are those of the search, before parts: a person's `energy` has a term `parts` and moves
    the others where parts were used, so that the two compare only without them.
    """

    R_cam_root: Float[Tensor, "3 3"]
    t_cam_root_m: Float[Tensor, "3"]
    pose: Float[Tensor, "22 3 3"]
    z: Float[Tensor, " latent"]
    shape: Float[Tensor, " shape"]
    energy: float


@dataclass(frozen=True)
class Person:
    """One body in one frame, in the camera frame (x right, y down, z forward, metres)."""

    person: int
    """Number of the person: the identity of the track, and colours and names in files."""
    camera: Camera
    """The camera of the frame, so that a body can be projected on its own."""
    R_cam_root: Float[Tensor, "3 3"]
    t_cam_root_m: Float[Tensor, "3"]
    """Position of the pelvis joint."""
    pose: Float[Tensor, "22 3 3"]
    """Local joint rotations relative to the T-pose; entry 0 equals `R_cam_root`."""
    z: Float[Tensor, " latent"]
    shape: Float[Tensor, " shape"]
    """Parameters of the body: our six phenotypes, or the betas of `users_body`."""
    joints_cam_m: Float[Tensor, "22 3"]
    joint_std_m: Float[Tensor, "22"]
    """Standard deviation of each joint's position relative to the pelvis (root of the mean variance
    per axis); zero for the pelvis, whose own uncertainty is `t_cam_root_std_m`. Errors are no
    Gaussian's: see `joint_radius_m`."""
    t_cam_root_std_m: Float[Tensor, "3"]
    """Standard deviation of the pelvis position per axis; z is large when height is unknown."""
    keypoints_px: Float[Tensor, "33 3"]
    """Detected keypoints: x, y, confidence (BlazePose order)."""
    score: float
    code: ResultCode = "ok"
    energy: dict[str, float] = field(default_factory=dict)
    """Energy per term, in nats; their sum is what fitting minimised."""
    hypotheses: tuple[Hypothesis, ...] = ()
    """Distinct alternatives, best first; the chosen body is not among them."""
    part_iou: Float[Tensor, "14"] | None = None
    """Overlap (intersection over union) of each part of the body with the part as it was seen, NaN
    where neither shows; None when parts were not used."""
    silhouette_iou: float = float("nan")
    """Overlap of the body with the person's outline, NaN when it is not known."""
    height_std_m: float = float("nan")
    """Standard deviation of the standing height; NaN when it is not known."""
    shape_std: Float[Tensor, " shape"] | None = field(default_factory=lambda: None)
    """Standard deviation of each phenotype, 0 to 1 as `shape` has them; None when it is not known,
    and for betas."""
    foot_contact: Float[Tensor, "4"] | None = field(default_factory=lambda: None)
    """How surely heels and big toes (`FOOT_KEYPOINTS`) stand still from this frame to the person's
    next, 0 to 1, as fitting through frames took it; None where nothing is known of that."""
    frame: int = 0
    """Index of the frame that the body is in; a `Reconstruction` sets it, and the time."""
    time_s: float = 0.0
    users_body: UsersBody | None = None
    """The body file of the user's that was fitted in place of the bundled body."""
    start_source: str = ""
    """Which source proposed the start that this body was fitted from, such as `gallery` or
    `facing`; empty when that is not known."""

    def in_frame(self, frame: int, time_s: float) -> Person:
        """The same body in a frame."""
        return replace(self, frame=frame, time_s=time_s)

    def of_body(self, users_body: UsersBody | None) -> Person:
        """The same numbers as those of another body file; None is the bundled body."""
        return replace(self, users_body=users_body)

    @property
    def joints_px(self) -> Float[Tensor, "22 2"]:
        """Projected joints."""
        return self.camera.project(self.joints_cam_m)

    def joint_radius_m(self, share: float) -> Float[Tensor, "22"]:
        """Radius of the ball about each joint, relative to the pelvis, that the true joint is in
        with this probability (see `kinflow.results.regions`).

        Raises:
            InputError: the probability is not from 0 to less than 1.
        """
        if not (is_number(share) and 0 <= share < 1):
            raise InputError(f"share has to be a number from 0 to less than 1, not {share!r}.")
        return radius_m(self.joint_std_m, float(share))

    def body(self) -> PosedBody:
        """The posed body model, for whatever else is wanted of it."""
        shaped = self.model.with_shape(self.shape)
        return shaped.with_pose(self.pose, self.t_cam_root_m)

    @property
    def model(self) -> BodyModel:
        """What the body is of, with all vertices."""
        return BodyModel.load() if self.users_body is None else self.users_body.body

    @property
    def skeleton(self) -> BodyModel:
        """What the body is of, without its surface."""
        return BodyModel.load("joints") if self.users_body is None else self.users_body.skeleton

    def vertices(self) -> Float[Tensor, "vertices 3"]:
        """Vertices of the full mesh in the camera frame, metres."""
        return self.body().vertices_m()

    def silhouette(self) -> Bool[Tensor, "height width"]:
        """Pixels that the projected mesh covers."""
        return coverage(self.vertices(), self.model.faces, self.camera)

    def measures(self) -> BodyMeasures:
        """Height, estimated weight and girths of the body."""
        if self.users_body is not None:
            return measure(self.model.with_shape(self.shape))
        return _measures(tuple(self.shape.tolist()))

    def reprojection_error_px(self) -> Float[Tensor, "33"]:
        """Distance between projected and detected keypoints (meaningless at confidence 0)."""
        projected = self.camera.project(self.body().keypoints_m()[: len(BLAZEPOSE33)])
        return torch.linalg.vector_norm(projected - self.keypoints_px[:, :2], dim=-1)

    def limb_error_px(self) -> float:
        """Mean reprojection error of the confident limb keypoints; NaN when there are none."""
        limbs = list(LIMB_KEYPOINTS)
        confident = self.keypoints_px[limbs, 2] > 0.5
        return float(self.reprojection_error_px()[limbs][confident].mean())


@lru_cache(maxsize=256)
def _measures(shape: tuple[float, ...]) -> BodyMeasures:
    """Measuring a mesh takes 10 ms, and files and summary both want the numbers."""
    return measure(BodyModel.load().with_shape(torch.tensor(shape, dtype=torch.float32)))
