"""Scenes, worlds and evidence as samples: the same truth, in the type of every dataset."""

import numpy as np
import pytest
import torch

from kinflow.body.keypoints import KEYPOINT_INDEX
from kinflow.body.part_maps import UNKNOWN_ID
from kinflow.body.parts import PART_NAMES, UNKNOWN, part_set
from kinflow.datasets.evidence_samples import evidence_samples
from kinflow.datasets.readers.reprojection import reprojection_px
from kinflow.datasets.sample_parts import Picture
from kinflow.evidence.types import ImageEvidence, PartLabels, PersonEvidence, PersonMask
from kinflow.geometry.image_grid import ImageGrid
from kinflow.synth.samples import scene_sample, world_samples
from kinflow.synth.world import WorldConfig
from kinflow.synth.world_source import WorldSource

LABELS = {"box", "keypoints", "parts", "mask", "joints", "body", "shape", "camera"}


def part_at(sample, px):
    """The part that a label map has at a point of the picture."""
    left, top, width, height = sample.parts.box_px
    rows, columns = sample.parts.labels.shape
    at = ((px - (left, top)) / (width, height) * (columns, rows)).astype(int)
    return int(sample.parts.labels[at[1], at[0]])


def test_a_scene_keeps_its_truth(scenes, tmp_path):
    for i, scene in enumerate(scenes[:6]):
        sample = scene_sample(scene, str(i), Picture(tmp_path / "a.png"))
        assert sample.labels == LABELS | {"picture"}
        assert sample.mask.array().shape == scene.camera.image_size[::-1]
        off = reprojection_px(sample)
        size = np.linalg.norm(sample.box_px[2:])
        assert np.median(off) < 0.05 * size
        for name in ("left_knee", "right_knee", "left_elbow", "right_elbow"):
            row = KEYPOINT_INDEX[name]
            if not scene.keypoint_visible[row]:
                continue
            found = part_at(sample, sample.keypoints.px[row])
            other = "right" if name.startswith("left") else "left"
            assert not PART_NAMES[found].startswith(other) if found != UNKNOWN_ID else True


def test_in_a_world_nobody_is_seen_through_others():
    source = WorldSource(WorldConfig(count=(3, 3), image_sizes=((160, 120),)))
    for seed in range(3):
        world = source.world(seed)
        people = world_samples(world, str(seed), source.mesh)
        assert len(people) == len(world.people) and people[0].labels == LABELS | {"gravity"}
        shown = np.sum([s.mask.array() for s in people], axis=0)
        assert shown.max() == 1
        for sample, person in zip(people, world.people, strict=True):
            assert sample.keypoints.shown.tolist() == person.keypoint_visible.tolist()
            assert sample.body.t_space_m == pytest.approx(person.t_cam_root_m.numpy())
            # whoever hides the body of this person hides its parts
            left, top, width, height = (int(v) for v in sample.parts.box_px)
            mask = sample.mask.array()[top : top + height, left : left + width]
            hidden = sample.parts.labels == UNKNOWN_ID
            assert ((sample.parts.labels > 0) & ~hidden == mask).all()


def test_evidence_becomes_samples_with_its_confidences(tmp_path):
    grid = ImageGrid((10.0, 20.0), 5.0, (4, 3))
    allowed = torch.full((3, 4), part_set("background"), dtype=torch.int32)
    allowed[1, 2] = part_set("left_hand")
    allowed[2, 0] = UNKNOWN
    points = torch.rand(33, 3)
    person = PersonEvidence(
        keypoints_px=points,
        keypoint_std_px=torch.ones(33),
        world_m=None,
        box_px=torch.tensor([10.0, 20.0, 30.0, 35.0]),
        score=0.9,
        mask=PersonMask(torch.ones(3, 4), grid),
        parts=PartLabels(allowed, torch.ones(3, 4), grid),
    )
    (sample,) = evidence_samples(ImageEvidence((64, 48), (person,)), Picture(tmp_path / "a"), "p")

    assert sample.key == "p/0" and sample.box_px == (10.0, 20.0, 20.0, 15.0)
    assert sample.keypoints.confidence == pytest.approx(points[:, 2].numpy())
    assert sample.parts.labels[1, 2] == PART_NAMES.index("left_hand")
    assert sample.parts.labels[2, 0] == UNKNOWN_ID and sample.parts.labels[0, 0] == 0
    rows, columns = np.nonzero(sample.mask.array())
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (10, 29, 20, 34)
