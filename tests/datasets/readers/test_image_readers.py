"""Readers of image datasets give back the people that trees in their layouts were made of."""

import json

import numpy as np
import pytest
from image_trees import (
    LSP14,
    MPII16,
    TREES,
    coco_content,
    coco_tree,
    densepose_tree,
    lsp_tree,
    lspet_tree,
    mpii_release,
    open_images_tree,
    point,
    runs_of,
    str_flag,
    text_of,
    wholebody_tree,
    write_json,
    write_mpii,
)

from kinflow.body.part_maps import PART_MAPS
from kinflow.cli.main import main
from kinflow.datasets.readers.reader import samples
from kinflow.datasets.readers.registry import reader_of
from kinflow.datasets.run_lengths import runs_of_text


def read(name, root, split=None):
    return list(samples(reader_of(name), root, split))


def truth(made):
    return [person for shot in made for person in shot.people]


def iou(a, b):
    return (a & b).sum() / max((a | b).sum(), 1)


def off_px(sample, person, names):
    """Distances of labelled points from the truth."""
    rows = [sample.keypoints.names.index(n) for n in names]
    rows = [(r, n) for r, n in zip(rows, names, strict=True) if sample.keypoints.confidence[r] > 0]
    assert len(rows) > 5
    known = np.array([point(person, n)[:2] for _, n in rows])
    return np.linalg.norm(sample.keypoints.px[[r for r, _ in rows]] - known, axis=1)


def test_coco_gives_back_points_masks_and_crowds(tmp_path, pairs):
    got = read("coco", coco_tree(tmp_path, pairs), "val2017")
    people, crowds = [s for s in got if not s.crowd], [s for s in got if s.crowd]

    assert len(people) == 4 and len({s.key for s in got}) == 5
    for sample, person in zip(people, truth(pairs), strict=True):
        assert off_px(sample, person, sample.keypoints.names).max() <= 0.5**0.5 + 1e-4
        assert sample.keypoints.shown.tolist() == [
            point(person, n)[2] == 2 for n in sample.keypoints.names
        ]
        assert sample.box_px == pytest.approx(person.box_px)
        assert iou(sample.mask.array(), person.mask.array()) > 0.96  # outlines have no holes
        assert sample.picture.read().shape == (180, 200, 3)
    assert len(crowds) == 1 and crowds[0].keypoints is None
    assert crowds[0].mask.array()[:30].all() and not crowds[0].mask.array()[30:].any()


def test_pixels_are_counted_from_their_centres_without_a_shift(tmp_path, pairs):
    # rounding down is even over a pixel, so that its centre is right on average
    got = [s for s in read("coco", coco_tree(tmp_path, pairs), "val2017") if not s.crowd]
    apart = np.concatenate(
        [
            s.keypoints.px - [point(p, n)[:2] for n in s.keypoints.names]
            for s, p in zip(got, truth(pairs), strict=True)
        ]
    )
    assert np.abs(apart.mean(0)).max() < 0.12


def test_an_unlabelled_person_has_a_box_and_no_points(tmp_path, single):
    content = coco_content(single)
    content["annotations"][0] |= {"keypoints": [0] * 51, "num_keypoints": 0}
    content["annotations"][1] |= {"bbox": [3, 4, 0, 5], "segmentation": [[1, 1, 2, 2]]}
    write_json(tmp_path / "annotations/person_keypoints_val2017.json", content)

    first, second = read("coco", tmp_path, "val2017")
    assert first.labels == {"picture", "box", "mask"}
    assert second.labels == {"picture", "keypoints"}


def test_the_order_of_members_does_not_matter(tmp_path, single):
    content = coco_content(single)
    path = tmp_path / "annotations/person_keypoints_val2017.json"
    keys = []
    for order in (list(content), ["annotations", "categories", "info", "licenses", "images"]):
        write_json(path, {name: content[name] for name in order})
        keys.append([s.key for s in read("coco", tmp_path, "val2017")])
    assert keys[0] == keys[1] and len(keys[0]) == 2


def test_other_categories_are_passed_over(tmp_path, single):
    content = coco_content(single)
    content["annotations"].insert(0, {"id": 7, "image_id": 1, "category_id": 18, "bbox": "odd"})
    content["categories"].append({"id": 18, "name": "dog"})
    write_json(tmp_path / "annotations/person_keypoints_val2017.json", content)

    assert len(read("coco", tmp_path, "val2017")) == 2


def test_densepose_parts_lie_where_the_body_is(tmp_path, single):
    got = read("coco-densepose", densepose_tree(tmp_path, single), "minival2014")

    assert [s.parts is not None for s in got] == [True, True, False]
    for sample, person in zip(got, truth(single), strict=False):
        assert sample.parts.palette == "coco-densepose"
        x, y, w, h = (int(v) for v in person.parts.box_px)
        for name in ("left_lower_leg", "right_lower_leg", "torso", "head"):
            ours = person.parts.labels == PART_MAPS["kinflow"].classes.index(name)
            theirs = PART_MAPS["coco-densepose"].classes.index(name)
            left, top, width, height = sample.parts.box_px
            cells = np.argwhere(sample.parts.labels == theirs) + 0.5
            middle = cells.mean(0) / 256 * (height, width) + (top, left)
            wanted = (np.argwhere(ours) + 0.5).mean(0) + (y, x)
            assert np.abs(middle - wanted).max() < 1.0


def test_wholebody_has_133_points_and_drops_invalid_parts(tmp_path, single):
    sample = read("coco-wholebody", wholebody_tree(tmp_path, single), "val")[0]
    known = dict(zip(sample.keypoints.names, sample.keypoints.confidence, strict=True))

    assert len(sample.keypoints.names) == 133
    assert known["left_index"] == 1 and known["right_index"] == 0 and known["left_big_toe"] == 1
    names = ("left_hip", "right_ankle", "left_big_toe", "right_big_toe", "left_heel", "nose")
    assert off_px(sample, single[0].people[0], names).max() < 0.8


@pytest.mark.parametrize(("name", "write", "split"), [("lsp", lsp_tree, "test"),
                                                      ("lspet", lspet_tree, "train")])  # fmt: skip
def test_leeds_points_are_the_persons_own(tmp_path, single, name, write, split):
    got = read(name, write(tmp_path, single), split)

    assert len(got) == {"lsp": 1000, "lspet": 10000}[name]
    for sample, shot in zip(got, single, strict=False):
        assert off_px(sample, shot.people[0], LSP14[:12]).max() < 1e-3
        assert sample.picture.read().shape == shot.rgb.shape
    shown = [point(single[0].people[0], n)[2] == 2 for n in LSP14]
    assert got[0].keypoints.confidence.tolist() == [float(name == "lsp" or s) for s in shown]


def test_mpii_gives_back_points_and_flags_however_they_are_written(tmp_path, pairs):
    names = [name for name in MPII16 if name not in ("pelvis", "thorax", "nose")]
    for flag, told in ((str_flag, True), (int, True), (lambda seen: None, False)):
        write_mpii(tmp_path, mpii_release(pairs, flag=flag))
        got = read("mpii", tmp_path)
        assert [s.key for s in got] == [f"train/{i:05d}/{k}" for i in (0, 1) for k in (0, 1)]
        for sample, person in zip(got, truth(pairs), strict=True):
            assert off_px(sample, person, names).max() < 1e-3
            assert sample.keypoints.confidence.sum() == 14 and sample.action == "curling"
            assert (sample.keypoints.shown is not None) == told
        if told:
            row = got[0].keypoints.names.index("left_knee")
            assert got[0].keypoints.shown[row] == (point(pairs[0].people[0], "left_knee")[2] == 2)


def test_open_images_joins_boxes_and_masks(tmp_path, pairs):
    got = read("open-images", open_images_tree(tmp_path, pairs), "validation")
    people, groups = [s for s in got if not s.crowd], [s for s in got if s.crowd]

    assert len(people) == 4 and len(groups) == 2  # depictions and other things are left out
    for sample, person in zip(people, truth(pairs), strict=True):
        assert sample.box_px == pytest.approx(person.box_px, abs=1e-3)
        assert iou(sample.mask.array(), person.mask.array()) > 0.9
    assert all(s.mask is None for s in groups)


@pytest.mark.parametrize("name", sorted(set(TREES) - {"lspet"}))  # as lsp, with more people
def test_whole_trees_pass_the_check_and_what_is_gone_is_named(name, tmp_path, single, capsys):
    TREES[name](tmp_path, single)
    if name == "lsp":  # images of two people of thousands
        assert main(["data", "check", name, str(tmp_path)]) == 2
        assert "im0" in capsys.readouterr().out
        return
    assert main(["data", "check", name, str(tmp_path)]) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    for label in reader_of(name).info.labels:
        assert f"with {label}: " in said
    next(path for path in sorted(tmp_path.rglob("*.jpg"))).unlink()
    assert main(["data", "check", name, str(tmp_path)]) == 2
    assert "has labels for" in capsys.readouterr().out


def test_compressed_run_lengths_are_those_of_the_masks():
    rng = np.random.default_rng(0)
    for share in (0.01, 0.3, 0.5, 1.0):
        runs = runs_of(rng.random((200, 300)) < share)
        assert runs_of_text(text_of(runs)).tolist() == runs
    assert runs_of_text(text_of([100_000, 5, 90_000, 300_000, 1])).tolist()[3] == 300_000


def test_annotation_files_are_not_held_in_memory(tmp_path, single):
    # pieces are smaller than the file, so that elements lie across their ends
    content = coco_content(single)
    one = content["annotations"][0]
    content["annotations"] = [{**one, "id": i} for i in range(600)]
    path = write_json(tmp_path / "annotations/person_keypoints_val2017.json", content)
    assert path.stat().st_size > 1 << 20

    got = read("coco", tmp_path, "val2017")
    assert [s.key for s in got] == [f"val2017/{i}" for i in range(600)]
    path.write_text(json.dumps(content, indent=2))
    assert len(read("coco", tmp_path, "val2017")) == 600
