"""Pieces of pickles of protocol 0, which any other piece can be put between."""

import numpy as np

SMPL_FIELDS = (
    "v_template",
    "shapedirs",
    "posedirs",
    "J_regressor",
    "weights",
    "kintree_table",
    "f",
)


def text(value: str) -> bytes:
    return b"V" + value.encode("raw-unicode-escape") + b"\n"


def whole(value: int) -> bytes:
    return b"I%d\n" % value


def group(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def listed(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"l"


def mapping(**parts: bytes) -> bytes:
    return b"(" + b"".join(text(key) + value for key, value in parts.items()) + b"d"


def name(full: str) -> bytes:
    module, _, last = full.rpartition(".")
    return f"c{module}\n{last}\n".encode()


def call(full: str, *arguments: bytes) -> bytes:
    return name(full) + group(*arguments) + b"R"


def new(full: str, state: bytes) -> bytes:
    return name(full) + b")\x81" + state + b"b"


def octets(value: bytes) -> bytes:
    return b"B" + len(value).to_bytes(4, "little") + value


def dtype(code: str = "f8", state: bytes | None = None) -> bytes:
    plain = group(whole(3), text("<"), b"NNN", whole(-1), whole(-1), whole(0))
    return call("numpy.dtype", text(code), whole(0), whole(1)) + (state or plain) + b"b"


UNFILLED = call(
    "numpy.core.multiarray._reconstruct", name("numpy.ndarray"), group(whole(0)), octets(b"b")
)
OBJECTS = group(whole(3), text("|"), b"NNN", whole(-1), whole(-1), whole(63))


def array(
    shape: bytes | None = None,
    kind: bytes | None = None,
    content: bytes | None = None,
    by_columns: bytes = b"\x89",
    before: bytes = whole(1),
) -> bytes:
    """An array of numpy as it is written, of one double unless told otherwise."""
    shape = group(whole(1)) if shape is None else shape
    content = octets(bytes(8)) if content is None else content
    return UNFILLED + group(before, shape, kind or dtype(), by_columns, content) + b"b"


def numbers(values: list[int] | np.ndarray, code: str = "i8") -> bytes:
    filled = np.asarray(values, "<" + code)
    return array(
        group(*(whole(n) for n in filled.shape)), dtype(code), octets(filled.tobytes()), b"\x89"
    )


def sparse(kind: str = "csc", **parts: bytes) -> bytes:
    usual = {
        "_shape": group(whole(2), whole(2)),
        "data": numbers([1, 2], "f8"),
        "indices": numbers([0, 1]),
        "indptr": numbers([0, 1, 2]),
    }
    return new(f"scipy.sparse.{kind}.{kind}_matrix", mapping(**(usual | parts)))


def selection(values: bytes, places: bytes, **more: bytes) -> bytes:
    return new("chumpy.reordering.Select", mapping(a=values, idxs=places, **more))


def as_field(field: str, value: bytes) -> bytes:
    """A body of the SMPL family in which one field is that."""
    others = {other: whole(1) for other in SMPL_FIELDS if other != field}
    return mapping(**{field: value}, **others)
