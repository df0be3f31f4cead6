"""people.npz and people.json: exact round trips, and one sentence for every bad file."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from same_people import assert_same

from kinflow.body.skeleton import JOINT_NAMES
from kinflow.errors import InputError
from kinflow.export import people_files
from kinflow.export.people_files import json_bytes, load, write_json, write_npz
from kinflow.export.people_schema import (
    BODY_FIELDS,
    FIELDS,
    FLOOR_FIELDS,
    FRAME_FIELDS,
    GRAVITY_FIELDS,
    QUALITY,
    TURN_FIELDS,
)
from kinflow.export.people_to_fields import to_fields
from kinflow.results import Floor, Reconstruction

WRITERS = {"people.npz": write_npz, "people.json": write_json}


@pytest.mark.parametrize("name", WRITERS)
def test_round_trip(name, reconstruction, tmp_path):
    WRITERS[name](reconstruction, tmp_path / name)
    assert_same(load(tmp_path / name), reconstruction)
    assert_same(load(tmp_path), reconstruction)  # the folder will do


@pytest.mark.parametrize("name", WRITERS)
def test_round_trip_without_people(name, nobody, tmp_path):
    WRITERS[name](nobody, tmp_path / name)
    assert_same(load(tmp_path / name), nobody)


@pytest.mark.parametrize("name", WRITERS)
def test_round_trip_of_gravity(name, tilted, tmp_path):
    WRITERS[name](tilted, tmp_path / name)
    loaded = load(tmp_path / name)
    assert_same(loaded, tilted)
    assert loaded.only_frame.gravity == tilted.only_frame.gravity is not None


@pytest.mark.parametrize("name", WRITERS)
def test_round_trip_of_a_floor(name, tilted, tmp_path):
    frame = replace(tilted.only_frame, floor=Floor(-1.375, 0.0625))
    WRITERS[name](Reconstruction((frame,), tilted.tracks), tmp_path / name)
    assert load(tmp_path / name).only_frame.floor == Floor(-1.375, 0.0625)


def test_loaded_people_have_meshes(reconstruction, tmp_path):
    write_npz(reconstruction, tmp_path / "people.npz")
    person = load(tmp_path).people[1]
    assert torch.equal(person.vertices(), reconstruction.people[1].vertices())
    assert person.silhouette().any()


def test_npz_is_as_documented(reconstruction, tmp_path):
    write_npz(reconstruction, tmp_path / "people.npz")
    with np.load(tmp_path / "people.npz", allow_pickle=False) as arrays:
        assert set(arrays.files) == set(FIELDS) - set(BODY_FIELDS)
        assert arrays["joint_names"].tolist() == list(JOINT_NAMES)
        assert arrays["pose"].shape == (2, 22, 3, 3)
        assert arrays["energy_names"].tolist() == ["keypoints", "pose_prior"]
        expected = torch.stack([p.joints_px for p in reconstruction.people])
        np.testing.assert_allclose(arrays["joints_px"], expected, rtol=1e-6)
        assert 1.4 < arrays["height_m"].min() < arrays["height_m"].max() < 2.1


def test_json_is_readable_without_numpy(reconstruction, tmp_path):
    write_json(reconstruction, tmp_path / "people.json")
    document = json.loads((tmp_path / "people.json").read_text())
    second = document["people"][1]
    assert second["code"] == "ambiguous"
    assert second["energy"] == {"keypoints": 31.5, "pose_prior": 12.25}
    assert second["hypotheses"][0]["energy"] == 47.5
    assert len(second["joints_cam_m"]) == 22
    # shortest decimals of single precision, not seventeen digits
    assert len(repr(second["joints_cam_m"][3][0])) <= 13


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_not_known_of_parts(name, reconstruction, tmp_path):
    WRITERS[name](reconstruction, tmp_path / name)
    first, second = load(tmp_path).people
    assert first.part_iou is None
    assert math.isnan(first.silhouette_iou)
    assert second.part_iou.isnan().nonzero().tolist() == [[3]]
    if name == "people.json":
        people = json.loads((tmp_path / name).read_text())["people"]
        assert people[0]["silhouette_iou"] is None
        assert people[0]["part_iou"] == [None] * 14
        assert people[1]["part_iou"][:4] == pytest.approx([0.3, 0.35, 0.4, None])


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_not_known_of_shapes(name, reconstruction, tmp_path):
    WRITERS[name](reconstruction, tmp_path / name)
    first, second = load(tmp_path / name).people
    assert first.shape_std is None
    assert torch.equal(second.shape_std, reconstruction.people[1].shape_std)
    if name == "people.json":
        people = json.loads((tmp_path / name).read_text())["people"]
        assert people[0]["shape_std"] == [None] * 6
        assert people[1]["shape_std"][:2] == pytest.approx([0.05, 0.1])


TRACK_FIELDS = tuple(f"track_{name}" for name in QUALITY)
LACKING = {
    "before parts": ("part_names", "part_iou", "silhouette_iou"),
    "before turns": TURN_FIELDS,
    "before spreads of sizes": ("height_std_m", "shape_std"),
    "before floors": FLOOR_FIELDS,
    "before gravity": (*FLOOR_FIELDS, *GRAVITY_FIELDS),
    "before quality": ("foot_names", "foot_contact", "camera_motion", *TRACK_FIELDS),
    "before frames": (
        "start_source",
        *TURN_FIELDS,
        *FLOOR_FIELDS,
        *GRAVITY_FIELDS,
        *FRAME_FIELDS,
    ),
}


def write_lacking(reconstruction: Reconstruction, lacking: tuple[str, ...], folder: Path) -> None:
    """Both files without some of the fields, as they were written before these were thought of."""
    fields = to_fields(reconstruction)
    np.savez(folder / "people.npz", **{n: v for n, v in fields.items() if n not in lacking})
    document = json.loads(json_bytes(fields))
    if lacking[-1] in FRAME_FIELDS:
        del document["frames"]
    for entry in (document, *document["people"]):
        for name in lacking:
            entry.pop(name, None)
    for entry in document.get("frames", ()):
        for name in lacking:
            entry.pop(name.removeprefix("frame_"), None)
    if "track_person" in lacking:
        del document["tracks"]
    (folder / "people.json").write_text(json.dumps(document))


@pytest.mark.parametrize("since", [(*LACKING,), *((since,) for since in LACKING)])
def test_older_files_are_read(since, reconstruction, tmp_path):
    lacking = sum((LACKING[age] for age in since), ())
    write_lacking(reconstruction, lacking, tmp_path)
    forgotten = reconstruction.people
    if "part_iou" in lacking:
        forgotten = [replace(p, part_iou=None, silhouette_iou=math.nan) for p in forgotten]
    if "shape_std" in lacking:
        forgotten = [replace(p, shape_std=None) for p in forgotten]
    if "start_source" in lacking:
        forgotten = [replace(p, start_source="") for p in forgotten]
    expected = Reconstruction.of_frame(reconstruction.camera, forgotten, reconstruction.source)
    for name in WRITERS:
        assert_same(load(tmp_path / name), expected)


def test_older_files_without_people_are_of_one_frame(nobody, tmp_path):
    write_lacking(nobody, LACKING["before frames"], tmp_path)
    for name in WRITERS:
        assert_same(load(tmp_path / name), nobody)


def test_documentation_lists_every_field():
    page = Path(__file__).parents[2] / "docs" / "conventions.md"
    text = page.read_text(encoding="utf8")
    assert [name for name in FIELDS if f"`{name}`" not in text] == []


def test_values_that_are_not_finite_are_not_written(reconstruction):
    broken = replace(reconstruction.people[0], joint_std_m=torch.full((22,), torch.nan))
    with pytest.raises(ValueError, match="joint_std_m.*not a finite number"):
        to_fields(Reconstruction.of_frame(broken.camera, (broken,)))


def changed(arrays: dict, **changes) -> dict:
    return {**arrays, **changes}


BAD_ARRAYS = {
    "the field 'pose' is missing": lambda a: {n: v for n, v in a.items() if n != "pose"},
    "the field 'pose' has shape": lambda a: changed(a, pose=a["pose"][:, :21]),
    "the field 'z' has shape": lambda a: changed(a, z=a["z"][:1]),
    "the field 'shape' holds a value that is not a finite": lambda a: changed(
        a, shape=a["shape"] * np.nan
    ),
    "the field 'part_iou' holds a value that is not a finite": lambda a: changed(
        a, part_iou=a["part_iou"] + np.inf
    ),
    "the field 'part_iou' has shape": lambda a: changed(a, part_iou=a["part_iou"][:, 1:]),
    "the field 'part_names' is not": lambda a: changed(a, part_names=a["part_names"][::-1]),
    "the field 'score' should hold numbers": lambda a: changed(a, score=np.array(["a", "b"])),
    "the field 'format' is not the one": lambda a: changed(a, format=np.array("other 1")),
    "the field 'joint_names' is not": lambda a: changed(a, joint_names=a["joint_names"][::-1]),
    "'camera_motion' holds an unknown word": lambda a: changed(a, camera_motion=np.array("dances")),
    "'foot_contact' holds values that": lambda a: changed(
        a, foot_contact=np.full((2, 4), 2.0, np.float32)
    ),
    "'foot_names' is not": lambda a: changed(a, foot_names=a["foot_names"][::-1]),
    "'track_gaps' should hold whole": lambda a: changed(a, track_gaps=np.zeros(0)),
    "unknown code": lambda a: changed(a, code=np.array(["ok", "fine"])),
    "not rotations": lambda a: changed(a, pose=2 * a["pose"]),
    "must be positive": lambda a: changed(a, focal_px=np.array(-3.0)),
    "'format' has shape": lambda a: changed(a, format=np.array(["a", "b"])),
    "'person' has shape": lambda a: changed(a, person=np.array(0)),
    "'score' should hold numbers": lambda a: changed(a, score=np.array([True, False])),
    "'joint_std_m' holds values that cannot": lambda a: changed(a, joint_std_m=-a["joint_std_m"]),
    "'shape_std' holds values that cannot": lambda a: changed(a, shape_std=-a["shape_std"]),
    "'shape_std' holds values that can": lambda a: changed(a, shape_std=a["shape_std"] + 1),
    "'shape_std' is known of some": lambda a: changed(
        a, shape_std=np.where(np.arange(6) == 2, np.nan, a["shape_std"])
    ),
    "'shape_std' has shape": lambda a: changed(a, shape_std=a["shape_std"][:, :5]),
    "'shape' holds values that cannot": lambda a: changed(a, shape=a["shape"] + 1),
    "'image_size' holds values that cannot": lambda a: changed(a, image_size=a["image_size"] << 20),
    "'focal_px' holds values that cannot": lambda a: changed(a, focal_px=np.array(1e20)),
    "'frame' holds values that cannot": lambda a: changed(a, frame=a["frame"] - 1),
    "'person' holds values that cannot": lambda a: changed(a, person=a["person"] + 2**40),
    "'t_cam_root_m' holds values that": lambda a: changed(a, t_cam_root_m=a["t_cam_root_m"] * 1e30),
    "'part_iou' holds values that": lambda a: changed(a, part_iou=a["part_iou"] + 1),
    "'hypothesis_shape' holds values": lambda a: changed(
        a, hypothesis_shape=a["hypothesis_shape"] - 1
    ),
    "confidences that are not": lambda a: changed(a, keypoints_px=a["keypoints_px"] * [1, 1, 2]),
    "'joints_px' holds numbers beyond": lambda a: changed(
        a, joints_px=a["joints_px"].astype(float) * 1e100
    ),
    "names a term twice": lambda a: changed(a, energy_names=np.array(["a", "a"])),
    "'R_cam_root' holds mirror images": lambda a: changed(
        a, R_cam_root=a["R_cam_root"] * np.float32(-1)
    ),
    "text of too many letters": lambda a: changed(a, source=np.array("x" * 20_000)),
    "more than the 1024 that are allowed": lambda a: changed(
        a, z=np.zeros((2, 2000)), hypothesis_z=np.zeros((1, 2000))
    ),
    "100001 people": lambda a: changed(a, person=np.zeros(100_001, np.int64)),
    "'frame_time_s' is missing": lambda a: {n: v for n, v in a.items() if n != "frame_time_s"},
    "'frame_principal_px' has shape": lambda a: changed(a, frame_principal_px=np.zeros((2, 2))),
    "'frame_focal_px' holds values that": lambda a: changed(a, frame_focal_px=np.zeros(1)),
    "'frame_image_size' should hold whole": lambda a: changed(a, frame_image_size=np.ones((1, 2))),
    "names a frame that is not there": lambda a: changed(a, frame=a["frame"] + 1),
    "but that frame is at 0 s.$": lambda a: changed(a, time_s=a["time_s"] + 1),
    "has to have at least one frame": lambda a: {
        n: v if FIELDS[n].rows == "file" else v[:0] for n, v in a.items()
    },
    "in the order of their index": lambda a: {
        **a,
        **{n: np.concatenate([a[n], a[n]]) for n in FIELDS if FIELDS[n].rows == "frames"},
    },
    "Person 0 has two bodies in frame 0": lambda a: changed(a, person=np.zeros(2, np.int64)),
    "'start_source' should hold text": lambda a: changed(a, start_source=np.zeros(2)),
    "'frame_up_std_deg' is missing": lambda a: {
        n: v for n, v in a.items() if n != "frame_up_std_deg"
    },
    "'frame_floor_std_m' is missing": lambda a: {
        n: v for n, v in a.items() if n != "frame_floor_std_m"
    },
    "fields of the floor do not agree": lambda a: changed(a, frame_floor_std_m=np.ones(1)),
    "a floor is described where nothing is known of gravity": lambda a: changed(
        a, frame_floor_height_m=-np.ones(1), frame_floor_std_m=np.ones(1)
    ),
    "'frame_index' is missing": lambda a: {n: v for n, v in a.items() if n not in FRAME_FIELDS},
    "'frame_up_cam' has shape": lambda a: changed(a, frame_up_cam=np.zeros((1, 2))),
    "'frame_up_cam' holds a value that is not": lambda a: changed(
        a, frame_up_cam=np.array([[0.0, -np.inf, 0.0]]), frame_up_std_deg=np.ones(1)
    ),
    "'frame_up_cam' holds values that cannot": lambda a: changed(
        a, frame_up_cam=np.array([[0.0, -2.0, 0.0]]), frame_up_std_deg=np.ones(1)
    ),
    "directions that are not of length 1": lambda a: changed(
        a, frame_up_cam=np.array([[0.0, -0.9, 0.1]]), frame_up_std_deg=np.ones(1)
    ),
    "'frame_up_std_deg' holds values that": lambda a: changed(
        a, frame_up_cam=np.array([[0.0, -1.0, 0.0]]), frame_up_std_deg=-np.ones(1)
    ),
    "do not agree in where it is unknown": lambda a: changed(a, frame_up_std_deg=np.ones(1)),
    "names a person that is not there": lambda a: changed(a, hypothesis_of=np.array([7])),
}


@pytest.mark.parametrize("sentence", BAD_ARRAYS)
def test_bad_npz(sentence, reconstruction, tmp_path):
    path = tmp_path / "people.npz"
    np.savez(path, **BAD_ARRAYS[sentence](to_fields(reconstruction)))
    with pytest.raises(InputError, match=sentence) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_pickles_are_not_opened(tmp_path):
    np.savez(tmp_path / "people.npz", format=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="holds Python objects"):
        load(tmp_path / "people.npz")


def bad_documents(document: dict) -> dict[str, object]:
    people = document["people"]

    def with_person(**changes):
        return {**document, "people": [{**people[0], **changes}, people[1]]}

    return {
        "does not say": {**document, "format": "something else"},
        "the field 'people' is missing": {k: v for k, v in document.items() if k != "people"},
        "the field 'pose' is missing": {**document, "people": [{"person": 0, "hypotheses": []}]}
        | {"people": [{k: v for k, v in people[0].items() if k != "pose"}]},
        "the field 'joint_std_m' has shape": {
            **document,
            "people": [{**p, "joint_std_m": p["joint_std_m"][:5]} for p in people],
        },
        "not arranged": with_person(pose=[[1, 2], [3]]),
        "'z' holds a value that is not": with_person(z=[float("nan")] * len(people[0]["z"])),
        "'person' should hold whole": with_person(person=0.5),
        "'frame' should hold whole": with_person(frame=True),
        "'score' should hold numbers": with_person(score="0.5"),
        "'shape_std' should hold numbers": with_person(shape_std=["0.1"] * 6),
        "'height_m' should hold numbers": with_person(height_m=None),
        "'code' should hold text": with_person(code=["ok"]),
        "'frame' holds values that cannot be right": with_person(frame=10**17),
        "'people' should hold a list of objects": {**document, "people": [1]},
        "'hypotheses' should hold a list": with_person(hypotheses={"a": 1}),
        "'energy_names' is not arranged": {**document, "energy_names": "keypoints"},
        "'energy_names' should hold text": {**document, "energy_names": [["a"]]},
        "'joint_names' is not arranged": {**document, "joint_names": {"a": 1}},
        "'part_names' is not the one": {**document, "part_names": document["part_names"][::-1]},
        "'principal_px' has shape": {**document, "principal_px": []},
        "'keypoints_px' has shape": {
            **document,
            "people": [{**p, "keypoints_px": []} for p in people],
        },
        "values are not arranged": with_person(energy=[1.0, 2.0]),
        "'frames' should hold a list of objects": {**document, "frames": 3},
        "the field 'focal_px' is missing": {**document, "frames": [{"index": 0, "time_s": 0.0}]},
        "'frame_index' should hold whole": {
            **document,
            "frames": [{**document["frames"][0], "index": 0.5}],
        },
        "'frame_up_cam' should hold numbers": {
            **document,
            "frames": [{**document["frames"][0], "up_cam": [0, "up", 0]}],
        },
        "gravity do not agree": {
            **document,
            "frames": [{**document["frames"][0], "up_cam": [0.0, -1.0, None]}],
        },
        "at least one frame": {**document, "frames": [], "people": []},
        "'start_source' should hold text": with_person(start_source=None),
    }


@pytest.mark.parametrize("index", range(29))
def test_bad_json(index, reconstruction, tmp_path):
    path = tmp_path / "people.json"
    write_json(reconstruction, path)
    sentence, document = list(bad_documents(json.loads(path.read_text())).items())[index]
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=sentence):
        load(path)


def test_what_else_an_archive_holds_does_not_matter(reconstruction, tmp_path):
    path = tmp_path / "people.npz"
    np.savez(path, notes=np.array([{"a": 1}], dtype=object), **to_fields(reconstruction))
    assert_same(load(path), reconstruction)


def test_people_files_that_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(people_files, "MAX_JSON_BYTES", 1000)
    monkeypatch.setattr(people_files, "MAX_NPZ_BYTES", 5000)
    (tmp_path / "people.json").write_text("[" + 2000 * " " + "]")
    with pytest.raises(InputError, match="more than the 0 MB"):
        load(tmp_path)
    np.savez_compressed(tmp_path / "people.npz", pose=np.zeros(10_000))
    with pytest.raises(InputError, match="unpacks to more than"):
        load(tmp_path)


def test_foreign_truncated_and_missing_files(reconstruction, tmp_path):
    write_npz(reconstruction, tmp_path / "people.npz")
    whole = (tmp_path / "people.npz").read_bytes()
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    for data in (
        b"PK",
        whole[: len(whole) // 2],
        b"\x89PNG\r\n",
        b"[1, 2]",
        stream.getvalue(),
    ):
        path = tmp_path / "file"
        path.write_bytes(data)
        with pytest.raises(InputError, match="is not a people file of kinflow"):
            load(path)
    (tmp_path / "zero bytes").touch()
    with pytest.raises(InputError, match="is empty"):
        load(tmp_path / "zero bytes")
    for name in ("nothing.npz", "x" * 5000, "null\0byte"):
        with pytest.raises(InputError, match="There is no file"):
            load(tmp_path / name)
    with pytest.raises(InputError, match="There is no file"):
        load(tmp_path / "empty folder")
