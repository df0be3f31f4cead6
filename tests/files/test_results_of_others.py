"""Pickles of joblib and files of torch.save as plain data, and what is hostile in them."""

import collections
import pickle
import zipfile

import numpy as np
import pytest
import torch
from joblib_pickles import joblib_bytes

from kinflow.errors import InputError
from kinflow.files.plain_pickle import load_plain, parse_plain
from kinflow.files.torch_archives import load_torch


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_pickles_of_joblib(protocol, tmp_path):
    results = collections.defaultdict(dict)
    results[0] = {"pose": np.random.default_rng(0).normal(size=(5, 72)), "ids": np.arange(5)}
    results[7] = {"betas": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "none": np.zeros(0)}
    (tmp_path / "wham_output.pkl").write_bytes(joblib_bytes(results, protocol))
    found = load_plain(tmp_path / "wham_output.pkl")
    assert found.keys() == results.keys()
    for person, fields in results.items():
        for name, array in fields.items():
            np.testing.assert_array_equal(found[person][name], array)
            assert found[person][name].dtype == array.dtype


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_truncated_pickles_of_joblib_are_refused(kept, tmp_path):
    data = joblib_bytes({"pose": np.ones((50, 72))})
    with pytest.raises(InputError):
        parse_plain(data[: int(kept * len(data))], tmp_path / "x.pkl")


def test_arrays_larger_than_the_file_are_refused(tmp_path):
    array = np.zeros((3, 4))
    data = joblib_bytes({"a": array}).replace(b"K\x03K\x04\x86", b"K\xffK\xff\x86")
    with pytest.raises(InputError):
        parse_plain(data, tmp_path / "x.pkl")


def test_files_of_torch(tmp_path):
    content = {
        "smpl": {"pose": torch.randn(4, 63), "turned": torch.arange(6.0).reshape(2, 3).T},
        "flags": torch.tensor([True, False]),
        "half": torch.randn(3).bfloat16(),
        "list": [torch.arange(4), "text", None],
        "ordered": collections.OrderedDict(a=torch.zeros(0, 3)),
        "numpy": np.arange(3.0),
    }
    torch.save(content, tmp_path / "x.pt")
    found = load_torch(tmp_path / "x.pt")
    np.testing.assert_array_equal(found["smpl"]["pose"], content["smpl"]["pose"])
    np.testing.assert_array_equal(found["smpl"]["turned"], content["smpl"]["turned"])
    np.testing.assert_array_equal(found["flags"], content["flags"])
    np.testing.assert_array_equal(found["half"], content["half"].float())
    np.testing.assert_array_equal(found["list"][0], content["list"][0])
    assert found["ordered"]["a"].shape == (0, 3) and found["numpy"].tolist() == [0, 1, 2]


class Calls:
    """Pickles as a call of whatever is given."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def changed(path, change) -> None:
    """The archive with the bytes of its pickle changed."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, change(data) if name.endswith("data.pkl") else data)


def test_hostile_files_of_torch_do_nothing(tmp_path):
    path, sign = tmp_path / "x.pt", tmp_path / "ran"
    torch.save({"a": torch.ones(3), "b": Calls(open, str(sign), "w")}, path)
    sign.unlink(missing_ok=True)
    with pytest.raises(InputError, match="not among the few things allowed"):
        load_torch(path)
    assert not sign.exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: data.replace(b"FloatStorage", b"QuintStorage"), "not among the few"),
        (lambda data: data.replace(b"K\x03K\x04\x86", b"K\x7fK\x7f\x86"), "beyond its storage"),
        (
            lambda data: data.replace(b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x009"),
            "not in the file",
        ),
        (
            lambda data: data.replace(b"X\x07\x00\x00\x00storage", b"X\x07\x00\x00\x00storagX"),
            "no st",
        ),
        (lambda data: data[:20], "damaged"),
    ],
)
def test_damaged_files_of_torch_are_refused(change, sentence, tmp_path):
    torch.save({"a": torch.ones(3, 4)}, tmp_path / "x.pt")
    changed(tmp_path / "x.pt", change)
    with pytest.raises(InputError, match=sentence):
        load_torch(tmp_path / "x.pt")


def test_other_files_are_no_files_of_torch(tmp_path):
    (tmp_path / "old.pt").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C))
    with pytest.raises(InputError, match="torch 1.6 or newer"):
        load_torch(tmp_path / "old.pt")
    np.savez(tmp_path / "x.pt", a=1)
    with pytest.raises(InputError, match="does not exist"):
        load_torch(tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("a/b", b"")
    with pytest.raises(InputError, match="no data.pkl"):
        load_torch(tmp_path / "zip.pt")
