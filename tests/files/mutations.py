"""Seeded damage to whole files: what a bad disk, another program or bad will might make of them.

Each function takes the bytes of a good file and a random generator, and gives the bytes of a bad
one (now and then of one that is still good: a reader may then read it). Damage is done at every
level that a format has: raw bytes, the container's own structure, and the values inside.
"""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

WEIRD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    3,
    2**31,
    10**30,
    0.5,
    -1e9,
    1e300,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\u0000",
    "NaN",
    [],
    [None],
    [[]],
    [1, [2, [3]]],
    {},
    {"a": {}},
    [0] * 1000,
)
"""What JSON can hold where something else is meant."""


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flipped, cut off, cut out, repeated, zeroed or strange bytes."""
    return rng.choice(_BYTE_EDITS)(bytearray(data), rng)


def mutated_json(data: bytes, rng: random.Random) -> bytes:
    """JSON of which a value or a key is another one, or with damaged bytes."""
    if rng.random() < 0.25:
        return mutated_bytes(data, rng)
    if rng.random() < 0.05:
        depth = rng.choice((500, 20_000))
        return rng.choice((b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth))
    document = _mutated_document(json.loads(data), rng)
    encoding = rng.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"))
    return json.dumps(document).encode(encoding)


def mutated_npz(data: bytes, rng: random.Random) -> bytes:
    """An archive of which an array is missing, of another shape, type or value, or damaged."""
    if rng.random() < 0.3:
        return mutated_bytes(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    name = rng.choice(sorted(entries))
    content = entries.pop(name)
    edit = rng.choice(("drop", "rename", "bytes", "header", "pickle", "array", "array", "array"))
    if edit == "rename":
        name = rng.choice((name + "x", "../" + name, name.removesuffix(".npy"), " ", "é.npy"))
    elif edit == "bytes":
        content = mutated_bytes(content, rng)
    elif edit == "header":
        content = _npy_with_another_header(rng)
    elif edit == "pickle":
        stream = io.BytesIO()
        np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        content = stream.getvalue()
    elif edit == "array":
        array = np.load(io.BytesIO(content), allow_pickle=False)
        stream = io.BytesIO()
        np.save(stream, mutated_array(array, rng), allow_pickle=False)
        content = stream.getvalue()
    if edit != "drop":
        entries[name] = content
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as a:
        for entry, value in entries.items():
            a.writestr(entry, value)
    whole = stream.getvalue()
    return _with_encryption_flags(whole) if rng.random() < 0.03 else whole


def mutated_safetensors(data: bytes, rng: random.Random) -> bytes:
    """Tensors renamed, dropped, of another shape, type or value; the header's text changed."""
    if rng.random() < 0.2:
        return mutated_bytes(data, rng)
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    names = sorted(name for name in header if name != "__metadata__")
    texts = header.get("__metadata__", {})
    edit = rng.choice(
        ("text", "text", "text", "name", "drop", "shape", "dtype", "values", "header")
    )
    name = rng.choice(names)
    if edit == "text" and texts:
        key = rng.choice(sorted(texts))
        texts[key] = _mutated_text(texts[key], rng)
    elif edit == "name":
        header[name + "x"] = header.pop(name)
    elif edit == "drop":
        _drop_tensor(header, body, name)
    elif edit == "shape":
        header[name]["shape"] = _another_shape(header[name]["shape"], rng)
    elif edit == "dtype":
        same_size = {"F32": ("I32", "U32"), "F64": ("I64",), "I32": ("F32",), "BOOL": ("U8",)}
        header[name]["dtype"] = rng.choice((*same_size.get(header[name]["dtype"], ()), "F16", "Q"))
    elif edit == "values":
        _overwrite_values(body, header[name], rng)
    elif edit == "header":
        header = _mutated_document(header, rng)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(body)


def mutated_array(array: np.ndarray, rng: random.Random) -> np.ndarray:
    """An array of another shape or type, or with values that cannot be right."""
    edits: list[Callable[[np.ndarray], np.ndarray]] = [
        lambda a: a[:0] if a.ndim else a.reshape(1),
        lambda a: a[1:] if a.ndim else np.array([[a]]),
        lambda a: a[None],
        lambda a: a.reshape(-1),
        lambda a: a.T,
        lambda a: np.concatenate([a, a]) if a.ndim else a,
        lambda a: np.array(0.0),
        lambda a: a.astype(rng.choice((np.str_, np.bytes_))),
    ]
    if array.dtype.kind in "fiub":
        bad = rng.choice((np.nan, np.inf, -np.inf, 1e300, -1e300, 1e38, -1.0, 0.0, 2.0**40))
        edits += [
            lambda a: a.astype(rng.choice((np.float16, np.complex64, np.bool_, np.int8))),
            lambda a: np.full(a.shape, bad),
            lambda a: _with_one_value(a.astype(np.float64), bad, rng),
            lambda a: _with_one_value(a.astype(np.float64), bad, rng),
        ]
    else:
        edits += [lambda a: np.full(a.shape, "x" * 50), lambda a: np.zeros(a.shape)]
    with np.errstate(all="ignore"):
        return rng.choice(edits)(array)


def _with_one_value(array: np.ndarray, value: float, rng: random.Random) -> np.ndarray:
    if array.size:
        array.flat[rng.randrange(array.size)] = value
    return array


def _mutated_text(text: str, rng: random.Random) -> str:
    """An entry of a header: its JSON changed if it is JSON, else another text."""
    if rng.random() < 0.2:
        return rng.choice(("", "null", "[]", "7", "{", "[" * 5000, "x", text + text, text[:-1]))
    try:
        return json.dumps(_mutated_document(json.loads(text), rng))
    except ValueError:
        return text[::-1] if text else "x"


def _mutated_document(document: Any, rng: random.Random) -> Any:
    """A copy in which one place holds another value, is missing, doubled or named otherwise."""
    document = json.loads(json.dumps(document))
    parent, key, value = None, None, document
    while isinstance(value, dict | list) and value and rng.random() < 0.85:
        parent = value
        key = rng.choice(sorted(value)) if isinstance(value, dict) else rng.randrange(len(value))
        value = parent[key]
    if parent is None:
        return rng.choice(WEIRD_VALUES)
    edit = rng.choice(("value", "value", "value", "drop", "rename", "wrap", "scale"))
    if edit == "drop":
        del parent[key]
    elif edit == "rename" and isinstance(parent, dict):
        parent[f"{key}_"] = parent.pop(key)
    elif edit == "wrap":
        parent[key] = rng.choice(([value], {"a": value}, [value, value], str(value)))
    elif edit == "scale" and isinstance(value, int | float):
        parent[key] = value * rng.choice((-1, 0, 1e9, 1e200))
    else:
        parent[key] = rng.choice(WEIRD_VALUES)
    return document


def _another_shape(shape: list[int], rng: random.Random) -> list[int]:
    others = [
        shape[::-1],
        [*shape, 1],
        shape[1:],
        [int(np.prod(shape))],
        [],
        [2**40, 2**40],
        [0, *shape],
        [-1, *shape],
    ]
    return rng.choice(others)


def _drop_tensor(header: dict[str, Any], body: bytearray, name: str) -> None:
    begin, end = header.pop(name)["data_offsets"]
    del body[begin:end]
    for other, entry in header.items():
        if other != "__metadata__" and entry["data_offsets"][0] >= end:
            entry["data_offsets"] = [o - (end - begin) for o in entry["data_offsets"]]


def _overwrite_values(body: bytearray, entry: dict[str, Any], rng: random.Random) -> None:
    """NaN, infinity, huge or negative numbers, in one place or everywhere."""
    begin, end = entry["data_offsets"]
    code = {"F32": "<f", "F64": "<d", "I32": "<i", "I64": "<q"}.get(entry["dtype"], "<B")
    bad: tuple[float, ...] = (float("nan"), float("inf"), 1e30, -1e30, -1.0, 0.0, 1e-30)
    if code not in ("<f", "<d"):
        bad = (0, 1, 100) if code == "<B" else (-1, -(2**31), 2**31 - 1, 0)
    piece = struct.pack(code, rng.choice(bad))
    count = (end - begin) // len(piece)
    if not count:
        return
    if rng.random() < 0.5:
        body[begin : begin + count * len(piece)] = piece * count
    else:
        at = begin + rng.randrange(count) * len(piece)
        body[at : at + len(piece)] = piece


def _npy_with_another_header(rng: random.Random) -> bytes:
    descr = rng.choice(("'<f8'", "'|O'", "'<U99999999'", "'|V0'", "[('a', '<f8')]", "'x'"))
    shape = rng.choice(("(1099511627776,)", "(-1,)", "()", "(0,)", "(" * 300 + ")" * 300, "None"))
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    version = rng.choice((b"\x01\x00", b"\x02\x00", b"\x09\x00"))
    length = struct.pack("<H" if version[0] != 2 else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + bytes(8)


def _with_encryption_flags(data: bytes) -> bytes:
    """The archive with every entry said to be encrypted, in both of its tables."""
    whole = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = whole.find(mark)
        while at >= 0:
            whole[at + offset] |= 1
            at = whole.find(mark, at + 4)
    return bytes(whole)


def _flipped(data: bytearray, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 1, 3, 30))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _cut_off(data: bytearray, rng: random.Random) -> bytes:
    return bytes(data[: rng.randrange(len(data))])


def _cut_out(data: bytearray, rng: random.Random) -> bytes:
    begin = rng.randrange(len(data))
    return bytes(data[:begin] + data[begin + rng.randrange(1, 100) :])


def _repeated(data: bytearray, rng: random.Random) -> bytes:
    begin = rng.randrange(len(data))
    end = begin + rng.randrange(1, 200)
    return bytes(data[:end] + data[begin:])


def _zeroed(data: bytearray, rng: random.Random) -> bytes:
    begin = rng.randrange(len(data))
    end = min(len(data), begin + rng.randrange(1, 200))
    data[begin:end] = bytes(end - begin)
    return bytes(data)


def _strange(data: bytearray, rng: random.Random) -> bytes:
    """A file with a strange beginning or end, or nothing of the file at all."""
    junk = rng.randbytes(rng.choice((1, 16, 300)))
    return rng.choice((junk, junk + data, bytes(data) + junk, b"\xff" * 64, b"PK\x03\x04" + junk))


_BYTE_EDITS: tuple[Callable[[bytearray, random.Random], bytes], ...] = (
    _flipped,
    _flipped,
    _cut_off,
    _cut_out,
    _repeated,
    _zeroed,
    _strange,
)
