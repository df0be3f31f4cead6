"""Files of rows that are not as they should be: one sentence each, and nothing is run."""

from __future__ import annotations

import io
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from neutral_rows import Arrays, predicted, rows_of, some_truth

from kinflow.datasets.person_rows import FIELDS, FORMAT, write_rows
from kinflow.errors import InputError
from kinflow.evaluation.protocols.named import PROTOCOLS
from kinflow.evaluation.protocols.regressor import Regressor
from kinflow.evaluation.protocols.row_files import read_rows

ONE = PROTOCOLS["3dpw"]
TRACE = Path(tempfile.gettempdir(), "kinflow-was-here")


class Hostile:
    """A pickle that would leave a trace if it were loaded."""

    def __reduce__(self):
        return (TRACE.touch, ())


def good() -> Arrays:
    arrays = some_truth(ONE, clips=2, frames=4)
    return {
        **arrays,
        "valid": np.ones(8, bool),
        "joint_valid": np.ones((8, 14), bool),
        "vertices_m": arrays["joints_m"][:, 0, :6].copy(),
        "topology": np.array("smpl"),
        "pose": np.tile(np.eye(3), (8, 22, 1, 1)),
        "shape": np.full((8, 6), 0.5),
        "keypoint_names": np.array(["a", "b"]),
        "keypoints_px": np.ones((8, 2, 3)),
        "box_px": np.ones((8, 4)),
        "area_px2": np.ones(8),
        "score": np.ones(8),
        "parts": np.zeros((8, 3, 3), np.uint8),
    }


def put(name: str, value) -> Callable[[Arrays], None]:
    return lambda arrays: arrays.update({name: value})


def at(name: str, place, value) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name] = np.array(arrays[name], copy=True)
        arrays[name][place] = value

    return change


def without(*names: str) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        for name in names:
            del arrays[name]

    return change


def twice(arrays: Arrays) -> None:
    arrays["frame"] = np.zeros(8, int)


BAD: dict[str, tuple[Callable[[Arrays], None], str]] = {
    "no sequence": (without("sequence"), "sequence is missing"),
    "no frame": (without("frame"), "frame is missing"),
    "joints without names": (without("joint_names"), "joints_m needs joint_names"),
    "joints without origin": (without("joint_source"), "joints_m needs joint_source"),
    "validity without joints": (without("joints_m", "vertices_m"), "joint_valid needs joints_m"),
    "mesh without topology": (without("topology"), "vertices_m needs topology"),
    "keypoints without names": (without("keypoint_names"), "keypoints_px needs keypoint_names"),
    "sequence of numbers": (put("sequence", np.arange(8)), "sequence holds int64 instead of text"),
    "sequence of bytes": (put("sequence", np.full(8, b"a")), "instead of text"),
    "empty sequence name": (at("sequence", 3, ""), "sequence is empty in row 3"),
    "long sequence name": (put("sequence", np.full(8, "a" * 2000)), "more than 1000 letters"),
    "one sequence for all": (put("sequence", np.array("clip")), "sequence has 0 axes instead of 1"),
    "no rows": (
        lambda a: a.update({n: v[:0] for n, v in a.items() if FIELDS[n].axes[:1] == ("rows",)}),
        "0 rows",
    ),
    "fewer frames": (put("frame", np.arange(7)), "frame has 7 rows, but"),
    "more people": (put("person", np.arange(9)), "person has 9 rows"),
    "frames that are floats": (put("frame", np.arange(8.0)), "float64 instead of whole numbers"),
    "negative frames": (put("frame", np.arange(8) - 1), "frame reaches from -1 to 6"),
    "person as text": (put("person", np.full(8, "anna")), "instead of whole numbers"),
    "somebody twice": (twice, "two rows for 'clip_0' frame 0, person 0"),
    "validity of 2": (put("valid", np.full(8, 2)), "valid reaches from 2 to 2"),
    "validity as float": (put("valid", np.ones(8)), "valid holds float64 instead of truth values"),
    "too few joints": (put("joint_names", np.array(["a", "b"])), "joint_names has 2"),
    "a joint twice": (at("joint_names", 1, "right_ankle"), "joint_names has a name twice"),
    "a keypoint twice": (at("keypoint_names", 1, "a"), "keypoint_names has a name twice"),
    "joints in a row": (put("joints_m", np.zeros((8, 42))), "joints_m has 2 axes instead of 4"),
    "flat joints": (put("joints_m", np.zeros((8, 14, 2))), "joints_m has the shape"),
    "joints as text": (put("joints_m", np.full((8, 14, 3), "x")), "instead of numbers"),
    "complex joints": (put("joints_m", np.zeros((8, 14, 3), complex)), "complex128 instead of"),
    "NaN in a joint": (at("joints_m", (5, 0, 3, 1), np.nan), "for 'clip_1' frame 1, person 1"),
    "infinity in a joint": (at("joints_m", (0, 0, 0, 0), np.inf), "joints_m is not finite"),
    "far away": (at("joints_m", (0, 0, 0, 0), 1e7), "beyond 100000 m"),
    "millimetres": (lambda a: a.update(joints_m=1000 * a["joints_m"]), "is it in millimetres"),
    "NaN in a mesh": (at("vertices_m", (2, 0, 0), np.nan), "vertices_m is not finite"),
    "mesh in millimetres": (lambda a: a.update(vertices_m=1e3 * a["vertices_m"]), "millimetres"),
    "fewer validities": (put("joint_valid", np.ones((8, 13), bool)), "joint_valid has 13 joints"),
    "pose of 24": (put("pose", np.zeros((8, 24, 3, 3))), "instead of (rows, 22, 3, 3)"),
    "no rotation": (at("pose", (4, 2), np.ones((3, 3))), "no rotation for 'clip_1' frame 0"),
    "a reflection": (at("pose", (4, 2), np.diag([1.0, 1, -1])), "no rotation"),
    "shape of 10": (put("shape", np.zeros((8, 10))), "shape has the shape (8, 10)"),
    "shape beyond 1": (at("shape", (0, 0), 1.5), "shape reaches from 0.5 to 1.5"),
    "rate of 0": (put("rate_hz", np.array(0.0)), "rate_hz reaches from 0 to 0"),
    "NaN rate": (put("rate_hz", np.array(np.nan)), "rate_hz is not finite"),
    "rate of each row": (put("rate_hz", np.ones(8)), "rate_hz has 1 axes instead of 0"),
    "NaN score": (at("score", 1, np.nan), "score is not finite"),
    "NaN box": (at("box_px", (6, 1), np.nan), "'clip_1' frame 2"),
    "negative area": (at("area_px2", 0, -1.0), "area_px2 reaches from -1"),
    "keypoints without confidence": (put("keypoints_px", np.ones((8, 2, 2))), "keypoints_px has"),
    "part 300": (put("parts", np.full((8, 3, 3), 300)), "parts reaches from 300"),
    "parts as float": (put("parts", np.zeros((8, 3, 3))), "instead of whole numbers"),
    "another format": (put("format", np.array("kinflow people 1")), "its `format` is not"),
    "empty mesh": (put("vertices_m", np.zeros((8, 0, 3))), "vertices_m is empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rows(name, tmp_path):
    change, sentence = BAD[name]
    arrays = good()
    change(arrays)
    path = tmp_path / "rows.npz"
    write_rows(path, arrays)
    with pytest.raises(InputError) as caught:
        read_rows(path)
    said = str(caught.value)
    assert sentence in said and str(path) in said and "\n" not in said


def test_there_are_enough_of_them():
    assert len(BAD) >= 40


def npz_bytes(**arrays) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=True, **arrays)
    return stream.getvalue()


def zipped(**entries: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in entries.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


FILES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is empty"),
    "text": (b"sequence,frame\n", "not a file of person rows"),
    "a pickle": (pickle.dumps(Hostile()), "not a file of person rows"),
    "an array of objects": (
        npz_bytes(format=FORMAT, sequence=np.array([Hostile()], object), frame=np.zeros(1, int)),
        "Python objects",
    ),
    "another archive": (npz_bytes(poses=np.zeros(3)), "its `format` is not"),
    "half of it": (npz_bytes(format=FORMAT, frame=np.zeros(1000))[:700], "not a file of person"),
    "broken entries": (zipped(format=b"\x93NUMPY\x01\x00"), "is damaged"),
}


@pytest.mark.parametrize("name", FILES)
def test_bad_files(name, tmp_path):
    data, sentence = FILES[name]
    path = tmp_path / "rows.npz"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_rows(path)
    said = str(caught.value)
    assert sentence in said and str(path) in said and "\n" not in said
    assert not TRACE.exists()


def test_what_is_not_there(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_rows(tmp_path / "none.npz")
    with pytest.raises(InputError, match=r"holds no \.npz"):
        read_rows(tmp_path)


def test_a_good_file_comes_back(tmp_path):
    arrays = good()
    rows = rows_of(tmp_path / "rows.npz", arrays)
    assert len(rows) == 8 and rows.name == "rows"
    assert rows["vertices_m"].shape == (8, 1, 6, 3)  # with an axis for samples
    np.testing.assert_array_equal(rows["joints_m"], arrays["joints_m"])
    arrays["valid"] = np.arange(8) != 5
    arrays["joints_m"][5] = np.nan
    arrays["joint_valid"][3, 4] = False
    arrays["joints_m"][3, 0, 4] = np.nan
    assert rows_of(tmp_path / "rows.npz", arrays).flags("valid", True).sum() == 7


def test_a_folder_is_one_file(tmp_path):
    folder = tmp_path / "truth"
    folder.mkdir()
    first, second = good(), good()
    second["sequence"] = np.repeat(["clip_2", "clip_3"], 4)
    write_rows(folder / "b.npz", second)
    write_rows(folder / "a.npz", first)
    rows = read_rows(folder)
    assert len(rows) == 16 and rows.name == "truth"
    assert rows["sequence"][[0, 15]].tolist() == ["clip_0", "clip_3"]
    write_rows(folder / "b.npz", first)
    with pytest.raises(InputError, match="two rows for"):
        read_rows(folder)
    for change, sentence in (
        (without("score"), "differ in what they hold: score"),
        (put("joint_source", np.array("mocap:x")), "differ in joint_source"),
        (put("vertices_m", np.zeros((8, 7, 3))), "differ in vertices_m"),
    ):
        arrays = dict(second)
        change(arrays)
        write_rows(folder / "b.npz", arrays)
        with pytest.raises(InputError, match=sentence):
            read_rows(folder)


J = np.full((2, 6), 1 / 6)
BAD_REGRESSORS = {
    "no names": ({"regressor": J, "name": "h36m"}, "no joint_names"),
    "names of others": ({"regressor": J, "joint_names": ["a"], "name": "h36m"}, "joints by vert"),
    "turned": ({"regressor": J.T, "joint_names": ["a", "b"], "name": "h36m"}, "joints by vertices"),
    "numbers": ({"regressor": J, "joint_names": [1, 2], "name": "h36m"}, "have to be text"),
    "sums": ({"regressor": 2 * J, "joint_names": ["a", "b"], "name": "h36m"}, "sum to 1"),
    "NaN": ({"regressor": np.nan * J, "joint_names": ["a", "b"], "name": "h36m"}, "sum to 1"),
}


@pytest.mark.parametrize("name", BAD_REGRESSORS)
def test_bad_regressors(name, tmp_path):
    arrays, sentence = BAD_REGRESSORS[name]
    np.savez(tmp_path / "J.npz", **arrays)
    with pytest.raises(InputError, match=sentence):
        Regressor.read(tmp_path / "J.npz")


def test_joints_are_regressed(tmp_path):
    np.savez(tmp_path / "J.npz", regressor=J, joint_names=["a", "b"], name="h36m")
    regressor = Regressor.read(tmp_path / "J.npz")
    rows = rows_of(tmp_path / "rows.npz", good())
    found = regressor.joints_of(rows)
    assert found.text("joint_source") == "mesh:h36m" and found["joint_names"].tolist() == ["a", "b"]
    np.testing.assert_allclose(found["joints_m"][:, 0, 1], rows["vertices_m"][:, 0].mean(1))
    arrays = good()
    arrays["vertices_m"] = arrays["vertices_m"][:, :5]
    with pytest.raises(InputError, match="takes 6"):
        regressor.joints_of(rows_of(tmp_path / "rows.npz", arrays))
    own = rows_of(tmp_path / "own.npz", predicted(some_truth(ONE), ONE))
    with pytest.raises(InputError, match="no vertices_m"):
        regressor.joints_of(own)
