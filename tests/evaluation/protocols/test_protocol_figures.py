"""Every figure equals one that was written anew from its definition, to 1e-6."""

from __future__ import annotations

import dataclasses

import numpy as np
import plain_figures as plain
import pytest
from neutral_rows import predicted, rows_of, some_truth

from kinflow.errors import InputError
from kinflow.evaluation.protocols.judging import evaluate
from kinflow.evaluation.protocols.named import PROTOCOLS
from kinflow.evaluation.protocols.protocol import Protocol

CLOSE = 1e-6


def rooted(arrays, protocol: Protocol, row: int, sample: int = 0, names=None) -> np.ndarray:
    """Named joints of a row relative to the middle of the root's."""
    known = arrays["joint_names"].tolist()
    joints = np.asarray(arrays["joints_m"], np.float64)[row, sample]
    root = plain.middle([joints[known.index(name)] for name in protocol.root])
    return np.array([joints[known.index(name)] - root for name in names or protocol.joints])


def figures(tmp_path, truth, own, protocol: Protocol):
    rows = rows_of(tmp_path / "truth.npz", truth), rows_of(tmp_path / "own.npz", own)
    return evaluate(*rows, protocol).result


@pytest.mark.parametrize("name", ["3dpw", "3dpw-pelvis", "emdb-1", "mpi-inf-3dhp", "h36m-p1-14"])
def test_joints(name, tmp_path):
    everything = ("MPJPE mm", "N-MPJPE mm", "PA-MPJPE mm", "PCK %", "AUC %")
    protocol = dataclasses.replace(PROTOCOLS[name], figures=everything, subjects=())
    truth = some_truth(protocol)
    own = predicted(truth, protocol, noise_m=0.08)
    result = figures(tmp_path, truth, own, protocol)
    rows = [r for r in range(36) if truth["frame"][r] % protocol.every_nth == 0]
    pairs = [(rooted(own, protocol, r), rooted(truth, protocol, r)) for r in rows]
    expected = {
        "MPJPE mm": [plain.mpjpe(*pair) for pair in pairs],
        "N-MPJPE mm": [plain.n_mpjpe(*pair) for pair in pairs],
        "PA-MPJPE mm": [plain.pa_mpjpe(*pair) for pair in pairs],
        "PCK %": [plain.pck(*pair, 150) for pair in pairs],
        "AUC %": [plain.auc(*pair) for pair in pairs],
    }
    for figure, values in expected.items():
        assert result.figures[figure].value == pytest.approx(np.mean(values), abs=CLOSE), figure
        assert result.figures[figure].count == len(rows)
    worst = max(zip(expected["MPJPE mm"], rows, strict=True))
    assert result.worst[0].value == pytest.approx(worst[0], abs=CLOSE)
    assert result.worst[0].frame == truth["frame"][worst[1]]
    for number, joint in enumerate(protocol.joints):
        mean = np.mean([1000 * plain.distance(p[number], t[number]) for p, t in pairs])
        assert result.by_joint["MPJPE mm"][joint] == pytest.approx(mean, abs=CLOSE)
    assert 0 < result.figures["PCK %"].value < 100


def test_joints_that_are_not_known_are_left_out(tmp_path):
    protocol = dataclasses.replace(PROTOCOLS["3dpw"], figures=("PA-MPJPE mm", "MPJPE mm"))
    truth = some_truth(protocol)
    own = predicted(truth, protocol)
    valid = np.random.default_rng(3).uniform(size=(36, 14)) > 0.3
    hips = [protocol.joints.index(name) for name in protocol.root]
    valid[:, hips] = True
    valid[5, hips[0]] = False
    truth["joint_valid"] = valid
    truth["joints_m"][~valid[:, None]] = np.nan
    result = figures(tmp_path, truth, own, protocol)
    values = []
    for row in (r for r in range(36) if r != 5):
        names = [n for n, good in zip(protocol.joints, valid[row], strict=True) if good]
        values.append(
            (
                plain.mpjpe(
                    rooted(own, protocol, row, 0, names), rooted(truth, protocol, row, 0, names)
                ),
                plain.pa_mpjpe(
                    rooted(own, protocol, row, 0, names), rooted(truth, protocol, row, 0, names)
                ),
            )
        )
    assert result.figures["MPJPE mm"].value == pytest.approx(np.mean(values, 0)[0], abs=CLOSE)
    assert result.figures["PA-MPJPE mm"].value == pytest.approx(np.mean(values, 0)[1], abs=CLOSE)
    assert result.figures["MPJPE mm"].count == 35  # a row without its root has no errors


def test_means_of_actions_and_subjects(tmp_path):
    protocol = PROTOCOLS["h36m-p1"]
    truth = some_truth(protocol, clips=5)
    truth["subject"] = np.repeat(["S9", "S9", "S11", "S1", "S11"], 12)
    own = predicted(truth, protocol)
    result = figures(tmp_path, truth, own, protocol)
    by_action: dict[str, list[float]] = {"walk": [], "sit": []}
    for row in range(60):
        if truth["subject"][row] in ("S9", "S11"):
            pair = rooted(own, protocol, row), rooted(truth, protocol, row)
            by_action[truth["action"][row]].append(plain.mpjpe(*pair))
    means = {action: np.mean(values) for action, values in by_action.items()}
    assert result.figures["MPJPE mm"].value == pytest.approx(
        (means["walk"] + means["sit"]) / 2, abs=CLOSE
    )
    assert result.by_action["MPJPE mm"] == pytest.approx(means, abs=CLOSE)
    assert result.counts.rows == 48 and result.counts.sequences == 4


def test_the_frontal_camera_only(tmp_path):
    protocol = PROTOCOLS["h36m-p2"]
    truth = some_truth(protocol, clips=4)
    truth["subject"] = np.repeat(["S9", "S11", "S9", "S11"], 12)
    truth["camera"] = np.repeat(["60457274", "54138969", "60457274", "58860488"], 12)
    result = figures(tmp_path, truth, predicted(truth, protocol), protocol)
    assert result.counts.rows == 6  # frames 0, 5 and 10 of two clips
    del truth["camera"]
    with pytest.raises(InputError, match="has no camera"):
        figures(tmp_path, truth, predicted(truth, protocol), protocol)


def test_the_best_of_several(tmp_path):
    three = ("MPJPE mm", "PA-MPJPE mm", "PCK %", "PVE mm")
    protocol = dataclasses.replace(PROTOCOLS["3dpw"], figures=three, best_of=3)
    truth = some_truth(protocol)
    truth |= {"vertices_m": truth["joints_m"][:, 0, :9] + 0.1, "topology": np.array("smpl")}
    tries = [predicted(truth, protocol, 0.1, seed) for seed in range(4)]
    own = tries[0]
    joints = [
        t["joints_m"][:, :, [t["joint_names"].tolist().index(n) for n in own["joint_names"]]]
        for t in tries
    ]
    own["joints_m"] = np.concatenate(joints, 1)
    noise = np.random.default_rng(9).normal(size=(36, 4, 9, 3))
    own |= {"vertices_m": truth["vertices_m"][:, None] + 0.05 * noise, "topology": np.array("smpl")}
    result = figures(tmp_path, truth, own, protocol)
    errors = np.array(
        [
            [
                (
                    plain.mpjpe(rooted(own, protocol, r, s), rooted(truth, protocol, r)),
                    plain.pa_mpjpe(rooted(own, protocol, r, s), rooted(truth, protocol, r)),
                    -plain.pck(rooted(own, protocol, r, s), rooted(truth, protocol, r), 150),
                    mesh_error(own, truth, protocol, r, s),
                )
                for s in range(3)
            ]
            for r in range(36)
        ]
    ).min(1)
    for figure, value in zip(three, errors.mean(0), strict=True):
        assert result.figures[figure].value == pytest.approx(abs(value), abs=CLOSE), figure
    with pytest.raises(InputError, match="has 4 samples"):
        figures(tmp_path, truth, own, dataclasses.replace(protocol, best_of=5))


def mesh_error(own, truth, protocol: Protocol, row: int, sample: int) -> float:
    mesh = np.asarray(own["vertices_m"][row, sample] - root_of(own, protocol, row, sample))
    return plain.mpjpe(mesh, truth["vertices_m"][row] - root_of(truth, protocol, row, 0))


def root_of(arrays, protocol: Protocol, row: int, sample: int) -> np.ndarray:
    known = arrays["joint_names"].tolist()
    return plain.middle([arrays["joints_m"][row, sample, known.index(n)] for n in protocol.root])


@pytest.mark.parametrize("by", ["joints", "vertices"])
def test_meshes(by, tmp_path):
    four = ("PVE mm", "PA-PVE mm", "PVE-T mm", "PVE-T-SC mm")
    protocol = dataclasses.replace(PROTOCOLS["emdb-1"], figures=four, pa_vertices_by=by)
    truth = some_truth(protocol)
    generator = np.random.default_rng(4)
    truth |= {
        "topology": np.array("smpl"),
        "vertices_m": truth["joints_m"][:, 0, :20] + 0.2 * generator.normal(size=(36, 20, 3)),
        "t_pose_vertices_m": 0.5 * generator.normal(size=(36, 20, 3)),
    }
    own = predicted(truth, protocol)
    own |= {
        "topology": np.array("smpl"),
        "vertices_m": 1.2 * truth["vertices_m"] + 0.05 * generator.normal(size=(36, 20, 3)),
        "t_pose_vertices_m": 1.1 * truth["t_pose_vertices_m"]
        + 0.03 * generator.normal(size=(36, 20, 3)),
    }
    result = figures(tmp_path, truth, own, protocol)
    expected: dict[str, list[float]] = {name: [] for name in four}
    for row in range(36):
        mesh = own["vertices_m"][row] - root_of(own, protocol, row, 0)
        true = truth["vertices_m"][row] - root_of(truth, protocol, row, 0)
        found_on = (rooted(own, protocol, row), rooted(truth, protocol, row))
        move = plain.similarity(*(found_on if by == "joints" else (mesh, true)))
        shapes = own["t_pose_vertices_m"][row], truth["t_pose_vertices_m"][row]
        expected["PVE mm"].append(plain.mpjpe(mesh, true))
        expected["PA-PVE mm"].append(plain.mpjpe(move(mesh), true))
        expected["PVE-T mm"].append(plain.mpjpe(*shapes))
        expected["PVE-T-SC mm"].append(plain.n_mpjpe(*shapes))
    for figure, values in expected.items():
        assert result.figures[figure].value == pytest.approx(np.mean(values), abs=CLOSE), figure


@pytest.mark.parametrize("gaps", ["split", "joined"])
@pytest.mark.parametrize("every", [1, 2])
def test_acceleration_of_stretches(gaps, every, tmp_path):
    figure = "acceleration error m/s²"
    protocol = dataclasses.replace(PROTOCOLS["3dpw"], figures=(figure,), gaps=gaps, every_nth=every)
    truth = some_truth(protocol, frames=20)
    own = predicted(truth, protocol)
    truth["valid"] = ~np.isin(truth["frame"], (8, 9))
    result = figures(tmp_path, truth, own, protocol)
    values: list[float] = []
    for clip in range(3):
        frames = [f for f in range(20) if f not in (8, 9) and f % every == 0]
        whole = gaps == "joined"
        stretches = (
            [frames] if whole else [[f for f in frames if f < 8], [f for f in frames if f > 9]]
        )
        for stretch in stretches:
            rows = [20 * clip + f for f in stretch]
            mine, true = (np.array([rooted(a, protocol, r) for r in rows]) for a in (own, truth))
            values += plain.acceleration(mine, true, 30 / every)
    assert result.figures[figure].value == pytest.approx(np.mean(values), abs=CLOSE)


def test_the_world(tmp_path):
    protocol = dataclasses.replace(PROTOCOLS["emdb-2"], world_chunk=7)
    truth = some_truth(protocol, frames=22)
    generator = np.random.default_rng(5)
    steps = 0.006 * generator.normal(size=(3, 22, 24, 3))
    truth["joints_world_m"] = (
        truth["joints_m"].reshape(3, 22, 24, 3)[:, :1] + steps.cumsum(1)
    ).reshape(66, 24, 3)
    own = predicted(truth, protocol)
    own["joint_names"] = truth["joint_names"]
    own["joints_world_m"] = (
        1.3 * truth["joints_world_m"] + 0.01 * generator.normal(size=(66, 24, 3)) + 2.0
    )
    del truth["joints_m"], own["joints_m"]
    result = figures(tmp_path, truth, own, protocol)
    names = truth["joint_names"].tolist()
    hips = [names.index(name) for name in protocol.root]
    feet = [names.index(name) for name in protocol.feet]
    values: dict[str, list[float]] = {name: [] for name in protocol.figures}
    for clip in range(3):
        rows = slice(22 * clip, 22 * clip + 22)
        mine, true = own["joints_world_m"][rows], truth["joints_world_m"][rows]
        values["WA-MPJPE mm"] += plain.world(mine, true, 7, first=False)
        values["W-MPJPE mm"] += plain.world(mine, true, 7, first=True)
        roots = [np.array([plain.middle(frame[hips]) for frame in x]) for x in (mine, true)]
        values["RTE %"] += plain.rte(*roots)
        values["jitter 10 m/s³"] += plain.jitter(mine, 30)
        values["foot sliding cm/s"] += plain.sliding(mine[:, feet], true[:, feet], 30)
    for figure, all_values in values.items():
        assert all_values
        found = result.figures[figure].value
        assert found == pytest.approx(np.mean(all_values), abs=CLOSE, rel=1e-9), figure


def test_parts_and_outlines(tmp_path):
    protocol = PROTOCOLS["coco-parts"]
    generator = np.random.default_rng(6)
    true = generator.integers(0, 15, (6, 9, 8))
    mine = np.where(
        generator.uniform(size=true.shape) < 0.6, true, generator.integers(0, 4, true.shape)
    )
    true[generator.uniform(size=true.shape) < 0.1] = 255
    base = {
        "sequence": np.array([f"photo_{i}" for i in range(6)]),
        "frame": np.zeros(6, int),
        "box_px": np.tile([5.0, 5.0, 20.0, 30.0], (6, 1)),
    }
    truth = {**base, "parts": true.astype(np.uint8)}
    own = {name: array[:5] for name, array in {**base, "parts": mine.astype(np.uint8)}.items()}
    result = figures(tmp_path, truth, own, protocol)
    by_part, whole = [], []
    for row in range(5):
        known = true[row] != 255
        by_part.append([plain.overlap(mine[row] == p, true[row] == p, known) for p in range(1, 15)])
        whole.append(plain.overlap(mine[row] > 0, true[row] > 0, known))
    people = [np.nanmean(values) for values in by_part] + [0.0]  # the sixth has no prediction
    assert result.figures["part IoU %"].value == pytest.approx(100 * np.mean(people), abs=CLOSE)
    outlines = 100 * np.mean([*whole, 0.0])
    assert result.figures["silhouette IoU %"].value == pytest.approx(outlines, abs=CLOSE)
    assert result.by_joint["part IoU %"]["head"] == pytest.approx(
        100 * np.nanmean(by_part, 0)[0], abs=CLOSE
    )
    assert result.counts.missing == 1
    # an outline says as much of outlines as parts do
    shown = np.where(true == 255, 255, (true > 0).astype(int)).astype(np.uint8)
    outlined = {**base, "silhouette": shown}
    again = figures(tmp_path, outlined, own, PROTOCOLS["silhouettes"])
    assert again.figures["silhouette IoU %"].value == pytest.approx(outlines, abs=CLOSE)


def test_people_without_predictions(tmp_path):
    base = dataclasses.replace(PROTOCOLS["3dpw"], figures=("MPJPE mm", "PCK %"))
    truth = some_truth(base)
    own = predicted(truth, base)
    keep = np.arange(36) >= 9
    own = {
        n: a[keep] if n in ("sequence", "frame", "person", "joints_m") else a
        for n, a in own.items()
    }
    errors = [plain.mpjpe(rooted(own, base, r), rooted(truth, base, r + 9)) for r in range(27)]
    excluded = figures(tmp_path, truth, own, base)
    assert excluded.figures["MPJPE mm"].value == pytest.approx(np.mean(errors), abs=CLOSE)
    assert (excluded.counts.missing, excluded.counts.matched) == (9, 27)
    counted = dataclasses.replace(base, missing="counted", missing_mm=500.0)
    result = figures(tmp_path, truth, own, counted)
    assert result.figures["MPJPE mm"].value == pytest.approx(
        np.mean([*errors, *[500.0] * 9]), abs=CLOSE
    )
    near = excluded.figures["PCK %"].value
    assert result.figures["PCK %"].value == pytest.approx(near * 27 / 36, abs=CLOSE)
    with pytest.raises(InputError, match="9 rows in all"):
        figures(tmp_path, truth, own, dataclasses.replace(base, missing="refused"))


def test_intervals_are_those_of_whole_sequences(tmp_path):
    """Frames of a clip that err alike say no more than one of them."""
    protocol = dataclasses.replace(PROTOCOLS["3dpw"], figures=("MPJPE mm",))
    truth = some_truth(protocol, clips=8, frames=6)
    own = predicted(truth, protocol, 0.0)
    own["joints_m"] = own["joints_m"] + 0.0
    names = own["joint_names"].tolist()
    for clip in range(8):
        own["joints_m"][6 * clip : 6 * clip + 6, :, names.index("left_wrist")] += 0.1 * clip
    result = figures(tmp_path, truth, own, protocol)
    errors = [
        np.mean([plain.mpjpe(rooted(own, protocol, r), rooted(truth, protocol, r)) for r in rows])
        for rows in (range(6 * c, 6 * c + 6) for c in range(8))
    ]
    spread = np.std(errors) / np.sqrt(8)
    value = result.figures["MPJPE mm"]
    assert value.low < value.value < value.high
    assert value.high - value.low == pytest.approx(2 * 1.96 * spread, rel=0.15)
    one = figures(tmp_path, some_truth(protocol, clips=1), own, protocol)
    assert np.isnan(one.figures["MPJPE mm"].low)
