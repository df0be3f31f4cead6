"""`kinflow data see`: the detector looks at the people that labels mean, with their truth."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from image_trees import coco_tree, open_images_tree, shots

from kinflow.cli.main import main
from kinflow.datasets.sample_looks import SampleLooker
from kinflow.datasets.sample_parts import CalibratedCamera, Picture
from kinflow.datasets.samples import Samples, look_of
from kinflow.errors import InputError
from kinflow.evidence.region import transform_points
from kinflow.geometry.rotations import matrix_to_rotvec


@pytest.fixture(scope="module")
def looker() -> SampleLooker:
    return SampleLooker()


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """People of four pictures, two in each, large enough to be seen."""
    folder = tmp_path_factory.mktemp("pictures")
    made = shots(4, people=2, side=320)
    for i, shot in enumerate(made):
        shot.save(folder / f"{i}.png")
    return [
        replace(person, picture=Picture(folder / f"{i}.png", shot.size))
        for i, shot in enumerate(made)
        for person in shot.people
    ]


def crop_points(row, px):
    """Points of the picture in the axes of the region, from -0.5 to 0.5."""
    return transform_points(look_of(row, 0).region.to_crop(256), px) / 256 - 0.5


def test_a_look_is_of_the_person_who_is_meant_and_keeps_the_truth(looker, people):
    rows = [(looker.look_at(person), person) for person in people]
    seen = [(row, person) for row, person in rows if row is not None]
    assert len(seen) >= 4
    gaps = []
    for row, person in seen:
        shown = person.keypoints.shown
        gap = crop_points(row, person.keypoints.px) - row.landmarks[0, :, :2].numpy()
        gaps.append(np.median(np.linalg.norm(gap[shown], axis=1)))
        pose = torch.from_numpy(person.body.R_parent_joint)
        torch.testing.assert_close(row.rotvec[0], matrix_to_rotvec(pose))
        assert row.root_cam_m[0].numpy() == pytest.approx(person.body.t_space_m)
        assert row.up_cam[0].numpy() == pytest.approx(person.up)
        assert bool(row.has_body) and bool(row.has_up)
        assert row.keypoint_shows[0].tolist() == shown.tolist()
    # each is themselves, most of them seen well
    assert np.median(gaps) < 0.05 and max(gaps) < 0.15


def test_bodies_of_a_world_come_into_the_cameras_frame(looker, people):
    turn = np.array([[0, 0, 1], [0, -1, 0], [1, 0, 0]], np.float32)  # world into camera
    move = np.array([0.5, -1.0, 2.0], np.float32)
    for person in people:
        row = looker.look_at(person)
        if row is None:
            continue
        at = person.body
        R = at.R_parent_joint.copy()
        R[0] = turn.T @ R[0]
        body = replace(
            at, space="world", R_parent_joint=R, t_space_m=turn.T @ (at.t_space_m - move)
        )
        view = CalibratedCamera(
            person.camera.focal_px, person.camera.principal_px, person.camera.size,
            R_cam_world=turn, t_cam_world_m=move,
        )  # fmt: skip
        same = looker.look_at(
            replace(person, body=body, joints=None, camera=view, up=turn.T @ person.up)
        )
        assert same is not None
        for name in ("rotvec", "root_cam_m", "up_cam", "phenotypes"):
            torch.testing.assert_close(
                getattr(same, name), getattr(row, name), atol=1e-4, rtol=1e-4
            )
        return
    pytest.fail("nobody was seen")


def test_somebody_else_is_not_taken_for_the_person(looker, people):
    taken = 0
    for i in range(0, len(people), 2):
        one, other = people[i], people[i + 1]
        # the label is of one, the pixels are the other's: a picture in which only they are
        moved = replace(
            one,
            box_px=None,
            keypoints=replace(one.keypoints, px=one.keypoints.px[:, ::-1].copy() * 0.4),
        )
        taken += looker.look_at(moved) is not None
        assert looker.look_at(replace(other, crowd=True)) is None
        assert looker.look_at(replace(other, box_px=None, keypoints=None)) is None
    assert taken == 0


def test_any_dataset_is_a_source_of_looks(tmp_path, capsys):
    made = shots(2, people=1, side=320)
    for name, tree, split in (
        ("coco", coco_tree, "val2017"),
        ("open-images", open_images_tree, "test"),
    ):
        root, out = tree(tmp_path / name, made), tmp_path / f"{name}-looks"
        asked = ["data", "see", name, str(root), "--out", str(out), "--split", split]
        assert main(asked) == 0
        rows = Samples.load_all([out])
        said = capsys.readouterr().out
        assert f"Wrote {len(rows)} people" in said and 1 <= len(rows) <= 2
        assert not bool(rows.has_body.any()) and bool(rows.keypoint_shows.any()) == (name == "coco")
        assert main(asked) == 0
        assert "Wrote 0 people" in capsys.readouterr().out


def test_what_is_left_out_is_said_at_the_end_of_every_run(tmp_path, capsys):
    root, out = coco_tree(tmp_path / "coco", shots(2, people=1, side=320)), tmp_path / "looks"
    labels = root / "annotations/person_keypoints_val2017.json"
    content = json.loads(labels.read_text())
    people = [entry for entry in content["annotations"] if not entry["iscrowd"]]
    content["annotations"].append({**people[0], "id": 77, "keypoints": [float("nan")] * 51})
    labels.write_text(json.dumps(content))
    (root / "val2017/000000000001.jpg").write_bytes(b"no picture")
    asked = ["data", "see", "coco", str(root), "--out", str(out), "--split", "val2017"]
    count = len(content["annotations"])
    # everybody of the first picture: one person, and the crowd
    ends = [
        f"1 of {count} records were left out: they cannot be right.",
        f"1 of {count} records were left out: their pictures cannot be read.",
    ]
    for written in (1, 0):
        assert main(asked) == 2
        lines = capsys.readouterr().out.splitlines()
        assert lines[-3].startswith(f"Wrote {written} people to {out}") and lines[-2:] == ends
    assert len(Samples.load_all([out])) == 1


def test_in_pictures_without_labels_everybody_is_found(tmp_path, capsys):
    for i, shot in enumerate(shots(2, people=2, side=320)):
        shot.save(tmp_path / "mine" / f"{i}.png")
    out = tmp_path / "looks"
    assert main(["data", "see", "folder", str(tmp_path / "mine"), "--out", str(out)]) == 0
    rows = Samples.load_all([out])
    assert f"Wrote {len(rows)} people" in capsys.readouterr().out and 2 <= len(rows) <= 4
    assert not bool(rows.has_body.any() or rows.keypoints.any() or rows.parts.any())


def test_a_picture_that_is_gone_is_told_and_passed_over(looker, people, tmp_path):
    problems: list[str] = []
    gone = replace(people[0], picture=Picture(tmp_path / "none.png"))
    assert list(looker.looks([gone], problems)) == [] and "none.png" in problems[0]
    with pytest.raises(InputError, match="does not exist"):
        looker.look_at(gone)
