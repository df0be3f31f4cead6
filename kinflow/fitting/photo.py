"""Fits every person of a photo: evidence in, posed and shaped people with their uncertainty out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from kinflow.body.keypoints import BLAZEPOSE33, KEYPOINT_INDEX, LIMB_KEYPOINTS
from kinflow.body.model import BodyModel
from kinflow.checks import flag, nested, not_negative, numbers_of, positive, share, whole
from kinflow.energy.body_energy import EnergyConfig, Targets
from kinflow.energy.unknowns import Unknowns
from kinflow.energy.vertex_model import VertexModel
from kinflow.evidence.part_labels import usable
from kinflow.evidence.types import ImageEvidence, PersonEvidence
from kinflow.fitting.multistart import Candidates, MultistartConfig
from kinflow.fitting.parts import AlignedBody, PartAligner, PartFitConfig, part_body
from kinflow.fitting.plausibility import what_cannot_be_right
from kinflow.fitting.solver import FitConfig, PersonFitter
from kinflow.fitting.starts import bone_lengths
from kinflow.geometry.pinhole import Camera
from kinflow.priors.base import PosePrior
from kinflow.priors.devices import on_device
from kinflow.priors.shape import ShapePrior
from kinflow.results import Hypothesis, Person, ResultCode
from kinflow.threads import one_thread

FITTED_KEYPOINTS: tuple[str, ...] = tuple(
    name for name in BLAZEPOSE33 if not name.endswith(("_inner", "_outer"))
)
"""Eye corners say nothing that eyes and ears do not."""

AMBIGUOUS_NATS = 2.0
"""Another body within so much of the best one's energy makes a result ambiguous."""

MIN_SILHOUETTE_IOU = 0.3
"""A body that overlaps less with what was seen was not what was seen; what bodies on photos have is
printed by `benchmarks/parts photos`."""

_ROWS = [BLAZEPOSE33.index(name) for name in FITTED_KEYPOINTS]


@dataclass(frozen=True)
class PhotoFitConfig:
    """How evidence is weighed, and when a result is doubtful."""

    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            energy=EnergyConfig(keypoint_cutoff=6.0),
            search=MultistartConfig(headings=8),
        )
    )
    estimate_focal: bool = False
    """Estimate the focal length from all people together, about the one that is assumed."""
    focal_log_std: float = 0.3
    """How far it may be from the assumed one: 0.3 is a third more or a quarter less."""
    use_hint: bool = True
    """Use the detector's rough 3D landmarks as a weak term."""
    hint_std_m: tuple[float, float, float] = (0.07, 0.07, 0.12)
    """Their error across the image and in depth."""
    keypoint_std_scale: float = 0.5
    """The detector's errors are alike within a person and a body takes up much of them, so that
    residuals are about half as large as errors; measured on real photos."""
    min_confidence: float = 0.15
    cluster_weight: float = 0.5
    """Weight of keypoints that come in clusters (face, hands, feet), whose errors are alike."""
    align_parts: bool = True
    """Align bodies with body parts where the evidence has them."""
    parts: PartFitConfig = field(default_factory=PartFitConfig)
    max_aligned: int = 3
    aligned_margin: float = 4.0
    """Of the bodies whose energy is higher than the least by no more than this (nats), so many are
    aligned, and parts choose among these. What keypoints rule out more firmly stays ruled out."""
    max_hypotheses: int = 4
    hypothesis_margin: float = 12.0
    """Alternatives whose energy is higher by more than this (nats) are not reported."""

    def __post_init__(self) -> None:
        nested(self, fit=FitConfig, parts=PartFitConfig)
        flag(self, "estimate_focal", "use_hint", "align_parts")
        positive(self, "focal_log_std", "keypoint_std_scale")
        numbers_of(self, "hint_std_m", count=3, above=0)
        share(self, "min_confidence", "cluster_weight")
        whole(self, "max_aligned", at_least=1, at_most=1000)
        whole(self, "max_hypotheses", at_most=1000)
        not_negative(self, "aligned_margin", "hypothesis_margin")


class PhotoFitter:
    """Fits all people of a photo in one batch.

    Args:
        prior: pose prior.
        config: weights.
        device: where to compute.
    """

    def __init__(
        self, prior: PosePrior, config: PhotoFitConfig, device: torch.device | str = "cpu"
    ) -> None:
        self.config, self.device = config, device
        body = BodyModel.load("joints", device)
        prior, shape_prior = on_device(prior, device), ShapePrior()
        vertices = VertexModel(part_body(device)) if config.align_parts else None
        self.fitter = PersonFitter(body, prior, shape_prior, FITTED_KEYPOINTS, config.fit, vertices)
        self._aligner = PartAligner(self.fitter.energy, config.parts) if vertices else None
        free = replace(
            config.fit, energy=replace(config.fit.energy, focal_log_std=config.focal_log_std)
        )
        self._focal_fitter = PersonFitter(body, prior, shape_prior, FITTED_KEYPOINTS, free)

    def fit(self, evidence: ImageEvidence, camera: Camera) -> tuple[Person, ...]:
        """One `Person` for each person of the evidence, in the same order.

        Their camera is `camera`, with another focal length if that was to be estimated.
        """
        if not evidence.people:
            return ()
        with one_thread():
            if self.config.estimate_focal:
                camera = self._with_estimated_focal(self.targets(evidence, camera), camera)
            targets = self.targets(evidence, camera)
            candidates = self.fitter.fit(targets)
            return tuple(
                self._person(i, seen, camera, targets[i : i + 1], candidates)
                for i, seen in enumerate(evidence.people)
            )

    def _with_estimated_focal(self, targets: Targets, camera: Camera) -> Camera:
        """Each person is fitted with a focal length of their own; their precision-weighted mean."""
        candidates = self._focal_fitter.fit(targets)
        best = torch.stack([candidates.of(i)[0] for i in range(len(targets.focal_px))])
        unknowns = candidates.unknowns[best]
        with torch.no_grad():
            _, J = self._focal_fitter.energy.linearise(unknowns, targets)
        focal = self._focal_fitter.energy.layout.focal
        hessian = (J.mT @ J).cpu().double()  # not every device has float64
        precision = 1 / torch.linalg.inv(hessian)[:, focal, focal].flatten().clamp_min(1e-9)
        log_focal = float((precision * unknowns.log_focal.cpu()).sum() / precision.sum())
        return replace(camera, focal_px=camera.focal_px * math.exp(log_focal))

    def targets(self, evidence: ImageEvidence, camera: Camera) -> Targets:
        """Observations of all people, weighted by how far they can be trusted."""
        people = evidence.to(self.device).people
        keypoints = torch.stack([p.keypoints_px for p in people])[:, _ROWS]
        std = torch.stack([p.keypoint_std_px for p in people])[:, _ROWS]
        std = std * self.config.keypoint_std_scale
        confidence = keypoints[..., 2]
        weight = confidence * self._cluster_weights()
        seen = confidence >= self.config.min_confidence
        inverse_std = torch.where(seen, weight.sqrt() / std, torch.zeros_like(std))
        count = len(people)
        targets = Targets(
            focal_px=keypoints.new_full((count,), camera.focal_px),
            principal_px=keypoints.new_tensor(camera.principal_px).expand(count, 2),
            observed_px=keypoints[..., :2],
            inverse_std_px=inverse_std,
        )
        known = keypoints.new_tensor([p.world_m is not None for p in people])
        if not self.config.use_hint or not bool(known.any()):
            return targets
        nothing = keypoints.new_zeros(len(BLAZEPOSE33), 3)
        worlds = [nothing if p.world_m is None else p.world_m for p in people]
        hint = torch.stack(worlds)[:, _ROWS]
        hint = hint * self._hint_scale(hint)[:, None, None]
        R_cam_view = view_rotation(targets, seen)
        # a person without rough 3D has no hint, whatever the others have
        hint_weight = (confidence * self._cluster_weights()).sqrt()[..., None]
        hint_weight = hint_weight * known[:, None, None]
        return replace(
            targets,
            hint_m=hint @ R_cam_view.mT,
            hint_inverse_std_m=hint_weight / hint.new_tensor(self.config.hint_std_m),
        )

    def _hint_scale(self, hint_m: Float[Tensor, "people points 3"]) -> Float[Tensor, " people"]:
        """Factor that gives the hint an average adult's bones.

        Detectors learn metric 3D from a population of their own (BlazePose's people are some 7 %
        smaller than ours), so a hint should say nothing about a person's size.
        """
        average = bone_lengths(self.fitter.model.points_at_rest_m, FITTED_KEYPOINTS)
        ratio = average / bone_lengths(hint_m, FITTED_KEYPOINTS).clamp_min(1e-3)
        return ratio.median(-1).values

    def _cluster_weights(self) -> Float[Tensor, " points"]:
        limbs = {BLAZEPOSE33[i] for i in LIMB_KEYPOINTS}
        values = [1.0 if n in limbs else self.config.cluster_weight for n in FITTED_KEYPOINTS]
        return torch.tensor(values, device=self.device, dtype=torch.float32)

    def _person(
        self,
        index: int,
        seen: PersonEvidence,
        camera: Camera,
        targets: Targets,
        candidates: Candidates,
    ) -> Person:
        rows = candidates.of(index)
        energies = candidates.energy[rows]
        close = energies - energies[0] < self.config.hypothesis_margin
        rows = rows[close][: self.config.max_hypotheses + 1]
        bodies = candidates.unknowns[rows]
        chosen, best = 0, bodies[:1]
        ambiguous = bool((energies[1:] - energies[0] < AMBIGUOUS_NATS).any())
        code = judge(self._limbs_px(best, camera), seen, ambiguous)
        aligned = None
        if self._aligner is not None and seen.parts is not None:
            rivalling = int((energies - energies[0] < self.config.aligned_margin).sum())
            starts = bodies[: min(self.config.max_aligned, rivalling)]
            aligned, code = self._align(starts, targets, seen, camera, code)
        if aligned is not None:
            chosen, best, targets = aligned.start, aligned.unknowns, aligned.targets
        rivals = tuple(
            self._hypothesis(bodies[i : i + 1], float(candidates.energy[row]))
            for i, row in enumerate(rows.tolist())
            if i != chosen
        )
        description = self.fitter.describe(best, targets)
        body = self._hypothesis(best, float(candidates.energy[rows[chosen]]))
        person = Person(
            person=index,
            camera=camera,
            R_cam_root=body.R_cam_root,
            t_cam_root_m=body.t_cam_root_m,
            pose=body.pose,
            z=body.z,
            shape=body.shape,
            joints_cam_m=description.joints_m[0],
            joint_std_m=description.joint_std_m[0],
            t_cam_root_std_m=description.root_std_m[0],
            keypoints_px=seen.keypoints_px.cpu(),
            score=seen.score,
            code=code,
            energy={name: float(value[0]) for name, value in description.energy.items()},
            hypotheses=rivals,
            part_iou=None if aligned is None else aligned.part_iou,
            silhouette_iou=math.nan if aligned is None else aligned.silhouette_iou,
        )
        return replace(person, code="implausible") if what_cannot_be_right(person) else person

    def _align(
        self,
        starts: Unknowns,
        targets: Targets,
        seen: PersonEvidence,
        camera: Camera,
        code: ResultCode,
    ) -> tuple[AlignedBody | None, ResultCode]:
        """The body that fits the parts best once it is moved onto them, None where these cannot be
        used, and the result code that goes with it; `code` is that of the first body as it is.
        """
        assert self._aligner is not None and seen.parts is not None
        if usable(seen.parts, seen.keypoints_px):
            aligned = self._aligner.align(starts, targets, seen.parts, camera)
            limbs_px = self._limbs_px(aligned.unknowns, camera)
            aligned_code = judge(limbs_px, seen, ambiguous=code == "ambiguous")
            # labels that tear a body off its keypoints are not this person's, nor are those that
            # hardly have a place in common with it: a mask of nearly everything, a photo for a mask
            torn = aligned_code == "poor_fit" and code != "poor_fit"
            if not torn and not aligned.silhouette_iou < MIN_SILHOUETTE_IOU:
                return aligned, aligned_code
        return None, code if code in ("poor_fit", "few_keypoints") else "no_parts"

    def _limbs_px(self, unknowns: Unknowns, camera: Camera) -> Float[Tensor, "12 2"]:
        points = self.fitter.model.evaluate(unknowns, with_jacobian=False).keypoints_cam_m[0]
        limbs = points[[FITTED_KEYPOINTS.index(BLAZEPOSE33[i]) for i in LIMB_KEYPOINTS]]
        return camera.project(limbs).cpu()

    def _hypothesis(self, unknowns: Unknowns, energy: float) -> Hypothesis:
        with torch.no_grad():
            pose = self.fitter.model.pose(unknowns)[0]
            shape = self.fitter.model.shape_prior.decode(unknowns.s)[0]
        return Hypothesis(
            R_cam_root=unknowns.R_cam_root[0].cpu(),
            t_cam_root_m=unknowns.t_cam_root_m[0].cpu(),
            pose=pose.cpu(),
            z=unknowns.z[0].cpu(),
            shape=shape.cpu(),
            energy=energy,
        )


def view_rotation(
    targets: Targets, seen: Float[Tensor, "people points"] | Tensor
) -> Float[Tensor, "people 3 3"]:
    """Rotation from axes along each person's line of sight to the camera's.

    A detector that looks at a crop reports 3D as if the person stood on the optical axis; for
    somebody near the edge of a wide image that is off by half the field of view.
    """
    weight = seen.to(targets.observed_px)
    centre = (targets.observed_px * weight[..., None]).sum(1) / weight.sum(1, keepdim=True).clamp(1)
    ray = (centre - targets.principal_px) / targets.focal_px[:, None]
    z = torch.nn.functional.normalize(torch.cat([ray, torch.ones_like(ray[:, :1])], -1), dim=-1)
    down = torch.tensor([0.0, 1.0, 0.0], device=z.device, dtype=torch.float32).expand_as(z)
    x = torch.nn.functional.normalize(torch.linalg.cross(down, z), dim=-1)
    return torch.stack([x, torch.linalg.cross(z, x), z], -1)


def judge(
    limbs_px: Float[Tensor, "12 2"], seen: PersonEvidence, ambiguous: bool, limit: float = 0.06
) -> ResultCode:
    """The result code: how far a body can be relied on.

    Args:
        limbs_px: where its limb keypoints are in the image.
        seen: what was seen of the person.
        ambiguous: whether another body explains the keypoints almost as well.
        limit: mean distance from the keypoints, as a share of the person's size.
    """
    keypoints = seen.keypoints_px.cpu()
    limbs = keypoints[list(LIMB_KEYPOINTS)]
    confident = limbs[:, 2] > 0.5
    if int(confident.sum()) < 4:
        return "few_keypoints"
    error = (limbs_px - limbs[:, :2]).norm(dim=-1)[confident].mean()
    size = max(seen.height_px, float(seen.box_px[2] - seen.box_px[0]))
    if float(error) > limit * size:
        return "poor_fit"
    hips = [KEYPOINT_INDEX[f"{side}_hip"] for side in ("left", "right")]
    knees = [KEYPOINT_INDEX[f"{side}_knee"] for side in ("left", "right")]
    hidden = (keypoints[hips + knees, 2] < 0.3).sum()
    if int(hidden) >= 2:
        return "truncated"
    return "ambiguous" if ambiguous else "ok"
