"""`kinflow evaluate reconstruction`, `collect` and `table` as a person types them."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import roma
import torch
from neutral_rows import Arrays, predicted, some_truth
from PIL import Image

from kinflow.body import BodyModel
from kinflow.body.skeleton import JOINT_NAMES
from kinflow.cli.main import main
from kinflow.datasets.person_rows import write_rows
from kinflow.evaluation.protocols.named import PROTOCOLS
from kinflow.evaluation.protocols.own_body import through_our_body
from kinflow.evaluation.protocols.row_files import read_rows
from kinflow.export.people_files import write_npz
from kinflow.geometry.pinhole import Camera
from kinflow.results import Frame, Hypothesis, Person, Reconstruction

THREE = PROTOCOLS["3dpw"]


def run(*arguments: object) -> int:
    return main(["evaluate", *map(str, arguments)])


def said(capsys) -> str:
    text = capsys.readouterr().err.strip()
    assert "\n" not in text
    return text


@pytest.fixture
def files(tmp_path) -> Path:
    """Truth and two systems."""
    truth = some_truth(THREE)
    truth["image"] = np.array([f"photo_{i}.png" for i in range(36)])
    truth["box_px"] = np.tile([10.0, 10.0, 40.0, 40.0], (36, 1))
    write_rows(tmp_path / "truth.npz", truth)
    write_rows(tmp_path / "a.npz", {**predicted(truth, THREE), "name": np.array("good")})
    write_rows(tmp_path / "b.npz", {**predicted(truth, THREE, 0.1), "name": np.array("=worse")})
    return tmp_path


def arguments(files: Path, *others: object) -> tuple[object, ...]:
    return (
        *("reconstruction", "--protocol", "3dpw", "--truth", files / "truth.npz"),
        *("--predictions", files / "a.npz", files / "b.npz", "--out", files / "out", *others),
    )


def test_a_report(files, capsys):
    for number in range(36):
        Image.new("RGB", (64, 64), (200, 40, 40)).save(files / f"photo_{number}.png")
    assert run(*arguments(files, "--images", files, "--floor", files / "truth.npz")) == 0
    printed = capsys.readouterr().out
    assert f"3dpw ({THREE.hash})" in printed and "good" in printed and "floor" in printed
    out = files / "out"
    with open(out / "figures.csv", encoding="utf8") as stream:
        rows = list(csv.DictReader(stream))
    mpjpe = [row for row in rows if row["figure"] == "MPJPE mm"]
    assert [row["system"] for row in mpjpe] == ["good", "'=worse"]  # no spreadsheet runs it
    assert {row["hash"] for row in rows} == {THREE.hash}
    assert float(mpjpe[0]["value"]) < float(mpjpe[1]["value"]) and float(mpjpe[0]["floor"]) < 1e-6
    assert float(mpjpe[0]["low"]) < float(mpjpe[0]["value"]) < float(mpjpe[0]["high"])
    with open(out / "by_action.csv", encoding="utf8") as stream:
        assert {row["action"] for row in csv.DictReader(stream)} == {"walk", "sit"}
    with open(out / "by_joint.csv", encoding="utf8") as stream:
        assert {row["joint"] for row in csv.DictReader(stream)} == set(THREE.joints)
    assert json.loads((out / "protocol.json").read_text())["hash"] == THREE.hash
    with Image.open(out / "worst_good.png") as sheet:
        assert (200, 40, 40) in {color for _, color in sheet.convert("RGB").getcolors(1 << 20)}
    for name in ("figures.png", "by_joint.png"):
        with Image.open(out / name) as picture:
            assert picture.format == "PNG"
    assert run(*arguments(files)) == 2
    assert "--overwrite" in said(capsys)
    assert run(*arguments(files, "--overwrite")) == 0
    assert not (out / "floor.json").exists()


def test_tables_of_earlier_results(files, capsys):
    assert run(*arguments(files)) == 0
    other = files / "other"
    assert run(*arguments(files, "--missing", "counted")[:-4], "--out", other, "--best-of", 1) == 0
    capsys.readouterr()
    good, worse = files / "out" / "result_good.json", files / "out" / "result_=worse.json"
    assert run("table", "--results", good, worse, "--out", files / "table") == 0
    assert "=worse" in capsys.readouterr().out
    assert (files / "table" / "figures.csv").read_bytes() == (
        files / "out" / "figures.csv"
    ).read_bytes()
    counted = files / "counted"
    assert run(*arguments(files, "--missing", "counted", "--overwrite")) == 0
    (files / "out").rename(counted)
    capsys.readouterr()
    mixed = other / "result_good.json", counted / "result_good.json"
    assert run("table", "--results", *mixed) == 2
    assert "they differ in missing and do not belong into one table" in said(capsys)


def test_a_protocol_of_ones_own(files, capsys):
    path = files / "mine.json"
    fields = THREE.as_json() | {"name": "mine", "root": ["neck"]}
    path.write_text(json.dumps(fields))
    assert run(*arguments(files, "--protocol", path)) == 0
    own = json.loads((files / "out" / "protocol.json").read_text())
    assert own["root"] == ["neck"] and own["hash"] != THREE.hash
    assert run(*arguments(files, "--protocol", files / "out" / "protocol.json", "--overwrite")) == 0
    assert json.loads((files / "out" / "protocol.json").read_text()) == own
    capsys.readouterr()
    for wrong, sentence in (
        (fields | {"root": ["tail"]}, "'tail' is not one of the joints of lsp14"),
        (fields | {"more": 1}, "another version: more"),
        ([], "is not a protocol"),
    ):
        path.write_text(json.dumps(wrong))
        assert run(*arguments(files, "--protocol", path, "--overwrite")) == 2
        assert sentence in said(capsys)


BAD: dict[str, tuple[dict[str, object], tuple[object, ...], str]] = {
    "other data": ({"dataset": "h36m"}, (), "is of the dataset 'h36m'"),
    "other split": ({"split": "train"}, (), "is of the split 'train'"),
    "other joints": ({"joint_source": "model:smpl"}, (), "come from 'model:smpl'"),
    "other clips": ({"sequence": np.full(36, "x"), "person": np.arange(36)}, (), "no sequence of"),
    "no clip counts": ({"valid": np.zeros(36, bool)}, (), "none is valid"),
    "matched by boxes": ({}, ("--matching", "box"), "has no box_px"),
    "best of many": ({}, ("--best-of", 5), "takes the best of 5"),
    "somebody missing": ({"frame": np.arange(36)}, ("--missing", "refused"), "does not allow"),
    "predicted otherwise": (
        {},
        ("--predicted-joints", "network:x"),
        "takes those from 'network:x'",
    ),
    "no floor": ({}, ("--floor", "own"), "has no pose"),
    "no floor file": ({}, ("--floor", "none.npz"), "'none.npz' does not exist"),
    "no regressor": ({}, ("--regressor", "none.npz"), "'none.npz' does not exist"),
    "no such protocol": ({}, ("--protocol", "h36m"), "There is no protocol 'h36m'"),
    "best of none": ({}, ("--best-of", 0), "best_of has to be a whole number of at least 1"),
    "wrong error": ({}, ("--missing-mm", -1), "missing_mm has to be"),
    "another protocol": ({}, ("--protocol", "emdb-1"), "is of the dataset '3dpw'"),
    "nothing to see": ({}, ("--protocol", "silhouettes"), "is of the dataset '3dpw'"),
    "a hip is missing": (
        {"joint_names": [*THREE.joints[:3], "left_hop", *THREE.joints[4:]]},
        (),
        "lacks joints of lsp14: left_hip",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_go_together(name, files, capsys):
    changes, options, sentence = BAD[name]
    truth = some_truth(THREE) | {key: np.array(value) for key, value in changes.items()}
    write_rows(files / "truth.npz", truth)
    assert run(*arguments(files, *options)) == 2
    assert sentence in said(capsys)
    assert not (files / "out").exists()


def test_joints_that_a_system_leaves_out(files, capsys):
    own = predicted(some_truth(THREE), THREE)
    own["joint_valid"] = np.ones((36, 14), bool)
    own["joint_valid"][4, own["joint_names"].tolist().index("left_knee")] = False
    write_rows(files / "a.npz", own)
    assert run(*arguments(files)) == 2
    assert "has no left_knee for 'clip_0' frame 4" in said(capsys)


def test_meshes_of_others(files, capsys):
    truth = some_truth(THREE)
    mesh = {"vertices_m": truth["joints_m"][:, 0], "topology": np.array("smpl")}
    write_rows(files / "truth.npz", truth | mesh)
    own = predicted(truth, THREE) | mesh
    write_rows(files / "a.npz", own | {"topology": np.array("smplx")})
    assert run(*arguments(files)) == 2
    assert "has meshes of 'smplx', the truth of 'smpl'" in said(capsys)
    write_rows(files / "a.npz", own | {"vertices_m": own["vertices_m"][:, :7]})
    assert run(*arguments(files)) == 2
    assert "has 7 vertices in vertices_m, the truth 14" in said(capsys)


def own_truth(rows: int = 30, seed: int = 0) -> Arrays:
    """Poses and shapes of our own body, two people."""
    generator = torch.Generator().manual_seed(seed)
    pose = roma.rotvec_to_rotmat(0.3 * torch.randn(rows, 22, 3, generator=generator))
    shape = 0.2 + 0.6 * torch.rand(2, 6, generator=generator)
    person = np.arange(rows) % 2
    posed = BodyModel.load("joints").with_shape(shape[torch.from_numpy(person)])
    joints = posed.with_pose(pose, torch.tensor([0.0, 0.0, 4.0]).expand(rows, 3)).joints_m
    return {
        "dataset": np.array("mocap"),
        "sequence": np.full(rows, "clip"),
        "frame": np.arange(rows) // 2,
        "person": person,
        "joint_names": np.array(JOINT_NAMES),
        "joint_source": np.array("model:kinflow"),
        "joints_m": joints.numpy(),
        "pose": pose.numpy(),
        "shape": shape[torch.from_numpy(person)].numpy(),
    }


def test_a_truth_that_lacks_sequences_is_no_benchmark(files, capsys):
    assert run(*arguments(files)) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "This is no result of the benchmark: 24 of the 24 sequences of 3dpw test" in printed


def test_the_floor_of_our_own_body(tmp_path, capsys):
    """Truth of our own body comes back as it was; without its shape, bones say most of it."""
    truth = own_truth()
    write_rows(tmp_path / "truth.npz", truth)
    common = ("--truth", tmp_path / "truth.npz", "--predictions", tmp_path / "truth.npz")
    out = tmp_path / "out"
    asked = ("reconstruction", "--protocol", "mocap-single-view", *common, "--out", out)
    # poses are there, so it is made without being asked for
    for options, made in (("--floor", "own"), True), ((), True), (("--floor", "none"), False):
        assert run(*asked, "--overwrite", *options) == 0
        assert (out / "floor.json").exists() == made
        assert ("No conversion floor" in capsys.readouterr().out) != made
    assert run(*asked, "--overwrite") == 0
    floor = json.loads((out / "floor.json").read_text())["figures"]
    assert floor["MPJPE mm"]["value"] < 0.01 and floor["PVE-T mm"]["value"] < 0.01
    protocol = PROTOCOLS["mocap-single-view"]
    del truth["shape"]
    write_rows(tmp_path / "truth.npz", truth)
    rows = read_rows(tmp_path / "truth.npz")
    found = through_our_body(rows, protocol)
    error = np.linalg.norm(
        (found["joints_m"] - found["joints_m"][..., :1, :])
        - (rows["joints_m"] - rows["joints_m"][..., :1, :]),
        axis=-1,
    )
    assert error.mean() < 0.01
    assert len(np.unique(found["shape"], axis=0)) == 2  # one for each person


def reconstruction(source: str, frames: int, seed: int = 0) -> Reconstruction:
    """One person in each frame, before a camera that stands still."""
    truth = own_truth(2 * frames, seed)
    camera = Camera.from_fov((320, 240), 55.0)
    pictures = [Frame(i, i / 30, camera) for i in range(frames)]
    people = [[_person(truth, 2 * i, camera)] for i in range(frames)]
    result = Reconstruction.of_frames(pictures, people, source)
    return dataclasses.replace(result, camera_motion="still") if frames > 1 else result


def _person(truth: Arrays, row: int, camera: Camera) -> Person:
    pose, shape = (torch.from_numpy(truth[name][row]) for name in ("pose", "shape"))
    t = torch.tensor([0.0, 0.0, 4.0])
    other = Hypothesis(pose[0], t, pose.roll(1, 0), torch.zeros(8), shape, 10.0)
    posed = BodyModel.load("joints").with_shape(shape).with_pose(pose, t)
    return Person(
        person=3,
        camera=camera,
        R_cam_root=pose[0],
        t_cam_root_m=t,
        pose=pose,
        z=torch.zeros(8),
        shape=shape,
        joints_cam_m=posed.joints_m,
        joint_std_m=torch.zeros(22),
        t_cam_root_std_m=torch.zeros(3),
        keypoints_px=torch.full((33, 3), 0.5),
        score=0.7,
        energy={"keypoints": 1.0},
        hypotheses=(other,),
    )


def stored(folder: Path, result: Reconstruction) -> None:
    folder.mkdir(parents=True)
    write_npz(result, folder / "people.npz")


def test_results_are_collected(tmp_path, capsys):
    clip = reconstruction("clips/walk.mp4", frames=4)
    stored(tmp_path / "results" / "walk", clip)
    out = tmp_path / "own.npz"
    collect = ("collect", "--results", tmp_path / "results", "--out", out)
    assert run(*collect, "--joints", "smpl24", "--samples", 3, "--vertices") == 0
    assert "4 bodies of 1 sequences" in capsys.readouterr().out
    rows = read_rows(out)
    assert rows.name == "own" and rows["sequence"].tolist() == ["walk"] * 4
    assert rows["frame"].tolist() == [0, 1, 2, 3] and rows["person"].tolist() == [3] * 4
    assert rows["joints_m"].shape == (4, 3, 24, 3) and rows["vertices_m"].shape[2] == 13718
    expected = np.stack([person.joints_cam_m.numpy() for person in clip.people])
    np.testing.assert_allclose(rows["joints_m"][:, 0, :22], expected, atol=1e-5)
    assert np.abs(rows["joints_m"][:, 1] - rows["joints_m"][:, 0]).max() > 0.1
    np.testing.assert_array_equal(rows["joints_m"][:, 2], rows["joints_m"][:, 0])
    np.testing.assert_allclose(rows["joints_world_m"], rows["joints_m"][:, 0], atol=1e-5)
    box, points = rows["box_px"], rows["keypoints_px"]
    seen = points[..., :2].clip([0, 0], [320, 240])
    assert (seen > box[:, None, :2] - 30).all()
    assert (seen < box[:, None, :2] + box[:, None, 2:] + 30).all()
    assert (box >= 0).all() and (box[:, :2] + box[:, 2:] <= [320, 240]).all()
    left, right = (rows["joints_m"][:, 0, 22 + i] for i in (0, 1))
    wrists = rows["joints_m"][:, 0, 20:22]
    assert 0.04 < np.linalg.norm(left - wrists[:, 0], axis=-1).mean() < 0.15
    assert 0.04 < np.linalg.norm(right - wrists[:, 1], axis=-1).mean() < 0.15


def test_photos_are_found_in_the_truth(tmp_path, capsys):
    truth = some_truth(THREE, clips=2, frames=2)
    truth["image"] = np.array([f"clip_{i}/img_{f}.jpg" for i in range(2) for f in range(2)])
    write_rows(tmp_path / "truth.npz", truth)
    for number, source in enumerate(("data/clip_1/img_0.jpg", "clip_0/img_1.jpg")):
        stored(tmp_path / "results" / f"r{number}", reconstruction(source, 1, number))
    out = tmp_path / "own.npz"
    collect = ("collect", "--results", tmp_path / "results", "--out", out)
    assert run(*collect, "--truth", tmp_path / "truth.npz", "--joints", "lsp14") == 0
    rows = read_rows(out)
    assert rows["sequence"].tolist() == ["clip_1", "clip_0"] and rows["frame"].tolist() == [0, 1]
    head, neck = (rows["joints_m"][:, 0, THREE.joints.index(n)] for n in ("head_top", "neck"))
    assert 0.1 < np.linalg.norm(head - neck, axis=-1).mean() < 0.35
    capsys.readouterr()
    for source, sentence in (("img_0.jpg", "Several pictures"), ("x/other.jpg", "No picture")):
        stored(tmp_path / source[:3], reconstruction(source, 1))
        bad = ("collect", "--results", tmp_path / source[:3], "--out", out)
        assert run(*bad, "--truth", tmp_path / "truth.npz") == 2
        assert sentence in said(capsys)


def test_parts_are_drawn_like_the_truth_s(tmp_path, capsys):
    """Two people, one behind the other; windows of the boxes, stretched to a square grid."""
    near = dataclasses.replace(
        _person(own_truth(8), 2, Camera.from_fov((320, 240), 55.0)), person=0
    )
    pose, t = torch.eye(3).repeat(22, 1, 1), torch.tensor([0.0, 0.0, 3.0])
    pose[0] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # upright before the camera
    near = dataclasses.replace(near, pose=pose, R_cam_root=pose[0], t_cam_root_m=t)
    far = dataclasses.replace(near, person=1, t_cam_root_m=t + torch.tensor([0.15, 0.0, 1.0]))
    stored(tmp_path / "results" / "photo", Reconstruction.of_frame(near.camera, (near, far)))
    out, maps = tmp_path / "own.npz", ("--maps", "--truth", tmp_path / "truth.npz")
    collect = ("collect", "--results", tmp_path / "results", "--out", out)
    assert run(*collect) == 0
    boxes = read_rows(out)["box_px"]
    order = [1, 0]
    truth = {
        "sequence": np.full(2, "photo"),
        "frame": np.zeros(2, int),
        "box_px": boxes[order] + 1.0,
        "window_px": boxes[order] + [-2.0, -2.0, 4.0, 4.0],
        "parts": np.zeros((2, 64, 64), np.uint8),
    }
    write_rows(tmp_path / "truth.npz", truth)
    assert run(*collect, *maps) == 0
    own = read_rows(out)
    np.testing.assert_allclose(own["window_px"], truth["window_px"][order])
    whole = near.silhouette().numpy()
    x, y, width, height = own["window_px"][0]
    columns = (x + (np.arange(64) + 0.5) * width / 64).astype(int)
    rows = (y + (np.arange(64) + 0.5) * height / 64).astype(int)
    seen = whole[np.ix_(rows.clip(0, 239), columns.clip(0, 319))]
    inside = ((rows >= 0) & (rows < 240))[:, None] & ((columns >= 0) & (columns < 320))
    agree = (seen == (own["parts"][0] > 0))[inside].mean()
    assert agree > 0.97 and 0.1 < seen.mean() < 0.9
    assert set(np.unique(own["parts"][0])) == set(range(15))
    # the nearer one hides some of the other
    assert 0 < (own["parts"][1] > 0).mean() < 0.9 * (own["parts"][0] > 0).mean()
    write_rows(tmp_path / "truth.npz", truth | {"parts": own["parts"][order]})
    asked = ("reconstruction", "--protocol", "coco-parts", "--truth", tmp_path / "truth.npz")
    asked = (*asked, "--predictions", out, "--out", tmp_path / "report")
    assert run(*asked) == 0
    figures = json.loads((tmp_path / "report" / f"result_{out.stem}.json").read_text())["figures"]
    assert figures["part IoU %"]["value"] == figures["silhouette IoU %"]["value"] == 100
    capsys.readouterr()
    write_rows(tmp_path / "truth.npz", truth | {"window_px": truth["window_px"] + 1})
    assert run(*asked, "--overwrite") == 2
    assert "another window_px than the truth" in said(capsys)
    del truth["parts"]
    write_rows(tmp_path / "truth.npz", truth)
    assert run(*collect, *maps) == 2
    assert "neither parts nor silhouette" in said(capsys)
    assert run(*collect, "--maps") == 2
    assert "need a truth" in said(capsys)


def test_what_cannot_be_collected(tmp_path, capsys):
    out = tmp_path / "own.npz"
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    camera = Camera.from_fov((320, 240), 55.0)
    stored(tmp_path / "nobody", Reconstruction.of_frame(camera, ()))
    for folder, sentence in (
        ("none", "does not exist"),
        ("file", "is no folder"),
        ("empty", "holds no results"),
        ("nobody", "show nobody"),
    ):
        assert run("collect", "--results", tmp_path / folder, "--out", out) == 2
        assert sentence in said(capsys)
    assert not out.exists()
    for options in (("--joints", "lsp15"), ("--samples", 0), ("--name", "")):
        assert run("collect", "--results", tmp_path, "--out", out, *options) == 2
        assert "has to be" in said(capsys)
