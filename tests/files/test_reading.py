"""Containers from strangers: limits, one kind of error, and all as it was when nothing is wrong."""

import io
import json
import os
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from kinflow.errors import InputError
from kinflow.files.json_files import read_json
from kinflow.files.json_values import from_json
from kinflow.files.npz_files import read_npz
from kinflow.files.reading import guarded, read_bytes, read_text, read_utf8
from kinflow.files.tensor_files import load_weights, read_tensors, write_tensors


def test_what_is_no_file_is_said(tmp_path):
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "big").write_bytes(bytes(100))
    wanted = {"none": "does not exist", "": "is a folder", "empty": "is empty", "pipe": "a pipe"}
    for name, sentence in wanted.items():
        with pytest.raises(InputError, match=sentence):
            read_bytes(tmp_path / name)
    with pytest.raises(InputError, match="does not exist|cannot be read"):
        read_bytes("a\0b")
    with pytest.raises(InputError, match="more than the 0 MB"):
        read_bytes(tmp_path / "big", at_most=99)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_text_in_the_encodings_that_windows_writes(tmp_path, encoding):
    path = tmp_path / "text.json"
    path.write_bytes('{"Größe": 1}'.encode(encoding))
    assert read_text(path) == '{"Größe": 1}'
    assert read_json(path) == {"Größe": 1}
    assert read_utf8(path).decode("utf-8-sig") == '{"Größe": 1}'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' * 100_000, "nested too deeply"),
        ("[1, 2", "not valid JSON .* in line 1"),
        ("9" * 6000 + "x", "not valid JSON"),
        ("\xff\xfe", "not valid JSON"),
    ],
)
def test_bad_json(tmp_path, text, sentence):
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf8")
    with pytest.raises(InputError, match=sentence):
        read_json(path)


def test_numbers_beyond_64_bits_become_floats(tmp_path):
    path = tmp_path / "big.json"
    path.write_text(f"[{10**18 - 1}, {10**30}, {'9' * 5000}, NaN]")
    small, large, infinite, nan = read_json(path)
    assert small == 10**18 - 1 and isinstance(small, int)
    assert large == 1e30 and infinite == float("inf") and nan != nan


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = {
        "f": np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
        "u": np.array(["a", "bc"]),
        "scalar": np.array(2.5),
        "none": np.zeros((0, 3)),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        back = read_npz(tmp_path / "a.npz")
        assert set(back) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(back[name], array)
            assert back[name].dtype == array.dtype
    assert set(read_npz(tmp_path / "a.npz", ["f", "missing"])) == {"f"}
    assert set(read_npz((tmp_path / "a.npz").read_bytes())) == set(arrays)


def test_objects_are_refused_but_do_not_spoil_their_neighbours(tmp_path):
    np.savez(tmp_path / "a.npz", plain=np.ones(2), gender=np.array({"a": 1}, dtype=object))
    with pytest.raises(InputError, match="'gender' holds Python objects"):
        read_npz(tmp_path / "a.npz")
    assert set(read_npz(tmp_path / "a.npz", ["plain"])) == {"plain"}


def npy_claiming(header: str, data: bytes = b"") -> bytes:
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


HEADERS = {
    "huge": "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}",
    "overflow": "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 16)}",
    "negative": "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -8)}",
    "deep": "{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" * 3000 + ")" * 3000 + "}",
    "object": "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
    "fields": "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}",
    "void": "{'descr': '|V8', 'fortran_order': False, 'shape': (1,)}",
    "no header": "17",
}


@pytest.mark.parametrize("kind", HEADERS)
def test_headers_that_lie(tmp_path, kind):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", npy_claiming(HEADERS[kind], bytes(8)))
    with pytest.raises(InputError, match="a.npz"):
        read_npz(tmp_path / "a.npz")


def test_headers_that_numpy_cannot_parse_or_should_not_read(tmp_path):
    long = b"\x93NUMPY\x02\x00" + struct.pack("<I", 50_000_000) + b" " * 50_000_000
    deep = npy_claiming(HEADERS["deep"])
    for name, content, sentence in (
        ("long", long, "x.npy' is damaged: its header is too long"),
        ("deep", deep, "x.npy' is damaged: its header is not readable"),
    ):
        path = tmp_path / f"{name}.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", content)
        with pytest.raises(InputError, match=sentence):
            read_npz(path)


def test_archives_that_unpack_to_too_much(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(50_000_000))
    with pytest.raises(InputError, match="unpacks to more than 10 MB"):
        read_npz(tmp_path / "bomb.npz", at_most=10_000_000)


def test_archives_with_every_byte_flipped(tmp_path):
    """Either the same arrays come back or an `InputError`; nothing else ever gets out."""
    stream = io.BytesIO()
    np.savez_compressed(stream, a=np.arange(5.0), b=np.array("text"))
    whole = stream.getvalue()
    refused = 0
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 0x41
        try:
            read_npz(bytes(flipped))
        except InputError:
            refused += 1
    assert refused > len(whole) / 2


def test_tensors_come_back_and_damage_is_refused(tmp_path):
    path = tmp_path / "t.safetensors"
    save_file({"x": torch.arange(3.0)}, path, {"kinflow": json.dumps({"a": 1})})
    texts, tensors = read_tensors(path, what="a test")
    assert json.loads(texts["kinflow"]) == {"a": 1}
    assert torch.equal(tensors["x"], torch.arange(3.0))
    whole = path.read_bytes()
    for damaged in (whole[:20], whole[:-2], b"\xff" * 16 + whole, b"[]" + whole[2:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="not a test|header of safetensors"):
            read_tensors(path, what="a test")
    save_file({"x": torch.tensor([1.0, float("nan")])}, path)
    with pytest.raises(InputError, match="'x' holds values that are not finite"):
        read_tensors(path, what="a test")


def test_a_flipped_bit_in_a_weight_is_noticed(tmp_path):
    path = tmp_path / "t.safetensors"
    tensors = {
        "x": torch.arange(3.0),
        "scalar": torch.tensor(1.5),
        "none": torch.zeros(0, 2),
        "mask": torch.tensor([True, False]),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "columns": torch.arange(6).view(2, 3).mT,
    }
    write_tensors(path, tensors, {"kinflow": "{}", "name": "é"})
    texts, back = read_tensors(path, what="a test")
    assert texts == {"kinflow": "{}", "name": "é"}
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
    whole = path.read_bytes()
    at = whole.index(np.float32(2.0).tobytes(), whole.index(b"}}"))
    path.write_bytes(whole[:at] + np.float32(2.5).tobytes() + whole[at + 4 :])
    with pytest.raises(InputError, match="not what its checksum says"):
        read_tensors(path, what="a test")
    assert read_tensors(path, what="a test", trusted=True)[1]["x"][2] == 2.5
    path.write_bytes(whole.replace(b'"kinflow":"{}"', b'"kinflow":"[]"'))
    with pytest.raises(InputError, match="not what its checksum says"):
        read_tensors(path, what="a test")


def test_weights_have_to_be_those_of_the_network():
    network = torch.nn.BatchNorm1d(2)
    network.register_buffer("mask", torch.tensor([True, False]))
    good = {name: value.clone() for name, value in network.state_dict().items()}
    load_weights(network, good)
    bad = {
        "'weight' is missing": {k: v for k, v in good.items() if k != "weight"},
        "'more' has no place": {**good, "more": torch.zeros(1)},
        "'bias' has shape": {**good, "bias": torch.zeros(1, 2)},
        "'bias' .* holds int64": {**good, "bias": torch.zeros(2, dtype=torch.int64)},
        "'num_batches_tracked' is missing": {**good, "num_batches_tracked": torch.tensor(1.0)},
        "'mask' is not that of": {**good, "mask": torch.tensor([True, True])},
    }
    for sentence, tensors in bad.items():
        with pytest.raises(InputError, match=sentence):
            load_weights(network, tensors)
    load_weights(network, {k: v.double() if v.is_floating_point() else v for k, v in good.items()})
    assert network.weight.dtype == torch.float64


@dataclass(frozen=True)
class Settings:
    size: int
    share: float = 0.5
    deep: bool = False
    kind: Literal["a", "b"] = "a"
    name: str = ""
    widths: tuple[int, int] = (1, 2)
    figures: Mapping[str, float] = field(default_factory=dict)
    levels: tuple[float, ...] = ()


def test_settings_come_back_as_they_were():
    settings = Settings(3, 0.25, True, "b", "x", (4, 5), {"iou": 0.5}, (0.0, 1.5))
    assert from_json(Settings, json.loads(json.dumps(asdict(settings)))) == settings
    assert from_json(Settings, {"size": 3}) == Settings(3)


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {},
        {"size": 3, "other": 1},
        {"size": "3"},
        {"size": True},
        {"size": 3.0},
        {"size": 0},
        {"size": 10**18},
        {"size": 3, "share": float("nan")},
        {"size": 3, "share": True},
        {"size": 3, "share": None},
        {"size": 3, "deep": 1},
        {"size": 3, "kind": "c"},
        {"size": 3, "kind": ["a"]},
        {"size": 3, "name": 5},
        {"size": 3, "widths": [1]},
        {"size": 3, "widths": 1},
        {"size": 3, "widths": "12"},
        {"size": 3, "figures": []},
        {"size": 3, "figures": {"a": "b"}},
        {"size": 3, "levels": [1, [2]]},
    ],
)
def test_settings_that_cannot_be_right(values):
    with pytest.raises(InputError):
        from_json(Settings, values, {"size": (1, 100)})


def test_whatever_a_parser_raises_becomes_one_sentence():
    for error in (ValueError("two\nlines"), RecursionError(), ZeroDivisionError(), KeyError("k")):
        sentence = r"'f' is not a thing, or is damaged \([^\n]+\)\.$"
        with pytest.raises(InputError, match=sentence), guarded("f", "a thing"):
            raise error
    with pytest.raises(InputError, match="more memory"), guarded("f", "a thing"):
        raise MemoryError
