"""A protocol says everything, its hash sees everything, and tables refuse to mix two."""

from __future__ import annotations

import dataclasses
import json

import pytest
from neutral_rows import predicted, rows_of, some_truth

from kinflow.errors import InputError
from kinflow.evaluation.protocols.joint_sets import JOINT_SETS, LSP14, SMPL24
from kinflow.evaluation.protocols.judging import evaluate
from kinflow.evaluation.protocols.named import PROTOCOLS, protocol_named
from kinflow.evaluation.protocols.protocol import Protocol
from kinflow.evaluation.protocols.report import print_report, report_files
from kinflow.evaluation.protocols.results import read_result, result_bytes

ONE = PROTOCOLS["3dpw"]
OTHERWISE = {
    "name": "mine",
    "dataset": "other",
    "split": "validation",
    "figures": ("MPJPE mm",),
    "selection": "others",
    "subjects": ("S1",),
    "cameras": ("c",),
    "every_nth": 2,
    "joint_set": "h36m17",
    "joints": LSP14[:13],
    "truth_joints": "mocap:x",
    "predicted_joints": "model:x",
    "root": ("neck",),
    "frame": "world",
    "matching": "box",
    "match_at_least": 0.5,
    "missing": "counted",
    "missing_mm": 1.0,
    "average": "actions",
    "best_of": 2,
    "pa_vertices_by": "joints",
    "pck_within_mm": 100.0,
    "auc_thresholds_mm": (0.0, 100.0),
    "gaps": "joined",
    "world_chunk": 50,
    "feet": ("left_ankle",),
    "keypoints": tuple(f"point_{k}" for k in range(17)),
    "keypoint_sigmas": (0.1,) * 17,
    "oks_thresholds": (0.5,),
    "max_detections": 100,
    "area_px2": (0.0, 5.0),
    "part_names": ("head",),
    "unit": "m",
    "source": "me",
}


def test_every_field_changes_the_hash():
    assert set(OTHERWISE) == {field.name for field in dataclasses.fields(Protocol)}
    hashes = [ONE.hash, *(dataclasses.replace(ONE, **{n: v}).hash for n, v in OTHERWISE.items())]
    assert len(set(hashes)) == len(hashes)


def test_hashes_stay_what_they_are():
    """Numbers that were published carry them; a change here is a change of what they mean."""
    assert {name: protocol.hash for name, protocol in PROTOCOLS.items()} == HASHES
    again = Protocol.from_json(json.loads(json.dumps(ONE.as_json())))
    assert again == ONE and again.hash == ONE.hash


HASHES = {
    "h36m-p1": "9b1f05d09968",
    "h36m-p1-14": "e575a3410d88",
    "h36m-p2": "b9f6505e5e19",
    "3dpw": "e0eedf3f8a5d",
    "3dpw-pelvis": "876d52033f5a",
    "3dpw-24": "e8eb968fcd54",
    "emdb-1": "e4fbf6fcf255",
    "emdb-2": "8c17dc002713",
    "mpi-inf-3dhp": "2f6bf81641ac",
    "mocap-single-view": "0122ee9fc6a9",
    "coco-keypoints": "fac250ba4b3d",
    "coco-keypoints-medium": "3ca1104444b8",
    "coco-keypoints-large": "df922709de28",
    "coco-parts": "979efee11bec",
    "silhouettes": "b97b94c4da1e",
}


def test_what_the_field_means_by_them():
    three, emdb, mpi = PROTOCOLS["3dpw"], PROTOCOLS["emdb-1"], PROTOCOLS["mpi-inf-3dhp"]
    assert three.joints == LSP14 and three.truth_joints == three.predicted_joints == "mesh:h36m"
    assert emdb.joints == SMPL24 and emdb.root == ("left_hip", "right_hip")
    assert len(mpi.joints) == 17 and mpi.pck_within_mm == 150
    assert mpi.auc_thresholds_mm == tuple(range(0, 151, 5))
    p1, p14, p2 = (PROTOCOLS[f"h36m-{name}"] for name in ("p1", "p1-14", "p2"))
    assert p1.subjects == p2.subjects == ("S9", "S11") and (len(p1.joints), len(p14.joints)) == (
        17,
        14,
    )
    assert p2.cameras == ("60457274",) and p2.figures[0] == "PA-MPJPE mm" and not p1.cameras
    assert set(p14.joints) == set(LSP14) and p14.root == ("pelvis",)
    for protocol in PROTOCOLS.values():
        assert protocol.source and set(protocol.root) <= set(JOINT_SETS.get(protocol.joint_set, ()))
    with pytest.raises(InputError, match="There is no protocol 'h36m'"):
        protocol_named("h36m")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("figures", ()),
        ("joint_set", "lsp15"),
        ("joints", ("left_hop",)),
        ("root", ("pelvis",)),
        ("root", ()),
        ("match_at_least", 1.5),
        ("best_of", 0),
        ("every_nth", 0),
        ("auc_thresholds_mm", (10.0, 5.0)),
        ("pck_within_mm", float("nan")),
        ("area_px2", (5.0, 1.0)),
        ("keypoint_sigmas", (0.0,) * 17),
        ("keypoint_sigmas", (0.1,)),
    ],
)
def test_fields_are_checked(field, value):
    with pytest.raises(InputError):
        dataclasses.replace(ONE, **{field: value})


def results(tmp_path, *protocols):
    truth = rows_of(tmp_path / "truth.npz", some_truth(ONE))
    own = rows_of(tmp_path / "own.npz", predicted(some_truth(ONE), ONE))
    return [evaluate(truth, own, protocol).result for protocol in protocols]


def test_tables_refuse_to_mix(tmp_path):
    other = dataclasses.replace(ONE, root=("neck",), best_of=1)
    mixed = results(tmp_path, ONE, other)
    for table in (print_report, report_files):
        with pytest.raises(InputError, match="they differ in root and do not belong"):
            table(mixed, None)
        with pytest.raises(InputError, match="do not belong"):
            table(mixed[:1], mixed[1])
    assert "figures.csv" in report_files(results(tmp_path, ONE, ONE), None)


def test_results_come_back(tmp_path):
    (result,) = results(tmp_path, ONE)
    path = tmp_path / "result.json"
    path.write_bytes(result_bytes(result))
    assert read_result(path) == result


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.update(format="other"), "is not a result"),
        (lambda d: d.update(hash="0" * 12), "was changed"),
        (lambda d: d["protocol"].update(best_of=3), "was changed"),
        (lambda d: d["protocol"].update(best_of="3"), "best_of"),
        (lambda d: d["protocol"].update(best_of=0), "best_of"),
        (lambda d: d["protocol"].update(more=1), "another version: more"),
        (lambda d: d["protocol"].pop("root"), "another version: root"),
        (lambda d: d["protocol"].update(name=3), "name has to be text"),
        (lambda d: d.pop("figures"), "damaged"),
        (lambda d: d["figures"].update(x=3), "damaged"),
        (lambda d: d.update(counts=[]), "damaged"),
    ],
)
def test_results_of_others_are_refused(change, sentence, tmp_path):
    (result,) = results(tmp_path, ONE)
    document = json.loads(result_bytes(result))
    change(document)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=sentence):
        read_result(path)
