"""Pickles are read as values and arrays, and run nothing."""

import json
import os
import pickle
import pickletools
import re
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import hostile_pickles
import numpy as np
import pickle_pieces
import pytest
import read_hostile_pickles
from python2_pickles import Ch, chumpy_slice, csc_matrix, python2_classes, python2_pickle

import kinflow
from kinflow.errors import InputError
from kinflow.files.plain_pickle import MAX_PICKLE_BYTES, as_array, load_plain, parse_plain


class Call:
    """Pickled, it calls a function when it is read."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def write(tmp_path, content: bytes):
    path = tmp_path / "file.pkl"
    path.write_bytes(content)
    return path


def test_a_file_larger_than_any_body_is_not_even_opened(tmp_path):
    with open(tmp_path / "file.pkl", "wb") as stream:
        stream.truncate(MAX_PICKLE_BYTES + 1)
    with pytest.raises(InputError, match=r"file\.pkl' has 577 MB, more than"):
        load_plain(tmp_path / "file.pkl")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_and_arrays_come_back(tmp_path, protocol):
    content = {
        "array": np.arange(12, dtype=np.float32).reshape(3, 4),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "strings": np.array(["a", "b"], dtype=object),
        "scalar": np.float64(0.5),
        "bytes": b"\x00\xff",
        "nested": [1, 2.5, "text", None, (True, {"x": 1})],
    }
    loaded = load_plain(write(tmp_path, pickle.dumps(content, protocol)))
    for name in ("array", "fortran", "strings"):
        np.testing.assert_array_equal(loaded[name], content[name])
    assert loaded["scalar"] == 0.5
    assert loaded["bytes"] == b"\x00\xff"
    assert loaded["nested"] == content["nested"]


def test_python_2_names_are_understood(tmp_path):
    data = python2_pickle({"x": np.arange(3.0)})
    assert b"numpy.core.multiarray" in data
    np.testing.assert_array_equal(load_plain(write(tmp_path, data))["x"], np.arange(3.0))


@pytest.mark.parametrize("module", ["scipy.sparse.csc", "scipy.sparse._csc"])
def test_sparse_and_chumpy_arrays_become_dense(tmp_path, module):
    dense = np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0], [0.0, 3.0, 4.0]])
    content = {"sparse": csc_matrix(dense), "ch": Ch(dense), "slice": chumpy_slice(dense)}
    loaded = load_plain(write(tmp_path, python2_pickle(content, module)))
    for value in loaded.values():
        np.testing.assert_array_equal(as_array(value), dense)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrap", ["bare", "in a list", "in an object array", "in a chumpy array"])
def test_a_malicious_pickle_never_runs(tmp_path, protocol, wrap):
    touched = tmp_path / "touched"
    wrappers = {
        "bare": lambda value: value,
        "in a list": lambda value: [1, {"x": value}],
        "in an object array": lambda value: np.array([1, value], dtype=object),
        "in a chumpy array": Ch,
    }
    attacks = {
        "system": Call(os.system, f"touch {touched}"),
        "eval": Call(eval, f"open({str(touched)!r}, 'w')"),
        "open": Call(open, str(touched), "w"),
        "getattr": Call(getattr, "", "join"),
        "import": Call(__import__, "antigravity"),
    }
    for name, attack in attacks.items():
        with python2_classes("scipy.sparse.csc"):
            path = write(tmp_path, pickle.dumps(wrappers[wrap](attack), protocol))
        with pytest.raises(InputError, match=f"file.pkl' was refused: it names '.*{name}"):
            load_plain(path)
    assert not touched.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cnumpy\ncore.multiarray._reconstruct.__globals__\n.", "not among"),
        (b"ccodecs\nopen\n.", "codecs.open"),
        (b"c_codecs\nencode\n(Vx\nVrot13\ntR.", "encoding 'rot13'"),
        (b"ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\nobject\nNtR.", "class"),
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"c__main__\nAnything\n)R.", "__main__.Anything"),
        (b"cchumpy.ch\nCh\n)\x81I3\nb.", "no readable state"),
        (b"", "is empty"),
        (b"\x80\x02}q\x00X", "not a pickle"),
        (b"Pid\n.", "refers to an object 'id', which is not part of the file"),
        (b"\x80\x07N.", "protocol 7"),
        (b"N", "ends before its end mark"),
        (b".", "a value is missing"),
    ],
)
def test_hand_written_pickles_are_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        load_plain(write(tmp_path, content))


def test_state_cannot_be_planted_in_shared_classes(tmp_path):
    """A pickle may set attributes of what it names; the next file must not notice."""
    plant = b"cchumpy.ch\nCh\n(N}S'as_array'\nI1\nstb."
    with pytest.raises(InputError):
        load_plain(write(tmp_path, plant))
    value = load_plain(write(tmp_path, python2_pickle(Ch(np.ones(2)))))
    assert not hasattr(value, "as_array")
    np.testing.assert_array_equal(as_array(value), np.ones(2))


@pytest.mark.parametrize(
    "state",
    [
        {"_shape": (2, 2), "data": np.ones(1), "indices": np.array([7]), "indptr": [0, 1, 1]},
        {"_shape": (10**9, 10**9), "data": np.ones(1), "indices": [0], "indptr": [0, 1]},
        {"_shape": (2, 2), "data": np.ones(2), "indices": [0, 1], "indptr": [0, 10**9, 2]},
        {"_shape": (2, 2), "data": np.ones(2), "indices": [0, 1], "indptr": [0, 2, 1]},
        {"_shape": (2, 2)},
    ],
)
def test_inconsistent_sparse_matrices_are_refused(tmp_path, state):
    matrix = csc_matrix(np.eye(2))
    matrix.__dict__ = state
    with pytest.raises(InputError, match="cannot be read"):
        as_array(load_plain(write(tmp_path, python2_pickle(matrix))))


@pytest.mark.parametrize("value", ["text", None, [object()], np.array([{}], dtype=object)])
def test_other_values_are_no_arrays(value):
    with pytest.raises(InputError, match="array of numbers"):
        as_array(value)


def holding_itself() -> list:
    own = [1]
    own.append(own)
    return own


@pytest.mark.parametrize(
    "value", [[[1, 2], [3]], [1, [2]], [[[[[1]]]]], holding_itself(), [2**64], [[0] * 2000] * 2000]
)
def test_lists_that_are_no_arrays(value):
    with pytest.raises(InputError, match="array of numbers|numbers|beyond 64 bits"):
        as_array(value)


def test_lists_of_numbers_are_arrays():
    np.testing.assert_array_equal(as_array([[1, 2], [3, 4]]), [[1, 2], [3, 4]])
    assert as_array([]).shape == (0,) and as_array([[], []]).shape == (2, 0)
    assert as_array([(1.5, True)]).dtype == np.float64


PLAIN = [
    None,
    True,
    [0, 1, -1, 255, 256, 65535, 65536, 2**31, -(2**31), 2**63, -(2**63), 10**300, -(10**300)],
    [0.0, -0.5, 1e300, float("inf"), -float("inf")],
    ["", "a", "äöü", "\u4e00", "\U0001f600", "line\nbreak \\u0041 'quote'", "x" * 300, "\0"],
    [b"", b"a", bytes(range(256)), b"x" * 300, bytearray(b"\xff\0")],
    [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ((1, (2,)), [3])],
    {"a": {1: [2.5], None: (True, False)}, (1, "b", (2,)): b"", 2.5: 0, b"k": 1, True: 3},
    [set(), {1, "a", (2, 3)}, frozenset(), frozenset({1, frozenset({"b"})})],
    list(range(1100)),
    {f"key{i}": i for i in range(1100)},
    OrderedDict(b=1, a=2),
    [["shared"] * 3, [["x"]] * 2],
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("optimized", [False, True])
def test_values_of_every_kind_come_back(protocol, optimized):
    for value in PLAIN:
        data = pickle.dumps(value, protocol)
        read = parse_plain(pickletools.optimize(data) if optimized else data, "file")
        assert read == value
        assert type(read) is (dict if isinstance(value, OrderedDict) else type(value))


def arrays() -> list[np.ndarray]:
    """Of every type in either byte order, and of every layout."""
    codes = ["b1", "f2", "f4", "f8", "c8", "c16", "S3", "U2"]
    codes += [f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)]
    numbers = [(np.arange(24) % 100).astype(order + code) for code in codes for order in "<>"]
    layouts = [
        np.zeros((0, 3)),
        np.array(2.5),
        np.ones((1, 1, 1)),
        np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
        np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2),
        np.arange(24.0)[::-2],
        np.array(["", "äb", "\U0001f600"]),
    ]
    return numbers + [n.reshape(2, 3, 4) for n in numbers] + layouts


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_every_kind_come_back(protocol):
    for array in arrays():
        for found in parse_plain(pickle.dumps([array, array], protocol), "file"):
            assert found.dtype == array.dtype and found.shape == array.shape
            np.testing.assert_array_equal(found, array)
        if array.size:
            scalar = parse_plain(pickle.dumps(array.flat[0], protocol), "file")
            assert scalar == array.flat[0] and type(scalar) is type(array.flat[0])


def test_arrays_of_objects_are_nested_lists():
    objects = np.empty((2, 3), object)
    objects[:] = [[1, "a", None], [[2], {}, b"x"]]
    for array in (objects, np.asfortranarray(objects)):
        assert parse_plain(pickle.dumps(array), "file") == objects.tolist()
    nothing, one = np.zeros((0, 2), object), np.array({"a": 1}, object)
    assert parse_plain(pickle.dumps([nothing, one]), "file") == [[], {"a": 1}]


def python2_array(form: str) -> bytes:
    """All bytes as Python 2 wrote arrays: as a string, of one of three opcodes."""
    content = bytes(range(256))
    strings = {
        "S": b"S" + repr(content)[1:].encode() + b"\n",
        "T": b"T" + (256).to_bytes(4, "little") + content,
        "U": b"U\xf8" + content[:248],
    }
    size = 248 if form == "U" else 256
    return pickle_pieces.array(
        pickle_pieces.group(b"L%dL\n" % size),
        pickle_pieces.dtype("u1").replace(b"Vu1", b"S'u1'").replace(b"V<", b"S'|'"),
        strings[form],
    )


@pytest.mark.parametrize("form", "STU")
def test_arrays_that_python_2_wrote(form):
    read = parse_plain(python2_array(form) + b".", "file")
    np.testing.assert_array_equal(read, np.arange(len(read)))
    assert len(read) >= 248


@pytest.mark.parametrize("layout", ["csc", "csr", "coo"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_scipys_own_matrices_become_dense(layout, protocol):
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.random.default_rng(0).random((5, 7)) * (np.arange(7) > 3)
    for kind in ("matrix", "array"):
        matrix = getattr(sparse, f"{layout}_{kind}")(dense)
        read = parse_plain(pickle.dumps(matrix, protocol), "file")
        np.testing.assert_array_equal(as_array(read), dense)
    empty = getattr(sparse, f"{layout}_matrix")((3, 2))
    np.testing.assert_array_equal(
        as_array(parse_plain(pickle.dumps(empty, protocol), "file")), np.zeros((3, 2))
    )


def test_what_holds_itself_is_harmless():
    assert (read := parse_plain(pickle.dumps(holding_itself()), "file"))[1] is read


def test_the_good_pieces_of_hostile_pickles_are_good():
    """Else they would be refused for another reason than the one that is meant."""
    pieces = [pickle_pieces.array(), pickle_pieces.numbers([3, 4]), pickle_pieces.sparse()]
    pieces.append(pickle_pieces.selection(pieces[1], pickle_pieces.numbers([1])))
    read = [as_array(parse_plain(piece + b".", "file")) for piece in pieces]
    assert [array.tolist() for array in read] == [[0.0], [3, 4], [[1, 0], [0, 2]], [4]]
    for file in hostile_pickles.valid_files():
        assert read_hostile_pickles.is_plain(parse_plain(file, "file"))


@pytest.mark.parametrize("reader", ["plain", "smpl"])
def test_hostile_pickles(tmp_path, reader):
    """In a process of their own, which a crash would end, and with a limit to what it may take."""
    environment = os.environ | {"PYTHONPATH": str(Path(kinflow.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-W", "error", read_hostile_pickles.__file__, tmp_path, reader],
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"it crashed, or worse, after {done.stderr[-300:]}"
    report = json.loads(done.stdout)
    assert len(report["outcomes"]) > 2000
    outcomes = {label: text.partition(":")[0] for label, text in report["outcomes"].items()}
    allowed = {"plain", "refused"} if reader == "plain" else {"refused"}
    assert {label: text for label, text in outcomes.items() if text not in allowed} == {}
    assert not (tmp_path / "called").exists()
    assert report["slowest_s"] < 10
    if reader == "plain":
        assert report["peak_mb"] < 500
        for label, reason in REASONS.items():
            assert re.search(reason, report["outcomes"][label])
    else:  # torch alone may take nearly as much
        assert report["peak_mb"] < 1000


REASONS = {
    "call_os.system": "names 'os.system'",
    "ndarray_called": "calls 'numpy.ndarray'",
    "build_slots": "sets the state of a list",
    "dtype_0": "dtype 'V8'",
    "dtype_state_sub": "dtype with fields or parts",
    "dtype_state_size_huge": "dtype 'f8' of another size",
    "shape_more": r"shape \(2,\) and type 'f8' in 8 bytes",
    "deep_tuples": "nested more than 100 levels",
    "laughs": "unfolds to more than",
    "laughs_as_keys": "tuple as a key",
    "all_in_all": "holds itself in too many places",
    "many_lists": r"more than 1\d\d MB of memory",
    "many_bytes": r"more than 1\d\d MB of memory",
    "keys_collide": "too many values",
    "keys_long": "whole number of 1048576 bytes",
    "memo_256M": "numbers its values without order",
    "next_buffer_empty": "a buffer, which is not part of the file",
    "ext1_empty": "a registered extension",
}
"""That some are refused for what they were made for."""
