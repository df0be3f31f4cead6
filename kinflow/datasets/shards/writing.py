"""Samples into shards: each file appears complete or not at all, the index last."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from kinflow.checks import whole
from kinflow.datasets.sample import LABELS, Sample
from kinflow.datasets.sample_parts import Picture
from kinflow.datasets.shards.codec import StoredPicture, encoded
from kinflow.datasets.shards.index import INDEX_NAME, Index, Shard
from kinflow.errors import InputError
from kinflow.evidence.video_files import Clip, ClipFrame
from kinflow.files.atomic import PendingFile, explained, write_bytes
from kinflow.files.reading import read_bytes

_BLOCK = tarfile.BLOCKSIZE
_JPEG_QUALITY = 95
_MAX_PICTURE_BYTES = 1 << 28


@dataclass(frozen=True)
class ShardConfig:
    """How large shards become.

    A shard ends with whichever comes first.
    """

    max_samples: int = 10_000
    max_megabytes: int = 256

    def __post_init__(self) -> None:
        whole(self, "max_samples", "max_megabytes", at_least=1)


class Pictures:
    """The bytes of pictures: of images as they are, of clips a JPEG of the frame.

    Frames are had in the order of the clip, so that a clip is decoded once.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._frames: Iterator[ClipFrame] = iter(())
        self._next = 0

    def files(self, picture: Picture) -> tuple[str, bytes]:
        """Extension and content.

        Raises:
            InputError: it is not there, or is no picture.
        """
        if isinstance(picture, StoredPicture):
            return _extension(picture), picture.data
        if picture.frame is None:
            return _extension(picture), read_bytes(picture.path, _MAX_PICTURE_BYTES)
        rgb = self._frame(picture.path, picture.frame)
        flags = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        _, data = cv2.imencode(".jpg", rgb[..., ::-1], flags)
        return "jpg", data.tobytes()

    def _frame(self, path: Path, wanted: int) -> np.ndarray:
        if path != self._path or wanted < self._next:
            self._path, self._next = path, 0
            self._frames = Clip.open(path).frames()
        for frame in self._frames:
            self._next = frame.index + 1
            if frame.index == wanted:
                return frame.rgb
        raise InputError(f"'{path}' ends before its frame {wanted}.")


class _ShardFile:
    """One tar file that is being written."""

    def __init__(self, path: Path) -> None:
        self._pending = PendingFile(path)
        self._stream = os.fdopen(self._pending.handle, "wb", closefd=False)
        self._sha256 = hashlib.sha256()
        self._places: list[tuple[int, int, int]] = []
        self.size_bytes = 0

    @property
    def samples(self) -> int:
        return len(self._places)

    def add(self, stem: str, files: dict[str, bytes]) -> None:
        members = b"".join(_member(f"{stem}.{kind}", files[kind]) for kind in sorted(files))
        self._places.append((self.size_bytes, len(members), zlib.crc32(members)))
        self._write(members)

    def finish(self) -> Shard:
        path = self._pending.path
        self._write(b"\0" * (2 * _BLOCK))  # how tar files end
        self._stream.close()
        self._pending.finish()
        table = io.BytesIO()
        np.save(table, np.array(self._places, np.int64))
        table_sha256 = hashlib.sha256(table.getvalue()).hexdigest()
        shard = Shard(
            path.name, self.samples, self.size_bytes, self._sha256.hexdigest(), table_sha256
        )
        write_bytes(path.parent / shard.table_name, table.getvalue())
        return shard

    def close(self) -> None:
        """Leave nothing behind, unless it is finished."""
        self._stream.close()
        self._pending.discard()

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._sha256.update(data)
        self.size_bytes += len(data)


def _member(name: str, data: bytes) -> bytes:
    """A file within a tar file; nothing in it depends on when and by whom it is made."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + b"\0" * (-len(data) % _BLOCK)


def write_shards(
    samples: Iterable[Sample],
    folder: Path,
    name: str,
    config: ShardConfig | None = None,
    skipped: Counter[str] | None = None,
) -> Index:
    """Write samples in the order in which they come; the same samples give the same files.

    Args:
        samples: of one dataset.
        folder: where to; it holds no shards yet.
        name: what the files are called.
        config: how large they become.
        skipped: grows by the samples whose pictures are not there, by the reason. It goes into the
            index with what it holds already.

    Raises:
        InputError: the folder holds shards, nothing can be written, or there are no samples.
    """
    config, skipped = config or ShardConfig(), Counter() if skipped is None else skipped
    if (folder / INDEX_NAME).exists():
        raise InputError(f"'{folder}' holds shards already; choose another folder.")
    labels: Counter[str] = Counter()
    licences: dict[str, None] = {}
    shards: list[Shard] = []
    pictures, number, source = Pictures(), 0, name
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        each = _with_files(samples, pictures, skipped)
        for first in each:
            path = folder / f"{name}-{len(shards):06d}.tar"
            with closing(_ShardFile(path)) as file:
                for sample, files in chain([first], each):
                    file.add(f"{number:09d}", files)
                    number, source = number + 1, sample.dataset
                    labels.update(sample.labels)
                    licences[sample.licence] = None
                    if _is_full(file, config):
                        break
                shards.append(file.finish())
    if not shards:
        raise InputError(f"There are no samples to write into '{folder}'.")
    known = {label: labels[label] for label in LABELS if labels[label]}
    notes = tuple(note for note in licences if note)
    index = Index(source, tuple(shards), known, dict(skipped), notes)
    index.write(folder)
    return index


def _with_files(
    samples: Iterable[Sample], pictures: Pictures, skipped: Counter[str]
) -> Iterator[tuple[Sample, dict[str, bytes]]]:
    """Samples with their files; those without their picture are counted and left out."""
    for sample in samples:
        if sample.picture is None:
            yield sample, encoded(sample)
            continue
        try:
            kind, data = pictures.files(sample.picture)
        except InputError:
            skipped["samples without their picture"] += 1
            continue
        kept = replace(sample, picture=_as_known(sample.picture))
        yield sample, {**encoded(kept), kind: data}


def _as_known(picture: Picture) -> Picture:
    return Picture(picture.path, picture.size, picture.frame)


def _extension(picture: Picture) -> str:
    if picture.frame is not None:
        return "jpg"
    return picture.path.suffix.lower().lstrip(".") or "img"


def _is_full(file: _ShardFile, config: ShardConfig) -> bool:
    return file.samples >= config.max_samples or file.size_bytes >= config.max_megabytes << 20
