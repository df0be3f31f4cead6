"""MAT files: what scipy writes is read as scipy reads it, and what is damaged is a sentence."""

import io
import random
import struct
import zlib

import numpy as np
import pytest
import scipy.io
from mutations import mutated_bytes

from kinflow.errors import InputError
from kinflow.files.mat5 import read_mat5


def structs(count, **fields):
    array = np.empty((1, count), [(name, object) for name in fields])
    for name, value in fields.items():
        for i in range(count):
            array[0, i][name] = value
    return array


def cells(*values):
    array = np.empty((len(values), 1), object)
    for i, value in enumerate(values):
        array[i, 0] = value
    return array


CONTENT = {
    "doubles": np.random.default_rng(0).normal(size=(3, 14, 7)),
    "whole": np.arange(12, dtype=np.int32).reshape(3, 4),
    "bytes": np.array([[1, 0, 255]], np.uint8),
    "flags": np.array([[True, False]]),
    "singles": np.float32([[1.5], [2.5]]),
    "large": np.array([[2**60]], np.int64),
    "complex": np.array([[1 + 2j]]),
    "text": "some text",
    "umlaut": "schön",
    "rows": np.array(["ab", "cd"]),
    "nothing": np.zeros((0, 0)),
    "cells": cells(np.eye(2), "word", np.zeros((0, 0))),
    "structs": structs(3, name="a.jpg", point=structs(2, x=1.5, id=3), none=np.zeros((0, 0))),
}


def same(a, b):
    assert type(a) is type(b)
    assert a.shape == b.shape, (a, b)
    if a.dtype.names:
        assert a.dtype.names == b.dtype.names
        for x, y in zip(a.ravel(), b.ravel(), strict=True):
            for name in a.dtype.names:
                same(x[name], y[name])
    elif a.dtype == object:
        for x, y in zip(a.ravel(), b.ravel(), strict=True):
            same(x, y)
    else:
        assert (a == b).all()


def written(content, **options):
    stream = io.BytesIO()
    scipy.io.savemat(stream, content, **options)
    return stream.getvalue()


@pytest.mark.parametrize("deflated", [False, True])
def test_everything_is_read_as_scipy_reads_it(tmp_path, deflated):
    path = tmp_path / "a.mat"
    path.write_bytes(written(CONTENT, do_compression=deflated))
    theirs = scipy.io.loadmat(path)
    ours = read_mat5(path, tuple(CONTENT))
    assert set(ours) == set(CONTENT)
    for name in CONTENT:
        same(ours[name], theirs[name])
    assert set(read_mat5(path, ("text", "other"))) == {"text"}


def element(kind, data, order="<"):
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def test_the_other_order_of_bytes_is_read_too(tmp_path):
    matrix = (
        element(6, struct.pack(">II", 6, 0), ">")
        + element(5, struct.pack(">ii", 1, 2), ">")
        + element(1, b"x", ">")
        + element(9, struct.pack(">dd", 1.5, -2), ">")
    )
    path = tmp_path / "a.mat"
    path.write_bytes(bytes(124) + b"\1\0MI" + element(14, matrix, ">"))
    assert read_mat5(path, ("x",))["x"].tolist() == [[1.5, -2.0]]


def matrix(shape, kind=6, rest=b"", name=b"x"):
    flags = element(6, struct.pack("<II", kind, 0))
    return element(14, flags + element(5, struct.pack("<ii", *shape)) + element(1, name) + rest)


def deep(levels):
    data = matrix((1, 1), 6, element(9, bytes(8)))
    for _ in range(levels):
        data = matrix((1, 1), 1, data)
    return data


HEAD = bytes(124) + b"\0\1IM"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"x" * 200, "not a MAT file"),
        (bytes(126) + b"XX", "not a MAT file"),
        (b"MATLAB 7.3 MAT-file" + bytes(200), "7.3"),
        (HEAD + element(14, b"")[:8] + b"1234", "cut off"),
        (HEAD + element(5, bytes(8)), "where a variable has to be"),
        (HEAD + element(15, b"no deflate"), "not a MAT file|damaged"),
        (HEAD + element(15, zlib.compress(matrix((1, 1)))[:-9]), "cut off|damaged"),
        (HEAD + matrix((10**6, 10**6), 6, element(9, bytes(8))), "has 1"),
        (HEAD + matrix((-1, 2)), "shape"),
        (HEAD + matrix((10**6, 10**3), 1), "cut off"),
        (HEAD + matrix((10**6, 10**3), 2, element(5, b"\x08\0\0\0") + element(1, b"abcdefg\0")),
         "cut off"),
        (HEAD + matrix((1, 1), 2, element(5, b"\x04\0\0\0") + element(1, b"a\0\0\0a\0\0\0")),
         "two fields"),
        (HEAD + matrix((1, 1), 2, element(5, b"\0\0\0\0") + element(1, b"")), "no names"),
        (HEAD + matrix((1, 1), 6, element(77, bytes(8))), "stored as type 77"),
        (HEAD + matrix((1, 9), 4, element(16, b"abc")), "9 letters has 3"),
        (HEAD + matrix((1, 1), 4, element(16, b"\xff")), "not a MAT file|damaged"),
        (HEAD + deep(40), "too deeply"),
        (HEAD + matrix((1, 1), 6, struct.pack("<I", 9 | 8 << 16)), "cut off|small element"),
    ],
)  # fmt: skip
def test_damage_is_a_sentence(tmp_path, data, says):
    path = tmp_path / "a.mat"
    path.write_bytes(data)
    with pytest.raises(InputError, match=says) as caught:
        read_mat5(path, ("x",))
    assert "a.mat" in str(caught.value) and "\n" not in str(caught.value)


def test_little_that_unpacks_to_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("kinflow.files.mat5._MAX_UNPACKED", 1 << 20)
    path = tmp_path / "a.mat"
    path.write_bytes(written({"x": np.zeros((1000, 1000))}, do_compression=True))
    with pytest.raises(InputError, match="unpacks to more"):
        read_mat5(path, ("x",))


@pytest.mark.parametrize("deflated", [False, True])
def test_random_damage_never_does_more(tmp_path, deflated):
    # of the kind that makes scipy's reader crash
    good, path = written(CONTENT, do_compression=deflated), tmp_path / "a.mat"
    refused = 0
    for seed in range(400):
        path.write_bytes(mutated_bytes(good, random.Random(seed)))
        try:
            read_mat5(path, tuple(CONTENT))
        except InputError:
            refused += 1
    assert refused > 50
