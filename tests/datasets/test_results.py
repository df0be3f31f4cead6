"""Results of other systems in their own files, and what is wrong with files that are none."""

import collections
import json
import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest
import roma
import torch
from joblib_pickles import joblib_bytes
from smpl_files import reference_smpl
from smpl_people import person_fields

from kinflow.body import users_body
from kinflow.body.keypoints import BLAZEPOSE33
from kinflow.body.users_body import UsersBody
from kinflow.datasets.results import (
    BodyParameters,
    command,
    person_rows,
    posed_bodies,
    read_results,
    with_rough_3d,
)
from kinflow.datasets.results.command import ResultsConfig
from kinflow.datasets.results.mhr import MHR70
from kinflow.errors import InputError
from kinflow.evidence.types import ImageEvidence, PersonEvidence
from kinflow.geometry.pinhole import Camera

rng = np.random.default_rng(3)
POSE = 0.3 * rng.normal(size=(4, 24, 3))
R = roma.rotvec_to_rotmat(torch.from_numpy(POSE)).numpy()
BETAS = 0.5 * rng.normal(size=(4, 10))
TRANS = np.array([0.1, 0.2, 4.0]) + 0.1 * rng.normal(size=(4, 3))
POINTS = rng.normal(size=(2, 70, 3)) * 0.3
POINTS_PX = rng.uniform(0, 400, (2, 70, 2))


def phalp() -> dict:
    """As 4D-Humans tracks: two frames, two people in the second."""
    frames = {}
    for index, rows in ((7, [0]), (8, [1, 2])):
        frames[f"outputs/_DEMO/clip/img/{index:06d}.jpg"] = {
            "time": index,
            "tid": [3, 9][: len(rows)],
            "tracked_ids": [3, 9],
            "smpl": [
                {"global_orient": R[i, :1], "body_pose": R[i, 1:], "betas": BETAS[i]} for i in rows
            ],
            "camera": [TRANS[i] for i in rows],
            "size": [[480, 640] for _ in rows],
            "mask": [{"size": [480, 640], "counts": b"abc"} for _ in rows],
        }
    return frames


def wham() -> dict:
    results = collections.defaultdict(dict)
    results[2] = {
        "pose": POSE.reshape(4, 72).astype(np.float32),
        "trans": TRANS.astype(np.float32),
        "pose_world": POSE.reshape(4, 72),
        "trans_world": TRANS,
        "betas": BETAS.astype(np.float32),
        "verts": np.zeros((4, 5, 3), np.float32),
        "frame_ids": np.array([10, 11, 12, 13]),
    }
    return results


def gvhmr() -> dict:
    fields = {
        "global_orient": torch.from_numpy(POSE[:, 0]).float(),
        "body_pose": torch.from_numpy(POSE[:, 1:22].reshape(4, 63)).float(),
        "betas": torch.from_numpy(BETAS).float(),
        "transl": torch.from_numpy(TRANS).float(),
    }
    K = torch.tensor([[900.0, 0, 320], [0, 900, 240], [0, 0, 1]]).repeat(4, 1, 1)
    world = {name: value + 1 for name, value in fields.items()}
    return {"smpl_params_global": world, "smpl_params_incam": fields, "K_fullimg": K}


def sam3d() -> dict:
    return {
        "pred_keypoints_3d": POINTS,
        "pred_keypoints_2d": POINTS_PX,
        "pred_cam_t": TRANS[:2],
        "focal_length": np.array([800.0, 800.0]),
        "body_pose_params": np.zeros((2, 133)),
        "mhr_model_params": np.zeros((2, 204)),
    }


def smpl() -> dict:
    return {"poses": POSE.reshape(4, 72), "trans": TRANS, "betas": BETAS[0]}


CONTENTS = {"phalp": phalp, "wham": wham, "gvhmr": gvhmr, "sam3d": sam3d, "smpl": smpl}


def write(path, tool: str, content):
    if tool == "gvhmr":
        torch.save(content, path)
    elif tool in ("phalp", "wham"):
        path.write_bytes(joblib_bytes(content))
    elif isinstance(content, dict):
        with path.open("wb") as stream:
            np.savez(stream, **content)
    else:
        path.write_bytes(pickle.dumps(content))
    return path


def close(found, wanted, atol=1e-9) -> None:
    assert found is not None
    np.testing.assert_allclose(found, wanted, atol=atol)


@pytest.fixture(scope="module")
def body(smplh_file, tmp_path_factory) -> UsersBody:
    """A body of SMPL; the shapes of the session's own are those of SMPL-H."""
    path = tmp_path_factory.mktemp("models") / "SMPL.npz"
    np.savez(path, **person_fields("smpl", pose_std_m=3e-4))
    # their templates are the same
    registration = UsersBody.load(smplh_file).registration
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users_body, "register", lambda _theirs: registration)
        return UsersBody.load(path)


@pytest.mark.parametrize("tool", CONTENTS)
def test_each_system_is_told_by_its_fields(tool, tmp_path):
    found = read_results(write(tmp_path / "clip.file", tool, CONTENTS[tool]()))
    assert found.space == "camera" and found.sequence == "clip"
    by_name = read_results(tmp_path / "clip.file", tool, "other")
    assert by_name.tool == found.tool and by_name.sequence == "other"


def test_4d_humans(tmp_path):
    found = read_results(write(tmp_path / "demo.pkl", "phalp", phalp()))
    assert found.tool == "4D-Humans" and found.model == "smpl"
    assert found.frame.tolist() == [7, 8, 8] and found.person.tolist() == [3, 3, 9]
    close(found.pose, R[:3, :22])
    close(found.trans_m, TRANS[:3])
    assert found.focal_px is not None and found.principal_px is not None
    close(found.focal_px, 5000 / 256 * 640)
    close(found.principal_px, [[320, 240]] * 3)


def test_wham(tmp_path):
    found = read_results(write(tmp_path / "wham_output.pkl", "wham", wham()))
    assert found.frame.tolist() == [10, 11, 12, 13] and set(found.person) == {2}
    close(found.pose, R[:, :22], atol=1e-6)
    close(found.betas, BETAS, atol=1e-6)


def test_gvhmr(tmp_path):
    found = read_results(write(tmp_path / "hmr4d_results.pt", "gvhmr", gvhmr()))
    assert found.model == "smplx"
    close(found.pose, R[:, :22], atol=1e-6)
    close(found.trans_m, TRANS, atol=1e-6)
    assert found.focal_px is not None and found.focal_px.tolist() == [900] * 4


@pytest.mark.parametrize("layout", ["stacked", "one", "list"])
def test_sam_3d_body(layout, tmp_path):
    content = sam3d()
    each = [{name: value[i] for name, value in content.items()} for i in range(2)]
    given = {"stacked": content, "one": each[0], "list": each}[layout]
    found = read_results(write(tmp_path / "photo.npz", "sam3d", given))
    count = 1 if layout == "one" else 2
    assert found.model == "mhr" and found.person.tolist() == list(range(count))
    close(found.joints_m, (POINTS + TRANS[:2, None])[:count])
    rows = person_rows(found)
    assert rows["joint_names"].tolist() == list(MHR70) and len(MHR70) == 70
    assert [MHR70[i] for i in (0, 13, 41, 62, 69)] == [
        "nose", "left_ankle", "right_wrist", "left_wrist", "neck",
    ]  # fmt: skip
    assert rows["keypoints_px"].shape == (count, 70, 3)


def test_parameters_in_many_spellings(tmp_path):
    spelled = {
        "global_orient": POSE[:, 0],
        "body_pose": POSE[:, 1:].reshape(4, 69),
        "transl": TRANS,
        "betas": BETAS,
    }
    for content in (smpl(), spelled, {"pose": POSE.reshape(4, 72), "betas": BETAS}):
        found = read_results(write(tmp_path / "x.npz", "smpl", content))
        assert found.model == "smpl" and len(found) == 4
        close(found.pose, R[:, :22], atol=1e-9)


def test_joints_are_those_of_the_model(body, tmp_path):
    """By SMPL's equations, of all joints of the file."""
    found = read_results(write(tmp_path / "wham.pkl", "wham", wham()))
    rows = person_rows(found, body, with_vertices=True)
    fields = person_fields("smpl", pose_std_m=3e-4)
    for row in range(4):
        turned = np.concatenate([R[row, :22], np.tile(np.eye(3), (2, 1, 1))])
        joints_m, vertices_m = reference_smpl(fields, BETAS[row], turned, TRANS[row])
        np.testing.assert_allclose(rows["joints_m"][row], joints_m, atol=1e-4)
        np.testing.assert_allclose(rows["vertices_m"][row], vertices_m, atol=1e-4)
    assert str(rows["joint_source"]) == "model:smpl"


def test_own_archives_come_back(smplh_file, tmp_path):
    """What `kinflow convert` wrote, before the camera."""
    from moving_people import walking_clip

    from kinflow.export.motion import period_of
    from kinflow.export.smpl import SmplPerson, smpl_bytes
    from kinflow.export.stage import Stage

    clip, theirs = walking_clip(3), UsersBody.load(smplh_file)
    person = SmplPerson.of(clip.tracks[0], theirs)
    motion = person.motion(Stage.of(clip), period_of(clip.frames))
    (tmp_path / "person.npz").write_bytes(smpl_bytes(person, motion, theirs))
    found = read_results(tmp_path / "person.npz")
    assert found.model == "smplh" and found.frame.tolist() == [0, 1, 2]
    rows = person_rows(found, theirs)
    truth_m = np.stack([body.joints_cam_m.numpy() for body in clip.tracks[0].bodies])
    assert np.linalg.norm(rows["joints_m"] - truth_m, axis=-1).mean() < 0.006


def test_amass_is_in_a_world(body, tmp_path):
    found = read_results(write(tmp_path / "x.npz", "smpl", {**smpl(), "mocap_framerate": 30.0}))
    assert found.space == "world"
    with pytest.raises(InputError, match="world whose camera is not known"):
        person_rows(found, body)


def test_bodies_as_rough_3d(body, tmp_path):
    """Whoever is seen where a body would be has its keypoints."""
    found = read_results(write(tmp_path / "wham.pkl", "wham", wham()))
    camera = Camera.centred((640, 480), 700.0)
    points_m = posed_bodies(found, body, np.array([1])).keypoints_m()[0, :33]
    seen_px = torch.cat([camera.project(points_m), torch.ones(33, 1)], 1)
    box = torch.cat([seen_px[:, :2].amin(0), seen_px[:, :2].amax(0)])
    person = PersonEvidence(seen_px, torch.ones(33), None, box, 0.9)
    away = PersonEvidence(seen_px + torch.tensor([400.0, 0, 0]), torch.ones(33), None, box, 0.9)
    evidence = with_rough_3d(
        ImageEvidence((640, 480), (away, person)), found, body, frame=11, camera=camera
    )
    assert evidence.people[0].world_m is None
    own_m = evidence.people[1].world_m
    assert own_m is not None
    torch.testing.assert_close(own_m - own_m[0], points_m - points_m[0], atol=1e-5, rtol=0)
    with pytest.raises(InputError, match="no body in frame 99"):
        with_rough_3d(evidence, found, body, frame=99, camera=camera)
    with pytest.raises(InputError, match="which lens"):
        with_rough_3d(evidence, found, body, frame=11)


def test_keypoints_of_mhr_as_rough_3d(tmp_path):
    """Files of SAM 3D Body hold keypoints, so no body file is needed."""
    found = read_results(write(tmp_path / "sam.npz", "sam3d", sam3d()))
    camera = Camera.centred((640, 480), 800.0)
    names = [n for n in BLAZEPOSE33 if n in MHR70]
    assert len(names) > 20
    points_m = torch.from_numpy(found.joints_m[1]).float()
    at = {name: points_m[i] for i, name in enumerate(found.joint_names)}
    seen_px = torch.zeros(33, 3)
    for name in names:
        seen_px[BLAZEPOSE33.index(name), :2] = camera.project(at[name])
        seen_px[BLAZEPOSE33.index(name), 2] = 1
    shown = seen_px[seen_px[:, 2] > 0, :2]
    box = torch.cat([shown.amin(0), shown.amax(0)])
    person = PersonEvidence(seen_px, torch.ones(33), None, box, 0.9)
    evidence = with_rough_3d(ImageEvidence((640, 480), (person,)), found, camera=camera)
    own_m = evidence.people[0].world_m
    knee, nose = BLAZEPOSE33.index("left_knee"), BLAZEPOSE33.index("nose")
    torch.testing.assert_close(own_m[knee] - own_m[nose], at["left_knee"] - at["nose"])
    index = BLAZEPOSE33.index("right_index")
    wanted = at["right_forefinger_third_joint"] - at["nose"]
    torch.testing.assert_close(own_m[index] - own_m[nose], wanted)


@pytest.mark.parametrize(
    ("tool", "field"),
    [("wham", "trans"), ("gvhmr", "body_pose"), ("sam3d", "pred_cam_t"), ("smpl", "poses")],
)
def test_a_body_that_cannot_be_right_is_left_out_alone(tool, field, tmp_path):
    content = CONTENTS[tool]()
    whole = len(read_results(write(tmp_path / "good", tool, content)))
    holder = {"wham": lambda c: c[2], "gvhmr": lambda c: c["smpl_params_incam"]}
    fields = holder.get(tool, lambda c: c)(content)
    fields[field] = torch.as_tensor(fields[field]).numpy().copy()
    fields[field][1, 0] = np.nan
    found = read_results(write(tmp_path / "bad", tool, content))
    assert len(found) == whole - 1 and found.left_out == 1


def test_a_person_of_4d_humans_that_cannot_be_right_is_left_out_alone(tmp_path):
    whole = len(read_results(write(tmp_path / "good", "phalp", phalp())))
    broken = change(phalp(), FRAME, "smpl", 0, "betas", nan)
    found = read_results(write(tmp_path / "bad", "phalp", broken))
    assert len(found) == whole - 1 and found.left_out == 1


def test_command(body, tmp_path, capsys):
    write(tmp_path / "wham.pkl", "wham", wham())
    config = ResultsConfig(tmp_path / "wham.pkl", tmp_path / "r.npz")
    with pytest.raises(InputError, match="only the file of that body"):
        command.main(config)
    assert not (tmp_path / "r.npz").exists()
    command.main(replace(config, model=body.path))
    assert "4 bodies of WHAM (smpl), 1 person, 4 frames" in capsys.readouterr().out
    rows = np.load(tmp_path / "r.npz")
    assert rows["joints_m"].shape == (4, 22, 3) and rows["frame"].tolist() == [10, 11, 12, 13]


def test_keypoints_of_detectors(tmp_path, capsys, astronaut_rgb):
    cv2.imwrite(str(tmp_path / "a.png"), astronaut_rgb)
    flat = np.stack([np.linspace(50, 400, 17), np.linspace(60, 480, 17), np.ones(17)], 1).ravel()
    person = {"image_id": "a.png", "category_id": 1, "keypoints": flat.tolist(), "score": 0.8}
    (tmp_path / "alphapose-results.json").write_text(json.dumps([person]))
    photos = (tmp_path / "a.png",)
    command.main(
        ResultsConfig(tmp_path / "alphapose-results.json", tmp_path / "r.npz", photos=photos)
    )
    assert "1 people in 1 photos" in capsys.readouterr().out
    rows = np.load(tmp_path / "r.npz")
    assert rows["keypoints_px"].shape == (1, 33, 3) and rows["sequence"].tolist() == ["a"]
    np.testing.assert_allclose(rows["keypoints_px"][0, 0], [50, 60, 1], atol=1e-3)


def change(content: dict, *path_and_value):
    """The content with one value deep inside exchanged, or removed where that is None."""
    *path, last, value = path_and_value
    inner = content
    for key in path:
        inner = inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value(inner[last]) if callable(value) else value
    return content


FRAME = "outputs/_DEMO/clip/img/000007.jpg"


def nan(array):
    array = array.copy() if isinstance(array, np.ndarray) else array.clone()
    array[..., 0] = float("nan")
    return array


BROKEN = [
    ("phalp", (FRAME, "smpl", None), "no system that is known|no list of smpl"),
    ("phalp", (FRAME, "tid", [1, 2, 3]), "differ in length"),
    ("phalp", (FRAME, "camera", "text"), "no list of camera"),
    ("phalp", (FRAME, "smpl", 0, "body_pose", lambda a: a[:21]), "body_pose has shape"),
    ("phalp", (FRAME, "smpl", 0, "global_orient", lambda a: 2 * a), "not rotations"),
    ("phalp", (FRAME, "smpl", 0, "global_orient", lambda a: -a), "not rotations"),
    ("phalp", (FRAME, "smpl", 0, "betas", None), "no betas"),
    ("phalp", (FRAME, "smpl", [3]), "no dict"),
    ("phalp", (FRAME, "size", [[0, 0]]), "no focal lengths"),
    ("phalp", (FRAME, "tid", [1.5]), "not whole numbers"),
    ("phalp", (FRAME, 5), "not all of its entries are dicts"),
    ("wham", (2, "pose", lambda a: a[:, :66]), "pose has shape"),
    ("wham", (2, "pose", nan), "pose holds numbers that are not finite"),
    ("wham", (2, "pose", lambda a: a + 1e6), "no angles in radians"),
    ("wham", (2, "trans", lambda a: a[:2]), "trans has shape"),
    ("wham", (2, "trans", lambda a: a + 1e7), "no positions in metres"),
    ("wham", (2, "betas", lambda a: a + 1e4), "no coefficients of a shape"),
    ("wham", (2, "betas", "text"), "betas is unusable"),
    ("wham", (2, "frame_ids", np.zeros(4)), "two bodies in one frame"),
    ("wham", (2, "frame_ids", np.arange(4) + 0.5), "not whole numbers"),
    ("wham", (2, "frame_ids", np.arange(4) - 9), "no numbers of frames"),
    ("gvhmr", ("smpl_params_incam", "body_pose", lambda a: a[:, :60]), "body_pose has shape"),
    ("gvhmr", ("smpl_params_incam", "transl", None), "no transl"),
    ("gvhmr", ("smpl_params_incam", "betas", nan), "not finite"),
    ("gvhmr", ("smpl_params_incam", torch.zeros(3)), "parameters are no dict"),
    ("gvhmr", ("K_fullimg", lambda a: a[0]), "K_fullimg has shape"),
    ("gvhmr", ("K_fullimg", lambda a: -a), "no focal lengths"),
    ("sam3d", ("pred_keypoints_3d", lambda a: a[:, :60]), "pred_keypoints_3d has shape"),
    ("sam3d", ("pred_cam_t", lambda a: a[:1]), "pred_cam_t has shape"),
    ("sam3d", ("pred_keypoints_3d", nan), "not finite"),
    ("sam3d", ("focal_length", np.ones(5)), "focal_length has 5 numbers"),
    ("smpl", ("poses", lambda a: a[:, :70]), "70 numbers a frame"),
    ("smpl", ("poses", lambda a: a[:0]), "trans has shape"),
    ("smpl", ("poses", nan), "not finite"),
    ("smpl", ("trans", lambda a: a[:, :2]), "trans has shape"),
    ("smpl", ("betas", lambda a: np.tile(a, (3, 1))), "betas has shape"),
    ("smpl", ("poses", np.array("text")), "poses is unusable"),
]


@pytest.mark.parametrize(("tool", "what", "sentence"), BROKEN)
def test_wrong_contents_are_refused(tool, what, sentence, tmp_path):
    path = write(tmp_path / "x.file", tool, change(CONTENTS[tool](), *what))
    with pytest.raises(InputError, match=sentence) as error:
        read_results(path)
    assert str(error.value).count("\n") == 0 and "x.file" in str(error.value)


class Calls:
    def __init__(self, sign):
        self.sign = sign

    def __reduce__(self):
        return open, (str(self.sign), "w")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"hello", "not a pickle"),
        (pickle.dumps([1, 2]), "no system that is known here .it is a list"),
        (pickle.dumps({}), "it is empty"),
        (pickle.dumps({"a": 1, "b": 2}), "it has a, b"),
        (pickle.dumps([{"pred_keypoints_3d": 1, "pred_cam_t": 2}, 3]), "no body"),
        (joblib_bytes(wham())[:900], "x.pkl"),
    ],
)
def test_other_files_are_refused(content, sentence, tmp_path):
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_results(tmp_path / "x.pkl")


def test_of_a_folder_its_files_are_named(tmp_path):
    with pytest.raises(InputError, match="is a folder; name a file .*none of .npz, .pkl, .pt"):
        read_results(tmp_path)
    for identity in range(6):
        (tmp_path / f"person_{identity}_smpl_poses.npz").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError) as error:
        read_results(tmp_path)
    assert "name one of its files: person_0_smpl_poses.npz, person_1_" in str(error.value)
    assert str(error.value).endswith("person_3_smpl_poses.npz and 2 more.")


def test_hostile_files_do_nothing(tmp_path):
    sign = tmp_path / "ran"
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"smpl": Calls(sign)}))
    with pytest.raises(InputError, match="not among the few things allowed"):
        read_results(tmp_path / "x.pkl")
    assert not sign.exists()


def test_readers_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="There is no reader 'hmr'"):
        read_results(tmp_path / "x.pkl", "hmr")
    with pytest.raises(InputError, match="does not exist"):
        read_results(tmp_path / "x.pkl")


def test_values_that_do_not_fit_together(body):
    one = np.zeros(1, np.int64)
    nothing = BodyParameters("x", "smpl", "camera", one, one)
    with pytest.raises(InputError, match="no pose or no betas"):
        person_rows(nothing, body)
    other = BodyParameters("x", "smplx", "camera", one, one)
    with pytest.raises(InputError, match="are of smplx, but"):
        person_rows(other, body)
