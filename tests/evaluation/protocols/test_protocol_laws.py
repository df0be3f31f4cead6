"""What has to hold for any data."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from neutral_rows import predicted, rows_of, some_truth

from kinflow.body.keypoints import COCO17
from kinflow.errors import InputError
from kinflow.evaluation.protocols.judging import evaluate
from kinflow.evaluation.protocols.matching import box_overlap
from kinflow.evaluation.protocols.named import PROTOCOLS
from kinflow.geometry.rotations import rotvec_to_matrix
from kinflow.metrics.pose import best_of, pck_area, procrustes, scaled, similarity
from kinflow.metrics.regions import part_iou, silhouette_iou

POSE = ("MPJPE mm", "N-MPJPE mm", "PA-MPJPE mm", "PVE mm", "PA-PVE mm", "PCK %", "AUC %")
ALL = dataclasses.replace(PROTOCOLS["3dpw"], figures=POSE)


def with_meshes(truth, seed=0):
    mesh = truth["joints_m"][:, 0, :10] + 0.2 * np.random.default_rng(seed).normal(size=(36, 10, 3))
    return {**truth, "vertices_m": mesh, "topology": np.array("smpl")}


def values(tmp_path, truth, own, protocol=ALL) -> dict[str, float]:
    rows = rows_of(tmp_path / "truth.npz", truth), rows_of(tmp_path / "own.npz", own)
    return {n: v.value for n, v in evaluate(*rows, protocol).result.figures.items()}


def changed(arrays, move):
    return {n: move(a) if n in ("joints_m", "vertices_m") else a for n, a in arrays.items()}


def test_the_truth_has_no_error(tmp_path):
    truth = with_meshes(some_truth(ALL))
    found = values(tmp_path, truth, truth)
    for name in ("MPJPE mm", "N-MPJPE mm", "PA-MPJPE mm", "PVE mm", "PA-PVE mm"):
        assert found[name] == pytest.approx(0, abs=1e-9), name
    assert found["PCK %"] == 100
    assert found["AUC %"] == pytest.approx(100 * 30 / 31)  # nothing is nearer than 0 mm


def test_what_alignments_forgive(tmp_path):
    truth = with_meshes(some_truth(ALL))
    own = with_meshes(predicted(truth, ALL), 1)
    first = values(tmp_path, truth, own)
    moved = values(tmp_path, truth, changed(own, lambda x: x + [1.0, -2.0, 3.0]))
    assert moved == pytest.approx(first, abs=1e-9)
    R = rotvec_to_matrix(torch.tensor([0.5, -1.0, 0.3], dtype=torch.float64)).numpy()
    turned = values(tmp_path, truth, changed(own, lambda x: 1.7 * x @ R.T + [1.0, 0.0, 0.0]))
    larger = values(tmp_path, truth, changed(own, lambda x: 1.7 * x))
    for name in ("PA-MPJPE mm", "PA-PVE mm"):
        assert turned[name] == pytest.approx(first[name], abs=1e-9)
    assert larger["N-MPJPE mm"] == pytest.approx(first["N-MPJPE mm"], abs=1e-9)
    assert turned["N-MPJPE mm"] > 2 * first["N-MPJPE mm"]
    for found in (turned, larger):
        assert found["MPJPE mm"] > 2 * first["MPJPE mm"]
    mirrored = values(tmp_path, truth, changed(truth, lambda x: x * [-1.0, 1.0, 1.0]))
    assert mirrored["PA-MPJPE mm"] > 50


def test_more_alignment_leaves_less_squared_error():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(20, 14, 3, generator=generator, dtype=torch.float64)
    own = truth + 0.3 * torch.randn(20, 14, 3, generator=generator, dtype=torch.float64)
    truth, own = truth - truth[:, :1], own - own[:, :1]
    squares = [
        (x - truth).square().sum((1, 2)) for x in (own, scaled(own, truth), procrustes(own, truth))
    ]
    assert (squares[1] <= squares[0] + 1e-12).all() and (squares[2] <= squares[1] + 1e-12).all()


def test_predictions_in_one_place_have_an_error_all_the_same():
    truth = torch.randn(3, 14, 3, generator=torch.Generator().manual_seed(0))
    own = torch.ones(3, 14, 3)
    for found in (scaled(own - 1, truth), procrustes(own, truth)):
        assert torch.isfinite(found).all()
    assert similarity(own, truth).scale.abs().max() == 0


def test_order_of_rows_does_not_matter(tmp_path):
    truth = with_meshes(some_truth(ALL))
    own = with_meshes(predicted(truth, ALL), 1)
    order = np.random.default_rng(0).permutation(36)
    by_row = ("sequence", "frame", "person", "joints_m", "vertices_m")
    mixed = {n: a[order] if n in by_row else a for n, a in own.items()}
    protocol = dataclasses.replace(ALL, figures=(*POSE, "acceleration error m/s²"))
    first = values(tmp_path, truth, own, protocol)
    assert values(tmp_path, truth, mixed, protocol) == pytest.approx(first, abs=1e-9)


@pytest.mark.parametrize("matching", ["box", "oks", "oracle"])
def test_people_without_numbers_are_found_again(matching, tmp_path):
    """Two people in each frame, shuffled, and a detection of nobody."""
    protocol = dataclasses.replace(PROTOCOLS["3dpw"], figures=("MPJPE mm",), matching=matching)
    truth = some_truth(protocol, clips=2, frames=10)
    truth["sequence"] = np.full(20, "clip")
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 400, (10, 2))
    corners = np.concatenate([corners, corners + [300, 0]])
    truth["box_px"] = np.concatenate([corners, np.full((20, 2), 150.0)], 1)
    truth["keypoints_px"] = np.concatenate(
        [corners[:, None] + generator.uniform(0, 150, (20, 17, 2)), np.ones((20, 17, 1))], 2
    )
    truth["keypoint_names"] = np.array(COCO17)
    own = predicted(truth, protocol)
    known = values(tmp_path, truth, own, dataclasses.replace(protocol, matching="id"))
    order = generator.permutation(20)
    own = {n: a[order] if n in ("sequence", "frame", "joints_m") else a for n, a in own.items()}
    del own["person"]
    for name in ("box_px", "keypoints_px"):
        noise = generator.normal(size=truth[name].shape)
        own[name] = (truth[name] + (noise if matching != "oracle" else 0))[order]
    own["keypoint_names"] = truth["keypoint_names"]
    own["keypoints_px"][..., 2] = 1
    extra = {n: a[:1] for n, a in own.items() if n in ("sequence", "frame")}
    extra |= {
        "joints_m": own["joints_m"][:1] + 0.3 * generator.normal(size=(1, 1, 14, 3)),
        "box_px": np.array([[5000.0, 0, 10, 10]]),
        "keypoints_px": own["keypoints_px"][:1] + [5000, 0, 0],
    }
    own = {n: np.concatenate([a, extra[n]]) if n in extra else a for n, a in own.items()}
    rows = rows_of(tmp_path / "truth.npz", truth), rows_of(tmp_path / "own.npz", own)
    result = evaluate(*rows, protocol).result
    assert result.figures["MPJPE mm"].value == pytest.approx(known["MPJPE mm"], abs=1e-9)
    assert (result.counts.matched, result.counts.extra) == (20, 1)


def test_nobody_is_matched_below_the_threshold(tmp_path):
    protocol = dataclasses.replace(
        PROTOCOLS["3dpw"], figures=("MPJPE mm",), matching="box", match_at_least=0.5
    )
    truth = some_truth(protocol, clips=1, frames=4)
    truth["box_px"] = np.array([[0.0, 0, 100, 100]] * 4)
    own = predicted(truth, protocol)
    own["box_px"] = np.array(
        [[0.0, 0, 100, 100], [20, 0, 100, 100], [60, 0, 100, 100], [500, 0, 9, 9]]
    )
    rows = rows_of(tmp_path / "truth.npz", truth), rows_of(tmp_path / "own.npz", own)
    counts = evaluate(*rows, protocol).result.counts
    assert (counts.matched, counts.missing, counts.extra) == (2, 2, 2)


def test_people_who_do_not_count_keep_their_predictions(tmp_path):
    """Somebody who is not valid takes the detection that is theirs, which nobody else gets."""
    protocol = dataclasses.replace(PROTOCOLS["3dpw"], figures=("MPJPE mm",), matching="box")
    truth = some_truth(protocol, clips=2, frames=1)
    truth["sequence"] = np.array(["clip", "clip"])
    truth["box_px"] = np.array([[0.0, 0, 100, 100], [50, 0, 100, 100]])
    truth["valid"] = np.array([False, True])
    own = {
        n: a[:1] if n in ("sequence", "frame", "person", "joints_m") else a
        for n, a in predicted(truth, protocol).items()
    }
    own["box_px"] = truth["box_px"][:1]
    rows = rows_of(tmp_path / "truth.npz", truth), rows_of(tmp_path / "own.npz", own)
    with pytest.raises(InputError, match="no row"):
        evaluate(*rows, protocol)


def test_boxes_overlap_as_they_should():
    box = np.array([[0.0, 0, 10, 10]])
    other = np.array([[5.0, 0, 10, 10], [20, 0, 10, 10], [0, 0, 10, 10], [0, 0, 0, 0]])
    assert box_overlap(box, other)[0] == pytest.approx([1 / 3, 0, 1, 0])
    assert box_overlap(other[3:], other[3:])[0, 0] == 0


def test_regions():
    a = np.zeros((4, 4), bool)
    a[:2] = True
    b = np.zeros((4, 4), bool)
    b[1:3] = True
    assert silhouette_iou(a, b) == pytest.approx(1 / 3)
    assert silhouette_iou(a, b, known=~a) == 0
    assert np.isnan(silhouette_iou(a & False, b & False))
    overlaps = part_iou(a.astype(int), b.astype(int), [1, 2], 255)
    assert overlaps[0] == pytest.approx(1 / 3) and np.isnan(overlaps[1])


def test_bad_calls():
    with pytest.raises(InputError, match="at least one threshold"):
        pck_area(torch.zeros(2, 3), ())
    with pytest.raises(InputError, match="best of 3"):
        best_of(torch.zeros(2, 2), 3)
