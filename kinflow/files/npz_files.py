"""Numpy archives (`.npz`) that nobody vouches for.

Every size is checked in the headers before an array is made: how many entries there are, what they
unpack to, and whether an array's shape agrees with the bytes behind it. Arrays of objects are
pickles, which are programs: they are refused, or, where a caller knows that a format has one, read
as plain data.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from kinflow.errors import InputError
from kinflow.files.plain_pickle import MAX_PICKLE_BYTES, parse_plain
from kinflow.files.reading import check_file, guarded, readable

MAX_UNPACKED_BYTES = 1 << 30
MAX_ENTRIES = 4096
MAX_HEADER_BYTES = 10_000
_ENCRYPTED = 0x1
_PLAIN_KINDS = "biufcSU"
_PIECE_BYTES = 1 << 20


def read_npz(
    source: Path | str | bytes,
    names: Collection[str] | None = None,
    *,
    what: str = "a numpy archive",
    at_most: int = MAX_UNPACKED_BYTES,
    path: Path | str | None = None,
) -> dict[str, np.ndarray]:
    """The arrays of an archive by name.

    Args:
        source: the file, or its bytes.
        names: read these only, as far as they are there; what else the archive holds (objects, say)
            does not matter then.
        what: what the file should be, with its article, for the sentence when it is not.
        at_most: bytes that all arrays together may take.
        path: where the bytes came from, for the sentence.

    Raises:
        InputError: the file cannot be read, is damaged, encrypted or too large, or one of the
            arrays holds objects.
    """
    if isinstance(source, bytes):
        path, stream = path or "the archive", io.BytesIO(source)
    else:
        path = stream = Path(source)
        check_file(path)
    with guarded(path, what), zipfile.ZipFile(stream) as archive:
        entries = {_array_name(info): info for info in archive.infolist()}
        if len(entries) > MAX_ENTRIES:
            raise InputError(f"'{path}' has {len(entries)} entries, too many for {what}.")
        wanted = entries if names is None else [name for name in names if name in entries]
        infos = {name: entries[name] for name in wanted}
        if sum(info.file_size for info in infos.values()) > at_most:
            raise InputError(f"'{path}' unpacks to more than {at_most / 1e6:.0f} MB.")
        return {name: _read_entry(archive, info, path) for name, info in infos.items()}


def read_npz_objects(path: Path | str, name: str, *, what: str = "a numpy archive") -> Any:
    """One array of an archive that may hold objects, as the plain data that `plain_pickle` gives.

    Args:
        path: the file.
        name: of the array.
        what: what the file should be, with its article, for the sentence when it is not.

    Returns:
        the array of numbers or text; of objects what they are, an array of several as a list.

    Raises:
        InputError: as `read_npz`, there is no such array, or its objects are not plain data.
    """
    check_file(path)
    with guarded(path, what), zipfile.ZipFile(path) as archive:
        infos = {_array_name(info): info for info in archive.infolist()}
        if name not in infos:
            raise InputError(f"'{path}' is not {what}: it has no {name}.")
        info = infos[name]
        if info.file_size > MAX_PICKLE_BYTES or info.flag_bits & _ENCRYPTED:
            raise InputError(f"'{path}': '{name}' is too large or encrypted.")
        with archive.open(info) as stream:
            _, _, dtype = _read_header(stream.read, f"'{path}': '{info.filename}'")
            if dtype.hasobject:
                return parse_plain(stream.read(), path)
        return _read_entry(archive, info, path)


def is_archive(path: Path | str) -> bool:
    """Whether a file begins as archives do.

    Raises:
        InputError: it cannot be read.
    """
    with readable(path), open(path, "rb") as stream:
        return stream.read(2) == b"PK"


def array_names(path: Path | str) -> set[str]:
    """The names of an archive's arrays, none of which is opened.

    Raises:
        InputError: the file cannot be read or is no archive.
    """
    check_file(path)
    with guarded(path, "a numpy archive"), zipfile.ZipFile(path) as archive:
        return {_array_name(info) for info in archive.infolist()}


def _array_name(info: zipfile.ZipInfo) -> str:
    return info.filename.removesuffix(".npy")


def _read_header(
    read: Callable[[int], bytes], where: str
) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether it is stored by columns, and type of the array that follows."""
    formats = np.lib.format
    major, _ = version = formats.read_magic(io.BytesIO(read(formats.MAGIC_LEN)))
    if major not in (1, 2):
        raise InputError(f"{where} has numpy format {version}.")
    length = read(2 * major)
    # numpy reads the whole of a header before it asks whether one can be that long
    if int.from_bytes(length, "little") > MAX_HEADER_BYTES:
        raise InputError(f"{where} is damaged: its header is too long to be one.")
    try:
        return _parsed_header(major, length + read(int.from_bytes(length, "little")))
    except (MemoryError, ValueError) as error:  # MemoryError: brackets nested too deeply
        raise InputError(f"{where} is damaged: its header is not readable.") from error


@lru_cache(maxsize=256)
def _parsed_header(major: int, header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """What a header says; many small archives have the same ones, which are slow to parse."""
    formats = np.lib.format
    parse = formats.read_array_header_1_0 if major == 1 else formats.read_array_header_2_0
    return parse(io.BytesIO(header))


def _read_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path | str) -> np.ndarray:
    if info.flag_bits & _ENCRYPTED:
        raise InputError(f"'{path}' is encrypted; save it without a password.")
    with archive.open(info) as stream:
        shape, by_columns, dtype = _read_header(stream.read, f"'{path}': '{info.filename}'")
        if dtype.hasobject or dtype.kind not in _PLAIN_KINDS:
            raise InputError(
                f"'{path}': '{_array_name(info)}' holds Python objects, not numbers or text; save "
                "it without pickling."
            )
        size = math.prod(shape) * dtype.itemsize
        possible = min(shape, default=0) >= 0 and size <= info.file_size
        data = bytearray(size if possible else 0)
        if not possible or not _fills(stream.read, data):
            raise InputError(
                f"'{path}': '{_array_name(info)}' says it has shape {shape}, which its bytes "
                "are not."
            )
    if size == 0:
        return np.zeros(shape, dtype)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")


def _fills(read: Callable[[int], bytes], data: bytearray) -> bool:
    """Read into memory piece by piece, so that nothing is there twice: whether it has as much."""
    filled = 0
    while piece := read(_PIECE_BYTES):
        if filled + len(piece) > len(data):
            return False
        data[filled : filled + len(piece)] = piece
        filled += len(piece)
    return filled == len(data)
