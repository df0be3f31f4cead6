"""Pickles may build values and arrays, and run nothing."""

import os
import pickle

import numpy as np
import pytest
from python2_pickles import Ch, chumpy_slice, csc_matrix, python2_classes, python2_pickle

from kinflow.errors import InputError
from kinflow.files.plain_pickle import as_array, load_plain


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
        (b"", "not a pickle"),
        (b"\x80\x02}q\x00X", "not a pickle"),
        (b"Pid\n.", "not a pickle"),
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
