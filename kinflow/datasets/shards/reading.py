"""A folder of shards as samples by number, wherever they lie; nothing is unpacked to disk."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections import OrderedDict
from functools import cached_property
from io import FileIO
from pathlib import Path

from kinflow.datasets.sample import Sample
from kinflow.datasets.shards.codec import decoded
from kinflow.datasets.shards.index import Index, read_table
from kinflow.errors import InputError
from kinflow.files.reading import check_file, guarded, readable

_OPEN_FILES = 16
_PIECE_BYTES = 1 << 22
_BLOCK = tarfile.BLOCKSIZE


class ShardSet:
    """The samples of one or more folders of shards.

    It may be handed to other processes, which open the files for themselves.

    Args:
        folders: that hold shards.

    Raises:
        InputError: one holds none, or a shard is missing or has another size than it had.
    """

    def __init__(self, *folders: Path | str) -> None:
        self.folders = tuple(map(Path, folders))
        self.indices = tuple(Index.read(folder) for folder in self.folders)
        pairs = zip(self.folders, self.indices, strict=True)
        self.shards = [(folder, shard) for folder, index in pairs for shard in index.shards]
        for folder, shard in self.shards:
            path = folder / shard.name
            if check_file(path, at_most=1 << 50) != shard.size_bytes:
                raise InputError(
                    f"'{path}' has not the {shard.size_bytes} bytes that its index says; copy it "
                    "again."
                )
        self._open: OrderedDict[int, FileIO] = OrderedDict()

    def __reduce__(self) -> tuple[type, tuple[Path, ...]]:
        return ShardSet, self.folders

    def __len__(self) -> int:
        return sum(index.samples for index in self.indices)

    @property
    def counts(self) -> tuple[int, ...]:
        """Samples of each shard."""
        return tuple(shard.samples for _, shard in self.shards)

    def read(self, shard: int, row: int) -> Sample:
        """A sample by its shard and its number in it.

        Raises:
            InputError: its bytes are not those that were written, or are no sample.
        """
        folder, known = self.shards[shard]
        first, length, crc = (int(value) for value in self._tables[shard][row])
        where = f"{folder / known.name}, sample {row}"
        with readable(folder / known.name):
            file = self._file(shard)
            file.seek(first)
            data = file.read(length)
        if zlib.crc32(data) != crc:
            raise InputError(f"'{where}' is damaged (checksum).")
        return decoded(_members(data, where), where)

    def close(self) -> None:
        """Close all files; they are opened again when something is read."""
        while self._open:
            self._open.popitem()[1].close()

    def damaged(self) -> list[str]:
        """Compare all files with their checksums; a sentence for each that is another one."""
        sentences = []
        for folder, shard in self.shards:
            for name, sha256 in (
                (shard.name, shard.sha256),
                (shard.table_name, shard.table_sha256),
            ):
                if _sha256(folder / name) != sha256:
                    sentences.append(f"'{folder / name}' is not what was written; copy it again.")
        return sentences

    @cached_property
    def _tables(self) -> list:
        return [read_table(folder, shard) for folder, shard in self.shards]

    def _file(self, shard: int) -> FileIO:
        if shard not in self._open:
            if len(self._open) >= _OPEN_FILES:
                self._open.popitem(last=False)[1].close()
            folder, known = self.shards[shard]
            self._open[shard] = FileIO(folder / known.name)
        self._open.move_to_end(shard)
        return self._open[shard]


def _members(data: bytes, where: str) -> dict[str, bytes]:
    """The files of a sample by extension.

    These are plain files with short names, in the oldest form of tar, as `writing` makes them;
    `tarfile`, which knows all forms, would take longer than everything else that is read here.
    """
    files: dict[str, bytes] = {}
    first = 0
    with guarded(where, "a part of a tar file"):
        while first < len(data):
            header = data[first : first + _BLOCK]
            name = header[:100].rstrip(b"\0").decode("ascii")
            size = int(header[124:136].rstrip(b" \0"), 8)
            begin = first + _BLOCK
            if header[156:157] != tarfile.REGTYPE or not 0 <= size <= len(data) - begin:
                raise InputError(f"'{where}' is not made of plain files.")
            files[name.partition(".")[2]] = data[begin : begin + size]
            first = begin + size + -size % _BLOCK
    return files


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with readable(path), open(path, "rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
