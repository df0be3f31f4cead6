"""What silhouettes and parts add to keypoints, on scenes whose truth is known.

Scenes of `kinflow.synth`: poses of mocap subjects that no network here has seen, shapes of all
kinds, dressed, partly hidden, with the errors of detectors. The same fit is given

    KF          keypoints alone
    KF+sil      and the segmenter's silhouette of the dressed body
    KF+BA       and the parts that the shipped part parser sees in keypoints, silhouette and picture
    KF+truth    and the true parts, the upper bound of what parts can give

With `--visible` the people are alone, wholly in the image, without hair, and their clothes lie on
the skin; their silhouette is exact.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

import kinflow.priors
from kinflow.body import BodyModel
from kinflow.body.measure import measure
from kinflow.body.part_mesh import PartMesh
from kinflow.body.parts import ANY_PART, BACKGROUND, UNKNOWN
from kinflow.datasets.poses import Split
from kinflow.energy.part_matching import MatchingConfig, PartTarget
from kinflow.evidence.error_model import keypoint_std_px
from kinflow.evidence.part_labels import without_strangers
from kinflow.evidence.parts import PartParser, PartParserConfig
from kinflow.evidence.types import ImageEvidence, PartLabels, PersonEvidence
from kinflow.fitting.photo import PhotoFitConfig, PhotoFitter
from kinflow.metrics.pose import pa_mpjpe
from kinflow.metrics.vertices import pve, t_pose_pve
from kinflow.results import Person
from kinflow.synth.observation import ObservationConfig
from kinflow.synth.occlusion import OcclusionConfig
from kinflow.synth.people import PeopleConfig
from kinflow.synth.picture import Painter
from kinflow.synth.scene import Scene, SceneConfig, SceneSource
from kinflow.synth.silhouettes import ClothingConfig
from kinflow.synth.views import ViewConfig


@dataclass(frozen=True)
class AccuracyConfig:
    """Options of the synthetic comparison."""

    poses: Path | None = None
    """Pose set of `kinflow data poses`, whose subjects pose; without one the prior does."""
    count: int = 100
    seed: int = 1000
    split: Split = "test"
    """Subjects that pose; settings are chosen on those of `validation`."""
    visible: bool = False
    """Single, fully visible, tightly dressed people and their exact silhouettes."""
    prior: str = "realnvp"
    weights: Path | None = None
    """Weight file of the part parser; the shipped one without."""


COLUMNS = (
    "PA-MPJPE mm",
    "PVE mm",
    "T-pose PVE mm",
    "T-pose PVE-SC mm",
    "height mm",
    "waist girth mm",
    "part mIoU",
    "silhouette IoU",
)


SKIN_TIGHT = ClothingConfig(
    tight=(0.0, 0.0),
    loose_share=0.0,
    skirt_share=0.0,
    hair=(0.0, 0.0),
    long_hair_share=0.0,
    shoes=(0.0, 0.0),
    bag_share=0.0,
)
ALONE = OcclusionConfig(shape_share=0.0, person_share=0.0)
NOTABLE_MM = 5.0
"""Differences of PA-MPJPE beyond which a scene counts as better or worse."""
PAINT_SEED = 7
"""Pictures are drawn by another source of randomness than scenes."""


def scenes(config: AccuracyConfig) -> list[Scene]:
    """The scenes of a configuration, always the same ones."""
    people = PeopleConfig(poses=config.poses, split=config.split)
    if config.poses is not None:
        people = replace(people, prior_share=0.0)
    source = SceneConfig(people=people)
    if config.visible:
        source = replace(
            source,
            views=ViewConfig(truncated_share=0.0),
            observation=ObservationConfig(clothing=SKIN_TIGHT, occlusion=ALONE),
        )
    made = map(SceneSource(source).scene, itertools.count(config.seed))
    if config.visible:
        made = filter(fully_visible, made)
    return list(itertools.islice(made, config.count))


def fully_visible(scene: Scene) -> bool:
    """Whether the image shows all of the person."""
    return bool((scene.known | (scene.parts == 0)).all()) and bool(
        (
            (scene.keypoints_px >= 0) & (scene.keypoints_px < torch.tensor(scene.camera.image_size))
        ).all()
    )


def evidence(scene: Scene) -> PersonEvidence:
    """What the detectors say about a scene, without parts."""
    keypoints = scene.detected_keypoints_px
    certain = keypoints[keypoints[:, 2] > 0.5, :2]
    box = torch.cat([certain.amin(0), certain.amax(0)]) if len(certain) else torch.ones(4)
    size = float((box[2:] - box[:2]).clamp_min(1).prod().sqrt())
    std = keypoint_std_px(keypoints[:, 2].numpy().astype(np.float64), size, 1.5 * size)
    return PersonEvidence(
        keypoints_px=keypoints,
        keypoint_std_px=torch.from_numpy(std).float(),
        world_m=None,
        box_px=box,
        score=1.0,
        mask=scene.mask,
    )


def true_parts(scene: Scene) -> PartLabels:
    """The naked body's parts wherever nothing hides the person."""
    allowed = torch.where(scene.known, 1 << scene.parts.int(), UNKNOWN).int()
    confidence = torch.ones(allowed.shape)
    return PartLabels(allowed, confidence, scene.grid)


def silhouette(scene: Scene, exact: bool) -> PartLabels:
    """What somebody who segments the person hands in; `exact` is the naked body's outline."""
    mask = scene.mask
    shows = (scene.parts > 0) & scene.known if exact else mask.probability > 0.5
    allowed = torch.where(shows, ANY_PART, BACKGROUND).int()
    labels = PartLabels(allowed, torch.ones(allowed.shape), mask.grid)
    return without_strangers(labels, [], scene.camera.image_size)


Labeller = Callable[[Scene, np.random.Generator], PartLabels | None]


def variants(exact_silhouettes: bool, weights: Path | None) -> dict[str, Labeller]:
    """Labels for each row of the table."""
    parser, painter = PartParser(PartParserConfig(weights)), Painter.load()

    def parsed(scene: Scene, rng: np.random.Generator) -> PartLabels | None:
        picture = painter.paint(scene, rng)
        return parser.labels(evidence(scene), scene.camera.image_size, picture)

    return {
        "KF": lambda scene, rng: None,
        "KF+sil": lambda scene, rng: silhouette(scene, exact_silhouettes),
        "KF+BA": parsed,
        "KF+truth": lambda scene, rng: true_parts(scene),
    }


def errors(person: Person, scene: Scene, body: BodyModel, mesh: PartMesh) -> list[float]:
    """One row of COLUMNS."""
    truth = scene.posed(body)
    vertices = person.vertices()
    own, true = measure(body.with_shape(person.shape)), measure(body.with_shape(scene.shape))
    target = PartTarget(true_parts(scene), scene.camera, mesh, MatchingConfig())
    drawn = target.draw(vertices.numpy())
    return [
        1000 * float(pa_mpjpe(person.joints_cam_m, scene.joints_cam_m)),
        1000 * float(pve(vertices, person.t_cam_root_m, truth.vertices_m(), scene.t_cam_root_m)),
        1000 * float(t_pose_pve(body, person.shape, scene.shape)),
        1000 * float(t_pose_pve(body, person.shape, scene.shape, scale_corrected=True)),
        1000 * abs(own.height_m - true.height_m),
        1000 * abs(own.waist_girth_m - true.waist_girth_m),
        float(np.nanmean(target.part_iou(drawn))),
        target.silhouette_iou(drawn),
    ]


def run(config: AccuracyConfig) -> dict[str, np.ndarray]:
    """Errors of every scene (rows) by variant; columns as COLUMNS."""
    body = BodyModel.load()
    mesh = PartMesh.of(body)
    fitter = PhotoFitter(kinflow.priors.load(config.prior), PhotoFitConfig())
    everything = scenes(config)
    results = {}
    for name, labels in variants(config.visible, config.weights).items():
        rows = []
        for i, scene in enumerate(everything):
            parts = labels(scene, np.random.default_rng((PAINT_SEED, i)))
            seen = replace(evidence(scene), parts=parts)
            photo = ImageEvidence(scene.camera.image_size, (seen,))
            people = fitter.fit(photo, scene.camera).people
            rows.append(errors(people[0], scene, body, mesh))
        results[name] = np.array(rows)
        print(row(name, results[name]), flush=True)
    return results


def row(name: str, values: np.ndarray) -> str:
    """One line of the table: means over scenes."""
    means = np.nanmean(values, axis=0)
    cells = [f"{m:.3f}" if "IoU" in c else f"{m:.1f}" for m, c in zip(means, COLUMNS, strict=True)]
    return f"| {name} | " + " | ".join(cells) + " |"


def main(config: AccuracyConfig) -> None:
    print(f"| {config.count} scenes | " + " | ".join(COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    results = run(config)
    base = results["KF"].mean(0)
    for name in ("KF+sil", "KF+BA", "KF+truth"):
        change = 100 * (results[name].mean(0) / base - 1)
        text = ", ".join(f"{c} {v:+.0f} %" for c, v in zip(COLUMNS[:6], change[:6], strict=True))
        print(f"{name} against KF: {text}")
        gap_mm = results[name][:, 0] - results["KF"][:, 0]
        worse, better = (100 * np.mean(sign * gap_mm > NOTABLE_MM) for sign in (1, -1))
        print(
            f"  PA-MPJPE more than {NOTABLE_MM:.0f} mm worse in {worse:.0f} % of the scenes, "
            f"better in {better:.0f} %"
        )
